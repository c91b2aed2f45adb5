"""Networks trained from scratch: formulas that draw labelled images, a resumable training loop, and pretraining."""
