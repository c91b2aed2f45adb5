"""Small tasks that the documentation trains networks on; not part of the package."""
