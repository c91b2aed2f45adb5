"""What the deck and the papers show, computed again."""
