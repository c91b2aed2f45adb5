"""A real Ray cluster on this machine: a head without cores, and machines with one core each, which tests kill."""

import sys
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from tests.data.pictures import photograph
from tests.pictures import draw_folder
from vitrail.backbones import BackboneSpec, EngineRequest, open_backbone
from vitrail.benchmark import bench
from vitrail.candidates.options import BenchOptions
from vitrail.core.errors import ClusterError, UsageError
from vitrail.core.progress import Silent
from vitrail.core.resources import Resources
from vitrail.data import Dataset, load, open_source
from vitrail.features import Extraction, cluster, extract
from vitrail.features.cluster import join
from vitrail.search import TuneOptions

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.data.context"),  # of its own settings, as it makes them
]

NAMES = ("vit_mini", "resnet_mini")
PULSE = {"health_check_period_ms": 500, "health_check_timeout_ms": 1000, "health_check_failure_threshold": 3}
NODE = {"node_ip_address": "127.0.0.1", "object_store_memory": 80 << 20}


class Machines:
    """Machines that come and go."""

    def __init__(self, ray_cluster) -> None:
        self._cluster = ray_cluster
        self.address = ray_cluster.address
        self.alive = []

    def want(self, count: int) -> None:
        while len(self.alive) > count:
            self.kill()
        while len(self.alive) < count:
            self.alive.append(self._cluster.add_node(num_cpus=1, **NODE))
        self._cluster.wait_for_nodes()

    def kill(self) -> None:
        """As a machine goes whose power fails."""
        self._cluster.remove_node(self.alive.pop(), allow_graceful=False)


@pytest.fixture(scope="module")
def machines() -> Iterator[Machines]:
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setattr("ray._private.ray_constants.ENABLE_RAY_CLUSTER", False)  # all on 127.0.0.1, as Ray does on macOS
        head = {"num_cpus": 0, "include_dashboard": False, "_system_config": PULSE, **NODE}
        found = Cluster(initialize_head=True, head_node_args=head)
        try:
            yield Machines(found)
        finally:
            found.shutdown()


class Watching(Silent):
    """Progress that does something once, when so many images are done, and keeps what it is told."""

    def __init__(self, images: int = sys.maxsize, then: Callable[[], None] = lambda: None) -> None:
        self.images, self.then, self.done_so_far, self.notes = images, then, 0, []

    def advance(self, task: str, amount: int = 1) -> None:
        self.done_so_far += amount
        if self.done_so_far >= self.images:
            self.images = sys.maxsize
            self.then()

    def note(self, message: str) -> None:
        self.notes.append(message)


def everywhere(data: Path, cache: Path, address: str, progress: Watching) -> Extraction:
    dataset = load(open_source(data))
    with join(
        address,
        dataset,
        (),
        data=data,
        request=EngineRequest(),
        max_pixels=10**8,
        resources=Resources(cache=cache, offline=True, progress=progress),
    ) as found:
        return here(dataset, cache, fill_rows=found.fill)


def here(dataset: Dataset, cache: Path, *, engine: str = "auto", **more) -> Extraction:
    specs = [BackboneSpec(name=name) for name in NAMES]
    backbones = [open_backbone(spec, engine=engine, offline=True, progress=Silent()) for spec in specs]
    return extract(dataset, backbones, max_pixels=10**8, resources=Resources(cache=cache, cores=1), **more)


def digests(extraction: Extraction) -> list[tuple[str, str]]:
    """For each backbone its key, and a digest of every example with its row."""
    found = []
    for features in extraction.features:
        ids = sorted(features.stored.ids())
        rows = b"".join(example.encode() + row.tobytes() for example, row in zip(ids, features.rows(ids), strict=True))
        found.append((features.key, sha256(rows).hexdigest()))
    return found


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """360 pictures, one of which is cut short."""
    root = draw_folder(tmp_path_factory.mktemp("shared") / "data", per_class=120)
    cut = root / "red" / "000-0.png"
    cut.write_bytes(cut.read_bytes()[:-800])
    return root


@pytest.fixture(scope="module")
def alone(data: Path, tmp_path_factory) -> Extraction:
    """What this machine alone makes of them."""
    return here(load(open_source(data)), tmp_path_factory.mktemp("alone"))


def test_a_machine_killed_in_the_middle_changes_no_row(data, alone, machines, tmp_path):
    machines.want(2)
    progress = Watching(200, then=machines.kill)
    spread = everywhere(data, tmp_path, machines.address, progress)
    assert len(machines.alive) == 1
    assert digests(spread) == digests(alone)
    assert spread.set_aside == alone.set_aside
    assert [features.cost.computed for features in spread.features] == [359, 359]
    assert progress.notes[0] == "The cluster has room for 2 workers, each with 1 core."


def test_the_digests_would_tell_rows_of_another_engine(data, alone, tmp_path):
    other = here(load(open_source(data)), tmp_path, engine="torch")
    assert all(one[1] != two[1] for one, two in zip(digests(other), digests(alone), strict=True))


@pytest.mark.filterwarnings("ignore:Exception in thread StreamingExecutor")  # Ray's, which ends as it is disconnected
def test_a_cluster_without_machines_left_is_an_error_and_nothing_is_lost(data, alone, machines, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "PATIENCE_S", 2.0)
    machines.want(1)
    progress = Watching(200, then=lambda: [machines.kill() for _ in machines.alive[:]])
    with pytest.raises(ClusterError, match=r"No machine with 1 core for a worker is left in the cluster.* is kept"):
        everywhere(data, tmp_path, machines.address, progress)
    finished = here(load(open_source(data)), tmp_path)
    assert all(0 < features.cost.computed < 359 for features in finished.features)
    assert digests(finished) == digests(alone)


def test_a_benchmark_decides_as_on_one_machine(machines, tmp_path, monkeypatch):
    data, found = draw_folder(tmp_path / "data"), []
    machines.want(1)
    for name, address in (("alone", None), ("cluster", machines.address)):
        monkeypatch.setenv("VITRAIL_CACHE", str(tmp_path / f"cache-{name}"))
        options = BenchOptions(search=TuneOptions(trials=1))
        resources = Resources(offline=True)
        run = bench(data, ["vit_mini"], out=tmp_path / name, options=options, resources=resources, cluster=address)
        one = run.results.backbones[0]
        found.append((run.results.decision, run.results.split, one.test, one.per_class, one.parity, one.feature_key))
        assert one.cost.cached == 0
    assert found[0] == found[1]


def test_a_worker_tries_the_engines_and_its_choice_holds_on_every_machine(machines, tmp_path, monkeypatch):
    monkeypatch.setattr("vitrail.features.engine_choice.PAYS_FROM", 1)
    monkeypatch.setenv("VITRAIL_CACHE", str(tmp_path / "cache"))
    data, found = draw_folder(tmp_path / "data"), []
    machines.want(1)
    for name, address in (("cluster", machines.address), ("alone", None)):
        options = BenchOptions(search=TuneOptions(trials=1))
        resources = Resources(offline=True)
        run = bench(data, ["vit_mini"], out=tmp_path / name, options=options, resources=resources, cluster=address)
        found.append(run.results.backbones[0])
    assert [one.cost.cached for one in found] == [0, 1]
    assert found[0].trial == found[1].trial
    assert found[0].trial is not None
    assert found[0].trial.threads == 1  # of a worker


def test_a_cluster_reduces_large_images_as_one_machine_does(machines, tmp_path, monkeypatch):
    data, found = draw_folder(tmp_path / "data"), []
    for number, label in enumerate(("blue", "green", "red")):
        photograph(number, (320, 256)).save(data / label / "large.jpg", quality=95)
    machines.want(1)
    for name, address in (("alone", None), ("cluster", machines.address)):
        monkeypatch.setenv("VITRAIL_CACHE", str(tmp_path / f"cache-{name}"))
        options = BenchOptions(search=TuneOptions(kinds=("ridge",), splits=0), decode="fast")
        resources = Resources(offline=True)
        run = bench(data, ["vit_mini"], out=tmp_path / name, options=options, resources=resources, cluster=address)
        one = run.results.backbones[0]
        assert one.card.preprocessing.decode == "fast"
        assert (one.decoding.large, one.decoding.images) == (3, 3)
        found.append((one.test, one.decoding, one.feature_key))
    assert found[0] == found[1]


def test_a_cluster_without_machines_or_without_the_data_gives_a_sentence(data, machines, tmp_path):
    machines.want(0)
    with pytest.raises(ClusterError, match="No machine of the cluster has a free core"):
        everywhere(data, tmp_path, machines.address, Watching())
    machines.want(1)
    dataset = load(open_source(data))
    with (
        pytest.raises(ClusterError, match=r"cannot read the images of .*/elsewhere"),
        join(
            machines.address,
            dataset,
            (),
            data=tmp_path / "elsewhere",
            request=EngineRequest(),
            max_pixels=10**8,
            resources=Resources(cache=tmp_path, offline=True),
        ),
    ):
        pass
    assert not list(tmp_path.glob(".cluster-*"))


def test_an_address_where_nobody_answers_is_no_cluster(data, tmp_path):
    pytest.importorskip("ray")
    for address in ("127.0.0.1:9", "nowhere"):
        with pytest.raises(ClusterError, match=f"There is no Ray cluster at {address} .* auto on one of its machines"):
            everywhere(data, tmp_path, address, Watching())


def test_without_ray_the_extra_is_named(data, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match=r"pip install 'vitrail\[cluster\]'"):
        everywhere(data, tmp_path, "auto", Watching())
