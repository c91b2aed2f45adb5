"""The model card: metadata that the hub reads, the figures of the run, and texts of users that stay texts."""

from dataclasses import replace
from typing import Any

import pytest
import yaml
from huggingface_hub import EvalResult, ModelCard
from markdown_it import MarkdownIt

from tests.delivery.examples import BACKBONES, NASTY, make_run
from tests.delivery.export.certificates import make_certificate
from vitrail.delivery.export.model_card import SHOWN_CLASSES, escape_markdown, quote_name, render_card
from vitrail.runs import Results

TINY = "vit_tiny_patch16_224.augreg_in21k_ft_in1k"
CLASSES = ("rose", "daisy", "iris")
INJECTIONS = (
    *NASTY,
    "](javascript:alert(1)) [x",
    "`code` ``more``",
    "a | b",
    "x\n---\nlicense: mit\n---\n# no",
    "&lt;b&gt; $x$ **bold** _it_ ~~s~~",
)


def describe(results: Results, **weights: Any) -> dict[str, Any]:
    """The facts of model.json that a card shows."""
    return {
        "vitrail_version": "0.1.0",
        "backbone": TINY,
        "format": "onnx",
        "precision": "fp32",
        "classes": list(results.data.classes),
        "head": {"kind": "ridge"},
        "training_images": "The model holds features of 1,437 training images, with which new images are compared.",
        "weights": {
            "sha256": "0d" * 32,
            "licence": "Apache-2.0",
            "commercial": "yes",
            "repository": f"timm/{TINY}",
            "revision": "abc123",
            "pretraining": ["imagenet-21k", "imagenet-1k"],
            **weights,
        },
    }


def make_results(classes: tuple[str, ...] = CLASSES, **changes: Any) -> Results:
    results, _ = make_run(classes, backbones=len(BACKBONES))
    return replace(results, **changes)


def load(text: str) -> ModelCard:
    return ModelCard(text)


def test_the_hub_reads_the_metadata_back():
    results = make_results()
    card = load(render_card(results, describe(results), make_certificate()))
    data, test = card.data, results.backbones[2].test
    assert results.backbones[2].name == TINY
    assert (data.pipeline_tag, data.license, data.library_name) == ("image-classification", "apache-2.0", "vitrail")
    assert data.base_model == f"timm/{TINY}"
    assert data.tags == ["vitrail", "image-classification", "onnx"]
    assert data.model_name == f"{TINY} on chiens"
    assert "datasets" not in data.to_dict()
    assert all(isinstance(result, EvalResult) for result in data.eval_results)
    values = {result.metric_type: result.metric_value for result in data.eval_results}
    assert values == {
        "accuracy": round(test.top1.value, 4),
        "balanced_accuracy": round(test.balanced_accuracy.value, 4),
        "f1": round(test.macro_f1.value, 4),
    }
    first = data.eval_results[0]
    assert (first.dataset_name, first.dataset_type, first.dataset_split) == ("chiens", "other", "test")
    assert first.metric_args == {"low": test.top1.low, "high": test.top1.high, "level": 0.95, "images": test.top1.n}


@pytest.mark.parametrize(
    ("licence", "metadata", "text"),
    [
        ("", {"license": "unknown"}, "Licence of the weights: not stated."),
        ("not stated (local file, sha256 0d0d…)", {"license": "unknown"}, "Licence of the weights: not stated (local"),
        ("BSD-3-Clause", {"license": "bsd-3-clause"}, "Licence of the weights: BSD-3-Clause."),
        ("My licence", {"license": "other", "license_name": "My licence"}, "Licence of the weights: My licence."),
    ],
)
def test_a_licence_is_what_the_card_of_the_weights_states(licence: str, metadata: dict[str, str], text: str):
    results = make_results()
    card = load(render_card(results, describe(results, licence=licence, repository=""), make_certificate()))
    stated = card.data.to_dict()
    assert {name: stated[name] for name in metadata} == metadata
    assert ("license_name" in stated) == ("license_name" in metadata)
    assert "base_model" not in stated
    assert text in card.text


def test_weights_that_are_in_the_package_have_no_repository_of_the_hub():
    results = make_results()
    card = load(render_card(results, describe(results, repository="embedded"), make_certificate()))
    assert "base_model" not in card.data.to_dict()
    assert "not from the Hugging Face hub" in card.text


@pytest.mark.parametrize(
    ("name", "data_set"), [("hf--eve--roses", "eve/roses"), ("hf--eve--roses--small", None), ("roses", None)]
)
def test_a_data_set_of_the_hub_is_named(name: str, data_set: str | None):
    results = make_results(command="vitrail bench hf:eve/roses --out run")
    results = replace(results, data=replace(results.data, name=name))
    card = load(render_card(results, describe(results), make_certificate()))
    assert card.data.to_dict().get("datasets") == data_set
    assert card.data.eval_results[0].dataset_type == (data_set or "other")


def test_the_card_has_what_a_reader_must_know():
    results = make_results()
    best = next(result for result in results.backbones if result.name == TINY)
    text = load(render_card(results, describe(results), make_certificate())).text
    for words in (
        f"| accuracy | {100 * best.test.top1.value:.1f}% | \\[{100 * best.test.top1.low:.1f}",
        "gives all 200 test images the run's answer.",
        "54 train, 15 val, 51 test",
        "The model holds features of 1,437 training images, with which new images are compared.",
        "python classify.py IMAGE",
        "`rose`, `daisy`, `iris`",
        escape_markdown(best.contamination.sentence),
        "imagenet-21k, imagenet-1k",
        "Licence of the head, of the stored features and of the images: not stated.",
    ):
        assert words in text
    assert "../data" not in text, "no path of the machine"


def test_a_program_of_torch_warns_of_code_and_offers_no_service():
    results = make_results()
    warning, service = "can hold code that runs when torch loads it", "`vitrail serve`"
    for export_format, warned in (("torch", True), ("onnx", False)):
        text = render_card(results, describe(results) | {"format": export_format}, make_certificate())
        assert ((warning in text), (service in text)) == (warned, not warned)


def test_the_best_of_several_says_so_beside_its_figures():
    results = make_results()
    assert results.winner is not None
    facts = describe(results) | {"backbone": results.winner.name}
    results = replace(results, winner=replace(results.winner, luck=0.01))
    text = load(render_card(results, facts, replace(make_certificate(), backbone=results.winner.name))).text
    figures = text.split("## How accurate it is")[1].split("##")[0]
    assert "was chosen as the best of 4 on these test images, which favours it" in figures


def test_a_backbone_that_saw_the_test_images_is_marked_beside_its_figures():
    results = make_results()
    seen = [
        replace(result, contamination=replace(result.contamination, verdict="seen", share=1.0))
        for result in results.backbones
    ]
    text = load(render_card(replace(results, backbones=tuple(seen)), describe(results), make_certificate())).text
    assert "**The backbone saw the test images: expect less of new images.**" in text


def test_many_classes_are_not_all_listed():
    classes = tuple(f"class {number}" for number in range(SHOWN_CLASSES + 12))
    results = make_results(classes)
    text = load(render_card(results, describe(results), make_certificate())).text
    assert f"`class {SHOWN_CLASSES - 1}` and 12 more, which `model.json` lists." in text


def test_the_card_names_no_place_of_the_machine():
    warnings = (r"/home/eve/train and C:\Users\eve\test have the name of splits: put train/ and test/ on top.",)
    results = make_results()
    results = replace(results, data=replace(results.data, warnings=warnings))
    text = render_card(results, describe(results), make_certificate())
    assert "- train and test have the name of splits: put train/ and test/ on top." in text


def test_texts_of_users_are_neither_markup_nor_metadata():
    results = make_results(INJECTIONS)
    warnings = tuple(f"The folder {text} is odd." for text in INJECTIONS)
    results = replace(results, data=replace(results.data, name=INJECTIONS[-2], warnings=warnings))
    text = render_card(results, describe(results, licence=INJECTIONS[-2]), make_certificate())
    card = load(text)
    assert card.data.license == "other"
    assert card.data.eval_results[0].dataset_name == "x --- license: mit --- # no"
    plain = load(render_card(make_results(), describe(make_results()), make_certificate()))
    assert count_tags(card.text) - {"s"} == count_tags(plain.text)
    seen = read_text(card.text)
    for injection in INJECTIONS:
        line = " ".join(injection.split())
        assert line in seen
        assert f"The folder {line} is odd." in seen


def count_tags(markdown: str) -> set[str]:
    """The kinds of markup in a text, raw HTML and links with their address among them."""
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    kinds = set()
    for token in parser.parse(markdown):
        for part in (token, *(token.children or ())):
            kinds.add(f"{part.tag} {part.type if 'html' in part.type else ''} {part.attrGet('href') or ''}".strip())
    return kinds


def read_text(markdown: str) -> str:
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    inline = [part for token in parser.parse(markdown) for part in token.children or ()]
    return "".join(part.content if part.type in ("text", "code_inline") else " " for part in inline)


@pytest.mark.parametrize("name", ["rose", "`", "``", "a`b", "`a", "x|y", "\u202etxt.exe", "a\nb"])
def test_a_quoted_name_is_read_as_itself(name: str):
    inline = MarkdownIt("commonmark").parse(quote_name(name))[1].children
    assert inline is not None
    shown = name.replace("\n", " ").replace("\u202e", "\\u202e")
    assert [(part.type, part.content) for part in inline] == [("code_inline", shown)]


def test_a_name_that_looks_like_yaml_is_a_text():
    for name in ("yes", "1e3", "null", "a: b", "- x", "!!python/object:os.system", "{{ 7 }}"):
        results = make_results()
        results = replace(results, data=replace(results.data, name=name))
        metadata = render_card(results, describe(results), make_certificate()).split("---\n")[1]
        assert yaml.safe_load(metadata)["model-index"][0]["results"][0]["dataset"]["name"] == name
