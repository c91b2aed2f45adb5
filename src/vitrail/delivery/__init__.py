"""What is made from a finished run: the report, and predictions for new images with the chosen backbone and head."""
