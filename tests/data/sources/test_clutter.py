from pathlib import Path

from vitrail.data.sources.clutter import below, is_run, without_clutter
from vitrail.data.sources.folder import FolderSource
from vitrail.data.sources.tree import list_names
from vitrail.runs.folder import LOG, RUNS, enter_folder


def test_folders_of_what_was_deleted_are_clutter():
    names = ["cat/1", "#recycle/1", "@Recycle/2", "lost+found/3", "x/$RECYCLE.BIN/4", "@eaDir/5", "RECYCLER/6"]
    assert without_clutter(names) == ["cat/1"]


def test_names_below_a_folder_are_found_in_sorted_names():
    names = sorted(["a-b", "a/1", "a/b/2", "a0", "b"])
    assert [names[place] for place in below(names, "a/")] == ["a/1", "a/b/2"]
    assert len(below(names, "")) == 5


def test_a_run_of_ours_in_the_folder_of_the_images_is_no_class(tmp_path: Path, monkeypatch):
    """Also one that was killed, whose folder holds a log and a lock alone."""
    monkeypatch.chdir(tmp_path)
    for name in ("cat/1", "dog/2", "dog/log.jsonl"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_bytes(b"x")
    before = list(FolderSource(Path()).list_files())
    for folder in (RUNS / "data-1", Path("results")):
        with enter_folder(folder, "1") as journal:
            journal.start("1", command="x")
            (folder / "report.html").write_text("x")
            (folder / "unfinished").mkdir()
    assert list(FolderSource(Path()).list_files()) == before
    names = [path.relative_to(tmp_path).as_posix() for path in sorted(tmp_path.rglob("*")) if path.is_file()]
    (tmp_path / "results" / "results.json").write_text("{}")
    names += ["results/results.json", f"{RUNS}/data-1/results.json"]
    assert sorted(list_names(names, "x.zip", lambda name: b""), key=lambda each: each.path) == before


def test_a_log_alone_makes_no_run():
    assert not is_run({LOG, "1.jpg"})
    assert is_run({LOG, "results.json", "1.jpg"})
