"""The miniature has the layout that torchvision 0.28 reads, datasets/oxford_iiit_pet.py, lines 73 to 94: a line of
annotations/trainval.txt has the image's name, the class from 1, the species and the number within the species.
"""

from tests.data.named.layouts.miniature import SPLITS, counts, even, jpeg, open_card, read_card, rows, serve, tar_bytes
from vitrail.data import SetAside

BREEDS = ("Abyssinian", "american_bulldog")


def archives() -> dict[str, bytes]:
    images, lists = {}, {"trainval": [], "test": []}
    for place, breed in enumerate(BREEDS):
        for number in range(sum(SPLITS.values())):
            name = f"{breed}_{number + 90}"
            images[f"images/{name}.jpg"] = jpeg(place * 100 + number)
            lists["trainval" if number < SPLITS["train"] else "test"].append(f"{name} {place + 1} {place + 1} 1\n")
    images["images/Abyssinian_100.mat"] = b"MATLAB 5.0"  # three such files are in the archive
    annotations = {f"annotations/{name}.txt": "".join(lines).encode() for name, lines in lists.items()}
    annotations |= {"annotations/trimaps/Abyssinian_90.png": jpeg(1), "annotations/README": b"0.0"}
    return {"images.tar.gz": tar_bytes(images, gz=True), "annotations.tar.gz": tar_bytes(annotations, gz=True)}


def test_images_labels_and_the_official_split_are_read(web, tmp_path):
    dataset = read_card(serve(web, "oxford-pets", archives()), tmp_path)
    assert counts(dataset) == even(*BREEDS)
    assert rows(dataset)["images/american_bulldog_98.jpg"] == ("american_bulldog", "test")


def test_what_is_no_image_of_the_set_is_set_aside_and_trimaps_are_not_images(web, tmp_path):
    listed = list(open_card(serve(web, "oxford-pets", archives()), tmp_path).list_files())
    aside = {each.path: each.reason for each in listed if isinstance(each, SetAside)}
    assert aside == {"images/Abyssinian_100.mat": "it is not listed in trainval.txt and test.txt"}
