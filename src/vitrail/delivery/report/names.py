"""Names of backbones on the page: short, with their colour. The full name is in the tooltip and under the figures."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from markupsafe import Markup, escape

from vitrail.backbones.display_names import display_names, shorten_names
from vitrail.delivery.report.comparison import assign_colours
from vitrail.delivery.report.words import breakable
from vitrail.runs import Results

_MARK = "\x00"  # HTML forbids it, so it is taken out of sentences


@dataclass(frozen=True, slots=True)
class Names:
    """The short name of each backbone, and the number of its colour, by its full name."""

    short: Mapping[str, str]
    colour: Mapping[str, int]

    @classmethod
    def of(cls, results: Results) -> Self:
        """The names of a run."""
        return cls(short=display_names(results.backbones), colour=assign_colours(results))

    def label(self, name: str) -> Markup:
        """The short name beside a square of the backbone's colour."""
        chip = Markup('<span class="chip s{}"></span>').format(self.colour[name])
        return Markup('<span class="backbone">{}{}</span>').format(chip, self._set(name))

    def sentence(self, text: str) -> Markup:
        """A sentence, escaped, with the short name in the place of each full one."""
        marked = shorten_names(text.replace(_MARK, ""), {name: f"{_MARK}{name}{_MARK}" for name in self.short})
        pieces = marked.split(_MARK)
        return Markup("").join(self._set(piece) if odd % 2 else escape(piece) for odd, piece in enumerate(pieces))

    def _set(self, name: str) -> Markup:
        return Markup('<bdi class="name" title="{}">{}</bdi>').format(name, breakable(self.short[name]))
