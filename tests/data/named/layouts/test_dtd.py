"""The miniature has the layout that torchvision 0.28 reads, datasets/dtd.py, lines 57 to 79: dtd/labels/train1.txt,
val1.txt and test1.txt have a path below dtd/images in each line.
"""

from tests.data.named.layouts.miniature import counts, even, jpeg, read_card, rows, serve, tar_bytes

TEXTURES = ("banded", "zigzagged")
PLACES = {"train": 4, "val": 3, "test": 3}


def archives() -> dict[str, bytes]:
    files, lists = {}, dict.fromkeys(PLACES, "")
    for place, texture in enumerate(TEXTURES):
        splits = [split for split, number in PLACES.items() for _ in range(number)]
        for number, split in enumerate(splits):
            files[f"dtd/images/{texture}/{texture}_{number:04d}.jpg"] = jpeg(place * 100 + number)
            lists[split] += f"{texture}/{texture}_{number:04d}.jpg\n"
    files |= {f"dtd/labels/{split}1.txt": text.encode() for split, text in lists.items()}
    files |= {f"dtd/labels/{split}2.txt": b"" for split in PLACES}
    files["dtd/imdb/imdb.mat"] = b"MATLAB 5.0"
    return {"dtd-r1.0.1.tar.gz": tar_bytes(files, gz=True)}


def test_images_labels_and_the_first_official_split_are_read(web, tmp_path):
    dataset = read_card(serve(web, "dtd", archives()), tmp_path)
    assert counts(dataset) == even(*TEXTURES, splits=PLACES)
    assert rows(dataset)["dtd/images/zigzagged/zigzagged_0004.jpg"] == ("zigzagged", "val")
    assert dataset.set_aside == ()
