"""Whether a finished run says what its own files say, and how two runs differ."""
