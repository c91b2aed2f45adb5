"""ReaL accuracy of a run on a miniature of ImageNet."""

import json
from dataclasses import replace

import pytest

from tests.checks.test_verify import FAST
from tests.data.named.layouts.test_imagenet import IDS, TRUTH, VAL, train, unpack
from tests.pictures import draw_folder
from vitrail.benchmark import bench
from vitrail.cli.main import _run
from vitrail.core.errors import UsageError
from vitrail.core.label_sets import imagenet_1k
from vitrail.core.resources import Resources
from vitrail.data.named import real_labels
from vitrail.data.named.cards import load_dataset_cards
from vitrail.reproduce import real
from vitrail.reproduce.real import find_val_images, score_real
from vitrail.runs.folder import DATA
from vitrail.runs.run import load_run
from vitrail.runs.tables import read_paths

PLACES = {synset: imagenet_1k().ids.index(synset) for synset in IDS.values()}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("real")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VITRAIL_CACHE", str(root / "cache"))
        patch.setenv("VITRAIL_CONFIG", str(root / "config"))
        files = {f"train/{synset}/{name}": image for synset in IDS.values() for name, image in train(synset).items()}
        for (name, content), number in zip(VAL.items(), TRUTH, strict=True):
            files[f"val/{IDS[number]}/{name}"] = content
        unpack(root / "imagenet", files)
        resources = Resources(data_dir=root)
        bench("imagenet-1k", ["vit_mini", "resnet_mini"], out=root / "run", options=FAST, resources=resources)
        bench(draw_folder(root / "pictures", per_class=20), ["vit_mini"], out=root / "other", options=FAST)
    return root


def write_labels(record, backbone: str, *, right: int) -> list[list[int]]:
    """Labels by which so many images are right, the next is wrong, and the rest have none."""
    tested = record.predictions(backbone)
    classes = record.results.data.classes
    paths = read_paths(record.folder / DATA)
    labels: list[list[int]] = [[] for _ in VAL]
    rows = zip(tested.ids, tested.probability_NC.argmax(axis=1), strict=True)
    for place, (example, predicted) in enumerate(rows):
        number = real_labels.number_in_val(paths[example])
        assert number is not None
        if place < right:
            labels[number - 1] = [999, PLACES[classes[predicted][:9]]]
        elif place == right:
            labels[number - 1] = [999]
    return labels


def test_right_images_are_counted_beside_the_usual_accuracy(made):
    record = load_run(made / "run")
    labels = [frozenset(some) for some in write_labels(record, "vit_mini", right=7)]
    first, second = score_real(record, find_val_images(record), labels)
    assert (first.backbone, second.backbone) == ("vit_mini", "resnet_mini")
    assert (first.real.any_label.value, first.real.any_label.n, first.real.left_out) == (7 / 8, 8, 4)
    assert first.top1 == record.backbone("vit_mini").test.top1
    assert second.real.single_label.n == 8


def test_the_published_labels_give_the_usual_accuracy(made):
    record = load_run(made / "run")
    labels = [frozenset({PLACES[IDS[number]]}) for number in TRUTH]
    for score in score_real(record, find_val_images(record), labels):
        assert score.real.any_label == score.real.single_label == score.top1


def test_runs_on_other_images_are_one_sentence(made, capsys):
    with pytest.raises(UsageError, match=r"The class .* is not one of ImageNet-1k: reassessed labels are for runs"):
        find_val_images(load_run(made / "other"))
    assert _run(["reproduce", "real", str(made / "other")]) == 2  # before anything is fetched
    assert "is not one of ImageNet-1k" in capsys.readouterr().err
    record = load_run(made / "run")
    images = find_val_images(record)
    with pytest.raises(UsageError, match="There are labels for 3 images, fewer than ImageNet's val has"):
        score_real(record, images, [frozenset({1})] * 3)
    with pytest.raises(UsageError, match=r"No test image of .* has a reassessed label"):
        score_real(record, images, [frozenset()] * 12)


def test_the_command_prints_both(made, tmp_path, capsys, monkeypatch):
    record = load_run(made / "run")
    content = json.dumps(write_labels(record, "vit_mini", right=7)).encode()
    (tmp_path / "real.json").write_bytes(content)
    cards = dict(load_dataset_cards())
    card = cards[real_labels.CARD]
    file = replace(card.forms[0].files[0], bytes=len(content), sha256="")
    cards[real_labels.CARD] = replace(card, forms=(replace(card.forms[0], files=(file,)),))
    monkeypatch.setattr(real, "load_dataset_cards", lambda: cards)
    assert _run(["reproduce", "real", str(made / "run"), "--data-dir", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "vit_mini: ReaL 87.5% (" in shown
    assert "4 test images have no reassessed label and are left out" in shown
    assert _run(["reproduce", "real", str(made / "run"), "--data-dir", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["real"]["left_out"] == 4
