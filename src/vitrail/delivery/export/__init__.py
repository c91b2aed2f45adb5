"""A model folder made from a run: network, head and preprocessing, with a certificate of what it answers."""
