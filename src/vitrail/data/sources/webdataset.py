"""WebDataset's samples in a tar: files that share a name up to its first dot, such as 0001.jpg and 0001.cls.

Where this gives no image, files that share a name up to its last dot are a sample: scan.1.jpg and scan.1.cls.

The label is the text of `.cls` (a number or a name) or, in `.json`, what stands under label, cls or class. A shard
called train-000, val-000 or test-000 gives its samples to that split, where all shards are called so.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping

from vitrail.core.bounded import parse_json
from vitrail.data.dataset import ListedFile, SetAside, SplitName
from vitrail.data.sources.local import clean_text, written
from vitrail.data.sources.split_words import SPLIT_WORDS

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
    labelled = {stem for name in names for stem, ending in _cuts(name) if ending in LABELS}
    return any(ending in IMAGES and stem in labelled for name in names for stem, ending in _cuts(name))


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
    samples: dict[str, dict[str, str]] = {}
    for name in sorted(names):
        first, _ = _cuts(name)
        samples.setdefault(first[0], {})[name] = first[1]
    for files in samples.values():
        if IMAGES.isdisjoint(files.values()):
            yield from _list_by_last_dot(list(files), read, prefix, split)
            continue
        yield from _list_sample(files, read, prefix, split)
        own = {stem for name in files for stem, ending in _cuts(name)[1:] if ending in LABELS}
        for name, ending in files.items():
            stem, last = _cuts(name)[1]
            if ending != last and last in IMAGES and stem in own:
                reason = "its name has a second dot, so it belongs to a sample that has another image"
                yield SetAside(path=written(prefix + name), reason=reason)


def _list_by_last_dot(
    names: Collection[str], read: Callable[[str], bytes], prefix: str, split: SplitName | None
) -> Iterator[ListedFile | SetAside]:
    samples: dict[str, dict[str, str]] = {}
    for name in names:
        stem, ending = _cuts(name)[1]
        samples.setdefault(stem, {})[name] = ending
    for files in samples.values():
        yield from _list_sample(files, read, prefix, split)


def _list_sample(
    files: Mapping[str, str], read: Callable[[str], bytes], prefix: str, split: SplitName | None
) -> Iterator[ListedFile | SetAside]:
    """The images of a sample; `files` has the ending of each of its files."""
    images = [name for name, ending in files.items() if ending in IMAGES]
    if not images:
        shown = next((name for name, ending in files.items() if ending not in LABELS), next(iter(files)))
        reason = "its sample has no image, by the endings of its files (.jpg, .png and so on are known)"
        yield SetAside(path=written(prefix + shown), reason=reason)
    for name in images:
        path = written(prefix + name)
        if len(images) > 1:
            yield SetAside(path=path, reason="its sample has more than one image")
            continue
        label = _label({ending: name for name, ending in files.items()}, read)
        if not label:
            yield SetAside(path=path, reason="its sample has no label in a .cls or .json")
        else:
            yield ListedFile(path=path, label=label, split=split)


def split_of_shard(name: str) -> SplitName | None:
    """The split that a shard's file name begins with, if it is one."""
    match = SHARD_SPLIT.match(name)
    return SPLIT_WORDS.get(match[1].lower()) if match else None


def _cuts(name: str) -> tuple[tuple[str, str], tuple[str, str]]:
    """A name and its ending, in lower case, cut at the first dot and at the last."""
    folder, slash, base = name.rpartition("/")
    first, _, rest = base.partition(".")
    last, _, ending = base.rpartition(".") if "." in base else (base, "", "")
    return (folder + slash + first, rest.lower()), (folder + slash + last, ending.lower())


def _label(files: dict[str, str], read: Callable[[str], bytes]) -> str | None:
    for ending in LABELS:
        if ending not in files:
            continue
        try:
            text = read(files[ending]).decode()
            label = text if ending == "cls" else _under(parse_json(text))
        except (OSError, ValueError):
            continue  # damaged, or no UTF-8, or no JSON: the sample has no label
        if label and (cleaned := clean_text(label)):
            return cleaned
    return None


def _under(value: object) -> str | None:
    if not isinstance(value, dict):
        return None
    label = next((value[key] for key in UNDER if key in value), None)
    return str(label) if isinstance(label, str | int) and not isinstance(label, bool) else None
