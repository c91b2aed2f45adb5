"""Networks in pure torch, each readable beside its paper. Nothing here knows the rest of Vitrail."""
