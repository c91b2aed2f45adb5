"""What every benchmark needs: the images and weights in ../shared, and a page that says what was measured on what."""

import statistics
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file

from benchmarks.results import HERE, machine_line, write_results
from vitrail.backbones import BackboneSpec, find_card
from vitrail.backbones.build import build_net

SHARED = HERE.parents[1] / "shared"
VIT_TI, VIT_S, RESNET50 = (
    "vit_tiny_patch16_224.augreg_in21k_ft_in1k",
    "vit_small_patch16_224.augreg_in21k_ft_in1k",
    "resnet50.tv_in1k",
)
DEIT_TI, RESNET18 = "deit_tiny_patch16_224.fb_in1k", "resnet18.tv_in1k"
REAL = {  # those of ResNets in ../shared/weights are the product-quantised ones
    VIT_TI: VIT_TI,
    DEIT_TI: DEIT_TI,
    RESNET18: "resnet18.pqf_in1k",
    RESNET50: "resnet50.pqf_in1k",
}


class Page:
    """Lines that are printed at once and written at the end."""

    def __init__(self, title: str, module: str) -> None:
        self.lines: list[str] = []
        self.say(title, "", f"    python -m {module}", "", machine_line(), "")

    def say(self, *lines: str) -> None:
        """Print lines and keep them."""
        for line in lines:
            print(line, flush=True)
            self.lines.append(line)

    def row(self, *cells: object) -> None:
        """A row of a table."""
        self.say("| " + " | ".join(str(cell) for cell in cells) + " |")

    def head(self, *names: str) -> None:
        """The head of a table."""
        self.row(*names)
        self.row(*["---"] * len(names))

    def write(self, theme: str) -> None:
        """The result of a theme, in its file."""
        write_results(theme, self.lines)


def spread(values: Sequence[float], digits: int = 1) -> str:
    """The median, with the least and the most."""
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def weights(name: str, folder: Path) -> BackboneSpec:
    """A backbone with its real weights where ../shared has them, and with random ones of seed 0 elsewhere."""
    if name in REAL:
        return BackboneSpec(name=name, file=SHARED / "weights" / f"{REAL[name]}.safetensors")
    file = folder / f"{name}.safetensors"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(0)
        save_file(build_net(find_card(name)).state_dict(), file)
    return BackboneSpec(name=name, file=file)


def pictures(data: str, count: int) -> list[Path]:
    """So many image files of a data set, evenly from all of them; all, where there are not so many."""
    files = sorted((SHARED / "data" / data).rglob("*.jpg"))
    count = min(count, len(files))
    return [files[place * len(files) // count] for place in range(count)]
