"""Small, stable things that every package needs. Nothing here imports torch."""
