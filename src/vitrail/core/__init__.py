"""Small, stable things every room needs. Nothing here imports torch."""
