"""The page for every reader: two languages, the keyboard alone, phones, light and dark, screen readers."""

from collections.abc import Sequence
from typing import Any

import pytest
from benchmarks.service import Server

from tests.accessibility import read_axe
from tests.delivery.serve.browsing import Open, cards, give

pytest.importorskip("playwright.sync_api")

from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.slow]
PHONE = {"has_touch": True, "is_mobile": True, "device_scale_factor": 2}
TITLE = "Que montre l\N{RIGHT SINGLE QUOTATION MARK}image\N{NO-BREAK SPACE}?"
LONG = "a-name-without-any-place-for-a-break-" * 4 + ".png"
FIND_VIOLATIONS = """axe.run(document, { resultTypes: ["violations"] }).then(({ violations }) =>
  violations.map((rule) => [rule.impact, rule.id, rule.nodes.map((node) => node.failureSummary)]))"""
# Every text with its type, and for a function the number of its values.
LIST_TEXTS = """import("/page/texts.js").then(({ TEXTS }) => Object.values(TEXTS).map((texts) =>
  Object.entries({ ...texts, ...texts.failures }).map(([key, text]) =>
    `${key} ${typeof text} ${typeof text === "function" ? text.length : 0}`).sort()))"""


def fill(page: Page, picture: bytes) -> None:
    """An answer, a failure and the open list of classes."""
    give(page, (LONG, "image/png", picture), ("notes.txt", "text/plain", b"no image"))
    expect(cards(page, "answered")).to_have_count(1)
    expect(cards(page, "failed")).to_have_count(1)
    page.locator("summary").click()


def find_violations(page: Page) -> Sequence[Any]:
    page.evaluate(read_axe())
    found: Sequence[Any] = page.evaluate(FIND_VIOLATIONS)
    return found


def test_the_page_speaks_the_language_of_the_browser(open_page: Open, server: Server, picture: bytes):
    page = open_page(server.url, locale="fr-CA")
    expect(page.locator("html")).to_have_attribute("lang", "fr")
    expect(page.get_by_role("heading", level=1)).to_have_text(TITLE)
    fill(page, picture)
    expect(cards(page, "answered").locator("h3")).to_contain_text("Le plus probable : ")
    expect(cards(page, "answered").locator(".share").first).to_contain_text("%")
    expect(cards(page, "failed")).to_contain_text("Le serveur ne peut pas lire ce fichier")


def test_the_language_can_be_switched_and_is_remembered(open_page: Open, server: Server, picture: bytes):
    page = open_page(server.url, locale="de-DE")
    expect(page.get_by_role("heading", level=1)).to_have_text("What is in the image?")
    fill(page, picture)
    page.get_by_role("button", name="Français").click()
    expect(cards(page, "failed").locator("h3")).to_have_text("Pas de réponse.")
    expect(page).to_have_title(TITLE)
    page.reload()
    expect(page.get_by_role("button", name="Français")).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_role("heading", level=1)).to_have_text(TITLE)


def test_both_languages_have_all_texts(open_page: Open, server: Server):
    english, french = open_page(server.url).evaluate(LIST_TEXTS)
    assert english == french
    assert len(english) > 40


def test_the_page_works_by_keyboard_alone(open_page: Open, server: Server, picture: bytes):
    page = open_page(server.url)
    expect(page.locator("#about")).to_be_visible()
    for name in ("English", "Français"):
        page.keyboard.press("Tab")
        expect(page.get_by_role("button", name=name)).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_label("Choose images")).to_be_focused()
    outline = page.locator("#drop").evaluate("label => getComputedStyle(label).outlineStyle")
    assert outline == "solid", "a keyboard user sees where the focus is"
    for count, key in enumerate(("Enter", "Space"), start=1):
        with page.expect_file_chooser() as chooser:
            page.keyboard.press(key)
        chooser.value.set_files([{"name": f"{key}.png", "mimeType": "image/png", "buffer": picture}])
        expect(cards(page, "answered")).to_have_count(count)
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Remove all")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Remove Space.png")).to_be_focused()
    page.keyboard.press("Enter")
    expect(cards(page)).to_have_count(1)
    expect(page.get_by_role("button", name="Remove Enter.png")).to_be_focused()
    page.keyboard.press("Escape")
    expect(cards(page)).to_have_count(0)
    expect(page.get_by_label("Choose images")).to_be_focused()
    expect(page.get_by_role("status")).to_have_text("All images removed.")


@pytest.mark.parametrize("width", [320, 390])
@pytest.mark.parametrize("locale", ["en-GB", "fr-FR"])
def test_on_a_phone_nothing_scrolls_sideways_and_the_answer_is_on_the_first_screen(
    open_page: Open, server: Server, picture: bytes, width: int, locale: str
):
    page = open_page(server.url, locale=locale, viewport={"width": width, "height": 844}, **PHONE)
    with page.expect_file_chooser() as chooser:
        page.locator(".camera").tap()
    assert chooser.value.element.get_attribute("capture") == "environment"
    fill(page, picture)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    below = page.evaluate("""[...document.querySelectorAll("main *")].filter((element) => !element.closest(".hidden")
      && element.getBoundingClientRect().right > innerWidth).map((element) => element.outerHTML.slice(0, 80))""")
    assert below == []
    box = cards(page, "answered").locator("h3").bounding_box()
    assert box is not None
    assert box["y"] + box["height"] < 844
    sizes = page.locator("button:visible, label.button:visible").evaluate_all(
        "(buttons) => buttons.map((button) => button.getBoundingClientRect().height)"
    )
    assert min(sizes) >= 44, "a finger finds every button"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("options", [{}, PHONE | {"viewport": {"width": 390, "height": 844}}], ids=["desk", "phone"])
def test_axe_finds_nothing_on_the_page(
    open_page: Open, server: Server, picture: bytes, scheme: str, options: dict[str, Any]
):
    page = open_page(server.url, color_scheme=scheme, **options)
    expect(page.locator("#about")).to_be_visible()
    assert find_violations(page) == []
    fill(page, picture)
    assert find_violations(page) == []


def test_who_wants_no_motion_sees_none(open_page: Open, server: Server, picture: bytes):
    page = open_page(server.url, reduced_motion="reduce")
    page.route("**/v1/predict", lambda _: None)  # never answered, so that it keeps working
    give(page, ("one.png", "image/png", picture))
    name = cards(page, "working").locator(".spinner").evaluate("element => getComputedStyle(element).animationName")
    assert name == "none"
