from PIL import Image

from tests.data.pictures import MemorySource, encoded, photograph
from vitrail.auditing.files import look_through
from vitrail.core.progress import Silent
from vitrail.data import load
from vitrail.data.dataset import ListedFile, SetAside


def test_each_kind_of_odd_file_is_named_once_and_sound_ones_are_not():
    sound = encoded(photograph(0), "JPEG")
    files = {
        "sound.jpg": sound,
        "truncated.jpg": encoded(photograph(1), "JPEG", quality=95)[:-1000],
        "text.jpg": b"not a picture",
        "tiny.png": encoded(photograph(2, (20, 25))),
        "strip.png": encoded(photograph(3, (400, 60))),
        "black.png": encoded(Image.new("RGB", (80, 60), (3, 3, 3))),
        "renamed.jpg": encoded(photograph(4)),
        "no_ending": encoded(photograph(5)),
    }
    dataset = load(MemorySource([ListedFile(path=name, label="a") for name in files], files))
    findings, facts, broken = look_through(dataset, max_pixels=10**6, progress=Silent())
    assert {(one.path, one.kind) for one in findings} == {
        ("truncated.jpg", "unreadable"),
        ("text.jpg", "unreadable"),
        ("tiny.png", "tiny"),
        ("strip.png", "odd aspect"),
        ("black.png", "one colour"),
        ("renamed.jpg", "wrong ending"),
    }
    assert len(broken) == 1, "text was set aside before, by its header"
    assert facts.formats == {"PNG": 5, "JPEG": 1}
    assert facts.width == (20, 160, 400)


def test_what_was_set_aside_is_called_what_it_is():
    sound, twice = encoded(photograph(0)), encoded(photograph(1))
    listing = [
        ListedFile(path="cat/1.png", label="cat"),
        ListedFile(path="cat/2.png", label="cat"),
        ListedFile(path="dog/2.png", label="dog"),
        ListedFile(path="dog/empty.png", label="dog"),
        SetAside(path="README", reason="it is not in a class folder"),
    ]
    files = {"cat/1.png": sound, "cat/2.png": twice, "dog/2.png": twice, "dog/empty.png": b""}
    dataset = load(MemorySource(listing, files))
    findings, _, _ = look_through(dataset, max_pixels=10**6, progress=Silent())
    assert {(one.path, one.kind) for one in findings} == {("README", "other"), ("dog/empty.png", "unreadable")}
