"""How backbones are named on the page."""

from dataclasses import replace

from tests.delivery.examples import make_run
from vitrail.delivery.report.names import Names
from vitrail.runs import Results


def _named(*names: str) -> Results:
    results, _ = make_run(["a", "b", "c"], backbones=len(names))
    return replace(
        results,
        backbones=tuple(
            replace(one, name=name, card=replace(one.card, name=name))
            for name, one in zip(names, results.backbones, strict=True)
        ),
    )


def test_a_sentence_has_short_names_with_the_full_ones_in_the_tooltips() -> None:
    results, _ = make_run(["a", "b", "c"])
    full = results.backbones[0].name
    said = Names.of(results).sentence(f"{full} beats <b> & all.")
    assert said == f'<bdi class="name" title="{full}">ViT-<wbr>S/<wbr>16 AugReg</bdi> beats &lt;b&gt; &amp; all.'


def test_the_longest_name_is_found_where_one_begins_as_another_does() -> None:
    said = Names.of(_named("vit", "vit_b")).sentence("vit_b beats vit")
    assert said == '<bdi class="name" title="vit_b">vit_<wbr>b</bdi> beats <bdi class="name" title="vit">vit</bdi>'


def test_a_label_has_the_colour_of_the_backbone_and_is_escaped() -> None:
    label = Names.of(_named("vit", '"><i>')).label('"><i>')
    assert 'class="chip s2"' in label
    assert "<i>" not in label


def test_a_sentence_may_hold_any_character() -> None:
    assert Names.of(_named("vit")).sentence("a \x00class\x00 <b>") == "a class &lt;b&gt;"
