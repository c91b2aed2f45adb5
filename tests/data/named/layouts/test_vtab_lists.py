"""VTAB-1k as the folder of lists that many repositories use."""

import pytest

from tests.data.named.layouts.miniature import open_card
from tests.data.named.layouts.prepared import picture
from vitrail.core.errors import DataError
from vitrail.data import SetAside
from vitrail.data.named.cards import load_dataset_cards
from vitrail.data.named.vtab import TASKS

CARDS = load_dataset_cards()

# The folders that ZhangYuanhan-AI/NOAH e9c55f3 writes, data/vtab-source/get_vtab1k.py, lines 27 to 46.
LISTED = {
    "vtab-caltech-101": "caltech101",
    "vtab-cifar-100": "cifar",
    "vtab-dtd": "dtd",
    "vtab-oxford-flowers-102": "oxford_flowers102",
    "vtab-oxford-pets": "oxford_iiit_pet",
    "vtab-sun397": "sun397",
    "vtab-svhn": "svhn",
    "vtab-patch-camelyon": "patch_camelyon",
    "vtab-eurosat": "eurosat",
    "vtab-resisc45": "resisc45",
    "vtab-retinopathy": "diabetic_retinopathy",
    "vtab-clevr-count": "clevr_count",
    "vtab-clevr-distance": "clevr_dist",
    "vtab-dmlab": "dmlab",
    "vtab-kitti-distance": "kitti",
    "vtab-dsprites-location": "dsprites_loc",
    "vtab-dsprites-orientation": "dsprites_ori",
    "vtab-smallnorb-azimuth": "smallnorb_azi",
    "vtab-smallnorb-elevation": "smallnorb_ele",
}


def write_lists(folder, first: int = 0) -> None:
    start = first
    for name, number in {"train800": 12, "val200": 6, "test": 9}.items():
        (folder / "images" / name).mkdir(parents=True)
        lines = [f"images/{name}/{place:06d}.jpg {place % 3}" for place in range(number)]
        (folder / f"{name}.txt").write_text("\n".join(lines) + "\n")
        for place in range(number):
            (folder / "images" / name / f"{place:06d}.jpg").write_bytes(picture(start + place))
        start += 1_000
    (folder / "train800val200.txt").write_text((folder / "train800.txt").read_text())


@pytest.mark.parametrize("root", ["vtab-1k", "."])
def test_lists_of_the_right_task_are_read(tmp_path, root):
    assert list(LISTED) == list(TASKS)
    for place, folder in enumerate(LISTED.values()):
        write_lists(tmp_path / root / folder, first=10_000 * place)
    for place, (name, folder) in enumerate(LISTED.items()):
        source = open_card(CARDS[name], tmp_path / "cache", data_dir=tmp_path, offline=True)
        listed = list(source.list_files())
        assert [file.split for file in listed] == ["train"] * 12 + ["val"] * 6 + ["test"] * 9
        assert all(int(file.label) == int(file.path[-10:-4]) % 3 for file in listed)
        assert source.read(f"{folder}/images/test/000004.jpg") == picture(10_000 * place + 2_004)


def test_a_missing_image_is_set_aside_and_a_damaged_list_is_one_sentence(tmp_path):
    write_lists(tmp_path / "svhn")
    (tmp_path / "svhn" / "images" / "test" / "000004.jpg").unlink()
    listed = list(open_card(CARDS["vtab-svhn"], tmp_path / "cache", data_dir=tmp_path).list_files())
    assert [file.path for file in listed if isinstance(file, SetAside)] == ["svhn/images/test/000004.jpg"]
    (tmp_path / "svhn" / "val200.txt").write_text("images/val200/000001.jpg\n")
    with pytest.raises(DataError, match=r"val200\.txt of .* has a line that is not a path and a label"):
        list(open_card(CARDS["vtab-svhn"], tmp_path / "cache", data_dir=tmp_path).list_files())
