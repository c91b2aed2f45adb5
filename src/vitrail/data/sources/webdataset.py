"""WebDataset's samples in a tar: files that share a name up to its first dot, such as 0001.jpg and 0001.cls.

The label is the text of `.cls` (a number or a name) or, in `.json`, what stands under label, cls or class. A shard
called train-000, val-000 or test-000 gives its samples to that split, where all shards are called so.
"""

import re
from collections.abc import Callable, Collection, Iterator
from pathlib import PurePosixPath

from vitrail.core.bounded import parse_json
from vitrail.data.dataset import ListedFile, SetAside, SplitName
from vitrail.data.sources.folder import SPLIT_WORDS
from vitrail.data.sources.local import class_name, written

LABELS = ("cls", "json")  # in this order, where a sample has both
UNDER = ("label", "cls", "class")
IMAGES = frozenset(
    [
        "jpg",
        "jpeg",
        "jfif",
        "png",
        "webp",
        "gif",
        "bmp",
        "tif",
        "tiff",
        "ppm",
        "pgm",
        "pbm",
        "pnm",
        "avif",
        "jp2",
        "img",
        "image",
    ]
)
# train-000.tar, data/train-00000-of-00002.parquet
SHARD_SPLIT = re.compile(r"(?:.*/)?([a-z]+)[-_.\d]", re.IGNORECASE)


def holds_samples(names: Collection[str]) -> bool:
    """Whether these are samples, that is at least one image has a label file of the same name."""
    keyed = {_key(name) for name in names if _ending(name) in LABELS}
    return any(_ending(name) in IMAGES and _key(name) in keyed for name in names)


def list_samples(
    names: Collection[str], read: Callable[[str], bytes], prefix: str, split: SplitName | None = None
) -> Iterator[ListedFile | SetAside]:
    """Each image of a shard with its label, or the reason why it has none; and each sample without an image.

    Args:
        names: the files of the shard.
        read: gives the bytes of one.
        prefix: what its paths begin with.
        split: the split that the whole shard belongs to.
    """
    samples: dict[str, list[str]] = {}
    for name in sorted(names):
        samples.setdefault(_key(name), []).append(name)
    for files in samples.values():
        images = [name for name in files if _ending(name) in IMAGES]
        if not images:
            shown = next((name for name in files if _ending(name) not in LABELS), files[0])
            reason = "its sample has no image, by the endings of its files (.jpg, .png and so on are known)"
            yield SetAside(path=written(prefix + shown), reason=reason)
        for name in images:
            path = written(prefix + name)
            if len(images) > 1:
                yield SetAside(path=path, reason="its sample has more than one image")
                continue
            label = _label({_ending(file): file for file in files}, read)
            if label is None:
                yield SetAside(path=path, reason="its sample has no label in a .cls or .json")
            else:
                yield ListedFile(path=path, label=class_name(label), split=split)


def split_of_shard(name: str) -> SplitName | None:
    """The split that a shard's file name begins with, if it is one."""
    match = SHARD_SPLIT.match(name)
    return SPLIT_WORDS.get(match[1].lower()) if match else None


def _key(name: str) -> str:
    folder, slash, last = name.rpartition("/")
    return folder + slash + last.partition(".")[0]


def _ending(name: str) -> str:
    return PurePosixPath(name).name.partition(".")[2].lower()


def _label(files: dict[str, str], read: Callable[[str], bytes]) -> str | None:
    for ending in LABELS:
        if ending not in files:
            continue
        try:
            text = read(files[ending]).decode()
            label = text if ending == "cls" else _under(parse_json(text))
        except (OSError, ValueError):
            continue  # damaged, or no UTF-8, or no JSON: the sample has no label
        if label is not None and label.strip():
            return label.strip()
    return None


def _under(value: object) -> str | None:
    if not isinstance(value, dict):
        return None
    label = next((value[key] for key in UNDER if key in value), None)
    return str(label) if isinstance(label, str | int) and not isinstance(label, bool) else None
