import hashlib
import pkgutil
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

import vitrail
from tests.data.pictures import photograph
from tests.pictures import draw_folder
from vitrail import core
from vitrail.core.errors import DataError, UsageError
from vitrail.core.hashing import sha256_file
from vitrail.core.progress import Silent


def test_the_public_names_are_these():
    verbs = ["audit", "bench", "extract_features", "load_run", "shortlist"]
    types = [
        "Audit",
        "AuditOptions",
        "Decision",
        "FrozenClassifier",
        "Prediction",
        "Predictor",
        "Progress",
        "Results",
        "Run",
    ]
    errors = [name for name, value in vars(core.errors).items() if isinstance(value, type)]
    assert vitrail.__all__ == sorted(types + errors) + verbs
    assert dir(vitrail) == sorted(vitrail.__all__)
    with pytest.raises(AttributeError):
        _ = vitrail.nothing


def test_a_name_typed_in_python_offers_only_what_is_public():
    code = (
        "import vitrail, rlcompleter; vitrail.UsageError\n"
        "offered = rlcompleter.Completer({'vitrail': vitrail}).attr_matches('vitrail.')\n"
        "assert [name.removeprefix('vitrail.').rstrip('(') for name in offered] == sorted(vitrail.__all__), offered\n"
        "module = type(vitrail)\n"
        "own = [name for name, value in vars(vitrail).items() if name[0] != '_' and not isinstance(value, module)]\n"
        "assert not own, own\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", vitrail.__all__)
def test_every_public_name_has_a_docstring_of_its_own(name: str):
    value = getattr(vitrail, name)
    assert value.__doc__
    assert not value.__doc__.startswith(f"{name}(")  # what a dataclass without a docstring gets


def test_the_error_of_a_wrong_keyword_comes_before_any_work_and_leaves_nothing(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(vitrail.UsageError, match="--margin 200 cannot be used"):
        vitrail.bench(backbones="vit_mini", margin=200)
    with pytest.raises(vitrail.UsageError, match="--threads 0 cannot be used"):
        vitrail.bench(backbones="vit_mini", threads=0)
    assert not list(tmp_path.iterdir())


def test_the_shortlist_has_cards_that_meet_the_conditions():
    cards = vitrail.shortlist(5, licence="commercial", max_params="30M", not_pretrained_on="webli")
    assert len(cards) == 5
    assert all(card.parameters <= 30_000_000 and card.commercial == "yes" for card in cards)
    with pytest.raises(vitrail.UsageError, match="no pretraining collection"):
        vitrail.shortlist(pretrained_on="imagenet-2k")


def test_no_public_name_is_that_of_a_module_which_would_hide_it():
    modules = {module.name for module in pkgutil.iter_modules(vitrail.__path__)}
    assert not modules & set(vitrail.__all__)


def test_importing_vitrail_loads_no_torch_and_warns_of_nothing():
    code = "import vitrail, sys; assert 'torch' not in sys.modules and 'numpy' not in sys.modules"
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_features_of_paths_and_pictures_are_the_same_rows_in_order(tmp_path: Path):
    paths = sorted(draw_folder(tmp_path, per_class=3).rglob("*.png"))
    pictures = [Image.open(path) for path in paths]
    by_path = vitrail.extract_features(paths, "vit_mini", engine="torch")
    assert by_path.shape == (9, 128)
    assert by_path.dtype == np.float32
    np.testing.assert_array_equal(by_path, vitrail.extract_features(pictures, "vit_mini", engine="torch"))
    np.testing.assert_array_equal(by_path[::-1], vitrail.extract_features(paths[::-1], "vit_mini", engine="torch"))
    with pytest.raises(DataError, match="cannot be read"):
        vitrail.extract_features([tmp_path / "none.png"], "vit_mini")


def test_a_picture_has_the_row_of_its_file_however_it_is_stored(tmp_path: Path):
    draws = np.random.default_rng(0)
    colour = Image.fromarray(draws.integers(0, 256, (40, 60, 3), dtype=np.uint8))
    turned = Image.Exif()
    turned[0x0112] = 6
    colour.save(tmp_path / "turned.jpg", exif=turned)
    clear = colour.convert("RGBA")
    clear.putalpha(Image.fromarray(draws.integers(0, 256, (40, 60), dtype=np.uint8)))
    clear.save(tmp_path / "clear.png")
    Image.fromarray(draws.integers(0, 65_536, (40, 60), dtype=np.uint16)).save(tmp_path / "deep.png")
    paths = sorted(tmp_path.iterdir())
    pictures = [Image.open(path) for path in paths]
    by_path, by_picture = (vitrail.extract_features(images, "vit_mini", engine="torch") for images in (paths, pictures))
    np.testing.assert_array_equal(by_picture, by_path)
    with pytest.raises(DataError, match=r"images\[0\] has no features: its colours are CIE LAB"):
        vitrail.extract_features([Image.new("LAB", (40, 40))], "vit_mini", engine="torch")


def test_an_image_has_one_row_in_all_its_forms(tmp_path: Path):
    paths = sorted(draw_folder(tmp_path, per_class=2).rglob("*.png"))
    arrays = [np.asarray(Image.open(path).convert("RGB")) for path in paths]
    forms = [[str(path) for path in paths], [path.read_bytes() for path in paths], arrays, map(Image.open, paths)]
    rows = vitrail.extract_features(paths, "vit_mini", engine="torch")
    for images in forms:
        np.testing.assert_array_equal(vitrail.extract_features(images, "vit_mini", engine="torch"), rows)
    buffer = np.empty_like(arrays[0])
    filled_again = (np.copyto(buffer, array) or buffer for array in arrays)
    np.testing.assert_array_equal(vitrail.extract_features(filled_again, "vit_mini", engine="torch"), rows)
    assert vitrail.extract_features([], "vit_mini", engine="torch").shape == (0, 128)
    for wrong in (arrays[0].astype(np.float32), arrays[0][..., 0], arrays[0][:0], np.zeros((4, 4, 4), np.uint8)):
        with pytest.raises(DataError, match=r"images\[1\] has no features: an array of shape .* is not H x W x 3"):
            vitrail.extract_features([paths[0], wrong], "vit_mini", engine="torch")


def test_a_fast_decode_is_asked_for_and_is_that_of_a_run(tmp_path: Path):
    photograph(size=(300, 200)).save(tmp_path / "large.jpg", quality=95)
    images = [tmp_path / "large.jpg", (tmp_path / "large.jpg").read_bytes(), Image.open(tmp_path / "large.jpg")]
    exact_ND = vitrail.extract_features(images, "vit_mini", engine="torch")
    fast_ND = vitrail.extract_features(images, "vit_mini", engine="torch", decode="fast")
    np.testing.assert_array_equal(fast_ND[0], fast_ND[1])
    assert not np.array_equal(fast_ND[0], exact_ND[0])
    np.testing.assert_array_equal(fast_ND[2], exact_ND[2])  # in memory already
    with pytest.raises(UsageError, match="choose exact or fast"):
        vitrail.extract_features(images, "vit_mini", decode="auto")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_folder(tmp_path_factory.mktemp("pictures"), per_class=20)


@pytest.fixture(scope="module")
def run(data: Path) -> vitrail.Run:
    """A run of two backbones, one of them named so that a page that does not escape it would break."""
    out = data.parent / "run <b>"
    return vitrail.bench(data, ["vit_mini", "resnet_mini"], out=out, trials=1, budget=2, engine="torch", progress=False)


def test_a_run_decides_reports_and_predicts(data: Path, run: vitrail.Run):
    assert run.decision.choose in ("vit_mini", "resnet_mini")
    assert run.report().is_file()
    again = vitrail.load_run(run.folder)
    answers = again.predictor("vit_mini", progress=False).predict([data / "red"])
    assert len(answers) == 20
    assert sum(answer.label == "red" for answer in answers) >= 15


def test_a_run_is_shown_in_one_line_and_as_a_small_table(run: vitrail.Run):
    line, page = repr(run), run._repr_html_()
    assert len(line) < 300
    assert re.match(rf"<Run on pictures.*: take {run.decision.choose}, accuracy [\d.]+% \[[\d., ]+\] \(", line)
    assert line.endswith(f"; {run.folder}>")
    assert len(page) < 8_000
    assert "run &lt;b&gt;" in page
    assert "<script" not in page
    assert "run <b>" not in page
    texts = ElementTree.fromstring(page).itertext()  # well-formed
    assert run.decision.sentence in " ".join(texts)
    for value in (run.record, run.results, run.results.backbones[0], run.predictor(progress=False)):
        assert len(repr(value)) < 300, repr(value)


def test_tables_hold_the_figures_of_the_results(run: vitrail.Run):
    table, pairs = run.table(), run.pairs()
    assert table["backbone"].to_pylist() == ["vit_mini", "resnet_mini"]
    assert table["top1_low"].to_pylist() == [result.test.top1.low for result in run.results.backbones]
    assert [name for name, picked in zip(table["backbone"], table["picked"], strict=True) if picked.as_py()] == [
        pa.scalar(run.decision.choose)
    ]
    assert pairs["difference"].to_pylist() == [pair.difference.value for pair in run.results.pairs]
    for method, named in ((vitrail.Run.table, table), (vitrail.Run.pairs, pairs)):
        for column in named.column_names:
            assert re.search(rf"`{column.removesuffix('_low').removesuffix('_high')}", method.__doc__ or ""), column


def test_predictions_have_a_row_for_each_test_image_with_its_path(data: Path, run: vitrail.Run):
    predictions = run.predictions("vit_mini")
    result = run.results.backbones[0]
    assert predictions.num_rows == result.test.top1.n
    assert np.mean(predictions["correct"]) == result.test.top1.value
    row = predictions.slice(0, 1).to_pylist()[0]
    assert hashlib.sha256((data / row["path"]).read_bytes()).hexdigest() == row["id"]
    assert row["label"] == row["path"].split("/")[0]
    assert (
        row["probability"] == row[f"p:{row['predicted']}"] == max(row[f"p:{name}"] for name in ("blue", "green", "red"))
    )
    assert run.predictions().equals(run.predictions(run.decision.choose))
    with pytest.raises(vitrail.UsageError, match="has no backbone 'vit_mimi'"):
        run.predictions("vit_mimi")


def test_tables_become_data_frames(run: vitrail.Run):
    pytest.importorskip("pandas")
    assert list(run.table().to_pandas()["backbone"]) == ["vit_mini", "resnet_mini"]


def test_an_image_has_one_prediction_in_all_its_forms_alone_or_in_a_list(data: Path, run: vitrail.Run):
    predictor = run.predictor("vit_mini", progress=False)
    path = data / "red" / "000-0.png"
    array = np.asarray(Image.open(path).convert("RGB"))
    forms = [path, str(path), path.read_bytes(), Image.open(path), array]
    of_the_file = {"path": "", "id": None, "run_split": None}  # pixels in memory have no bytes of a file
    (wanted,) = predictor.predict([path])
    assert {answer.id for answer in predictor.predict(forms[:3])} == {sha256_file(path)}
    for form in forms:
        (alone,) = predictor.predict(form)
        assert replace(alone, **of_the_file) == replace(wanted, **of_the_file)
    mixed = [replace(answer, **of_the_file) for answer in predictor.predict(forms)]
    assert mixed == mixed[:1] * len(forms)
    assert (mixed[0].label, mixed[0].probability) == (wanted.label, pytest.approx(wanted.probability))
    assert len(predictor.predict(np.stack([array, array]))) == 2
    assert len(predictor.predict(data / "red")) == 20
    refused = predictor.predict([None, 3, path])
    assert [answer.error is None for answer in refused] == [False, False, True]
    assert refused[0].error == "it is a NoneType, not a path, bytes, an image of Pillow or an array of numpy"


def test_a_progress_of_ones_own_is_told_and_true_draws_nothing_outside_terminals(run: vitrail.Run, capfd):
    told = []

    class Told(Silent):
        def start(self, task, *, total, unit):
            told.append(task)

    run.predictor(progress=True)
    assert capfd.readouterr() == ("", "")
    path = min(run.folder.parent.rglob("*.png"))
    vitrail.extract_features(path, "vit_mini", engine="torch", progress=Told())
    run.predictor(progress=Told()).predict(path)
    assert told == ["Computing features", "Predicting"]
