"""Writes .npz files in Google's layouts, every array random, as vit_jax/checkpoint.py and big_transfer name them."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[np.float32]]


class Drawn:
    """Random arrays: kernels keep activations near one, norms and biases are near one and zero but never at them."""

    def __init__(self, seed: int = 0) -> None:
        self.rng, self.arrays = np.random.default_rng(seed), {}

    def kernel(self, name: str, *shape: int, fan_in: int) -> None:
        self.arrays[name] = (self.rng.standard_normal(shape) / fan_in**0.5).astype(np.float32)

    def bias(self, name: str, *shape: int) -> None:
        self.arrays[name] = (0.2 * self.rng.standard_normal(shape)).astype(np.float32)

    def scale(self, name: str, *shape: int) -> None:
        self.arrays[name] = (1 + 0.2 * self.rng.standard_normal(shape)).astype(np.float32)


def vit_arrays(*, width: int, heads: int, depth: int, patch: int, tokens: int, classes: int) -> Arrays:
    """What vit_jax keeps of a ViT."""
    drawn, one = Drawn(), width // heads
    drawn.bias("cls", 1, 1, width)
    drawn.kernel("embedding/kernel", patch, patch, 3, width, fan_in=3 * patch**2)
    drawn.bias("embedding/bias", width)
    drawn.bias("Transformer/posembed_input/pos_embedding", 1, tokens, width)
    for number in range(depth):
        block = f"Transformer/encoderblock_{number}"
        for norm in ("LayerNorm_0", "LayerNorm_2"):
            drawn.scale(f"{block}/{norm}/scale", width)
            drawn.bias(f"{block}/{norm}/bias", width)
        attention = f"{block}/MultiHeadDotProductAttention_1"
        for part in ("query", "key", "value"):
            drawn.kernel(f"{attention}/{part}/kernel", width, heads, one, fan_in=width)
            drawn.bias(f"{attention}/{part}/bias", heads, one)
        drawn.kernel(f"{attention}/out/kernel", heads, one, width, fan_in=width)
        drawn.bias(f"{attention}/out/bias", width)
        for layer, inputs, outputs in (("Dense_0", width, 4 * width), ("Dense_1", 4 * width, width)):
            drawn.kernel(f"{block}/MlpBlock_3/{layer}/kernel", inputs, outputs, fan_in=inputs)
            drawn.bias(f"{block}/MlpBlock_3/{layer}/bias", outputs)
    drawn.scale("Transformer/encoder_norm/scale", width)
    drawn.bias("Transformer/encoder_norm/bias", width)
    drawn.kernel("head/kernel", width, classes, fan_in=width)
    drawn.bias("head/bias", classes)
    return drawn.arrays


def bit_arrays(*, blocks: tuple[int, ...], classes: int) -> Arrays:
    """What big_transfer keeps of a BiT R50x1 with so many blocks a stage."""
    drawn = Drawn()
    drawn.kernel("resnet/root_block/standardized_conv2d/kernel", 7, 7, 3, 64, fan_in=147)
    inputs = 64
    for stage, count in enumerate(blocks, start=1):
        narrow, outputs = 32 * 2**stage, 128 * 2**stage
        for number in range(1, count + 1):
            unit = f"resnet/block{stage}/unit{number:02d}"
            for part, side, into, out in (
                ("a", 1, inputs, narrow),
                ("b", 3, narrow, narrow),
                ("c", 1, narrow, outputs),
            ):
                drawn.scale(f"{unit}/{part}/group_norm/gamma", into)
                drawn.bias(f"{unit}/{part}/group_norm/beta", into)
                kernel = f"{unit}/{part}/standardized_conv2d/kernel"
                drawn.kernel(kernel, side, side, into, out, fan_in=into * side**2)
            if number == 1:
                drawn.kernel(f"{unit}/a/proj/standardized_conv2d/kernel", 1, 1, inputs, outputs, fan_in=inputs)
            inputs = outputs
    drawn.scale("resnet/group_norm/gamma", inputs)
    drawn.bias("resnet/group_norm/beta", inputs)
    drawn.kernel("resnet/head/conv2d/kernel", 1, 1, inputs, classes, fan_in=inputs)
    drawn.bias("resnet/head/conv2d/bias", classes)
    return drawn.arrays


def write_npz(path: Path, arrays: Arrays) -> Path:
    np.savez(path, **arrays)
    return path
