"""keras.applications' names of ResNet, without top: keras/src/applications/resnet.py, `residual_block_v1`.

Keras' convolutions have a bias, and a batch norm follows each: the bias only moves the mean that the norm subtracts.
Stride, eps and pixels are Keras' own too; they are on the card. A kernel is kept as HWIO.
"""

from torch import Tensor

from vitrail.backbones.weights.renaming import Layout, Rename


def convolution(kernel_HWIO: Tensor) -> Tensor:
    """A convolution's weight, OIHW."""
    return kernel_HWIO.permute(3, 2, 0, 1)


def mean_after_bias(mean: Tensor, bias: Tensor) -> Tensor:
    """What to subtract from a convolution that has lost its bias, where `mean` was subtracted before."""
    return mean - bias


def _convolution_and_norm(theirs: str, convolution_of_ours: str, norm_of_ours: str) -> tuple[Rename, ...]:
    return (
        Rename(f"{theirs}_conv/kernel", f"{convolution_of_ours}.weight", convolution),
        Rename(f"{theirs}_bn/gamma", f"{norm_of_ours}.weight"),
        Rename(f"{theirs}_bn/beta", f"{norm_of_ours}.bias"),
        Rename((f"{theirs}_bn/moving_mean", f"{theirs}_conv/bias"), f"{norm_of_ours}.running_mean", mean_after_bias),
        Rename(f"{theirs}_bn/moving_variance", f"{norm_of_ours}.running_var"),
    )


RESNET = Layout(
    library="keras.applications' ResNet",
    mark="conv1_conv/kernel",
    table=(
        *_convolution_and_norm("conv1", "conv1", "bn1"),
        *_convolution_and_norm("conv#_block#_0", "layer#.#.downsample.0", "layer#.#.downsample.1"),
        *_convolution_and_norm("conv#_block#_1", "layer#.#.conv1", "layer#.#.bn1"),
        *_convolution_and_norm("conv#_block#_2", "layer#.#.conv2", "layer#.#.bn2"),
        *_convolution_and_norm("conv#_block#_3", "layer#.#.conv3", "layer#.#.bn3"),
        Rename("predictions/kernel", "fc.weight", lambda kernel_IO: kernel_IO.transpose(0, 1)),  # where it has its top
        Rename("predictions/bias", "fc.bias"),
    ),
    shift=(-1, -1),
)
