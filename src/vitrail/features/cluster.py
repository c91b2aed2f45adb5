"""Rows from the machines of a Ray cluster, in the feature store that all of them share.

    examples without a row ─► blocks ─► Ray Data ─► workers (cluster_worker.py: the same pass) ─► shards in the cache

A block says which examples are wanted and where they lie. The workers read the images themselves and write shards as
any process does, so rows and keys are those of one machine; only counts travel back. When a worker or its machine
dies, Ray gives its block to another one; examples that still have no row after all blocks are dealt out again, as long
as that brings new rows.

Letters: N rows.
"""

import logging
import queue
import shutil
import socket
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from vitrail.backbones import Backbone, EngineChoice, EngineRequest
from vitrail.core import errors
from vitrail.core.bounded import parse_json
from vitrail.core.errors import ClusterError, StoreError, UsageError
from vitrail.core.machine import Threads, expand_home, share_threads
from vitrail.core.progress import phase, running
from vitrail.core.resources import Resources
from vitrail.core.threads import start_thread
from vitrail.data import Dataset, find_named, is_hub_set, is_url
from vitrail.features.by_id import Missing, Paths
from vitrail.features.cluster_machines import (
    WorkerPlan,
    common_engines,
    describe_worker,
    inspect_nodes,
    job_environment,
    last_line,
    list_nodes,
    plan_workers,
    usable_nodes,
    worker_slots,
)
from vitrail.features.cluster_worker import BlockResult, Job, Worker, try_on_worker
from vitrail.features.engine_choice import KnownEngine
from vitrail.features.int8_ranges import list_range_images
from vitrail.features.one_pass import Extractor, find_missing

BLOCKS = 16  # for each worker, so that all end at about the same time
LEAST_ROWS, MOST_ROWS = 32, 2048  # of a block, which is the most that a dead worker loses
IN_FLIGHT = 2  # blocks at each worker, so that it need not wait for the next
PATIENCE_S = 60.0  # without any machine that could do the work, before giving up
POLL_S = 1.0
TRIAL_S = 1_800.0  # for a worker that tries engines: it may have to fetch weights first
CONNECT_S = 10.0  # for the head to answer, and for a thread to notice that it is disconnected
LISTENER = "ray-data"


class _FailedError(Exception):
    """Ray gave up; its cause says why."""


class Cluster:
    """The machines of a Ray cluster that can do a job."""

    def __init__(self, ray: Any, job: Job, engines: tuple[EngineChoice, ...], resources: Resources) -> None:
        self.engines = engines
        self._ray, self._job, self._cores, self._progress = ray, job, resources.cores, resources.progress
        plan = self._plan()
        self.threads: Threads = share_threads(plan.cpus)  # of one worker
        self._progress.note(f"The cluster has room for {plan.count} workers, each with {describe_worker(plan)}.")

    def try_engines(self, backbone: Backbone, choices: Sequence[EngineChoice]) -> KnownEngine:
        """The engine with which a worker runs a network fastest.

        Raises:
            ClusterError: no worker could try the engines.
        """
        plan = self._plan()
        answer = (
            self._ray.remote(try_on_worker)
            .options(num_cpus=plan.cpus, num_gpus=plan.gpus, runtime_env=job_environment())
            .remote(self._job, backbone, choices, plan.cpus)
        )
        try:
            known: KnownEngine | str = self._ray.get(answer, timeout=TRIAL_S)
        except self._ray.exceptions.RayError as error:
            raise ClusterError(
                f"No worker could try the engines for {backbone.name} ({last_line(error)}): run the same command "
                "again, or give --engine and --precision."
            ) from error
        if isinstance(known, str):
            raise ClusterError(known)
        return known

    def fill(
        self, extractors: Sequence[Extractor], paths: Paths, wanted_N: NDArray[np.bool_]
    ) -> tuple[dict[str, str], float]:
        """Compute every row that is missing, as `pipeline.fill` does on one machine.

        Raises:
            ClusterError: no machine is left, or no worker survives the images that are left.
        """
        rejected: dict[str, str] = {}
        decode_s = 0.0
        missing = find_missing(extractors, paths, wanted_N)
        with ExitStack() as tasks:
            tasks.enter_context(phase(self._progress, "features"))
            for extractor in extractors:
                total = missing.count(extractor)
                tasks.enter_context(running(self._progress, extractor.task, total=total, unit="images"))
            while missing:
                failure = None
                storages = [extractor.stored.storage for extractor in extractors]
                try:
                    for done in self._results(extractors, paths, missing):
                        rejected |= done.rejected
                        decode_s += done.decode_s
                except _FailedError as error:
                    failure = error.__cause__
                before, missing = len(missing), self._still_missing(extractors, paths, wanted_N, rejected)
                if len(missing) >= before and storages == [extractor.stored.storage for extractor in extractors]:
                    raise ClusterError(_explain(len(missing), failure)) from failure
                if missing:
                    self._progress.note(
                        f"{len(missing):,} images have no features yet; they are sent to the workers again."
                    )
        return rejected, decode_s

    def _still_missing(
        self, extractors: Sequence[Extractor], paths: Paths, wanted_N: NDArray[np.bool_], rejected: dict[str, str]
    ) -> Missing[Extractor]:
        for extractor in extractors:
            extractor.reopen(self._job.cache)
        return find_missing(extractors, paths, paths.less(wanted_N, rejected))

    def _results(
        self, extractors: Sequence[Extractor], paths: Paths, missing: Missing[Extractor]
    ) -> Iterator[BlockResult]:
        """The result of each block when it ends. A thread waits for Ray, because Ray's own wait has no time limit."""
        plan = self._plan()
        table = self._deal_out(extractors, paths, missing, plan)
        results: queue.SimpleQueue[BlockResult | Exception | None] = queue.SimpleQueue()
        start_thread(threading.Thread(target=_listen, args=(table, results), name=LISTENER, daemon=True))
        idle_s = 0.0
        while True:
            try:
                result = results.get(timeout=POLL_S)
            except queue.Empty:
                idle_s = 0.0 if self._count_slots(plan) else idle_s + POLL_S
                if idle_s >= PATIENCE_S:
                    raise ClusterError(
                        f"No machine with {describe_worker(plan)} for a worker is left in the cluster; "
                        f"{len(missing):,} "
                        "images had no features at the start of this round. What was computed is kept: run the same "
                        "command again when the cluster has such a machine, or without --cluster."
                    ) from None
                continue
            if result is None:
                return
            if isinstance(result, Exception):
                raise _FailedError from result
            if result.trouble:
                raise getattr(errors, result.kind)(result.trouble)
            for task, amount in result.advanced.items():
                self._progress.advance(task, amount)
            yield result

    def _deal_out(
        self, extractors: Sequence[Extractor], paths: Paths, missing: Missing[Extractor], plan: WorkerPlan
    ) -> Any:
        rows = len(missing)
        size = min(MOST_ROWS, max(LEAST_ROWS, -(-rows // (plan.count * BLOCKS))))
        blocks = [paths.table(missing.rows[start : start + size]) for start in range(0, rows, size)]
        workers = min(plan.count, len(blocks))
        data = self._ray.data
        return data.from_arrow(blocks).map_batches(
            Worker,
            fn_constructor_args=(
                self._job,
                [replace(extractor.backbone, read_range_images=None) for extractor in extractors],
                rows,
                plan.cpus,
            ),
            batch_size=size,
            batch_format="pyarrow",
            compute=data.ActorPoolStrategy(
                min_size=1, max_size=workers, initial_size=workers, max_tasks_in_flight_per_actor=IN_FLIGHT
            ),
            num_cpus=plan.cpus,
            num_gpus=plan.gpus,
            runtime_env=job_environment(),
        )

    def _plan(self) -> WorkerPlan:
        on_gpu = self.engines[0].device == "cuda"
        nodes = [node for node in list_nodes(self._ray) if node.cpus and (node.gpus or not on_gpu)]
        plan = plan_workers(nodes, self._cores, on_gpu=on_gpu)
        if plan.count == 0:
            most = max((node.cpus for node in nodes), default=0)
            raise ClusterError(
                f"No machine of the cluster has {describe_worker(plan)} for a worker (the largest has {most}): give "
                "fewer --threads, or add machines."
            )
        return plan

    def _count_slots(self, plan: WorkerPlan) -> int:
        return sum(worker_slots(node, plan) for node in list_nodes(self._ray))


@contextmanager
def join(
    address: str,
    dataset: Dataset,
    train: Sequence[str],
    *,
    data: str | Path | None,
    request: EngineRequest,
    max_pixels: int,
    resources: Resources,
) -> Iterator[Cluster]:
    """Connect to a cluster, check that its machines can do the work, and disconnect afterwards.

    An existing connection stays open.

    Args:
        address: "auto" for the cluster that this machine is part of, or host:port of its head.
        dataset: the examples.
        train: ids of the train split, from which int8 takes its ranges.
        data: where the examples are read; all machines must see it.
        request: the engines and precisions that may be used, if all machines have them.
        max_pixels: larger images are set aside.
        resources: its cache must be seen by all machines. Its cores are the cores of one worker; None means as many as
            the smallest machine has.

    Yields:
        Cluster: the machines.

    Raises:
        UsageError: Ray is not installed, or the machines would not run the same engine.
        ClusterError: the cluster does not exist, or a machine cannot reach the data or the cache.
    """
    ray = _import_ray()
    wanted = pa.array(list_range_images(train), pa.string())
    job = Job(
        folder=resources.cache.absolute() / f".cluster-{uuid.uuid4().hex}",
        data=_seen_by_all(data),
        cache=resources.cache.absolute(),
        data_dir=None if resources.data_dir is None else resources.data_dir.absolute(),
        max_pixels=max_pixels,
        batch=resources.batch,
        offline=resources.offline,
        range_images=dataset.table.filter(pc.is_in(dataset.table["id"], value_set=wanted)),
    )
    connected_before = ray.is_initialized()
    try:
        if not connected_before:
            _connect(ray, address)
        _make(job.folder)
        nodes = usable_nodes(list_nodes(ray), request.engine)
        reports = inspect_nodes(ray, nodes, job, dataset, request)
        yield Cluster(ray, job, common_engines(reports, resources.progress), resources)
    finally:
        if not connected_before:
            _leave(ray)
        shutil.rmtree(job.folder, ignore_errors=True)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise StoreError(
            f"{folder} cannot be created ({error.strerror}): set VITRAIL_CACHE to another folder."
        ) from error


def _import_ray() -> Any:
    if find_spec("ray") is None:
        raise UsageError("A cluster needs Ray, which is not installed: pip install 'vitrail[cluster]'.")
    import ray
    import ray.data

    return ray


def _connect(ray: Any, address: str) -> None:
    try:
        if address != "auto":  # Ray itself would try for minutes, and fill the terminal
            host, _, port = address.rpartition(":")
            socket.create_connection((host, int(port)), timeout=CONNECT_S).close()
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, RuntimeError, ValueError) as error:  # ConnectionError is an OSError
        reason = str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else type(error).__name__
        raise ClusterError(
            f"There is no Ray cluster at {address} ({reason}): start one with `ray start --head`, and give --cluster "
            "host:port of its head, or auto on one of its machines."
        ) from error
    ray._private.worker._worker_logs_enabled = False  # what machines report would go to stdout, where results belong
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # Vitrail reports what matters in its own words


def _leave(ray: Any) -> None:
    """Disconnect. The listener thread would reconnect, and Ray has no public option to prevent that."""
    hook = ray._private.auto_init_hook
    before, hook.enable_auto_connect = hook.enable_auto_connect, False
    try:
        ray.shutdown()
        for thread in threading.enumerate():
            if thread.name == LISTENER:
                thread.join(CONNECT_S)
    finally:
        hook.enable_auto_connect = before
        ray._private.worker._worker_logs_enabled = True


def _seen_by_all(data: str | Path | None) -> str | None:
    """The name, path or URL of the data as a machine with another working folder needs it."""
    if data is None or is_url(str(data)) or is_hub_set(data):
        return None if data is None else str(data)
    if (named := find_named(data)) is not None:
        return str(named)
    return str(expand_home(data).absolute())


def _listen(table: Any, results: "queue.SimpleQueue[BlockResult | Exception | None]") -> None:
    try:
        for batch in table.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
            for row in batch["done"].to_pylist():
                results.put(BlockResult(**parse_json(row)))
        results.put(None)
    except Exception as error:  # noqa: BLE001 - raised again by who waits
        results.put(error)


def _explain(missing: int, failure: BaseException | None) -> str:
    why = last_line(failure) if failure else "they returned no features"
    return (
        f"The cluster's workers cannot compute the features of {missing:,} images ({why}). What was computed is kept: "
        "run the same command again, or without --cluster to see what is wrong with these images."
    )
