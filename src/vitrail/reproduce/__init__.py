"""Tables that the deck and the papers print, computed again."""
