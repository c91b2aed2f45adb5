"""Every number that the project claims, printed by a command."""
