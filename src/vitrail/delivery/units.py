"""Amounts as people read them, on the terminal and on the page alike."""

NOTHING = "\N{EN DASH}"
PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


def big(number: float) -> str:
    """22050664 as 22.1 M."""
    for size, prefix in PREFIXES:
        if number >= size:
            return f"{number / size:.3g} {prefix}"
    return f"{number:.3g}"


def milliseconds(images_per_s: float) -> str:
    """What one image takes at a rate, in milliseconds."""
    if not images_per_s:
        return NOTHING
    took = 1000 / images_per_s
    return f"{took:.1f}" if 1 <= took < 10 else f"{took:.2g}" if took < 99.5 else f"{took:,.0f}"
