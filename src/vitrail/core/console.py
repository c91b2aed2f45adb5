"""The consoles of this program: rich's, which print nothing that a terminal would obey but their own styles."""

from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType  # noqa: TID251 - the one place
from rich.segment import Segment
from rich.text import Text

from vitrail.core.printable import LAYOUT, make_printable


class PrintableConsole(Console):
    """A console that obeys its own styles and no character of a text. Names such as `:cat:` do not become emoji."""

    def __init__(self, **options: Any) -> None:
        super().__init__(emoji=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """Write out what the terminal would obey, before the width of the text is measured."""
        return super().render_str(make_printable(text, layout=LAYOUT), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Do the same for texts that were made elsewhere; rich's own movements of the cursor stay."""
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield Segment(make_printable(segment.text, layout=LAYOUT), segment.style)
