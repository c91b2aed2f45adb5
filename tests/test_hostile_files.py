"""Each reader of a file of ours, or of a text that others give: it answers, or says in its own words what is wrong.

An error that is not Vitrail's own ends in "a fault of Vitrail" on the command line.
"""

import io
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.delivery.examples import make_run
from tests.heads.test_head import fitted
from tests.heads.test_refusal import example as example_refusal
from tests.hostile import changed_json, random_bytes, replace_metadata
from vitrail.cli.closing import print_closing
from vitrail.core.console import PrintableConsole
from vitrail.core.digest_json import add_digest
from vitrail.core.errors import VitrailError
from vitrail.core.hashing import fingerprint
from vitrail.core.progress import Silent
from vitrail.data.sources.manifest import ManifestSource
from vitrail.data.sources.webdataset import list_samples
from vitrail.delivery.display import describe_run, draw_run
from vitrail.features.cache import list_cache
from vitrail.fetch import known_weights
from vitrail.fetch.known_weights import read_known
from vitrail.fetch.trust import read_trusted
from vitrail.heads.head_file import METADATA_KEY, load_head, save_head
from vitrail.heads.refusal import METADATA_KEY as REFUSAL_KEY
from vitrail.heads.refusal import load_refusal, save_refusal
from vitrail.runs import RunRecord, results_to_json
from vitrail.runs.journal import FINISHED, OPENED, STARTED, Journal
from vitrail.runs.openings import read_ledger
from vitrail.runs.receipt import read_receipt
from vitrail.runs.results import read_results

SHORT, LONG = 25, 2_000
DIGEST = "a" * 64


@dataclass(frozen=True)
class Reader:
    """How a file is read and used, its name, and what a valid one holds: a document, or lines of documents."""

    read: Callable[[Path], object]
    name: str
    valid: object
    lines: bool = False
    inside: Callable[[bytes], bytes] = bytes  # what holds the text

    def contents(self) -> st.SearchStrategy[bytes]:
        if isinstance(self.valid, bytes):
            return random_bytes(self.valid)
        text = json.dumps(self.valid).encode()
        document = changed_json(self.valid)
        if self.lines:
            document = document.map(lambda line: text + b"\n" + line + b"\n" + text)
        return (document | random_bytes(text)).map(self.inside)


def show_results(path: Path) -> None:
    run = RunRecord(folder=path.parent, results=read_results(path))
    print_closing(run, PrintableConsole(file=io.StringIO(), width=80), details=True)
    describe_run(run.results, run.folder)
    draw_run(run.results, path)
    repr(run.results)


def read_journal(path: Path) -> None:
    journal = Journal(path)
    journal.identity()
    journal.count_openings()
    sorted(entry["time"] for entry in (*journal.events(OPENED), *journal.events(FINISHED)))


def count_openings(path: Path) -> None:
    for opening in read_ledger(path).openings:
        opening.share_of([DIGEST])


def list_manifest(path: Path) -> None:
    list(ManifestSource(path).list_files())


def list_labels(path: Path) -> None:
    list(list_samples(["1.png", "1.cls", "2.png", "2.json"], lambda name: path.read_bytes(), "x/"))


def read_cached(path: Path) -> None:
    """The same text as each of the small files of a cache."""
    cache = path.parent
    small = ("pace/2.json", "engine-choices/3.json", "network-speeds/5.json")
    for place in ("features/1/facts.json", "engines/4/digests.json", *small):
        (cache / place).parent.mkdir(parents=True, exist_ok=True)
        (cache / place).write_bytes(path.read_bytes())
    list_cache(cache)


def read_known_weights(path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VITRAIL_CONFIG", str(path.parent))
        read_known(Silent())


def valid_receipt() -> dict[str, object]:
    facts = {
        "receipt_version": 2,
        "data": DIGEST,
        "split": DIGEST,
        "weights": {"a": DIGEST},
        "files": {"results.json": DIGEST},
        "log": {"bytes": 10, "sha256": DIGEST},
    }
    return facts | {"digest": fingerprint(facts)}


def with_digests(text: bytes) -> bytes:
    """Each JSON object on a line of its own with its digest, so that what is wrong in it is read at all."""
    lines = []
    for line in text.split(b"\n"):
        try:
            lines.append(json.dumps(add_digest(json.loads(line))).encode())
        except (ValueError, TypeError, RecursionError):
            lines.append(line)
    return b"\n".join(lines)


def saved(save: Callable[[Path], object]) -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        save(path)
        return path.read_bytes()


HEAD = saved(lambda path: save_head(fitted("ridge")[0], path, {"engine": "torch", "weights_sha256": DIGEST}))
HEAD_FACTS = {
    "format_version": 2,
    "kind": "ridge",
    "scaling": "standardise",
    "classes": ["a", "b", "c", "d"],
    "temperature": 1.0,
    "setting": {"C": 0.1},
    "origin": {"engine": "torch"},
}
REFUSAL = saved(lambda path: save_refusal(example_refusal(), path))
TIME = "2026-11-29T16:00:00+00:00"
READERS = {
    "results": Reader(show_results, "results.json", json.loads(results_to_json(make_run(["a", "b"])[0]))),
    "receipt": Reader(lambda path: read_receipt(path.parent), "receipt.json", valid_receipt()),
    "journal": Reader(
        read_journal, "log.jsonl", {"time": TIME, "event": STARTED, "identity": DIGEST}, lines=True, inside=with_digests
    ),
    "ledger": Reader(
        count_openings,
        "test-openings.jsonl",
        {"format": 1, "time": TIME, "run": DIGEST, "choices": DIGEST, "images": 600, "sketch": ["a" * 12]},
        lines=True,
        inside=with_digests,
    ),
    "lock": Reader(
        read_trusted,
        "weights.lock.json",
        {"format": 1, "weights": {"a": {"repository": "a/b", "revision": "c", "sha256": DIGEST}}},
        inside=with_digests,
    ),
    "known weights": Reader(
        read_known_weights,
        known_weights.KNOWN_WEIGHTS,
        {"format": 1, "files": [{"name": "a", "sha256": DIGEST, "path": "/w"}], "published": []},
        inside=with_digests,
    ),
    "cache": Reader(
        read_cached,
        "cached.json",
        {
            "net": {"family": "vit", "variant": {"width": 1}},
            "weights": DIGEST,
            "storage": "float16",
            "backbone": "a",
            "batch": 8,
            "images_per_s": {"8": 9.5},
        },
        inside=with_digests,
    ),
    "head": Reader(
        load_head, "h.safetensors", HEAD_FACTS, inside=lambda text: replace_metadata(HEAD, METADATA_KEY, text)
    ),
    "head file": Reader(load_head, "h.safetensors", HEAD),
    "refusal": Reader(
        load_refusal,
        "r.safetensors",
        {key: value for key, value in asdict(example_refusal()).items() if isinstance(value, int | float | str)}
        | {"format_version": 1, "confidence": None},
        inside=lambda text: replace_metadata(REFUSAL, REFUSAL_KEY, text),
    ),
    "refusal file": Reader(load_refusal, "r.safetensors", REFUSAL),
    "CSV": Reader(list_manifest, "list.csv", b'path,label,group,camera\n"a.png",cat,1,x\nb/c.png,"d\ng",2,y\n'),
    "TSV": Reader(list_manifest, "list.tsv", b"path\tlabel\tsplit\na.png\tcat\ttrain\nb.png\tdog\ttest\n"),
    "label in a shard": Reader(list_labels, "label", {"label": "cat", "more": [1, {"cls": 2}]}),
}


def attack(reader: Reader, examples: int, folder: Path) -> None:
    """All examples have one folder: to delete a folder, or to empty a file, can take longer than most readers."""
    path = folder / reader.name

    @settings(
        max_examples=examples,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
    )
    @given(content=reader.contents())
    def read(content: bytes) -> None:
        path.write_bytes(content)
        with suppress(VitrailError):
            reader.read(path)
        for file in folder.rglob("*"):
            if file.is_file():
                file.unlink()

    read()


@pytest.mark.parametrize("kind", READERS)
def test_a_damaged_file_is_read_or_refused_in_our_own_words(kind: str, tmp_path: Path):
    attack(READERS[kind], SHORT, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("kind", READERS)
def test_many_damaged_files_are_read_or_refused_in_our_own_words(kind: str, tmp_path: Path):
    attack(READERS[kind], LONG, tmp_path)


@pytest.mark.parametrize("kind", READERS)
def test_the_valid_file_itself_is_read(kind: str, tmp_path: Path):
    """Else the changes of it would be refused for what they have in common."""
    reader = READERS[kind]
    text = reader.valid if isinstance(reader.valid, bytes) else json.dumps(reader.valid).encode()
    (tmp_path / reader.name).write_bytes(text if isinstance(reader.valid, bytes) else reader.inside(text))
    reader.read(tmp_path / reader.name)
