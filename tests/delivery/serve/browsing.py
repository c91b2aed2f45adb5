"""The page of a server in Chromium, watched: no error in its console, and no request to another place."""

import base64
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.chromium import FLAGS, find_chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

# A browser reports a reply with such a status as an error, although the page has words for it.
EXPECTED = "Failed to load resource: "
SECONDS = 60  # for an answer, on a machine with other work
MAKE_TRANSFER = """([name, type, content]) => {
  const bytes = Uint8Array.from(atob(content), (character) => character.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, { type }));
  return transfer;
}"""
Open = Callable[..., "Page"]


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    sync_api = pytest.importorskip("playwright.sync_api")
    path = find_chromium()
    sync_api.expect.set_options(timeout=1000 * SECONDS)
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: "Browser") -> Iterator[Open]:
    """Opens the page of a server in a new profile, with options of Playwright's `new_context`."""
    pages: list[tuple[Page, str, list[str], list[str]]] = []

    def open_page(url: str, **options: Any) -> "Page":
        page = browser.new_context(**{"locale": "en-GB"} | options).new_page()
        errors: list[str] = []
        requests: list[str] = []
        page.on("console", lambda message: errors.append(message.text))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.on("filechooser", lambda _: None)  # else a chooser may open before Playwright has asked to catch it
        pages.append((page, url, errors, requests))
        page.goto(url)
        return page

    yield open_page
    for page, url, errors, requests in pages:
        page.context.close()
        assert [error for error in errors if not error.startswith(EXPECTED)] == []
        assert requests
        assert [request for request in requests if not request.startswith((f"{url}/", f"blob:{url}/"))] == []


def give(page: "Page", *files: tuple[str, str, bytes]) -> None:
    """Choose files by the button: their names, types and contents."""
    page.locator("#files").set_input_files(
        [{"name": name, "mimeType": kind, "buffer": content} for name, kind, content in files]
    )


def transfer(page: "Page", name: str, kind: str, content: bytes) -> Any:
    """A file as it comes with a drop or a paste."""
    return page.evaluate_handle(MAKE_TRANSFER, [name, kind, base64.b64encode(content).decode()])


def cards(page: "Page", state: str = "") -> "Locator":
    """The images on the page, perhaps those in a state only: answered, doubt, failed, working."""
    return page.locator(f"#answers > li{'.' if state else ''}{state}")
