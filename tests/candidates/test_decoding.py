"""Which backbones take reduced images: where nothing changes, and not where features or answers would."""

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.data.pictures import encoded, photograph
from vitrail.backbones import BackboneSpec, open_backbone
from vitrail.benchmark import bench, compute_part
from vitrail.candidates import BenchOptions, decoding
from vitrail.candidates.decoding import Decoding, count_changed, decode_as, decoding_in_words, find_large
from vitrail.checks.verify import verify_run
from vitrail.core.errors import UsageError
from vitrail.core.machine import cache_folder
from vitrail.core.progress import Silent
from vitrail.core.resources import Resources
from vitrail.data import load, open_source
from vitrail.delivery.predict import Predictor
from vitrail.features import Part, extract
from vitrail.search import TuneOptions

SIDE = 128  # the mini networks resize to 32, and a reduced decode keeps twice that
QUICK = TuneOptions(kinds=("ridge",), alphas=(10.0,), scalings=("standardise",), splits=0, label_curves=False)
AUTO = BenchOptions(search=QUICK, near_duplicates=False)
EXACT, FAST = replace(AUTO, decode="exact"), replace(AUTO, decode="fast")


def write(root: Path, pictures: dict[str, list[bytes]]) -> Path:
    for label, files in pictures.items():
        (root / label).mkdir(parents=True)
        for number, data in enumerate(files):
            (root / label / f"{number}.jpg").write_bytes(data)
    return root


def coloured(share: tuple[int, int, int], seed: int) -> bytes:
    pixel_HWC = np.asarray(photograph(seed, size=(SIDE + 32, SIDE))) * np.array(share) / 100
    return encoded(Image.fromarray(pixel_HWC.astype(np.uint8)), "JPEG", quality=95)


def flat(grey: int, seed: int) -> bytes:
    noise = np.random.default_rng([grey, seed]).normal(0, 2, (4, 4))
    image = Image.fromarray(np.clip(grey + noise, 0, 255).astype(np.uint8)).resize((SIDE, SIDE))
    return encoded(image, "JPEG", quality=95)


def stripes(seed: int) -> bytes:
    """Fine stripes beyond black and white, around a dark grey: whole pixels are clipped, so their mean is far brighter.

    Their one coefficient is made larger in the file's table. A decode at half the size leaves it out.
    """
    noise = np.random.default_rng(seed).normal(0, 2, (4, 4))
    dark = np.asarray(Image.fromarray(np.clip(40 + noise, 0, 255).astype(np.uint8)).resize((SIDE, SIDE)), np.float64)
    wave = 39 * np.cos((2 * np.arange(SIDE) + 1) * 7 * np.pi / 16)
    image = Image.fromarray(np.clip(dark + wave, 0, 255).astype(np.uint8))
    table = [30] * 64
    data = encoded(image, "JPEG", qtables=[table])
    start = data.index(b"\xff\xdb") + 5
    assert data[start : start + 64] == bytes(table)
    place = start + 28  # of the seventh horizontal frequency, in zigzag order
    return data[:place] + b"\xff" + data[place + 1 :]


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    shares = {"blue": (40, 40, 100), "red": (100, 40, 40)}
    pictures = {
        label: [coloured(share, 1000 * place + seed) for seed in range(130)]
        for place, (label, share) in enumerate(shares.items())
    }
    return write(tmp_path_factory.mktemp("photographs") / "data", pictures)


@pytest.fixture(scope="module")
def striped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Whole, stripes look like the bright pictures; reduced, like the dark ones."""
    pictures = {
        "bright": [flat(127, seed) for seed in range(86)],
        "dark": [flat(40, seed) for seed in range(86)],
        "stripes": [stripes(seed) for seed in range(86)],
    }
    return write(tmp_path_factory.mktemp("striped") / "data", pictures)


def test_photographs_are_reduced_and_predicted_as_in_the_run(photographs: Path, tmp_path: Path):
    for number in (1, 2):
        compute_part(photographs, ["vit_mini"], Part(number, 2), options=AUTO, resources=Resources(offline=True))
    run = bench(photographs, ["vit_mini"], out=tmp_path / "auto", options=AUTO, resources=Resources(offline=True))
    (result,) = run.results.backbones
    assert result.card.preprocessing.decode == "fast"
    assert (result.decoding.large, result.decoding.images, result.decoding.changed) == (260, 64, 0)
    assert 0.9995 <= result.decoding.cosine_mean < 1
    assert result.cost.cached == 1  # both parts took the same choice
    verification = verify_run(run.folder, cache=cache_folder())
    assert verification.equal
    tested = run.predictions("vit_mini")
    predictor = Predictor.open(run.folder, resources=Resources(offline=True))
    assert predictor.backbone.card.preprocessing.decode == "fast"
    paths = load(open_source(photographs)).by_id("paths")
    files = [photographs / paths[example][0] for example in tested.ids]
    whole = replace(predictor, backbone=decode_as(predictor.backbone, "exact"))
    off_N, whole_off_N = (
        np.abs([found.probability for found in by.predict(files)] - tested.probability_NC.max(axis=1))
        for by in (predictor, whole)
    )
    assert off_N.max() < 3e-4  # stored rows are in float16
    assert whole_off_N.max() > 3 * off_N.max()
    asked = bench(photographs, ["vit_mini"], out=tmp_path / "fast", options=FAST, resources=Resources(offline=True))
    assert asked.results.backbones[0].feature_key == result.feature_key
    assert asked.results.backbones[0].decoding == result.decoding


def test_stripes_that_a_reduced_decode_leaves_out_are_seen_in_the_features(striped: Path, tmp_path: Path):
    run = bench(striped, ["vit_mini"], out=tmp_path / "run", options=AUTO, resources=Resources(offline=True))
    (result,) = run.results.backbones
    assert result.card.preprocessing.decode == "exact"
    assert result.cost.cached == 0  # what was compared was computed now too
    assert result.decoding.cosine_mean < 0.9995
    assert result.decoding.changed is None
    assert "were decoded in full" in decoding_in_words(result.decoding, "exact")


def test_where_an_answer_changed_the_search_is_done_again_on_whole_images(striped: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(decoding, "LEAST_COSINE", -1.0)  # so that features are no obstacle
    notes = []

    class Noting(Silent):
        def note(self, message: str) -> None:
            notes.append(message)

    resources = Resources(offline=True, progress=Noting())
    run = bench(striped, ["vit_mini"], out=tmp_path / "auto", options=AUTO, resources=resources)
    exact = bench(striped, ["vit_mini"], out=tmp_path / "exact", options=EXACT, resources=Resources(offline=True))
    (result,), (wanted,) = run.results.backbones, exact.results.backbones
    assert result.decoding.changed > 10
    assert result.cost.cached == 0
    assert wanted.decoding is None
    assert (result.card, result.feature_key, result.test) == (wanted.card, wanted.feature_key, wanted.test)
    np.testing.assert_array_equal(
        run.predictions("vit_mini").probability_NC, exact.predictions("vit_mini").probability_NC
    )
    assert run.results.split.test_openings == 1
    (note,) = [note for note in notes if "computed again" in note]
    assert f"{result.decoding.changed} answers changed" in note
    asked = bench(striped, ["vit_mini"], out=tmp_path / "fast", options=FAST, resources=Resources(offline=True))
    assert asked.results.backbones[0].card.preprocessing.decode == "fast"
    assert asked.results.backbones[0].decoding == result.decoding


def test_too_few_large_images_are_decoded_whole_and_nothing_is_compared(photographs: Path, monkeypatch):
    dataset = load(open_source(photographs))
    (backbone,) = (open_backbone(BackboneSpec(name="vit_mini"), progress=Silent()),)
    count, first = find_large(dataset, backbone)
    assert count == 260
    assert list(first) == sorted(dataset.table["id"].to_pylist())[:64]

    def refuse(*_):
        raise AssertionError("nothing is to be compared")

    monkeypatch.setattr(decoding, "ENOUGH", 261)
    assert decoding.choose_decoding([backbone], dataset, "auto", refuse) == [(backbone, None)]
    assert decoding.choose_decoding([backbone], dataset, "exact", refuse) == [(backbone, None)]
    wide = replace(backbone, card=replace(backbone.card, preprocessing=replace(backbone.card.preprocessing, resize=33)))
    assert find_large(dataset, wide) == (0, ())
    coarse = replace(backbone.card.preprocessing, antialias=False, interpolation="bilinear")
    single = replace(backbone, card=replace(backbone.card, preprocessing=coarse))
    assert decode_as(single, "fast") == single
    assert decoding.choose_decoding([single], dataset, "fast", refuse) == [(single, None)]


def test_rows_of_a_backbone_do_not_depend_on_how_others_decode(photographs: Path, tmp_path: Path):
    dataset = load(open_source(photographs))
    dataset = replace(dataset, table=dataset.table.slice(0, 20))
    plain = open_backbone(BackboneSpec(name="vit_mini"), engine="torch", progress=Silent())
    fast = decode_as(plain, "fast")
    finer = replace(fast, card=replace(fast.card, preprocessing=replace(fast.card.preprocessing, resize=40)))
    together = extract(
        dataset, [plain, fast, finer], max_pixels=10**8, resources=Resources(cache=tmp_path / "together", batch=4)
    )
    assert len({features.key for features in together.features}) == 3
    ids = dataset.table["id"].to_pylist()
    for backbone, features in zip((plain, fast, finer), together.features, strict=True):
        cache = tmp_path / features.key
        alone = extract(dataset, [backbone], max_pixels=10**8, resources=Resources(cache=cache, batch=4)).features[0]
        assert alone.key == features.key
        np.testing.assert_array_equal(alone.rows(ids), features.rows(ids))
    assert not np.array_equal(together.features[0].rows(ids), together.features[1].rows(ids))


def test_the_key_of_an_exact_decode_is_what_it_always_was():
    card = open_backbone(BackboneSpec(name="vit_mini"), progress=Silent()).card
    facts = asdict(card.preprocessing)
    assert facts.pop("decode") == "exact"
    assert card.pixel_facts() == facts
    assert replace(card, preprocessing=replace(card.preprocessing, decode="fast")).pixel_facts()["decode"] == "fast"


def test_a_tie_is_no_change():
    exact_NC = np.array([[0.5, 0.4, 0.1], [0.45, 0.449, 0.101], [0.3, 0.295, 0.405]])
    tied_NC = np.array([[0.6, 0.3, 0.1], [0.448, 0.45, 0.102], [0.3, 0.295, 0.405]])
    assert count_changed(exact_NC, tied_NC) == 0
    other_NC = np.array([[0.4, 0.5, 0.1], [0.4, 0.5, 0.1], [0.405, 0.3, 0.295]])
    assert count_changed(exact_NC, other_NC) == 3


def test_the_sentence_reads_for_none_one_and_many():
    figures = Decoding(large=1200, images=64, cosine_least=0.998, cosine_mean=0.9997, changed=0)
    assert decoding_in_words(figures, "fast") == (
        "1,200 large JPEGs were decoded at a fraction of their size; compared with a full decode of 64 of them: "
        "cosine of features 0.9997 on average, at least 0.9980; no answers changed, not counting ties"
    )
    assert decoding_in_words(replace(figures, changed=None), "exact") == (
        "images were decoded in full; compared with a fraction of their size on 64 large JPEGs: cosine of features "
        "0.9997 on average, at least 0.9980, and auto needs 0.9995 on average"
    )
    assert "; 1 answer changed" in decoding_in_words(replace(figures, changed=1), "fast")
    assert decoding_in_words(replace(figures, changed=2), "exact") == (
        "images were decoded in full; compared with a fraction of their size on 64 large JPEGs: 2 answers changed, "
        "not counting ties"
    )


def test_an_unknown_decode_is_refused():
    with pytest.raises(UsageError, match="no decode 'quick': choose auto, exact, fast"):
        BenchOptions(decode="quick")
