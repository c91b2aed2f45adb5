"""keras.applications' own ResNet50 and ours compute the same from the .h5 that Keras writes."""

import importlib
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from torch import Tensor

from tests.references import relative_gap
from vitrail.backbones.build import build_net
from vitrail.backbones.cards import Card
from vitrail.backbones.catalogue import find_card
from vitrail.backbones.preprocess import normalise
from vitrail.backbones.weights import keras, load_into, read_weights
from vitrail.backbones.weights.hdf5 import read_h5
from vitrail.backbones.weights.renaming import to_ours
from vitrail.core.errors import WeightsError

PARITY = 5e-6


def test_a_bias_before_a_batch_norm_moves_its_mean():
    value, mean, bias = (torch.randn(5, 7, dtype=torch.float64) for _ in range(3))
    assert torch.allclose((value + bias) - mean, value - keras.mean_after_bias(mean, bias), atol=1e-15)


def test_numbers_become_ours_and_the_bias_goes_into_the_norm(tmp_path: Path):
    kernel = np.arange(24, dtype=np.float32).reshape(1, 1, 4, 6)
    arrays = {"kernel": kernel, "bias": np.full(6, 0.5, np.float32)}
    norm = {"gamma": 1.0, "beta": 2.0, "moving_mean": 3.0, "moving_variance": 4.0}
    with h5py.File(tmp_path / "w.h5", "w") as file:
        for layer in ("conv1", "conv4_block6_2"):
            for name, value in arrays.items():
                file[f"{layer}_conv/{layer}_conv/{name}:0"] = value
            for name, number in norm.items():
                file[f"{layer}_bn/{layer}_bn/{name}:0"] = np.full(6, number, np.float32)
    state = read_weights(tmp_path / "w.h5")
    assert len(state) == 10
    assert torch.equal(state["layer3.5.conv2.weight"], torch.from_numpy(kernel).permute(3, 2, 0, 1))
    assert state["layer3.5.bn2.running_mean"].tolist() == [2.5] * 6
    assert state["bn1.running_var"].tolist() == [4.0] * 6


def test_a_norm_without_its_convolution_is_an_error(tmp_path: Path):
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file["conv1_conv/conv1_conv/kernel:0"] = np.ones((1, 1, 3, 2), np.float32)
        file["conv1_bn/conv1_bn/moving_mean:0"] = np.ones(2, np.float32)
    with pytest.raises(WeightsError, match=r"w\.h5.*keras\.applications.*missing: conv1_conv/bias"):
        read_weights(tmp_path / "w.h5")


@pytest.fixture(scope="module")
def applications(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Keras on torch, with its own folder for settings."""
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        patch.setenv("KERAS_BACKEND", "torch")
        patch.setenv("KERAS_HOME", str(tmp_path_factory.mktemp("keras")))
        warnings.simplefilter("ignore", DeprecationWarning)  # Keras calls NumPy's __array__ in a way that is going
        yield importlib.import_module("keras")


def drawn(reference: Any) -> None:
    """Every weight anew, by what it is, so that nothing hides behind a zero or a one."""
    rng = np.random.default_rng(0)
    for weight in reference.weights:
        value = rng.standard_normal(weight.shape)
        if weight.name == "kernel":
            value /= np.prod(weight.shape[:-1]) ** 0.5
        elif weight.name == "gamma":
            value = 0.01 + 0.001 * value  # as small as the root of the variance, so that nothing grows
        elif weight.name == "moving_variance":
            value = 1e-4 * (1 + value**2)  # so small that any other eps shows
        else:
            value *= 0.1
        weight.assign(value.astype(np.float32))


@pytest.fixture(scope="module")
def written(applications: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Tensor]:
    """A file in the form that keras.applications publishes, and what Keras computes with its weights."""
    reference = applications.applications.ResNet50(include_top=False, weights=None, pooling="avg")
    drawn(reference)
    file = tmp_path_factory.mktemp("keras") / "resnet50_notop.h5"
    saving = importlib.import_module("keras.src.legacy.saving.legacy_h5_format")
    with warnings.catch_warnings(), h5py.File(file, "w") as opened:
        warnings.simplefilter("ignore", DeprecationWarning)
        saving.save_weights_to_hdf5_group(opened, reference)
    prepared = applications.applications.resnet.preprocess_input(pixels().numpy().astype(np.float32))
    with torch.inference_mode():
        return file, reference(prepared, training=False).detach()


def pixels() -> Tensor:
    """Eight-bit pixels of even and odd sides, RGB, `pixel_BHWC`."""
    return torch.randint(0, 256, (1, 75, 64, 3), generator=torch.Generator().manual_seed(1)).to(torch.uint8)


def our_feature(state: dict[str, Tensor], file: Path, card: Card) -> Tensor:
    net = build_net(card, classes=0)
    load_into(net, state, file=file)
    with torch.inference_mode():
        return net.eval().forward_features(normalise(pixels(), card.preprocessing))


CARD = find_card("resnet50.keras_in1k")


@pytest.mark.slow
def test_features_are_keras_own_from_eight_bit_pixels_on(written):
    file, feature_BD = written
    ours = our_feature(read_weights(file), file, CARD)
    assert relative_gap(ours, feature_BD) <= PARITY


MISTAKES = {
    "stride on the 3x3, as torchvision has it": replace(CARD, variant={"depth": 50}),
    "torch's eps": replace(CARD, norm_eps=1e-5),
    "keras' default eps": replace(CARD, norm_eps=1e-3),
    "RGB": replace(CARD, preprocessing=replace(CARD.preprocessing, channels="RGB")),
    "divided by 255": replace(CARD, preprocessing=replace(CARD.preprocessing, divide_by=255.0)),
}


@pytest.mark.slow
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_of_the_card_would_be_seen(mistake, written):
    file, feature_BD = written
    wrong = our_feature(read_weights(file), file, MISTAKES[mistake])
    assert relative_gap(wrong, feature_BD) > 2 * PARITY


@pytest.mark.slow
def test_a_bias_that_is_forgotten_would_be_seen(written):
    file, feature_BD = written
    forgetful = tuple(
        replace(row, change=lambda mean, bias: mean) if row.change is keras.mean_after_bias else row
        for row in keras.RESNET.table
    )
    state = to_ours(read_h5(file), replace(keras.RESNET, table=forgetful), file=file)
    assert relative_gap(our_feature(state, file, CARD), feature_BD) > 1e-2
