"""What another library says about a file, as part of our own sentence."""

import re

MOST_LETTERS = 200
# Libraries advise to read a file they refuse without their protection against code in it.
UNSAFE_ADVICE = re.compile(r"weights_only|safe_globals|pickle|max_header_size|trust_remote_code|use_safetensors", re.I)


def say_reason(error: BaseException) -> str:
    """The start of an error's text, on one line; its type if it has none, or advises to switch safe reading off."""
    words = " ".join(str(error).split())
    return type(error).__name__ if not words or UNSAFE_ADVICE.search(words) else words[:MOST_LETTERS]
