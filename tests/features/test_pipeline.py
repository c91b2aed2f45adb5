import dataclasses
import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from tests.pictures import draw_folder
from vitrail.backbones import BackboneSpec, Card, Preprocessing, open_backbone
from vitrail.core.errors import DataError, StoreError, WeightsError
from vitrail.core.progress import Silent
from vitrail.core.resources import Resources
from vitrail.data import load, open_source
from vitrail.features import Extraction, extract, open_images, pipeline, stream
from vitrail.features.pipeline import _facts
from vitrail.features.store import FeatureSet, open_features


def run(data: Path, cache: Path, *names: str, engine: str = "torch") -> Extraction:
    dataset = load(open_source(data))
    backbones = [open_backbone(BackboneSpec(name=name), engine=engine, progress=Silent()) for name in names]
    return extract(dataset, backbones, max_pixels=10**8, resources=Resources(cache=cache, cores=2))


def all_rows(extraction: Extraction) -> list[np.ndarray]:
    return [features.rows(sorted(features.stored.ids())) for features in extraction.features]


def test_only_missing_rows_are_computed(tmp_path: Path):
    data, cache = draw_folder(tmp_path / "data"), tmp_path / "cache"
    first = run(data, cache, "vit_mini", "resnet_mini")
    assert [features.cost.computed for features in first.features] == [36, 36]
    draw_folder(data, per_class=2, seed=1)
    data = data.rename(tmp_path / "moved")
    second = run(data, cache, "vit_mini", "resnet_mini")
    assert [features.cost.computed for features in second.features] == [6, 6]
    assert second.features[0].cost.images == 42
    assert second.features[0].cost.forward_s > 0


def test_backbones_with_one_key_share_their_rows(tmp_path: Path):
    """One backbone under two recipes that prepare images alike runs once, and both entries have its rows."""
    dataset = load(open_source(draw_folder(tmp_path / "data")))
    plain = open_backbone(BackboneSpec(name="vit_mini"), engine="torch", progress=Silent())
    prepared = dataclasses.replace(plain.card.preprocessing, equalise=True)
    equalised = dataclasses.replace(plain, name="c", card=dataclasses.replace(plain.card, preprocessing=prepared))
    backbones = [dataclasses.replace(plain, name="a"), equalised, dataclasses.replace(plain, name="b")]
    tasks = Tasks()
    resources = Resources(cache=tmp_path / "cache", cores=2, progress=tasks)
    a, c, b = extract(dataset, backbones, max_pixels=10**8, resources=resources).features
    assert (a.backbone, c.backbone, b.backbone) == ("a", "c", "b")
    assert a.key == b.key != c.key
    assert tasks.begun == ["Features of a", "Features of c"]
    assert [features.cost.computed for features in (a, c, b)] == [36, 36, 36]
    ids = sorted(a.stored.ids())
    assert np.array_equal(a.rows(ids), b.rows(ids))
    assert a.cost == b.cost


def test_a_picture_cut_short_is_set_aside_for_all_and_again_on_a_warm_cache(tmp_path: Path):
    data, cache = draw_folder(tmp_path / "data"), tmp_path / "cache"
    cut = data / "red" / "000-0.png"
    cut.write_bytes(cut.read_bytes()[:-800])
    for _ in range(2):
        extraction = run(data, cache, "vit_mini", "resnet_mini")
        assert [aside.path for aside in extraction.set_aside] == ["red/000-0.png"]
        assert len(extraction.unreadable_ids) == 1
        assert [len(features.stored) for features in extraction.features] == [35, 35]


def test_a_picture_that_changed_since_it_was_listed_ends_the_pass_and_its_row_is_not_kept(tmp_path: Path):
    data, cache = draw_folder(tmp_path / "data"), tmp_path / "cache"
    dataset = load(open_source(data))
    changed, other = data / "red" / "000-0.png", draw_folder(tmp_path / "other", seed=1) / "red" / "000-1.png"
    before = changed.read_bytes()
    backbone = open_backbone(BackboneSpec(name="vit_mini"), engine="torch", progress=Silent())
    how = {"max_pixels": 10**8, "resources": Resources(cache=cache, cores=2)}
    for meanwhile in (lambda: changed.write_bytes(other.read_bytes()), changed.unlink):
        meanwhile()
        with pytest.raises(DataError, match=r"red/000-0.png .*run the same command again"):
            extract(dataset, [backbone], **how)
    kept = open_features(cache, _facts(backbone)).ids()
    assert hashlib.sha256(before).hexdigest() not in kept
    assert hashlib.sha256(other.read_bytes()).hexdigest() not in kept
    changed.write_bytes(before)
    assert extract(dataset, [backbone], **how).features[0].cost.images == 36


def test_on_a_gpu_the_forward_pass_costs_what_its_clock_says(tmp_path: Path, monkeypatch):
    backbone = open_backbone(BackboneSpec(name="vit_mini"), engine="torch", progress=Silent())
    start, nap_s = type(backbone).start, 0.2

    class Waiting:
        """Computes elsewhere, as far as this process can see."""

        def __init__(self, engine):
            self.engine, self.batch, self.streams = engine, engine.batch, engine.streams

        def __call__(self, pixel_BHWC):
            time.sleep(nap_s)
            return self.engine(pixel_BHWC)

    on_gpu = dataclasses.replace(backbone, engine=dataclasses.replace(backbone.engine, device="cuda"))
    monkeypatch.setattr(type(backbone), "start", lambda _, **options: Waiting(start(backbone, **options)))
    dataset = load(open_source(draw_folder(tmp_path / "data", per_class=4)))
    resources = Resources(cache=tmp_path / "cache", cores=8)
    cost = extract(dataset, [on_gpu], max_pixels=10**8, resources=resources).features[0].cost
    assert nap_s <= cost.forward_s < nap_s + 5


def test_a_feature_depends_on_no_neighbour_and_no_order(tmp_path: Path):
    data = draw_folder(tmp_path / "data")
    together = run(data, tmp_path / "a", "vit_mini", engine="auto").features[0]
    ids = sorted(together.stored.ids())
    for path in sorted(data.rglob("*.png"))[1::2]:
        path.unlink()
    half = run(data, tmp_path / "b", "vit_mini", engine="auto").features[0]
    kept = sorted(half.stored.ids())
    assert set(kept) < set(ids)
    np.testing.assert_array_equal(half.rows(kept), together.rows(kept))


def test_every_pooling_that_a_card_offers_comes_from_one_pass(tmp_path: Path):
    features = run(draw_folder(tmp_path / "data", per_class=2), tmp_path / "cache", "vit_mini").features[0]
    assert features.poolings == ("cls", "mean", "cls+mean")
    ids = sorted(features.stored.ids())
    own_ND, mean_ND, both_ND = (features.pooled(pooling).rows(ids) for pooling in features.poolings)
    np.testing.assert_array_equal(features.rows(ids), own_ND)
    np.testing.assert_array_equal(both_ND, np.concatenate([own_ND, mean_ND], axis=1))
    assert own_ND.shape == mean_ND.shape == (6, features.width)
    assert not np.allclose(own_ND, mean_ND)


def test_rows_that_are_read_when_needed_are_those_of_the_pooling(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(pipeline, "ROWS_AT_ONCE", 4)
    features = run(draw_folder(tmp_path / "data", per_class=2), tmp_path / "cache", "vit_mini").features[0]
    ids = sorted(features.stored.ids())[::-1]
    for pooling in features.poolings:
        pooled = features.pooled(pooling)
        wanted_ND, reader = pooled.rows(ids), pooled.reader(ids)
        assert len(reader) == len(ids)
        np.testing.assert_array_equal(reader[np.array([5, 0, 3])], wanted_ND[[5, 0, 3]])
        blocks = list(pooled.blocks(ids))
        assert [len(block) for block in blocks] == [4, 2]
        np.testing.assert_array_equal(np.concatenate(blocks), wanted_ND)
    with pytest.raises(KeyError, match="nobody"):
        features.reader([*ids, "nobody"])


def test_an_interrupted_pass_keeps_what_was_computed(tmp_path: Path, monkeypatch):
    data, cache = draw_folder(tmp_path / "data"), tmp_path / "cache"
    undisturbed = run(data, tmp_path / "other", "vit_mini")
    decode, compute, calls, computed = open_images.decode_for, stream.Network.compute, [], threading.Event()

    def interrupted(*arguments, **options):
        calls.append(1)
        if len(calls) > 30:
            computed.wait(60)  # on a busy machine all may be decoded before the first batch is computed
            raise KeyboardInterrupt
        return decode(*arguments, **options)

    def compute_and_say(*arguments):
        feature_BD = compute(*arguments)
        computed.set()
        return feature_BD

    with monkeypatch.context() as patch:
        patch.setattr(open_images, "decode_for", interrupted)
        patch.setattr(stream.Network, "compute", compute_and_say)
        with pytest.raises(KeyboardInterrupt):
            run(data, cache, "vit_mini")
    resumed = run(data, cache, "vit_mini")
    assert resumed.features[0].cost.computed < 36
    np.testing.assert_array_equal(all_rows(resumed)[0], all_rows(undisturbed)[0])


def test_only_the_rows_of_a_damaged_shard_are_computed_again(tmp_path: Path):
    data, cache = draw_folder(tmp_path / "data"), tmp_path / "cache"
    first = run(data, cache, "vit_mini")
    (shard,) = cache.glob("features/*/*.arrow")
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    draw_folder(data, per_class=2, seed=1)
    again = run(data, cache, "vit_mini")
    assert again.features[0].cost.computed == 36 + 6
    assert shard.with_name(shard.name + ".damaged").exists()
    assert len(again.features[0].stored.ids()) == 42
    assert run(data, cache, "vit_mini").features[0].cost.computed == 0
    assert first.features[0].key == again.features[0].key


def test_features_that_float16_cannot_hold_are_kept_in_float32(tmp_path: Path, monkeypatch):
    data = draw_folder(tmp_path / "data", per_class=4)
    backbone = open_backbone(BackboneSpec(name="vit_mini"), engine="torch", progress=Silent())
    start = type(backbone).start

    class Louder:
        def __init__(self, engine):
            self.engine, self.batch, self.streams = engine, engine.batch, engine.streams

        def __call__(self, pixel_BHWC):
            return self.engine(pixel_BHWC) * np.float32(1e6)

    monkeypatch.setattr(type(backbone), "start", lambda self, **options: Louder(start(self, **options)))
    dataset = load(open_source(data))
    extraction = extract(dataset, [backbone], max_pixels=10**8, resources=Resources(cache=tmp_path / "cache", cores=2))
    (features,) = extraction.features
    assert features.stored.storage == "float32"
    assert np.isfinite(all_rows(extraction)[0]).all()
    assert len(features.stored) == 12


# What of a card changes no feature: names, costs and where the weights come from; their digest says which they are.
NO_FEATURE = {
    "name", "feature_width", "parameters", "gmacs", "classifier_classes", "licence", "commercial",
    "pretraining", "labels", "repository", "revision", "sha256", "seen_in", "tensors",
}  # fmt: skip
OTHER_FACTS = {
    "family": "resnet",
    "variant": {"size": "Ti", "patch": 4},
    "pooling": "mean",
    "poolings": ("cls",),
    "activation": "gelu_tanh",
    "norm_eps": 1e-5,
    "positions": "bicubic",
}
OTHER_PIXELS = {
    "resize": 40,
    "crop": 28,
    "mean": (0.4, 0.5, 0.5),
    "std": (0.5, 0.5, 0.4),
    "antialias": False,
    "resize_rule": "squash",
    "channels": "BGR",
    "divide_by": 1.0,
    "equalise": True,
    "decode": "fast",
}


def test_every_fact_of_a_backbone_is_in_its_key(tmp_path: Path):
    backbone = open_backbone(BackboneSpec(name="vit_mini"), engine="torch", progress=Silent())
    card, replace = backbone.card, dataclasses.replace
    int8 = replace(backbone.engine, precision="int8")
    bilinear = replace(card.preprocessing, interpolation="bilinear")  # without antialiasing there is only this
    pixels = [replace(bilinear, **{fact: value}) for fact, value in OTHER_PIXELS.items()]
    cards = [replace(card, **{fact: value}) for fact, value in OTHER_FACTS.items()]
    changed = [
        replace(backbone, digest="0" * 64),
        replace(backbone, engine=replace(backbone.engine, precision="bf16")),
        replace(backbone, engine=replace(backbone.engine, name="openvino")),
        replace(backbone, engine=replace(backbone.engine, version="0")),
        replace(backbone, engine=replace(backbone.engine, ranges="0")),
        *(replace(backbone, engine=replace(int8, **fact)) for fact in ({}, {"quantiser": "0"}, {"rest": "bf16"})),
        replace(backbone, card=replace(card, preprocessing=bilinear)),
        *(replace(backbone, card=other) for other in cards),
        *(replace(backbone, card=replace(card, preprocessing=other)) for other in pixels),
    ]
    keys = {open_features(tmp_path, _facts(variant)).key for variant in [backbone, *changed]}
    assert len(keys) == len(changed) + 1


def test_a_new_fact_of_a_card_is_in_its_key_or_listed_as_changing_no_feature():
    facts = {field.name for field in dataclasses.fields(Card)} - {"preprocessing"}
    assert facts == set(OTHER_FACTS) | NO_FEATURE
    assert {field.name for field in dataclasses.fields(Preprocessing)} - {"interpolation"} == set(OTHER_PIXELS)


SCRIPT = """
import sys
from pathlib import Path
from tests.features.test_pipeline import run
from vitrail.features import one_pass
one_pass.SHARD_ROWS = 8
run(Path(sys.argv[1]), Path(sys.argv[2]), "vit_mini")
"""


@pytest.mark.slow
def test_a_killed_pass_goes_on_where_it_was(tmp_path: Path, monkeypatch):
    data, cache = draw_folder(tmp_path / "data", per_class=400), tmp_path / "cache"
    undisturbed = run(data, tmp_path / "other", "vit_mini")
    for moment in (0.02, 0.15, 0.3):
        process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(data), str(cache)], cwd=Path(__file__).parents[2], env=os.environ.copy()
        )
        while process.poll() is None and not list(cache.glob("features/*/*.arrow")):
            time.sleep(0.02)
        time.sleep(moment)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert list(cache.glob("features/*/*.arrow"))
    resumed = run(data, cache, "vit_mini")
    np.testing.assert_array_equal(all_rows(resumed)[0], all_rows(undisturbed)[0])


def test_decoding_is_paid_for_once(tmp_path: Path):
    data, cache = draw_folder(tmp_path / "data", per_class=4), tmp_path / "cache"
    assert run(data, cache, "vit_mini").decode_s > 0
    assert run(data, cache, "vit_mini").decode_s == 0


class Tasks(Silent):
    """Remembers which tasks began and have not ended."""

    def __init__(self) -> None:
        self.open: set[str] = set()
        self.begun: list[str] = []

    def start(self, task: str, *, total: int | None, unit: str) -> None:
        self.open.add(task)
        self.begun.append(task)

    def done(self, task: str) -> None:
        self.open.remove(task)

    def stop(self, task: str) -> None:
        self.open.remove(task)


def test_a_shard_that_cannot_be_written_costs_no_row_of_the_other_backbone_and_ends_every_task(tmp_path, monkeypatch):
    dataset, tasks, seal = load(open_source(draw_folder(tmp_path / "data"))), Tasks(), FeatureSet.seal
    names = ("vit_mini", "resnet_mini")
    backbones = [open_backbone(BackboneSpec(name=name), engine="torch", progress=Silent()) for name in names]

    def refuse_the_first(stored: FeatureSet, *rows) -> None:
        if stored.facts["weights"] == backbones[0].digest:
            raise StoreError("the disk is full")
        seal(stored, *rows)

    monkeypatch.setattr(FeatureSet, "seal", refuse_the_first)
    with pytest.raises(StoreError, match="the disk is full"):
        extract(dataset, backbones, max_pixels=10**8, resources=Resources(cache=tmp_path, cores=2, progress=tasks))
    assert not tasks.open
    assert [len(open_features(tmp_path, _facts(backbone))) for backbone in backbones] == [0, 36]


def scaled_weights(path: Path, scale: float, *names: str) -> BackboneSpec:
    """vit_mini with some of its weights, or all, multiplied."""
    state = load_file(open_backbone(BackboneSpec(name="vit_mini"), progress=Silent()).file)
    save_file({name: state[name].float() * (scale if name in names or not names else 1) for name in state}, path)
    return BackboneSpec(name="vit_mini", file=path)


def extract_scaled(tmp_path: Path, spec: BackboneSpec) -> Extraction:
    backbone = open_backbone(spec, engine="torch", progress=Silent())
    resources = Resources(cache=tmp_path / "cache", cores=2)
    return extract(load(open_source(draw_folder(tmp_path / "data"))), [backbone], max_pixels=10**8, resources=resources)


def test_finite_weights_whose_numbers_overflow_give_no_features(tmp_path: Path):
    spec = scaled_weights(tmp_path / "w.safetensors", 1e30, "blocks.0.attn.qkv.weight")
    with pytest.raises(WeightsError, match=r"vit_mini \(engine torch, precision fp32\) are not finite for \d+ of"):
        extract_scaled(tmp_path, spec)
    assert not list((tmp_path / "cache").rglob("*.arrow"))


def test_features_that_are_the_same_for_all_images_are_refused(tmp_path: Path):
    with pytest.raises(WeightsError, match=r"vit_mini gives all 36 images the same features.*Check its weights"):
        extract_scaled(tmp_path, scaled_weights(tmp_path / "w.safetensors", 0.0))
