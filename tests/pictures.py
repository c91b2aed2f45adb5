"""Small folders of pictures that tests draw for themselves."""

from pathlib import Path

import numpy as np
from PIL import Image

COLOURS = {"blue": (40, 60, 200), "green": (40, 180, 60), "red": (210, 40, 50)}


def draw_folder(root: Path, *, per_class: int = 12, side: int = 40, seed: int = 0) -> Path:
    """One folder a colour, each with noisy pictures of it that are all distinct."""
    draws = np.random.default_rng(seed)
    for name, colour in COLOURS.items():
        (root / name).mkdir(parents=True, exist_ok=True)
        for number in range(per_class):
            noise_HWC = draws.integers(-60, 60, (side, side + 8, 3))
            pixel_HWC = np.clip(np.array(colour) + noise_HWC, 0, 255).astype(np.uint8)
            Image.fromarray(pixel_HWC).save(root / name / f"{number:03d}-{seed}.png")
    return root
