"""Where the files of a named data set are: in the user's folder, in the cache, or at their source.

Files are kept in `datasets/<name>` of the cache. A file has its final name there only if its digest is the published
one, or the one locked at the first download if no sha256 is published. Two processes that want the same file wait for
each other.

A folder of the user may hold the archives under their official names, or what they unpack to, itself or in a folder
with a name that other tools use. Nothing is written into it.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from vitrail.core.bounded import is_folder, is_regular_file, is_there
from vitrail.core.errors import DataError, DownloadError, UsageError
from vitrail.core.machine import config_folder
from vitrail.core.resources import Resources
from vitrail.data.named.cards import DatasetCard, DatasetFile, Form
from vitrail.data.named.file_tree import ArchiveTree, FileTree, FolderTree
from vitrail.fetch.trust import Trusted, read_trusted, remember
from vitrail.fetch.unpack import store_unpacked
from vitrail.fetch.web import Digests, WebFile, download, forget_part

FOLDER = "datasets"  # of the cache
LOCK_FILE = "datasets.lock.json"  # of the config folder


def open_tree(card: DatasetCard, resources: Resources, *, boxes: bool) -> FileTree:
    """The files of a data set, fetched if they are not on this machine.

    Raises:
        UsageError: the user's folder does not exist.
        DataError: the card has no files, or an archive is damaged.
        DownloadError: files are missing and cannot be fetched.
    """
    if (unpacked := _find_unpacked(card, resources)) is not None:
        root, form = unpacked
        return FolderTree(root, sorted(form.tops))
    if not boxes and (prepared := _find_prepared(card, resources)) is not None:
        root, versions = prepared
        return FolderTree(root, versions)
    _require_forms(card)
    form = _choose_form(card, resources, boxes=boxes)
    files = {file.stored_as: fetch_file(card, form, file, resources) for file in _needed(form, boxes=boxes)}
    return ArchiveTree(files, card.name)


def fetch_files(card: DatasetCard, resources: Resources) -> dict[str, Path]:
    """Every file of a data set by its official name, with those that only boxes need; raises as `open_tree` does.

    Of a data set that the user has unpacked, these are its files and folders on top.
    """
    _require_forms(card)
    if (unpacked := _find_unpacked(card, resources)) is not None:
        root, form = unpacked
        return {top: root / top for top in sorted(form.tops) if is_there(root / top)}
    form = _choose_form(card, resources, boxes=True)
    return {file.name: fetch_file(card, form, file, resources) for file in form.files}


def is_stored(card: DatasetCard, resources: Resources) -> bool:
    """Whether the cache has the files that a benchmark needs."""
    return any(_is_cached(card, form, resources, boxes=False) for form in card.forms)


def find_on_disk(card: DatasetCard, resources: Resources) -> Path | None:
    """Where the files that a benchmark needs are on this machine: their folder, or the only file; None if some are not.

    Files of the user are found by their names alone. Nothing is fetched.

    Raises:
        UsageError: the user's folder does not exist.
    """
    if (unpacked := _find_unpacked(card, resources)) is not None:
        return unpacked[0]
    if (prepared := _find_prepared(card, resources)) is not None:
        return prepared[0]
    for form in card.forms:
        places = [_find_file(card, form, file, resources) for file in _needed(form, boxes=False)]
        if places and all(places):
            return places[0] if len(places) == 1 or places[0] is None else places[0].parent
    return None


def fetch_file(card: DatasetCard, form: Form, file: DatasetFile, resources: Resources) -> Path:
    """One file: from the cache, the user's folder, or its source.

    Raises:
        DownloadError: it is not on this machine and cannot be fetched.
    """
    place = resources.cache / FOLDER / card.stored_under / file.stored_as
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with _alone(card, file, place, resources):
            if is_regular_file(place):
                return place
            for given in _given(card, form, file, resources):
                if fault := _find_fault(card, file, given):
                    resources.progress.note(f"{given} is not used as {file.name} of {card.name}: {fault}.")
                    continue
                if file.stored_as == file.name:
                    return given
                store_unpacked(given, place, inside=file.inside)
                return place
            _fetch(card, file, place, resources)
            return place
    except OSError as error:
        raise DownloadError(
            f"{_name(card, file)} could not be stored in {place.parent} ({error.strerror or error}): free some disk "
            "space, or choose another place with VITRAIL_CACHE."
        ) from error


def _find_prepared(card: DatasetCard, resources: Resources) -> tuple[Path, list[str]] | None:
    """The folder of the user with what TensorFlow Datasets has prepared, and the versions in it."""
    if resources.data_dir is None or not card.tfds:
        return None
    builder = card.tfds.partition("/")[0]
    for root in (resources.data_dir / card.tfds, resources.data_dir):
        if versions := {path.parent.name for path in root.glob(f"*/{builder}-*.tfrecord-*-of-*")}:
            return root, sorted(versions)
    return None


@contextmanager
def _alone(card: DatasetCard, file: DatasetFile, place: Path, resources: Resources) -> Iterator[None]:
    """Hold the lock of a file, saying so if another process has it."""
    lock = FileLock(place.with_name(place.name + ".lock"))
    try:
        lock.acquire(blocking=False)
    except Timeout:
        resources.progress.note(f"Another process is fetching {_name(card, file)}: waiting for it.")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _require_forms(card: DatasetCard) -> None:
    if not any(form.files for form in card.forms):
        how = (
            f"{card.by_hand} and give its folder as --data-dir FOLDER."
            if card.by_hand
            else f"get it from {card.page} and give its folder or archive instead of its name."
        )
        raise DataError(f"Vitrail cannot fetch {card.title}: {how}")


def _find_unpacked(card: DatasetCard, resources: Resources) -> tuple[Path, Form] | None:
    """The folder of the user in which a form of the data set has been unpacked.

    Raises:
        UsageError: the user's folder does not exist.
    """
    if resources.data_dir is not None and not is_folder(resources.data_dir):
        raise UsageError(f"There is no folder {resources.data_dir}: give one that exists as --data-dir.")
    for form in card.forms:
        for root in _roots(card, form, resources):
            if form.marks and all(is_there(root / mark) for mark in form.marks):
                return root, form
    return None


def _choose_form(card: DatasetCard, resources: Resources, *, boxes: bool) -> Form:
    """The first form whose files are all on this machine, else the one that is downloaded."""
    forms = [form for form in card.forms if form.files]
    for form in forms:
        needed = _needed(form, boxes=boxes)
        if all(any(_given(card, form, file, resources)) for file in needed):
            return form
    stored = (form for form in forms if _is_cached(card, form, resources, boxes=boxes))
    return next(stored, forms[0])


def _needed(form: Form, *, boxes: bool) -> Sequence[DatasetFile]:
    return [file for file in form.files if boxes or not file.for_boxes]


def _is_cached(card: DatasetCard, form: Form, resources: Resources, *, boxes: bool) -> bool:
    folder = resources.cache / FOLDER / card.stored_under
    needed = _needed(form, boxes=boxes)
    return bool(needed) and all(is_regular_file(folder / file.stored_as) for file in needed)


def _roots(card: DatasetCard, form: Form, resources: Resources) -> Iterator[Path]:
    """The folders of the user that may hold the data set."""
    if resources.data_dir is not None:
        for name in ("", card.stored_under, card.name, *card.aliases, *form.folders):
            yield resources.data_dir / name


def _given(card: DatasetCard, form: Form, file: DatasetFile, resources: Resources) -> Iterator[Path]:
    """The files of the user that may be this one."""
    return (path for root in _roots(card, form, resources) if is_regular_file(path := root / file.name))


def _find_file(card: DatasetCard, form: Form, file: DatasetFile, resources: Resources) -> Path | None:
    """Where one file is: in the cache, or among the user's; None if it is in neither."""
    stored = resources.cache / FOLDER / card.stored_under / file.stored_as
    return stored if is_regular_file(stored) else next(_given(card, form, file, resources), None)


def _find_fault(card: DatasetCard, file: DatasetFile, path: Path) -> str:
    """Why a file of the user is not the published one, as a clause; empty if it is, or if nothing is published."""
    size = path.stat().st_size
    if file.bytes is not None and size != file.bytes:
        return f"it has {size:,} bytes, but {file.bytes:,} are published"
    if not (file.sha256 or file.md5 or _key(card, file) in read_trusted(_lock_path())):
        return ""  # nothing to compare with, and reading a file of 138 GB for that would take minutes
    digests = Digests(_web_file(card, file))
    digests.add_file(path)
    return digests.find_fault() or _find_change(card, file, digests.sha256)


def _fetch(card: DatasetCard, file: DatasetFile, place: Path, resources: Resources) -> None:
    if resources.offline or not file.urls:
        reason = "offline mode does not allow a download" if resources.offline else "Vitrail does not download it"
        raise DownloadError(f"{_name(card, file)} is not on this machine, and {reason}: {_by_hand(card, file)}")
    part = place.with_name(f"{file.name}.part")
    sha256 = download(_web_file(card, file), part, resources.progress)
    if change := _find_change(card, file, sha256):
        forget_part(part)
        raise DownloadError(
            f"{_name(card, file)} is not the file that was fetched first: {change}. Vitrail deleted it; find out why "
            "it changed before you trust it."
        )
    if not file.sha256:
        remember(_lock_path(), _key(card, file), Trusted(repository=file.urls[0], revision="", sha256=sha256))
    if file.stored_as == file.name:
        part.replace(place)
    else:
        store_unpacked(part, place, inside=file.inside)
    forget_part(part)


def _find_change(card: DatasetCard, file: DatasetFile, sha256: str) -> str:
    """What differs from the locked digest of a file, as a clause; empty if nothing does."""
    trusted = None if file.sha256 else read_trusted(_lock_path()).get(_key(card, file))
    if trusted is None or trusted.sha256 == sha256:
        return ""
    return f"its sha256 is {sha256}, but {trusted.sha256} is in {_lock_path()} since the first download"


def _web_file(card: DatasetCard, file: DatasetFile) -> WebFile:
    return WebFile(
        what=_name(card, file),
        urls=file.urls,
        bytes=file.bytes,
        sha256=file.sha256,
        md5=file.md5,
        by_hand=_by_hand(card, file),
    )


def _by_hand(card: DatasetCard, file: DatasetFile) -> str:
    how = card.by_hand or f"get {file.name} from {card.page} in another way"
    return f"{how} and give its folder as --data-dir FOLDER."


def _name(card: DatasetCard, file: DatasetFile) -> str:
    return f"{file.name} of {card.name}"


def _key(card: DatasetCard, file: DatasetFile) -> str:
    return f"{card.stored_under}/{file.name}"


def _lock_path() -> Path:
    return config_folder() / LOCK_FILE
