"""The deck and the papers done again: what was published, and the program that arrives there."""
