import json

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch import nn

from vitrail.core.errors import RunError, UsageError
from vitrail.core.progress import Silent
from vitrail.training.loop import LoopOptions, augment, learning_rate, train

OPTIONS = LoopOptions(epochs=4, batch=16, learning_rate=3e-3, seed=1)


def small_net(classes: int = 3) -> nn.Module:
    """With a batch norm and an odd shape of kernel, so that buffers and memory formats are part of what is saved."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.AvgPool2d(4),
            nn.Flatten(),
            nn.Linear(32, classes),
        )
    return net.to(memory_format=torch.channels_last)


def bars(count: int = 96) -> tuple[np.ndarray, np.ndarray]:
    """Three classes that a child tells apart: a bright row, a bright column, or neither, on noise."""
    random = np.random.default_rng(0)
    labels = np.arange(count) % 3
    images = random.integers(0, 120, size=(count, 8, 8, 3), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        place = random.integers(2, 6)
        if label == 0:
            image[place] = 255
        elif label == 1:
            image[:, place] = 255
    return images, labels.astype(np.int64)


def scaled(pixel_BHWC):
    return pixel_BHWC.permute(0, 3, 1, 2).float() / 127.5 - 1


def fit(net, options=OPTIONS, data=None, **more):
    images, labels = data or bars()
    return train(net, images, labels, options, normalise=scaled, progress=more.pop("progress", Silent()), **more)


class Interrupting(Silent):
    """Presses Ctrl-C after so many images."""

    def __init__(self, after: int) -> None:
        self.left = after

    def advance(self, task: str, amount: int = 1) -> None:
        self.left -= amount
        if amount and self.left <= 0:
            raise KeyboardInterrupt


def test_the_loss_falls_on_a_problem_that_is_easy():
    points = fit(small_net(), LoopOptions(epochs=25, batch=16, learning_rate=1e-2, max_shift=1))
    assert [point.epoch for point in points] == list(range(1, 26))
    assert points[-1].loss < 0.6 * points[0].loss
    assert points[-1].accuracy > 0.9


def test_with_labels_that_mean_nothing_it_hardly_falls():
    """The negative twin: a loss that falls whatever the labels are would not be a loss of this problem."""
    images, labels = bars(960)
    shuffled = np.random.default_rng(0).permutation(labels)
    points = fit(small_net(), LoopOptions(epochs=3, batch=16, learning_rate=1e-2, max_shift=1), (images, shuffled))
    assert points[-1].accuracy < 0.5


@pytest.mark.parametrize("after", [16, 5 * 16, 6 * 16, 13 * 16])
def test_interrupted_and_resumed_is_equal_to_the_bit(tmp_path, monkeypatch, after):
    monkeypatch.setattr("vitrail.training.loop.SAVE_EVERY_S", 0.0)
    undisturbed, resumed = small_net(), small_net()
    wanted = fit(undisturbed)
    file = tmp_path / "checkpoint.safetensors"
    with pytest.raises(KeyboardInterrupt):
        fit(resumed, checkpoint=file, progress=Interrupting(after))
    resumed = small_net()
    assert fit(resumed, checkpoint=file) == wanted
    for name, tensor in undisturbed.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name


def test_a_resumed_training_takes_only_the_steps_that_are_missing(tmp_path, monkeypatch):
    monkeypatch.setattr("vitrail.training.loop.SAVE_EVERY_S", 0.0)
    file = tmp_path / "checkpoint.safetensors"
    with pytest.raises(KeyboardInterrupt):
        fit(small_net(), checkpoint=file, progress=Interrupting(10 * 16))
    steps = []

    def counted(pixel_BHWC):
        steps.append(len(pixel_BHWC))
        return scaled(pixel_BHWC)

    images, labels = bars()
    train(small_net(), images, labels, OPTIONS, normalise=counted, progress=Silent(), checkpoint=file)
    assert len(steps) in (14, 15)  # of 24; the step in which Ctrl-C fell was not saved


def test_a_checkpoint_is_safetensors_with_its_state_as_json(tmp_path):
    file = tmp_path / "checkpoint.safetensors"
    points = fit(small_net(), checkpoint=file)
    with safe_open(file, framework="pt") as opened:
        state = json.loads(opened.metadata()["state"])
        names = set(opened.keys())
    assert state["step"] == 24
    assert state["points"][-1]["loss"] == points[-1].loss
    assert {"net.0.weight", "exp_avg.0.weight", "exp_avg_sq.5.bias", "net.1.running_var"} <= names
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.safetensors"]


def test_a_checkpoint_of_other_options_or_images_is_refused(tmp_path):
    file = tmp_path / "checkpoint.safetensors"
    fit(small_net(), checkpoint=file)
    images, labels = bars()
    for options, data in (
        (LoopOptions(epochs=5), None),
        (OPTIONS, (255 - images, labels)),
        (OPTIONS, (images, labels[::-1].copy())),
    ):
        with pytest.raises(RunError, match=r"checkpoint\.safetensors belongs to .* Delete it"):
            fit(small_net(), options, data, checkpoint=file)


def test_a_full_disk_is_one_sentence_and_leaves_nothing_behind(tmp_path, monkeypatch):
    """The library's own writer has an error of its own, and leaves a file when it is killed."""

    def fill_the_disk(self, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", fill_the_disk)
    with pytest.raises(RunError, match=r"No space left on device.*Free some disk space"):
        fit(small_net(), checkpoint=tmp_path / "checkpoint.safetensors")
    assert not list(tmp_path.iterdir())


def test_a_flipped_bit_in_a_checkpoint_is_noticed(tmp_path):
    """It would move a weight, and safetensors has no checksum."""
    file = tmp_path / "checkpoint.safetensors"
    fit(small_net(), checkpoint=file)
    content = bytearray(file.read_bytes())
    content[-2] ^= 1
    file.write_bytes(content)
    with pytest.raises(RunError, match=r"checkpoint\.safetensors is damaged: .* Delete it"):
        fit(small_net(), checkpoint=file)


def test_a_damaged_checkpoint_is_named_with_what_to_do(tmp_path):
    file = tmp_path / "checkpoint.safetensors"
    fit(small_net(), checkpoint=file)
    file.write_bytes(file.read_bytes()[:-5])
    with pytest.raises(RunError, match=r"checkpoint\.safetensors cannot be read .* Delete it"):
        fit(small_net(), checkpoint=file)


def test_a_training_leaves_the_global_generator_alone():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    fit(small_net(), LoopOptions(epochs=1))
    assert torch.equal(before, torch.get_rng_state())


def test_the_seed_changes_the_training():
    one, other = small_net(), small_net()
    fit(one)
    fit(other, LoopOptions(epochs=4, batch=16, learning_rate=3e-3, seed=2))
    assert not torch.equal(one[0].weight, other[0].weight)


def test_the_learning_rate_rises_to_its_top_then_falls_towards_zero():
    options = LoopOptions(learning_rate=0.5, warmup=0.1)
    rates = [learning_rate(options, step, 100) for step in range(100)]
    assert max(rates) == rates[10] == 0.5
    assert rates[:11] == sorted(rates[:11])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert 0 < rates[-1] < 1e-3
    assert all(rate > 0 for rate in rates)


def test_augmentation_shifts_each_image_by_its_own_whole_pixels():
    image_BCHW = torch.rand((6, 3, 8, 8), generator=torch.Generator().manual_seed(0))
    options = LoopOptions(max_shift=2, max_contrast=0.0)
    moved = augment(image_BCHW, options, torch.Generator().manual_seed(3))
    shifts = []
    for before, after in zip(image_BCHW, moved, strict=True):
        matches = [
            (row, column)
            for row in range(-2, 3)
            for column in range(-2, 3)
            if torch.equal(after[:, 2:-2, 2:-2], before[:, 2 + row : 6 + row, 2 + column : 6 + column])
        ]
        assert len(matches) == 1
        shifts += matches
    assert len(set(shifts)) > 1


def test_augmentation_of_nothing_is_the_image():
    image_BCHW = torch.rand((2, 3, 8, 8), generator=torch.Generator().manual_seed(0))
    options = LoopOptions(max_shift=0, max_contrast=0.0)
    assert torch.equal(augment(image_BCHW, options, torch.Generator().manual_seed(0)), image_BCHW)


@pytest.mark.parametrize(
    "wrong", [{"epochs": 0}, {"batch": 1}, {"learning_rate": 0.0}, {"warmup": 1.0}, {"label_smoothing": -0.1}]
)
def test_options_out_of_range_are_named_with_what_was_given(wrong):
    (name, value), *_ = wrong.items()
    with pytest.raises(UsageError, match=f"{name}.*{value}"):
        LoopOptions(**wrong)
