"""The sentences of the page, for answers that a small model does not give."""

from typing import Any

import pytest
from benchmarks.service import Server

from tests.delivery.serve.browsing import Open

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PROMISES = {"sets": [{"rule": "lac", "promised": 0.9}], "confidence": 0.602}
SAY = """async ([language, promises, method, values]) => {
  const { Words } = await import("/page/words.js");
  const said = new Words(language, promises && { certificate: { promises } })[method](...values, (label) => label);
  return Array.isArray(said) ? said.join("") : said;
}"""


def answer(probability: float, top: list[str], classes: list[str], doubt: str | None = None) -> dict[str, Any]:
    return {
        "label": None if doubt else top[0],
        "nearest": top[0],
        "probability": probability,
        "top": [{"label": label} for label in top],
        "set": classes,
        "doubt": {"code": doubt} if doubt else None,
    }


@pytest.mark.parametrize(
    ("language", "promises", "method", "values", "sentence"),
    [
        ("en", PROMISES, "share", [0.0], "0.0%"),
        ("en", PROMISES, "share", [0.0004], "< 0.1%"),
        ("en", PROMISES, "share", [0.9994], "> 99.9%"),
        ("en", PROMISES, "share", [1.0], "100.0%"),
        ("fr", PROMISES, "share", [0.3777], "37,8 %"),
        ("en", PROMISES, "size", [400], "0.4 kB"),
        ("en", PROMISES, "largest", [2.04e-6], "0.000003"),
        ("en", PROMISES, "measured", [{"value": 0.9, "low": 0.855, "high": 0.92}], "90.0% [85.5%, 92.0%]"),
        (
            "en",
            PROMISES,
            "doubt",
            [answer(0.4, ["rose"], ["rose"], "unsure")],
            "No class is probable enough. The nearest is rose with 40.0%; an answer needs 60.2%.",
        ),
        (
            "en",
            None,
            "doubt",
            [answer(0.4, ["rose"], ["rose"], "unsure")],
            "No class is probable enough. The nearest is rose with 40.0%.",
        ),
        (
            "en",
            PROMISES,
            "set",
            [answer(0.5, ["rose", "azalea", "iris"], ["azalea", "iris", "rose"])],
            "Set of classes: rose, azalea or iris. For 90% of new images such a set should hold the true class.",
        ),
        (
            "en",
            None,
            "set",
            [answer(0.5, ["b", "a"], list("abcdefghij"))],
            "Set of classes: b, a, c, d, e, f, g, h and 2 more.",
        ),
        (
            "en",
            PROMISES,
            "set",
            [answer(0.8, ["rose"], [])],
            "The set of classes is empty: no class is as probable as the true class is for 90% of images.",
        ),
    ],
)
def test_sentences(
    open_page: Open, server: Server, language: str, promises: Any, method: str, values: list[Any], sentence: str
):
    said = open_page(server.url).evaluate(SAY, [language, promises, method, values])
    assert " ".join(said.split()) == sentence, "which spaces are no-break ones depends on the browser"
