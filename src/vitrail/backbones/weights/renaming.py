"""From the names of another library to ours, strictly: a name that is in no table is an error, never dropped.

A layout is a table of renames. In a name "#" stands for a number: of a block, a stage, a layer.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from vitrail.core.errors import WeightsError

LISTED_NAMES = 8  # in an error message


def as_it_is(tensor: Tensor) -> Tensor:
    """No change."""
    return tensor


@dataclass(frozen=True, slots=True)
class Rename:
    """One tensor of ours, and the tensor or tensors of theirs that it is made of."""

    theirs: str | tuple[str, ...]
    ours: str
    change: Callable[..., Tensor] = as_it_is

    @property
    def sources(self) -> tuple[str, ...]:
        """Their names, always as a tuple."""
        return (self.theirs,) if isinstance(self.theirs, str) else self.theirs


def both(theirs: str, ours: str) -> tuple[Rename, Rename]:
    """The weight and the bias of a layer."""
    return Rename(f"{theirs}.weight", f"{ours}.weight"), Rename(f"{theirs}.bias", f"{ours}.bias")


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """How one library names the tensors of one network.

    `library` is what a message calls it. Every file of the layout has the name `mark`, possibly behind one of the
    `prefixes`, which is then cut off every name that has it. `shift` is added to each number in turn: if theirs
    count from 1 and ours from 0, it is -1. `left_out` are patterns of theirs that no feature depends on. `zeros` are
    those that no feature depends on because they are zero in every published file; another file is refused.
    """

    library: str
    mark: str
    table: tuple[Rename, ...]
    prefixes: tuple[str, ...] = ("",)
    shift: tuple[int, ...] = ()
    left_out: tuple[str, ...] = ()
    zeros: tuple[str, ...] = ()

    def prefix_in(self, names: Iterable[str]) -> str | None:
        """The prefix that these names have; None if they are not of this layout."""
        known = set(names)
        return next((prefix for prefix in self.prefixes if prefix + self.mark in known), None)


def to_ours(stored: Mapping[str, Tensor], layout: Layout, *, file: Path) -> dict[str, Tensor]:
    """Give every tensor its name and form in our networks.

    Tensors on the meta device, of a file's header, have no values to check. Whether these are all the tensors that a
    network needs is checked by `load_into`.

    Raises:
        WeightsError: a name is in no row of the table or there twice, a tensor lacks others that it belongs with, or
            their form, or is not zero where it must be.
    """
    state = _without_prefix(stored, layout, file)
    used = _names_of(layout.left_out, state) | _names_of(layout.zeros, state)
    valued = (name for name in _names_of(layout.zeros, state) if not state[name].is_meta)
    not_zero = sorted(name for name in valued if state[name].any())
    if not_zero:
        raise WeightsError(_misfit(file, layout, f"{len(not_zero)} not zero: {', '.join(not_zero[:LISTED_NAMES])}"))
    ours: dict[str, Tensor] = {}
    for row in layout.table:
        first, *rest = row.sources
        pattern = _matching(first)
        for name in state:
            match = pattern.fullmatch(name)
            if match is None:
                continue
            names = [name, *(_filled(theirs, match.groups()) for theirs in rest)]
            used.update(names)
            shifts = layout.shift or (0,) * len(match.groups())
            target = _filled(row.ours, [str(int(text) + by) for text, by in zip(match.groups(), shifts, strict=False)])
            if target in ours:
                raise WeightsError(_misfit(file, layout, f"1 duplicate: {name}"))
            ours[target] = _changed(row, names, state, layout, file)
    unknown = [name for name in state if name not in used]
    if unknown:
        raise WeightsError(_misfit(file, layout, f"{len(unknown)} unexpected: {', '.join(unknown[:LISTED_NAMES])}"))
    return ours


def _names_of(patterns: tuple[str, ...], names: Iterable[str]) -> set[str]:
    return {name for name in names if any(_matching(pattern).fullmatch(name) for pattern in patterns)}


def _without_prefix(stored: Mapping[str, Tensor], layout: Layout, file: Path) -> dict[str, Tensor]:
    prefix = layout.prefix_in(stored) or ""
    state = {name.removeprefix(prefix): tensor for name, tensor in stored.items()}
    if len(state) < len(stored):
        raise WeightsError(_misfit(file, layout, f"some have the prefix {prefix!r} and some do not"))
    return state


def _changed(row: Rename, names: list[str], state: Mapping[str, Tensor], layout: Layout, file: Path) -> Tensor:
    missing = [name for name in names if name not in state]
    if missing:
        raise WeightsError(_misfit(file, layout, f"{len(missing)} missing: {', '.join(missing)}"))
    try:
        return row.change(*(state[name] for name in names))
    except (RuntimeError, IndexError) as error:  # torch's, of shapes that do not go together
        shapes = ", ".join(f"{name} {tuple(state[name].shape)}" for name in names)
        raise WeightsError(_misfit(file, layout, f"misshapen: {shapes}")) from error


def _misfit(file: Path, layout: Layout, fault: str) -> str:
    return (
        f"The weights {file} have names from {layout.library}, but do not match them exactly: {fault}. Check that the "
        "file belongs to the backbone it was given for."
    )


def _matching(pattern: str) -> re.Pattern[str]:
    return re.compile(re.escape(pattern).replace(r"\#", "([0-9]{1,4})"))


def _filled(pattern: str, numbers: Iterable[str]) -> str:
    remaining = iter(numbers)
    return re.sub("#", lambda _: next(remaining), pattern)
