"""The certificate as a page: what it says, what it escapes, and how it looks in a browser."""

import html
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.accessibility import find_violations
from tests.chromium import run_chromium
from tests.delivery.examples import NASTY
from tests.delivery.export.certificates import make_certificate, make_paths
from vitrail.delivery.export.certificate import WholeImage
from vitrail.delivery.export.certificate_page import hide_place, render_certificate, say_outcome

MEASURE = """<!doctype html><body style="margin:0">
<iframe style="width:{width}px;height:900px;border:0" srcdoc="{page}">
</iframe><script>onload = () => {{ const root = document.querySelector("iframe").contentDocument.documentElement;
document.title = [root.scrollWidth, root.clientWidth, root.scrollHeight].join("/") }}</script></body>"""


def read_text(page: str) -> str:
    """What a reader sees, on one line."""
    page = page.replace("<wbr>", "")
    return " ".join(html.unescape(re.sub(r"<style>.*?</style>|<[^>]+>", " ", page, flags=re.DOTALL)).split())


def test_the_outcome_comes_first_in_one_sentence():
    model = "vit_tiny_patch16_224.augreg_in21k_ft_in1k as onnx in fp32"
    assert say_outcome(make_certificate()) == f"Passed: {model} gives all 200 test images the run's answer."
    assert say_outcome(make_certificate(flips=3)) == f"Passed: {model} gives 197 of 200 test images the run's answer."
    refused = say_outcome(make_certificate(flips=60))
    assert refused.startswith(
        f"Not passed: {model}, since its accuracy is higher than the run's (export less run: +30.0"
    )
    text = read_text(render_certificate(make_certificate(flips=3), make_paths()))
    assert text.index(say_outcome(make_certificate(flips=3))) < text.index("Fidelity no probability differs")


def test_every_other_answer_is_listed_with_both_probabilities():
    certificate = make_certificate(("rose", "daisy", "iris"), flips=3)
    text = read_text(render_certificate(certificate, make_paths()))
    assert len(certificate.shift.flips) == 3
    for number, flip in enumerate(certificate.shift.flips):
        run, export = f"{100 * flip.before_probability:.1f}%", f"{100 * flip.after_probability:.1f}%"
        row = f"roses/{number:03d}.jpg {flip.label} {flip.before} {run} {flip.after} {export}, right"
        assert row in text


def test_the_page_has_the_model_of_whole_images():
    whole = WholeImage(
        model={"whole_image.onnx": "cd" * 32},
        bytes=24_000_000,
        images=200,
        beyond=3,
        largest_difference=2.5e-6,
        allowed_difference=1e-4,
        seconds=0.012,
    )
    page = render_certificate(replace(make_certificate(), whole_image=whole), make_paths())
    for words in ("2.5e-06 (0.0001 is allowed)", "3 of 200 test images", "0.012 s, without decoding", "cd" * 32):
        assert words in read_text(page)
    assert "resizes and crops inside" not in read_text(render_certificate(make_certificate(), make_paths()))


def test_the_page_has_the_figures_of_the_certificate():
    text = read_text(render_certificate(make_certificate(reduced=0), make_paths()))
    for words in (
        "no probability differs by more than 0.0e+00 from the same network on torch in fp32; 0.0001 is allowed",
        "A wrong way of making images smaller cannot show on these.",
        "The run computed its predictions with openvino in bf16.",
        "1 201 180 to 210 50",
        "16 1,234 1,100 to 1,300 20",
        "23.5 MB on disk",
        "numpy 2.4.6, pillow 13.0.0, onnxruntime 1.32.0",
        "ab" * 32,
        "It is not a signature.",
    ):
        assert words in text


def test_a_loss_that_was_accepted_is_not_called_passed():
    certificate = make_certificate(flips=3, int8=True)
    assert say_outcome(certificate).startswith("Accepted with a loss that is not excluded: vit_tiny")
    text = read_text(render_certificate(certificate, make_paths()))
    assert text.count("whether its accuracy is more than 0.3 points lower than the run's is undecided") == 2
    assert "(accepted with --accept-loss )" in text
    assert "(no limit for int8)" in text
    assert "is allowed" not in text


class Tags(HTMLParser):
    """Every tag of a page, and every address that it fetches from."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href") or name.startswith("on")]


def test_texts_of_users_are_text_and_nothing_is_fetched():
    certificate = make_certificate(NASTY, flips=4)
    page = render_certificate(certificate, {id_: f"<img src=x>{id_}\udcff.jpg" for id_ in make_paths()})
    reader = Tags()
    reader.feed(page)
    assert not {"script", "img", "link", "iframe"} & reader.tags
    assert all(address.startswith("#") for address in reader.addresses)
    assert "url(" not in page
    assert "{{ 7 * 7 }}" in html.unescape(re.sub("<wbr>", "", page))


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("roses/1.jpg", "roses/1.jpg"),
        ("/home/eve/roses/1.jpg", "1.jpg"),
        (r"C:\Users\eve\1.jpg", "1.jpg"),
        (r"\\server\eve\1.jpg", "1.jpg"),
        ("~/1.jpg", "1.jpg"),
        ("a/../../eve/1.jpg", "1.jpg"),
        ("s3://bucket/roses/1.jpg", "1.jpg"),
        ("roses/1..jpg", "roses/1..jpg"),
    ],
)
def test_the_page_names_no_place_of_the_machine(path: str, shown: str):
    assert hide_place(path) == shown


@pytest.fixture(scope="module")
def page() -> str:
    return render_certificate(
        make_certificate([f"class_{i}_of_a_long_name" for i in range(20)], flips=30), make_paths()
    )


@pytest.mark.browser
@pytest.mark.parametrize("width", [360, 390, 1280])
def test_the_page_never_scrolls_sideways(page: str, width: int, tmp_path: Path):
    (tmp_path / "around.html").write_text(MEASURE.format(width=width, page=html.escape(page)), encoding="utf-8")
    dom = run_chromium(tmp_path, "--dump-dom", f"file://{tmp_path}/around.html")
    scroll, client, height = map(int, dom.split("<title>")[1].split("</title>")[0].split("/"))
    assert height > 1000, "the page was not laid out"
    assert scroll == client == width


@pytest.mark.browser
@pytest.mark.parametrize("dark", [False, True])
def test_axe_finds_nothing_on_the_page(page: str, dark: bool, tmp_path: Path):
    assert find_violations(page, tmp_path, width=390, dark=dark) == []
