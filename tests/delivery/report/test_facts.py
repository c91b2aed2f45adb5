"""What a benchmark was made on, in words."""

from tests.delivery.examples import make_run
from vitrail.data import Dataset, SetAside, open_source
from vitrail.data.dataset import EXAMPLE_SCHEMA
from vitrail.data.duplicates import Duplicates
from vitrail.data.near_duplicates import NearDuplicates, count_near
from vitrail.delivery.report.facts import DUPLICATES, collect_data_facts, list_options


def test_images_are_counted_by_split_and_by_class() -> None:
    facts = collect_data_facts(make_run(["a", "b"], per_class=12)[0])
    assert facts.splits == ("train", "val", "test")
    assert facts.totals == (36, 10, 24)
    assert facts.images == 70
    assert facts.by_class == (("a", (18, 5, 12)), ("b", (18, 5, 12)))


def test_reasons_are_counted_without_what_is_particular_to_one_file() -> None:
    aside = [
        SetAside(path="a", reason="too large: 30000 x 30000 is 900 megapixels"),
        SetAside(path="b", reason="too large: 20000 x 30000 is 600 megapixels"),
        SetAside(path="c", reason="it is empty (0 bytes)"),
    ]
    facts = collect_data_facts(make_run(["a", "b"], set_aside=aside)[0])
    assert facts.aside.reasons == (("too large", 2), ("it is empty", 1))
    assert not facts.aside.folded


def test_a_reason_of_a_thousand_letters_is_cut() -> None:
    facts = collect_data_facts(make_run(["a", "b"], set_aside=[SetAside(path="a", reason="x" * 1000)])[0])
    assert len(facts.aside.listed[0].reason) == 300


def test_every_count_of_duplicates_has_its_words() -> None:
    nothing = Dataset(
        name="none",
        table=EXAMPLE_SCHEMA.empty_table(),
        classes=(),
        set_aside=(),
        warnings=(),
        fingerprint="",
        source=open_source(None),
    )
    assert {*Duplicates().as_counts(), *count_near(nothing, NearDuplicates())} == set(DUPLICATES)
    assert collect_data_facts(make_run(["a", "b"])[0]).duplicates[0] == "3 files are byte for byte copies of others"


def test_nested_options_are_named_by_their_path() -> None:
    assert list_options({"split": {"seed": 0, "fractions": [0.6, 0.4]}, "engine": "auto", "out": None}) == [
        ("split.seed", "0"),
        ("split.fractions", "[0.6, 0.4]"),
        ("engine", "auto"),
        ("out", "null"),
    ]
