"""The files of the page, read into memory once: a request names an entry of a table, never a file."""

from dataclasses import dataclass, field
from hashlib import sha256
from importlib.resources import files

TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
INDEX = "index.html"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file of the page with the headers that it is sent with."""

    content: bytes = field(repr=False)
    media_type: str
    tag: str  # changes with the content, so that a browser asks whether its copy is current

    @property
    def headers(self) -> dict[str, str]:
        """Beside those of every reply."""
        return {"Cache-Control": "no-cache", "Content-Security-Policy": POLICY, "ETag": self.tag}


def read_page() -> dict[str, StaticFile]:
    """Every file of the page by its name."""
    page = files("vitrail.delivery.serve") / "page"
    table = {}
    for file in page.iterdir():
        suffix = f".{file.name.rpartition('.')[2]}"
        if suffix in TYPES:
            content = file.read_bytes()
            table[file.name] = StaticFile(content, TYPES[suffix], f'"{sha256(content).hexdigest()[:16]}"')
    return table
