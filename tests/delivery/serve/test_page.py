"""The page in a real browser, on a real server: images in, answers and reasons out."""

import io
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from benchmarks.service import Server, start_server
from PIL import Image

from tests.delivery.serve.browsing import Open, cards, give, transfer

pytest.importorskip("playwright.sync_api")

from playwright.sync_api import Page, Route, expect

pytestmark = [pytest.mark.browser, pytest.mark.slow]
KEY = "a-key-for-tests-0123456789"


def encode(image: Image.Image, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


def ask(server: Server, content: bytes) -> dict[str, Any]:
    """What the API answers."""
    reply = httpx.post(f"{server.url}/v1/predict", content=content, headers={"Content-Type": "image/png"}, timeout=60)
    result: dict[str, Any] = reply.json()["results"][0]
    return result


def share(probability: float) -> str:
    if 0.999 < probability < 1:
        return ">\N{NO-BREAK SPACE}99.9%"
    return f"{100 * probability:.1f}%"


def require_answer(page: Page, result: dict[str, Any]) -> None:
    """The page shows one image with the answer of the API."""
    expect(cards(page)).to_have_count(1)
    expect(cards(page).locator("h3")).to_have_text(
        f"This is most likely {result['label']} ({share(result['probability'])})."
    )
    rows = cards(page).locator(".bars li").all_inner_texts()
    assert [row.split("\n")[0] for row in rows] == [row["label"] for row in result["top"]]
    size = f"{result['width']} \N{MULTIPLICATION SIGN} {result['height']} pixels"
    expect(cards(page).locator(".file")).to_contain_text(size)


@pytest.fixture(scope="module")
def answered(server: Server, picture: bytes) -> dict[str, Any]:
    result = ask(server, picture)
    assert result["label"] is not None, "the tests need an image with an answer"
    return result


def test_a_chosen_image_gets_the_answer_of_the_api(
    open_page: Open, server: Server, picture: bytes, answered: dict[str, Any]
):
    page = open_page(server.url)
    give(page, ("one.png", "image/png", picture))
    require_answer(page, answered)
    expect(page.get_by_role("status")).to_contain_text(f"one.png: This is most likely {answered['label']}")
    assert page.locator("#answers img").evaluate("image => image.naturalWidth") == answered["width"]


def test_a_dropped_image_is_answered(open_page: Open, server: Server, picture: bytes, answered: dict[str, Any]):
    page = open_page(server.url)
    dropped = transfer(page, "dropped.png", "image/png", picture)
    page.dispatch_event("#drop", "dragover", {"dataTransfer": dropped})
    expect(page.locator("#drop")).to_have_class("drop dragging")
    page.dispatch_event("#drop", "drop", {"dataTransfer": dropped})
    expect(page.locator("#drop")).to_have_class("drop")
    require_answer(page, answered)


def test_a_pasted_image_is_answered(open_page: Open, server: Server, picture: bytes, answered: dict[str, Any]):
    page = open_page(server.url)
    paste = "(data) => document.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data }))"
    page.evaluate(paste, page.evaluate_handle("new DataTransfer()"))
    expect(page.get_by_role("status")).to_have_text("There is no image on the clipboard.")
    page.evaluate(paste, transfer(page, "pasted.png", "image/png", picture))
    require_answer(page, answered)


def test_several_images_are_listed_in_their_order_and_removed(open_page: Open, server: Server, picture: bytes):
    page = open_page(server.url)
    names = [f"{number}.png" for number in range(6)]
    give(page, *[(name, "image/png", picture) for name in names[:4]])
    expect(cards(page, "answered")).to_have_count(4)
    give(page, *[(name, "image/png", picture) for name in names[4:]])
    expect(cards(page, "answered")).to_have_count(6)
    assert page.locator(".file bdi").all_inner_texts() == [*names[4:], *names[:4]]
    page.get_by_role("button", name="Remove 4.png").click()
    expect(page.get_by_role("button", name="Remove 5.png")).to_be_focused()
    page.get_by_role("button", name="Remove all").click()
    expect(cards(page)).to_have_count(0)
    expect(page.locator("#files")).to_be_focused()


def test_an_image_unlike_the_training_images_has_no_answer(open_page: Open, server: Server):
    noise = np.random.default_rng(0).integers(0, 256, (80, 80, 3), dtype=np.uint8)
    content = encode(Image.fromarray(noise))
    result = ask(server, content)
    assert (result["label"], result["doubt"]["code"]) == (None, "unlike")
    page = open_page(server.url)
    give(page, ("noise.png", "image/png", content))
    expect(cards(page, "doubt").locator("h3")).to_have_text("I do not know.")
    expect(cards(page).locator(".reason")).to_contain_text(
        f"The image looks like none of the training images. The nearest class is {result['nearest']}"
    )
    expect(cards(page).locator(".set")).to_contain_text("no set of classes can be given")
    expect(page.get_by_role("status")).to_contain_text("noise.png: I do not know. The image looks like none")


def test_what_is_no_image_is_refused_in_words(open_page: Open, server: Server, picture: bytes):
    page = open_page(server.url)
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.method))
    give(page, ("notes.txt", "text/plain", b"no image"))
    expect(cards(page, "failed")).to_contain_text("it is not an image, is of a rare kind, or is damaged")
    assert "POST" not in sent, "its type is known before it is sent"
    give(page, ("cut.png", "image/png", picture[:100]), ("nothing.png", "image/png", b""), ("unknown", "", picture))
    expect(cards(page, "failed")).to_have_count(3)
    expect(cards(page, "answered")).to_contain_text("unknown")


def test_an_image_of_too_many_pixels_is_refused_in_words_and_the_server_goes_on(
    open_page: Open, server: Server, picture: bytes, answered: dict[str, Any]
):
    page = open_page(server.url)
    give(page, ("vast.png", "image/png", encode(Image.new("1", (10_001, 10_000)))))
    expect(cards(page, "failed")).to_contain_text("the server takes at most 100 million pixels")
    expect(cards(page).locator("img")).to_have_count(0)
    page.keyboard.press("Escape")
    give(page, ("one.png", "image/png", picture))
    require_answer(page, answered)


def test_a_file_of_too_many_bytes_is_refused_before_it_is_sent(open_page: Open, server: Server, tmp_path: Path):
    page = open_page(server.url)
    expect(page.locator("#limits")).to_have_text("Images of up to 32 MB and 100 million pixels.")
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.method))
    heavy = tmp_path / "heavy.tif"
    with heavy.open("wb") as file:
        file.truncate(33_000_000)
    page.locator("#files").set_input_files(heavy)
    expect(cards(page, "failed")).to_contain_text("The file is too large (33 MB): the server takes at most 32 MB")
    assert "POST" not in sent


def test_names_of_files_are_never_read_as_html(open_page: Open, server: Server, picture: bytes):
    page = open_page(server.url)
    name = "<img src=x onerror=document.title=1>.png"
    give(page, (name, "image/png", picture))
    expect(cards(page, "answered").locator(".file bdi")).to_have_text(name)
    expect(cards(page).locator("img")).to_have_count(1)


def test_without_its_server_the_page_says_so_and_tries_again(
    open_page: Open, server: Server, picture: bytes, tmp_path: Path
):
    page = open_page(server.url)
    expect(page.locator("#about")).to_be_visible()
    file = tmp_path / "one.png"
    file.write_bytes(picture)
    page.context.set_offline(True)
    page.locator("#files").set_input_files(file)
    expect(cards(page, "failed")).to_contain_text("The server does not answer.")
    page.context.set_offline(False)
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("button", name="Remove one.png")).to_be_focused()
    expect(cards(page, "answered")).to_have_count(1)
    page.context.set_offline(True)
    page.locator("#files").set_input_files(file)
    expect(cards(page, "failed")).to_have_count(1)
    page.context.set_offline(False)
    file.unlink()
    page.get_by_role("button", name="Try again").click()
    expect(cards(page, "failed")).to_contain_text("The file cannot be read.")


def test_the_page_waits_for_a_busy_proxy(open_page: Open, server: Server, picture: bytes):
    page = open_page(server.url)
    turned_away: list[str] = []

    def turn_away_once(route: Route) -> None:
        if turned_away:
            route.continue_()
        else:
            turned_away.append(route.request.url)
            route.fulfill(status=503, headers={"Retry-After": "2"}, body="busy")

    page.route("**/v1/predict", turn_away_once)
    give(page, ("one.png", "image/png", picture))
    expect(cards(page, "working")).to_contain_text("The server is busy. Trying again in 2 s.")
    expect(cards(page, "answered")).to_have_count(1)


def test_the_page_asks_for_the_key_and_keeps_it_in_memory_only(open_page: Open, onnx_folder: Path, picture: bytes):
    server = start_server(onnx_folder, environment={"VITRAIL_API_KEY": KEY})
    try:
        page = open_page(server.url)
        expect(page.get_by_label("Key", exact=True)).to_be_focused()
        give(page, ("one.png", "image/png", picture))
        expect(cards(page, "failed")).to_contain_text("The server asks for a key.")
        page.keyboard.press("Escape")
        for wrong in ("no-such-key-0123456789", "clé"):
            page.get_by_label("Key", exact=True).fill(wrong)
            page.keyboard.press("Enter")
            expect(page.get_by_role("alert")).to_contain_text("The server does not accept this key.")
        page.get_by_label("Key", exact=True).fill(KEY)
        page.get_by_role("button", name="Use this key").click()
        expect(cards(page, "answered")).to_have_count(1)
        expect(page.locator("#key-form")).to_be_hidden()
        expect(page.locator("#files")).to_be_focused()
        kept = "[document.cookie, ...Object.values(localStorage), ...Object.values(sessionStorage)]"
        assert page.evaluate(kept) == [""]
        page.reload()
        expect(page.locator("#key-form")).to_be_visible()
    finally:
        assert server.stop() == 0
