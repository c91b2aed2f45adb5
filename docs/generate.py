"""Write the reference pages that follow from the code: commands, public names, data sets, schema of results.json."""

import inspect
import json
from pathlib import Path
from typing import Any

import typer
from typer.main import get_command

import vitrail
from vitrail.cli.main import app
from vitrail.data.named.cards import DatasetCard, load_dataset_cards
from vitrail.runs import results_schema

REFERENCE = Path(__file__).parent / "reference"
EXIT_CODES = """## Exit codes

| code | meaning |
| --- | --- |
| 0 | done; an undecided verdict is a result |
| 1 | the work failed, or `vitrail verify` found a difference |
| 2 | wrong usage |
| 130 | interrupted; the same command continues the work |
"""


def main() -> None:
    """Write every generated page, and delete the pages of commands that no longer exist."""
    commands = REFERENCE / "commands"
    commands.mkdir(parents=True, exist_ok=True)
    pages = command_pages()
    for page in commands.glob("*.md"):
        if page.stem not in pages:
            page.unlink()
    for name, text in pages.items():
        (commands / f"{name}.md").write_text(text, encoding="utf-8")
    (REFERENCE / "cli.md").write_text(command_list(), encoding="utf-8")
    (REFERENCE / "api.md").write_text(public_names(), encoding="utf-8")
    (REFERENCE / "datasets.md").write_text(data_sets(), encoding="utf-8")
    schema = json.dumps(results_schema(), indent=2, sort_keys=True)
    (REFERENCE / "results.schema.json").write_text(schema + "\n", encoding="utf-8")


def command_list() -> str:
    """The page that lists all commands."""
    program = get_program()
    rows = [f"| [vitrail {name}](commands/{name}.md) | {_cell(first_sentence(c))} |" for name, c in program.items()]
    names = "\n".join(f"commands/{name}" for name in program)
    return "\n".join(
        [
            "# The command line\n",
            "Written by `make docs` from the program itself.\n",
            "| command | what it does |\n| --- | --- |\n" + "\n".join(rows) + "\n",
            f"```{{toctree}}\n:hidden:\n:maxdepth: 1\n\n{names}\n```\n",
            EXIT_CODES,
        ]
    )


def command_pages() -> dict[str, str]:
    """For each command its page, from the same declarations that parse its arguments and flags."""
    return {name: "\n".join([f"# vitrail {name}\n", *_describe(name, c)]) for name, c in get_program().items()}


def public_names() -> str:
    """The page of everything that `import vitrail` offers: functions, then classes, then errors, by name."""
    groups: dict[str, list[str]] = {"function": [], "class": [], "exception": []}
    for name in sorted(vitrail.__all__):
        value = getattr(vitrail, name)
        kind = "function"
        if inspect.isclass(value):
            kind = "exception" if issubclass(value, BaseException) else "class"
        members = "   :members:\n" if kind == "class" else ""
        groups[kind].append(f".. auto{kind}:: vitrail.{name}\n{members}")
    titles = {"function": "Functions", "class": "Classes", "exception": "Errors"}
    pages = ["# Everything that `import vitrail` offers\n", "Written by `make docs` from the docstrings.\n"]
    for kind, directives in groups.items():
        if directives:
            pages.append(f"## {titles[kind]}\n\n```{{eval-rst}}\n" + "\n".join(directives) + "```\n")
    return "\n".join(pages)


DATA_SETS = """# Public data sets

Written by `make docs` from the cards in `src/vitrail/data/catalogue/`. Every command that takes images takes one
of these names too:

```console
$ vitrail datasets stanford-dogs
$ vitrail datasets fetch stanford-dogs
$ vitrail bench stanford-dogs -b resnet50 -b dinov2-s
```

An existing folder or file of that name is used first; `dataset:stanford-dogs` is never a folder. What is missing
is fetched when the images are first read, and never with `--offline`. `--data-dir FOLDER` says where you already
have the archives, under their official names, the folders that torchvision makes of them, or what TensorFlow
Datasets has prepared (`--data-dir ~/tensorflow_datasets`). A download continues
where it was cut, and its digest is checked. While an archive is unpacked into the cache, it takes twice its size
on the disk. The official split is used; where there is no official val, it is cut
from train. A fact that no source states is "unknown": read the data set's page before you use the images for
anything but research.

`--crop-to-boxes` crops each image to its box, where the data set has boxes. `dataset:NAME:boxes` is its name then.
A head that learned from crops expects crops: crop new images likewise before `vitrail predict`.

## Data sets of the Hugging Face hub

`hf:OWNER/NAME` is a data set of the hub, as in `vitrail bench hf:OWNER/NAME -b resnet50`; `hf:OWNER/NAME:CONFIG` is one
of its configurations. Vitrail reads Parquet files, those of the repository or those that the hub has made of it, and
runs no script. The commit and the digests of the files are kept with them in the cache, so later runs read the same
bytes, also with `--offline`. For a private or gated data set, fetch the files yourself and give their folder.

## VTAB-1k

The 19 tasks begin with `vtab-`: 800 images train, 200 are val, and the test is the benchmark's. They are the very
images that the benchmark takes, since the order of TensorFlow Datasets follows from the keys of the examples. Official
archives and what TensorFlow Datasets has prepared give the same images; the tasks that say "by hand" need the latter,
or a folder that you unpack. The folder `vtab-1k` with `train800.txt`, `val200.txt` and `test.txt` for each task, which
many repositories use, is read too; its images were stored as JPEG once more, which may change figures a little.

`vitrail reproduce vtab RUN...` prints both means of finished runs: of the 19 tasks, and of the three groups (natural,
specialised, structured). Papers print either, and these may differ by points. Test images of a class that has no
training image are set aside, which happens in `vtab-sun397`; `vitrail reproduce vtab` counts them as wrong. As in
every benchmark of Vitrail, copies of an image count once, and equal images with two labels not at all. dSprites has
each shape at 0 and at 360 degrees, which are two classes of `vtab-dsprites-orientation`: if their pixels are equal, 660
of its 73,728 test images are left out, and 8 of its 800 training images. The command names tasks that were scored on
another number of test images than the benchmark has.

## ImageNet's reassessed labels

`vitrail reproduce real RUN` scores a finished run on `imagenet-1k` by the
[reassessed labels](https://arxiv.org/abs/2006.07159) ("ReaL"): an image may have several right labels, and images with
none are left out. The usual accuracy stands beside it.
"""


def data_sets() -> str:
    """The page of all data sets that have a name."""
    cards = load_dataset_cards().values()
    rows = [
        f"| [{card.name}](#{card.name}) | {card.title} | {_number(card.images)} | {card.classes:,} | "
        f"{_cell(card.licence.partition(';')[0]) or 'unknown'} |"
        for card in cards
    ]
    table = (
        "| name | data set | images | classes | licence |\n| --- | --- | --- | --- | --- |\n" + "\n".join(rows) + "\n"
    )
    return "\n".join([DATA_SETS, table, *(_data_set(card) for card in cards)])


def _data_set(card: DatasetCard) -> str:
    counts = ", ".join(f"{count:,} {split}" for split, count in card.counts.items()) or "unknown"
    facts = {
        "data set": card.title,
        "also called": ", ".join(f"`{alias}`" for alias in card.aliases),
        "page": f"<{card.page}>",
        "images": f"{counts}, in {card.classes:,} classes",
        "split": card.split,
        "labels": card.labels,
        "boxes": card.boxes,
        "licence": card.licence or "unknown",
        "citation": card.citation,
        "files": "; ".join(_file(file.name, file.bytes) for form in card.forms[:1] for file in form.files)
        or (card.by_hand and "a folder")
        or "not fetched by Vitrail: give a folder or an archive of the images",
        "by hand": card.by_hand,
        "TensorFlow Datasets": f"`{card.tfds}` in `--data-dir` is read too" if card.tfds else "",
        "accepted if you have it": "; ".join(file.name for form in card.forms[1:] for file in form.files),
    }
    facts |= {f"in {overlap.collection}": f"{overlap.share}: {overlap.source}" for overlap in card.overlaps}
    facts |= {f"{fact} read in": source for fact, source in card.seen_in.items()}
    rows = "\n".join(f"| {fact} | {_cell(value)} |" for fact, value in facts.items() if value)
    return f"## {card.name}\n\n| fact | |\n| --- | --- |\n{rows}\n"


def _file(name: str, size: int | None) -> str:
    return name if size is None else f"{name} ({size / 1e6:,.1f} MB)"


def _number(count: int | None) -> str:
    return "unknown" if count is None else f"{count:,}"


def get_program() -> dict[str, Any]:
    """The commands of the program by name."""
    program: Any = get_command(app)
    return dict(program.commands)


def first_sentence(command: Any) -> str:
    """What a command does, in a sentence."""
    return str(command.get_short_help_str(limit=300))


def _describe(name: str, command: Any) -> list[str]:
    context = typer.Context(command, info_name=f"vitrail {name}")
    parts = [f"{command.help}\n"]
    parts.append(f"```text\nvitrail {name} {' '.join(command.collect_usage_pieces(context))}\n```\n")
    groups: dict[str, list[str]] = {}
    for parameter in command.get_params(context):
        parameter.hidden &= parameter.name == "debug"  # what the short help leaves out is described here
        if row := parameter.get_help_record(context):
            title = getattr(parameter, "rich_help_panel", None) or "Options"
            groups.setdefault(title, []).append(f"| `{_cell(row[0])}` | {_cell(row[1])} |")
    for title, lines in groups.items():
        parts += [f"**{title}**\n"] * (len(groups) > 1)
        parts.append("| option | meaning |\n| --- | --- |\n" + "\n".join(lines) + "\n")
    for child, below in getattr(command, "commands", {}).items():
        parts += [f"## vitrail {name} {child}\n", *_describe(f"{name} {child}", below)]
    return parts


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    main()
