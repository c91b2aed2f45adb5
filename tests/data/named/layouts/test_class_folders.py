"""EuroSAT as torchvision 0.28 reads it (datasets/eurosat.py, line 39: 2750/<class>/<name>.jpg in EuroSAT.zip);
Caltech-101 (datasets/caltech.py, lines 61, 62 and 92 to 97: 101_ObjectCategories/<class>/image_0001.jpg without
BACKGROUND_Google, in a compressed tar in caltech-101.zip, lines 136 to 147); Imagenette (datasets/imagenette.py, lines
33 and 70 to 85: imagenette2/train/<id>/<name>.JPEG and imagenette2/val).
"""

import io
import zipfile

import pytest

from tests.data.named.layouts.miniature import counts, even, jpeg, open_card, read_card, rows, serve, tar_bytes
from vitrail.core.errors import DownloadError
from vitrail.data import SetAside


def zip_bytes(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def test_eurosat_is_read_in_its_zip_and_has_no_split(web, tmp_path):
    files = {
        f"2750/{label}/{label}_{n}.jpg": jpeg(n + 50 * len(label)) for label in ("Forest", "River") for n in range(8)
    }
    dataset = read_card(serve(web, "eurosat", {"EuroSAT.zip": zip_bytes(files)}), tmp_path)
    assert counts(dataset) == {("Forest", None): 8, ("River", None): 8}
    assert (tmp_path / "datasets" / "eurosat" / "EuroSAT.zip").is_file()


def test_tensorflow_flowers_have_the_text_of_their_licence_beside_the_classes(web, tmp_path):
    """tensorflow/datasets 0560e68, image_classification/flowers.py, `_generate_examples`: the folder is the label."""
    labels = ("daisy", "tulips")
    files = {f"flower_photos/{label}/{n}_{label}.jpg": jpeg(n + 50 * len(label)) for label in labels for n in range(8)}
    files["flower_photos/LICENSE.txt"] = b"All images in this archive are licensed"
    dataset = read_card(serve(web, "tf-flowers", {"flower_photos.tgz": tar_bytes(files, gz=True)}), tmp_path)
    assert counts(dataset) == {("daisy", None): 8, ("tulips", None): 8}
    assert [each.path for each in dataset.set_aside] == ["flower_photos/LICENSE.txt"]


def caltech(inside: str = "caltech-101/101_ObjectCategories.tar.gz") -> dict[str, bytes]:
    labels = ("BACKGROUND_Google", "accordion", "yin_yang")
    files = {
        f"101_ObjectCategories/{label}/image_{n:04d}.jpg": jpeg(n + 50 * place)
        for place, label in enumerate(labels)
        for n in range(1, 9)
    }
    files["101_ObjectCategories/BACKGROUND_Google/tmp"] = b"x"
    inner = tar_bytes(files, gz=True)
    return {"caltech-101.zip": zip_bytes({inside: inner, "caltech-101/Annotations.tar": tar_bytes({})})}


def test_caltech_is_read_in_the_tar_in_its_zip_without_the_background(web, tmp_path):
    card = serve(web, "caltech-101", caltech())
    dataset = read_card(card, tmp_path)
    assert counts(dataset) == {("accordion", None): 8, ("yin_yang", None): 8}
    assert {each.reason for each in dataset.set_aside} == {"BACKGROUND_Google is not a class of Caltech-101"}
    assert sorted(path.name for path in (tmp_path / "datasets" / "caltech-101").iterdir()) == [
        "101_ObjectCategories.tar",
        "101_ObjectCategories.tar.lock",
    ]


def test_a_zip_without_the_archive_in_it_is_one_sentence(web, tmp_path):
    with pytest.raises(DownloadError, match=r"cannot be unpacked.*101_ObjectCategories.*fetch it again"):
        list(open_card(serve(web, "caltech-101", caltech("other.tar.gz")), tmp_path).list_files())


def test_the_folder_val_of_imagenette_is_its_test(web, tmp_path):
    files = {
        f"imagenette2/{folder}/{label}/{label}_{n}.JPEG": jpeg(n + 100 * place + 50 * (folder == "val"))
        for place, label in enumerate(("n01440764", "n03888257"))
        for folder, number in (("train", 6), ("val", 4))
        for n in range(number)
    }
    files["imagenette2/noisy_imagenette.csv"] = b"path,label\n"
    files["imagenette2/train/stray.JPEG"] = jpeg(999)
    source = open_card(serve(web, "imagenette", {"imagenette2.tgz": tar_bytes(files, gz=True)}), tmp_path)
    assert [each for each in source.list_files() if isinstance(each, SetAside)] == [
        SetAside(path="imagenette2/train/stray.JPEG", reason="it is not in the folder of a class")
    ]
    dataset = read_card(serve(web, "imagenette", {"imagenette2.tgz": tar_bytes(files, gz=True)}), tmp_path)
    assert counts(dataset) == even("n01440764", "n03888257")
    assert rows(dataset)["imagenette2/val/n03888257/n03888257_3.JPEG"] == ("n03888257", "test")
