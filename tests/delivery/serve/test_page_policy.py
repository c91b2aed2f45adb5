"""What the page must not do is stopped, and the watch of the other tests sees it."""

import pytest
from benchmarks.service import Server

pytest.importorskip("playwright.sync_api")

from playwright.sync_api import Browser, expect

pytestmark = [pytest.mark.browser, pytest.mark.slow]
DIRECTIVES = ["img-src", "connect-src", "style-src", "script-src"]
BREAK_THE_POLICY = """() => {
  new Image().src = "http://127.0.0.1:1/x.png";
  fetch("http://127.0.0.1:1/").catch(() => null);
  document.body.setAttribute("style", "color: red");
  document.head.append(Object.assign(document.createElement("script"), { textContent: "document.title = 'broken'" }));
}"""


def test_the_policy_stops_other_places_and_inline_code(browser: Browser, server: Server):
    page = browser.new_page(locale="en-GB")
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text))
    page.goto(server.url)
    expect(page.locator("#about")).to_be_visible()
    assert errors == []
    page.evaluate(BREAK_THE_POLICY)
    expect(page.locator("body")).to_have_attribute("style", "color: red")
    page.wait_for_timeout(500)  # for messages of the browser
    stopped = [name for name in DIRECTIVES if any(name in error for error in errors)]
    assert stopped == DIRECTIVES
    expect(page).to_have_title("What is in the image?")
    assert page.locator("body").evaluate("body => getComputedStyle(body).color") != "rgb(255, 0, 0)"
    page.context.close()
