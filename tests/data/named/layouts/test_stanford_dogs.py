"""The miniature has the layout that tensorflow/datasets 0560e68 reads, image_classification/stanford_dogs.py:
`_split_generators` (file_list in train_list.mat and test_list.mat of lists.tar) and `_generate_examples` (images by
folder and name in images.tar, a file of XML without an ending for each in annotation.tar).
"""

import hashlib
import io

import numpy as np
import pytest
from PIL import Image

from tests.data.named.layouts.miniature import (
    SPLITS,
    cell,
    counts,
    even,
    jpeg,
    mat_bytes,
    open_card,
    read_card,
    rows,
    serve,
    split_of,
    tar_bytes,
)
from vitrail.core.errors import DataError
from vitrail.data import SetAside, decode, load

BREEDS = ("n02085620-Chihuahua", "n02116738-African_hunting_dog")
XML = """<annotation>
 <folder>{folder}</folder><filename>{name}</filename>
 <size><width>40</width><height>30</height><depth>3</depth></size>
 <segment>0</segment>
 <object><name>dog</name><pose>Unspecified</pose><truncated>0</truncated><difficult>0</difficult>
  <bndbox> <xmin>1</xmin> <ymin>2</ymin> <xmax>6</xmax> <ymax>5</ymax> </bndbox></object>
 <object><name>dog</name><pose>Unspecified</pose><truncated>0</truncated><difficult>0</difficult>
  <bndbox> <xmin>{left}</xmin> <ymin>4</ymin> <xmax>36</xmax> <ymax>28</ymax> </bndbox></object>
</annotation>"""


def archives() -> dict[str, bytes]:
    images, lists, boxes = {}, {split: [] for split in SPLITS}, {}
    for breed in BREEDS:
        for number in range(sum(SPLITS.values())):
            split = "train" if number < SPLITS["train"] else "test"
            name = f"{breed}/{breed.split('-')[0]}_{number}"
            lists[split].append(f"{name}.jpg")
            images[f"Images/{name}.jpg"] = jpeg(hash_of(name))
            boxes[f"Annotation/{name}"] = XML.format(folder=breed[1:9], name=name[-5:], left=10 + number % 2).encode()
    mats = {
        f"{split}_list.mat": mat_bytes(
            file_list=cell(files),
            annotation_list=cell([file.removesuffix(".jpg") for file in files]),
            labels=np.array([[1 + BREEDS.index(file.split("/")[0])] for file in files], dtype=np.uint8),
        )
        for split, files in lists.items()
    }
    mats["file_list.mat"] = mat_bytes(file_list=cell([*lists["train"], *lists["test"]]))
    return {"images.tar": tar_bytes(images), "lists.tar": tar_bytes(mats), "annotation.tar": tar_bytes(boxes)}


def hash_of(name: str) -> int:
    return int(hashlib.sha256(name.encode()).hexdigest()[:6], 16)


def test_images_labels_and_the_official_split_are_read(web, tmp_path):
    dataset = read_card(serve(web, "stanford-dogs", archives()), tmp_path)
    assert counts(dataset) == even(*BREEDS)
    assert rows(dataset)[f"Images/{BREEDS[1]}/n02116738_9.jpg"] == (BREEDS[1], "test")
    split = split_of(dataset)
    assert (len(split.train), len(split.val), len(split.test)) == (12, 0, 8)
    assert split.how.startswith("Test as given; val cut from the given train")
    assert [request for request, _ in web.requests] == ["/images.tar", "/lists.tar"]  # no boxes were needed


def test_the_crop_is_the_largest_box_and_an_example_of_its_own(web, tmp_path):
    card = serve(web, "stanford-dogs", archives())
    whole, cropped = read_card(card, tmp_path), open_card(card, tmp_path, boxes=True)
    path = f"Images/{BREEDS[0]}/n02085620_1.jpg"
    data = cropped.read(path)
    original = open_card(card, tmp_path).read(path)
    expected = Image.open(io.BytesIO(original)).convert("RGB").crop((11, 4, 36, 28))
    assert np.array_equal(np.asarray(decode(data, max_pixels=10**6)), np.asarray(expected))

    dataset = load(cropped)
    assert dataset.name == "stanford-dogs-boxes"
    assert counts(dataset) == counts(whole)
    assert not set(dataset.table["id"].to_pylist()) & set(whole.table["id"].to_pylist())
    assert hashlib.sha256(data).hexdigest() in dataset.table["id"].to_pylist()
    assert dataset.fingerprint != whole.fingerprint


def test_an_image_without_a_box_is_set_aside_from_the_crops(web, tmp_path):
    files = archives()
    files["annotation.tar"] = tar_bytes(
        {f"Annotation/{BREEDS[0]}/n02085620_1": XML.format(folder="", name="", left=9).encode()}
    )
    listed = list(open_card(serve(web, "stanford-dogs", files), tmp_path, boxes=True).list_files())
    aside = [each for each in listed if isinstance(each, SetAside)]
    assert {each.reason for each in aside} == {"it has no box"}
    assert len(aside) == 19


def test_a_missing_and_an_unlisted_image_are_set_aside_with_the_reason(web, tmp_path):
    files = archives()
    files["images.tar"] = tar_bytes(
        {f"Images/{BREEDS[0]}/n02085620_0.jpg": jpeg(1), f"Images/{BREEDS[0]}/new.jpg": jpeg(2)}
    )
    listed = list(open_card(serve(web, "stanford-dogs", files), tmp_path).list_files())
    reasons = {each.path.split("/")[-1]: each.reason for each in listed if isinstance(each, SetAside)}
    assert reasons["n02085620_1.jpg"] == "it is listed in train_list.mat and test_list.mat, and there is no such file"
    assert reasons["new.jpg"] == "it is not listed in train_list.mat and test_list.mat"
    assert len(listed) == 21


def test_lists_that_are_no_matlab_files_are_one_sentence(web, tmp_path):
    files = archives()
    files["lists.tar"] = tar_bytes({"train_list.mat": b"MATLAB 5.0" * 40, "test_list.mat": b""})
    with pytest.raises(DataError, match=r"train_list\.mat of stanford-dogs cannot be read.*fetch it again"):
        list(open_card(serve(web, "stanford-dogs", files), tmp_path).list_files())
