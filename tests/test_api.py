import pkgutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import vitrail
from tests.data.pictures import photograph
from tests.pictures import draw_folder
from tests.test_benchmark import FAST
from vitrail.core.errors import DataError, UsageError


def test_the_public_names_are_these():
    assert vitrail.__all__ == ["BenchOptions", "Run", "audit", "bench", "extract_features", "load_run"]
    with pytest.raises(AttributeError):
        _ = vitrail.nothing


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


def test_a_run_decides_reports_and_predicts(tmp_path: Path):
    data = draw_folder(tmp_path / "pictures", per_class=20)
    run = vitrail.bench(data, ["vit_mini"], out=tmp_path / "run", options=FAST)
    assert run.decision.choose == "vit_mini"
    assert run.report().is_file()
    again = vitrail.load_run(tmp_path / "run")
    answers = again.predictor("vit_mini").predict([data / "red"])
    assert len(answers) == 20
    assert sum(answer.label == "red" for answer in answers) >= 15
