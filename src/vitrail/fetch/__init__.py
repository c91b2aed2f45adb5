"""Downloads, the Hugging Face hub, and the digests that a name is trusted with."""
