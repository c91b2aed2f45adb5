"""Predictions for new images, with a backbone that only measures brightness."""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.delivery.examples import make_run
from vitrail.backbones.cards import Preprocessing
from vitrail.backbones.engines import EngineChoice
from vitrail.backbones.specs import BackboneSpec
from vitrail.candidates.thresholds import fit_refusal
from vitrail.core.errors import DownloadError, RunError, UsageError, WeightsError
from vitrail.core.hashing import sha256_bytes, sha256_file
from vitrail.core.progress import Silent
from vitrail.core.resources import Resources
from vitrail.delivery import predict, reopen
from vitrail.delivery.predict import Predictor
from vitrail.heads import Head, Linear, Scaling, save_head
from vitrail.heads.bank import fill_bank
from vitrail.heads.refusal import Refusal, load_refusal, save_refusal
from vitrail.runs import Results, RunRecord, read_results, results_to_json, write_receipt
from vitrail.runs.folder import head_file, prediction_file, refusal_file, search_file

NAME = "vit_small_patch16_224.augreg_in21k_ft_in1k"
OTHER = "resnet50.tv_in1k"
DIGEST = "0d" * 32
ORIGIN = {"backbone": NAME, "weights_sha256": DIGEST, "engine": "openvino", "precision": "bf16", "pooling": "cls"}
PREPROCESSING = Preprocessing(resize=8, crop=8, interpolation="bilinear", mean=(0.5,) * 3, std=(0.5,) * 3)
CLASSES = ("dark", "dim", "bright")


@dataclass
class Brightness:
    """A backbone of one feature, the mean pixel, and its own engine. Remembers what it was asked."""

    digest: str = DIGEST
    batch: int = 4
    streams: int = 2
    opened: list[tuple[BackboneSpec, dict[str, Any]]] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)
    pooling: str | None = "not started"
    card: Any = field(default_factory=lambda: SimpleNamespace(preprocessing=PREPROCESSING))
    name: str = "brightness"
    engine: EngineChoice = field(default_factory=lambda: EngineChoice(name="torch", precision="fp32"))

    def start(self, *, threads: int, pooling: str | None) -> "Brightness":
        self.pooling = pooling
        return self

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.batches.append(len(pixels))
        return pixels.reshape(len(pixels), -1).mean(axis=1, keepdims=True).astype(np.float32) / 255


class Notes(Silent):
    """Progress that remembers its notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)


@pytest.fixture
def backbone(monkeypatch: pytest.MonkeyPatch) -> Brightness:
    fake = Brightness()

    def open_backbone(spec: BackboneSpec, **options: Any) -> Brightness:
        fake.opened.append((spec, options))
        return fake

    monkeypatch.setattr(reopen, "open_backbone", open_backbone)
    monkeypatch.setattr(predict, "choose_engine", lambda engine, precision: None)
    monkeypatch.setattr(reopen, "find_card", lambda name: SimpleNamespace(sha256=""))
    monkeypatch.setattr(reopen, "is_trusted_name", lambda name, digest: True)
    return fake


def _write(folder: Path, results: Results, origin: dict[str, str]) -> Path:
    head = Head(
        kind="logistic",
        classes=CLASSES,
        scaling=Scaling(np.array([0.5], np.float32), np.array([0.1], np.float32)),
        scores=Linear(weight_CD=np.array([[-2.0], [0.0], [2.0]], np.float32), bias_C=np.zeros(3, np.float32)),
        temperature=1.0,
        setting={"strength": 1.0},
    )
    draws = np.random.default_rng(0)
    feature_ND = draws.normal(0.5, 0.3, (300, 1)).astype(np.float32)
    ids, label_N = [str(row) for row in range(300)], np.arange(300) % 3
    refusal = fit_refusal(fill_bank(ids, feature_ND), draws.dirichlet(np.ones(3), 300), label_N)
    folder.mkdir(exist_ok=True)
    (folder / "results.json").write_bytes(results_to_json(results))
    for one in results.backbones:
        head_file(folder, one.name).parent.mkdir(exist_ok=True)
        save_head(head, head_file(folder, one.name), origin)
        save_refusal(refusal, refusal_file(folder, one.name))
    _seal(folder)
    return folder


def _seal(folder: Path) -> None:
    """Make the rest of a run, which no prediction reads, and a receipt of it all as it is now."""
    results = read_results(folder / "results.json")
    others = [folder / name for name in ("report.html", "log.jsonl")]
    for result in results.backbones:
        others += [search_file(folder, result.name), prediction_file(folder, result.name)]
    for path in others:
        path.parent.mkdir(exist_ok=True)
        path.touch()
    _write_table(folder / "data.parquet")
    write_receipt(folder, results)


def _write_table(path: Path) -> None:
    """The table of a run on one image of each split, whose ids are the digests of these names."""
    names = ("train", "val", "test")
    ids = [sha256_bytes(name.encode()) for name in names]
    columns = {"id": ids, "label": [0, 0, None], "group": [None] * 3, "given_split": [None] * 3, "split": list(names)}
    table = pa.table({name: pa.array(values) for name, values in columns.items()})
    pq.write_table(table.replace_schema_metadata({"classes": json.dumps(CLASSES)}), path)


def _save_refusal(refusal: Refusal, run: Path) -> None:
    save_refusal(refusal, refusal_file(run, NAME))
    _seal(run)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return _write(tmp_path / "run", make_run(CLASSES, backbones=1)[0], ORIGIN)


@pytest.fixture
def draw(tmp_path: Path) -> Callable[[str, int], Path]:
    def draw(name: str, level: int) -> Path:
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 16), (level,) * 3).save(path)
        return path

    return draw


@pytest.mark.parametrize("pooling", ["mean", "cls+mean"])
def test_the_backbone_gives_the_pooling_that_the_head_was_fitted_on(
    tmp_path: Path, backbone: Brightness, pooling: str
) -> None:
    origin = ORIGIN | {"pooling": pooling}
    Predictor.open(_write(tmp_path / "run", make_run(CLASSES, backbones=1)[0], origin))
    assert backbone.pooling == pooling


def test_a_run_without_its_thresholds_predicts_nothing(run: Path, backbone: Brightness) -> None:
    refusal_file(run, NAME).unlink()
    with pytest.raises(RunError, match=r"refusal\.safetensors was changed, damaged or deleted"):
        Predictor.open(run)
    assert backbone.opened == []


def test_an_image_gets_its_class_with_all_probabilities(
    run: Path, backbone: Brightness, draw: Callable[[str, int], Path]
) -> None:
    (answer,) = Predictor.open(run).predict([draw("été.png", 230)])
    assert (answer.label, answer.error) == ("bright", None)
    assert [name for name, _ in answer.top] == ["bright", "dim", "dark"]
    assert answer.probability == answer.top[0][1]
    assert sum(p for _, p in answer.top) == pytest.approx(1)
    assert answer.path.endswith("été.png")


def test_the_engine_of_the_run_is_used_unless_another_is_asked_for(run: Path, backbone: Brightness) -> None:
    Predictor.open(run)
    Predictor.open(run, NAME, engine="torch", resources=Resources(offline=True))
    assert [(o["engine"], o["precision"], o["offline"]) for _, o in backbone.opened] == [
        ("openvino", "bf16", False),
        ("torch", "auto", True),
    ]


def test_an_engine_that_this_machine_has_not_is_replaced_and_said(
    run: Path, backbone: Brightness, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(engine: str, precision: str) -> None:
        raise UsageError("not installed")

    monkeypatch.setattr(predict, "choose_engine", refuse)
    progress = Notes()
    Predictor.open(run, resources=Resources(progress=progress))
    ((_, options),) = backbone.opened
    assert (options["engine"], options["precision"]) == ("auto", "auto")
    assert "The run used openvino bf16, which is not here: probabilities may differ a little." in progress.notes


def test_a_head_without_a_confidence_threshold_says_so(
    run: Path, backbone: Brightness, draw: Callable[[str, int], Path]
) -> None:
    unset, sure = Notes(), Notes()
    found = replace(load_refusal(refusal_file(run, NAME)), confidence=None, distance=2.0)
    _save_refusal(found, run)
    (answer,) = Predictor.open(run, resources=Resources(progress=unset)).predict([draw("a.png", 230)])
    assert [note for note in unset.notes if "no confidence threshold" in note]
    assert (answer.doubt, answer.least_probability) == (None, None)
    _save_refusal(replace(found, confidence=0.999999), run)
    (answer,) = Predictor.open(run, resources=Resources(progress=sure)).predict([draw("a.png", 230)])
    assert not [note for note in sure.notes if "no confidence threshold" in note]
    assert answer.doubt is not None
    assert answer.least_probability == 0.999999


def test_a_folder_stands_for_every_file_under_it_in_order(
    run: Path, backbone: Brightness, draw: Callable[[str, int], Path]
) -> None:
    for name in ("b/2.png", "b/1.png", "z.png", ".hidden.png", "a/3.png"):
        draw(name, 20)
    (draw("b/notes.txt.png", 0)).rename(draw("b/x.png", 0).with_name("notes.txt"))
    folder = draw("z.png", 20).parent
    answers = Predictor.open(run).predict([folder])
    assert [Path(a.path).relative_to(folder).as_posix() for a in answers] == [
        "z.png",
        "a/3.png",
        "b/1.png",
        "b/2.png",
        "b/notes.txt",
        "b/x.png",
    ]
    assert {a.label for a in answers} == {"dark"}


def test_images_are_as_large_as_the_run_allowed(
    tmp_path: Path, backbone: Brightness, draw: Callable[[str, int], Path]
) -> None:
    results, _ = make_run(CLASSES, backbones=1)
    for allowed, error in ((320, None), (319, "too large: 20 x 16")):
        options = replace(results.options, max_pixels=allowed)
        folder = _write(tmp_path / str(allowed), replace(results, options=options), ORIGIN)
        (answer,) = Predictor.open(folder).predict([draw("grey.png", 128)])
        assert (answer.error or "").startswith(error or "")
        assert (answer.error is None) == (error is None)


def test_thresholds_of_another_head_are_refused_before_the_backbone_is_opened(run: Path, backbone: Brightness) -> None:
    draws = np.random.default_rng(0)
    ids, label_N = [str(row) for row in range(60)], np.arange(60) % 3
    probability_NC = draws.dirichlet(np.ones(3), 60)
    for width in (2, 1):  # the head takes one feature
        feature_ND = draws.normal(size=(60, width)).astype(np.float32)
        _save_refusal(fit_refusal(fill_bank(ids, feature_ND), probability_NC, label_N), run)
        if width == 1:
            assert Predictor.open(run).refusal is not None
            continue
        with pytest.raises(WeightsError, match=r"refusal\.safetensors is inconsistent, or does not belong to its head"):
            Predictor.open(run)
        assert backbone.opened == []


def test_what_cannot_be_read_keeps_its_row_and_its_reason(
    run: Path, backbone: Brightness, draw: Callable[[str, int], Path], tmp_path: Path
) -> None:
    good = [draw(f"{i}.png", 20 * i) for i in range(6)]
    empty, text, cut = (tmp_path / name for name in ("empty.jpg", "text.jpg", "cut.png"))
    empty.write_bytes(b"")
    text.write_text("hello")
    cut.write_bytes(good[0].read_bytes()[:-30])
    os.mkfifo(tmp_path / "pipe")
    paths = [good[0], empty, *good[1:4], text, tmp_path / "gone.png", cut, tmp_path / "pipe", *good[4:]]
    answers = Predictor.open(run).predict(paths)
    assert [a.path for a in answers] == [str(path) for path in paths]
    reasons = {Path(a.path).name: a.error for a in answers if a.error}
    assert set(reasons) == {"empty.jpg", "text.jpg", "gone.png", "cut.png", "pipe"}
    assert "empty" in reasons["empty.jpg"]
    assert "not an image" in reasons["text.jpg"]
    assert "No such file" in reasons["gone.png"]
    assert "not a regular file" in reasons["pipe"]
    assert all((a.label, a.probability, a.top) == (None, None, ()) for a in answers if a.error)


def test_labels_and_the_split_of_a_known_image_come_with_the_answer(
    run: Path, backbone: Brightness, draw: Callable[[str, int], Path]
) -> None:
    known, new, broken = draw("known.png", 9), draw("new.png", 230), draw("broken.png", 5)
    broken.write_bytes(b"train")  # the run of these tests has an example with these very bytes
    table = known.with_name("list.csv")
    table.write_text("path,label,group\nknown.png,dark,film\nnew.png,Bright,\nbroken.png,dim,\n")
    answers = Predictor.open(run).predict(table)
    assert [(a.path, a.true_label, a.group) for a in answers] == [
        ("known.png", "dark", "film"),
        ("new.png", "Bright", None),
        ("broken.png", "dim", None),
    ]
    assert [a.id for a in answers] == [sha256_file(path) for path in (known, new, broken)]
    assert [a.run_split for a in answers] == [None, None, "train"]


def test_answers_come_while_later_images_are_still_unread(
    run: Path, backbone: Brightness, draw: Callable[[str, int], Path]
) -> None:
    image, asked = draw("1.png", 9), 0

    def endless() -> Any:
        nonlocal asked
        while True:
            asked += 1
            yield image

    stream = Predictor.open(run, resources=Resources(cores=2)).stream(endless())
    answers = [next(stream) for _ in range(10)]
    stream.close()
    assert len(answers) == 10
    in_hand = backbone.batch * (1 + backbone.streams)
    assert asked <= 12 + in_hand + in_hand + 1
    assert set(backbone.batches) == {backbone.batch}


def test_images_in_memory_are_predicted_as_their_files_are(
    run: Path, backbone: Brightness, draw: Callable[[str, int], Path]
) -> None:
    path = draw("1.png", 200)
    images = [path, path.read_bytes(), Image.new("RGB", (20, 16), (200,) * 3), np.full((16, 20, 3), 200, np.uint8)]
    answers = Predictor.open(run).predict([*images, b"hello", np.zeros((2, 2), np.uint8)])
    assert [answer.path for answer in answers] == [str(path), *(f"images[{place}]" for place in range(1, 6))]
    assert len({(answer.label, answer.top) for answer in answers[:4]}) == 1
    assert answers[0].label == "bright"
    assert [answer.error is None for answer in answers] == [True] * 4 + [False] * 2
    assert "not an image" in (answers[4].error or "")
    assert "not H x W x 3" in (answers[5].error or "")


def test_other_weights_are_refused_with_the_way_out(run: Path, backbone: Brightness) -> None:
    backbone.digest = "77" * 32
    with pytest.raises(WeightsError, match=rf"sha256 0d0d0d0d0d0d\.\.\..*has 777777777777\.\.\..*-b {NAME}=FILE"):
        Predictor.open(run)


def test_a_local_file_of_other_weights_is_refused_before_it_is_opened(
    run: Path, backbone: Brightness, tmp_path: Path
) -> None:
    file = tmp_path / "weights.safetensors"
    file.write_bytes(b"other")
    with pytest.raises(WeightsError, match="weights.safetensors has " + sha256_file(file)[:12]):
        Predictor.open(run, f"{NAME}={file}")
    assert backbone.opened == []


def test_published_weights_that_are_known_to_be_others_are_not_downloaded(
    run: Path, backbone: Brightness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reopen, "find_card", lambda name: SimpleNamespace(sha256="ab" * 32))
    with pytest.raises(WeightsError, match="the published weights of"):
        Predictor.open(run)
    assert backbone.opened == []


def test_a_backbone_that_the_run_has_not_is_named_with_those_it_has(run: Path, backbone: Brightness) -> None:
    with pytest.raises(UsageError, match=f"has no backbone 'resnet50.a1_in1k'; it has {NAME}"):
        Predictor.open(run, "resnet50.a1_in1k")


def test_without_a_name_the_pick_is_used_and_how_sure_it_is_is_said(tmp_path: Path, backbone: Brightness) -> None:
    results, _ = make_run(CLASSES, backbones=2)
    losses = {NAME: 0.03, OTHER: 0.0204}
    picked = replace(results.decision, choose=OTHER, strength="practical", losses=losses)
    progress = Notes()
    Predictor.open(
        _write(tmp_path / "run", replace(results, decision=picked), ORIGIN), resources=Resources(progress=progress)
    )
    assert backbone.opened[0][0].name == OTHER
    assert progress.notes[0] == (
        f"Predicting with {OTHER}, the pick of the run (practical: at most 2.1 points less accurate than the best)."
    )
    progress.notes.clear()
    Predictor.open(tmp_path / "run", NAME, resources=Resources(progress=progress))
    assert not [note for note in progress.notes if "Predicting with" in note]


def test_a_head_that_does_not_say_what_it_was_fitted_on_is_refused(tmp_path: Path, backbone: Brightness) -> None:
    folder = _write(tmp_path / "run", make_run(CLASSES, backbones=1)[0], {"backbone": NAME})
    with pytest.raises(RunError, match="weights_sha256, engine, precision, pooling missing"):
        Predictor.open(folder)


def test_a_folder_without_a_finished_run_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"results\.json cannot be read"):
        Predictor.open(tmp_path)


def test_a_name_that_no_file_can_have_is_a_prediction_with_an_error(run: Path, backbone: Brightness) -> None:
    names = ["a" * 300, "nul\0byte"]
    predictions = Predictor.open(run).predict(names)
    assert [prediction.label for prediction in predictions] == [None, None]
    assert "too long" in str(predictions[0].error)
    assert "null byte" in str(predictions[1].error)


def test_a_buffer_that_is_filled_again_for_the_next_image_gives_each_its_own_answer(
    run: Path, backbone: Brightness
) -> None:
    levels = [20, 230] * 12

    def frames() -> Iterator[NDArray[np.uint8]]:
        frame = np.empty((16, 20, 3), np.uint8)
        for level in levels:
            frame[:] = level
            yield frame

    answers = Predictor.open(run).predict(frames())
    assert [answer.label for answer in answers] == ["dark", "bright"] * 12


def test_a_run_alone_downloads_nothing(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[BackboneSpec] = []

    def open_backbone(spec: BackboneSpec, **options: Any) -> None:
        opened.append(spec)
        raise DownloadError("it went to the hub")

    monkeypatch.setattr(reopen, "open_backbone", open_backbone)
    monkeypatch.setattr(reopen, "find_card", lambda name: SimpleNamespace(sha256=""))
    monkeypatch.setattr(predict, "choose_engine", lambda engine, precision: None)
    with pytest.raises(WeightsError, match=rf"would have to be downloaded.*give -b {NAME} to allow it, or -b {NAME}=F"):
        Predictor.open(run)
    assert opened == []
    with pytest.raises(DownloadError, match="it went to the hub"):
        Predictor.open(run, NAME)
    with pytest.raises(DownloadError, match="it went to the hub"):
        Predictor.open(
            run, resources=Resources(offline=True)
        )  # where nothing is downloaded, but may be in the hub's cache


def test_a_name_that_hides_another_repository_is_refused(tmp_path: Path, backbone: Brightness) -> None:
    results = make_run(CLASSES, backbones=1)[0]
    (result,) = results.backbones
    hidden = replace(result, card=replace(result.card, name="hf:a-stranger/net"))
    run = _write(tmp_path / "run", replace(results, backbones=(hidden,)), ORIGIN)
    with pytest.raises(RunError, match=f"says that {NAME} is hf:a-stranger/net: its results.json was changed"):
        Predictor.open(run, NAME)
    assert backbone.opened == []


@pytest.mark.parametrize("file", [head_file, refusal_file])
def test_a_head_that_is_replaced_after_the_run_was_checked_is_not_used(
    run: Path, backbone: Brightness, monkeypatch: pytest.MonkeyPatch, file: Callable[[Path, str], Path]
) -> None:
    load = predict.load_run

    def load_and_replace(folder: Path) -> RunRecord:
        record = load(folder)
        content = file(folder, NAME).read_bytes()
        file(folder, NAME).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        return record

    monkeypatch.setattr(predict, "load_run", load_and_replace)
    with pytest.raises(RunError, match=f"{file(run, NAME).name} was changed, damaged or deleted"):
        Predictor.open(run)
    assert backbone.opened == []
