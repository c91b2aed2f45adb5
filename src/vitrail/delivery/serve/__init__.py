"""`vitrail serve`: a model folder behind HTTP, without torch."""
