"""Data sets on the Hugging Face hub: "hf:OWNER/NAME", or "hf:OWNER/NAME:CONFIG" if it has several configurations.

Only Parquet files are read, those of the repository or those that the hub has made of it, so no script of a data set is
ever run. Their commit and digests are remembered when the name is first used, in a card beside the files in the cache:
later uses read the same bytes, and need no network.
"""

import re
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath

from filelock import FileLock
from pydantic import TypeAdapter

from vitrail.core.bounded import is_regular_file, read_bounded
from vitrail.core.errors import DataError, DownloadError, UsageError
from vitrail.core.resources import Resources
from vitrail.core.whole_files import put_in_place
from vitrail.data.dataset import ListedFile, SetAside
from vitrail.data.named.cards import DatasetCard, DatasetFile, Form
from vitrail.data.named.files import FOLDER, open_tree
from vitrail.data.named.layouts import Layout, open_layout
from vitrail.data.sources.webdataset import split_of_shard
from vitrail.fetch.hub_listing import CONVERTED, MAIN, HubFile, list_hub_files

PREFIX = "hf:"
NAME = re.compile(r"hf:(?P<repository>\w[\w.-]*(/\w[\w.-]*)?)(:(?P<config>\w[\w.-]*))?", re.ASCII)
CARD_FILE, MOST_CARD_BYTES = "card.json", 16 << 20
PARQUET = ".parquet"
ONLY_FOLDER = "data"  # in which most repositories keep the files of their only configuration
PART = "partial-"  # what the hub calls a split of which it has converted only the beginning

_CARD = TypeAdapter(DatasetCard)


def is_hub_set(data: str | Path | None) -> bool:
    """Whether data are the name of a data set on the hub; "hf://" begins a URL."""
    return isinstance(data, str) and data.startswith(PREFIX) and not data.startswith(f"{PREFIX}//")


class HubSource:
    """The images of a data set on the hub. Its files are listed and fetched when it is first read."""

    def __init__(self, data: str, resources: Resources) -> None:
        """Nothing is read yet.

        Raises:
            UsageError: it is not a name as the hub has them.
        """
        match = NAME.fullmatch(data)
        if match is None:
            raise UsageError(f"{data!r} is not a data set on the hub: give hf:OWNER/NAME or hf:OWNER/NAME:CONFIG.")
        self._data, self._resources = data, resources
        self._lock = threading.Lock()
        self._repository, self._config = match["repository"], match["config"]

    @property
    def name(self) -> str:
        """The data set's name as a folder can have it, and as no card has it: hf--OWNER--NAME."""
        return re.sub(r"[/:]", "--", self._data)

    def list_files(self) -> Iterator[ListedFile | SetAside]:
        """Every row with its label.

        Raises:
            DownloadError: the files are not on this machine and cannot be fetched.
            DataError: there are no Parquet files, or several configurations.
        """
        yield from self._layout.list_files()

    def read(self, path: str) -> bytes:
        """The image of one row; raises OSError."""
        return self._layout.read(path)

    @property
    def _layout(self) -> Layout:
        with self._lock:  # threads of a worker read without listing first
            return self._open_once

    @cached_property
    def _open_once(self) -> Layout:
        card = self._remember()
        return open_layout(open_tree(card, self._resources, boxes=False), card)

    def _remember(self) -> DatasetCard:
        """The card that was stored at the first use, or a new one."""
        place = self._resources.cache / FOLDER / self.name / CARD_FILE
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(place.with_name(f"{CARD_FILE}.lock")):
                if not is_regular_file(place):
                    content = _CARD.dump_json(self._describe(), indent=1)
                    put_in_place(place, lambda temporary: temporary.write_bytes(content))
                return _CARD.validate_json(read_bounded(place, MOST_CARD_BYTES))
        except ValueError as error:
            raise DataError(f"{place} is damaged: delete it to list the files of {self._data} again.") from error
        except OSError as error:
            raise DownloadError(
                f"The list of the files of {self._data} could not be stored in {place.parent} "
                f"({error.strerror or error}): free some disk space, or choose another place with VITRAIL_CACHE."
            ) from error

    def _describe(self) -> DatasetCard:
        if self._resources.offline:
            raise DownloadError(
                f"The files of {self._data} are not on this machine, and offline mode does not allow a download: run "
                "once without it."
            )
        files = self._choose_config(_by_config(list_hub_files(self._repository, MAIN) or ()))
        if not files:
            files = self._choose_config(_by_config(list_hub_files(self._repository, CONVERTED) or ()))
        if not files:
            raise DataError(
                f"{self._data} has no Parquet files, and Vitrail runs no script of a data set: fetch its images and "
                "give their folder."
            )
        if any(name.startswith(PART) for name in files):
            raise DataError(
                f"The hub has converted only a part of {self._data} to Parquet: fetch its images and give their folder."
            )
        return DatasetCard(
            name=self.name,
            title=self._data,
            page=f"https://huggingface.co/datasets/{self._repository}",
            classes=0,
            layout="parquet",
            forms=(
                Form(
                    marks=(),
                    files=tuple(
                        DatasetFile(name=name, urls=(file.url,), bytes=file.bytes, sha256=file.sha256)
                        for name, file in files.items()
                    ),
                ),
            ),
        )

    def _choose_config(self, configs: Mapping[str, Mapping[str, HubFile]]) -> Mapping[str, HubFile]:
        """The files of the configuration that was asked for, or of the only one; none if there are no files at all."""
        if self._config in configs:
            return configs[self._config]
        if self._config is None and len(configs) <= 1:
            return next(iter(configs.values()), {})
        if not configs:
            return {}
        known = ", ".join(sorted(configs))
        raise UsageError(
            f"{PREFIX}{self._repository} has the configurations {known}: give one, as in "
            f"{PREFIX}{self._repository}:{sorted(configs)[0]}."
        )


def _by_config(files: Sequence[HubFile]) -> dict[str, dict[str, HubFile]]:
    """The Parquet files of each configuration, by a name of their own that begins with their split.

    A repository has <config>/<split>-<shard>.parquet, or data/<split>-<shard>.parquet if it has one configuration only;
    what the hub makes of it is <config>/<split>/<shard>.parquet.

    Raises:
        DataError: two files would have the same name.
    """
    configs: dict[str, dict[str, HubFile]] = defaultdict(dict)
    for file in files:
        path = PurePosixPath(file.path)
        if path.suffix.lower() != PARQUET:
            continue
        *folders, name = path.parts
        if folders and split_of_shard(name) is None:
            name = f"{folders.pop()}-{name}"
        config = "/".join(folders)
        config = "default" if config in ("", ONLY_FOLDER) else config
        if name in configs[config]:
            raise DataError(
                f"The hub has {configs[config][name].path} and {file.path} for the same part of a data set: fetch the "
                "files that you want and give their folder."
            )
        configs[config][name] = file
    return dict(configs)
