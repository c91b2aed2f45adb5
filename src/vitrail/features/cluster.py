"""Rows from the machines of a Ray cluster, in the feature store that all of them share.

    examples without a row ─► blocks ─► Ray Data ─► workers (cluster_worker.py: the same pass) ─► shards in the cache

A block says which examples are wanted and where they lie. The workers read the images themselves and write shards as
any process does, so rows and keys are those of one machine; counts alone travel back. When a worker or its machine
dies, Ray gives its block to another one; what still lacks a row after all blocks is dealt out again, as long as that
brings any.

Letters: N rows.
"""

import json
import logging
import queue
import shutil
import socket
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from vitrail.backbones import EngineChoice, EngineRequest
from vitrail.core import errors
from vitrail.core.errors import ClusterError, StoreError, UsageError
from vitrail.core.machine import Threads, share_threads
from vitrail.core.resources import Resources
from vitrail.data import Dataset, is_url
from vitrail.features.by_id import Missing, Paths
from vitrail.features.cluster_machines import (
    Crew,
    environment,
    fit,
    has,
    last_line,
    list_nodes,
    look,
    require_alike,
    room,
    shape,
)
from vitrail.features.cluster_worker import Done, Job, Worker
from vitrail.features.int8_ranges import list_range_images
from vitrail.features.one_pass import Lane

BLOCKS = 16  # a worker, so that the last ones end together
LEAST_ROWS, MOST_ROWS = 32, 2048  # a block, which is what a dead worker loses at most
IN_FLIGHT = 2  # blocks at a worker, so that none waits for the next
PATIENCE_S = 60.0  # without any machine that could do the work, before it is given up
LOOK_S = 1.0
REACH_S = 10.0  # for the head to answer, and for a thread to notice that it is disconnected
LISTENER = "ray-data"


class _FailedError(Exception):
    """Ray gave up; its cause says why."""


class Cluster:
    """Machines that have been found fit for a job."""

    def __init__(self, ray: Any, job: Job, engine: EngineChoice, resources: Resources) -> None:
        self.engine = engine
        self._ray, self._job, self._threads, self._progress = ray, job, resources.cores, resources.progress
        crew = self._crew()
        self.threads: Threads = share_threads(crew.cpus)  # of one worker
        self._progress.note(f"The cluster has room for {crew.count} workers, each with {has(crew)}.")

    def fill(self, lanes: Sequence[Lane], paths: Paths, wanted_N: NDArray[np.bool_]) -> tuple[dict[str, str], float]:
        """Compute every row that is missing, as `pipeline.fill` does on one machine.

        Args:
            lanes: one a backbone; they have the rows in the end.
            paths: the examples.
            wanted_N: which of them.

        Returns:
            Why some cannot be read, and the CPU time of decoding in seconds.

        Raises:
            ClusterError: nobody is left to do the work, or every try to do it ends a worker.
        """
        rejected: dict[str, str] = {}
        decode_s = 0.0
        missing = _missing(lanes, paths, wanted_N)
        for lane in lanes:
            self._progress.start(lane.task, total=missing.count(lane), unit="images")
        try:
            while missing:
                failure = None
                storages = [lane.stored.storage for lane in lanes]
                try:
                    for done in self._results(lanes, paths, missing):
                        rejected |= done.rejected
                        decode_s += done.decode_s
                except _FailedError as error:
                    failure = error.__cause__
                before, missing = len(missing), self._left(lanes, paths, wanted_N, rejected)
                if len(missing) >= before and storages == [lane.stored.storage for lane in lanes]:
                    raise ClusterError(_given_up(len(missing), failure)) from failure
                if missing:
                    self._progress.note(f"{len(missing):,} images have no row yet; they are dealt out again.")
        finally:
            for lane in lanes:
                self._progress.done(lane.task)
        return rejected, decode_s

    def _left(
        self, lanes: Sequence[Lane], paths: Paths, wanted_N: NDArray[np.bool_], rejected: dict[str, str]
    ) -> Missing[Lane]:
        for lane in lanes:
            lane.reopen(self._job.cache)
        return _missing(lanes, paths, paths.less(wanted_N, rejected))

    def _results(self, lanes: Sequence[Lane], paths: Paths, missing: Missing[Lane]) -> Iterator[Done]:
        """What became of each block, as they end; a thread of its own waits for Ray, which never says that it waits."""
        crew = self._crew()
        table = self._spread(lanes, paths, missing, crew)
        told: queue.SimpleQueue[Done | Exception | None] = queue.SimpleQueue()
        threading.Thread(target=_listen, args=(table, told), name=LISTENER, daemon=True).start()
        alone_s = 0.0
        while True:
            try:
                said = told.get(timeout=LOOK_S)
            except queue.Empty:
                alone_s = 0.0 if self._places(crew) else alone_s + LOOK_S
                if alone_s >= PATIENCE_S:
                    raise ClusterError(
                        f"No machine is left in the cluster with {has(crew)} for a worker; {len(missing):,} images "
                        "had no row when it began. What was computed is kept: run the same command again when there "
                        "is one, or without --cluster."
                    ) from None
                continue
            if said is None:
                return
            if isinstance(said, Exception):
                raise _FailedError from said
            if said.trouble:
                raise getattr(errors, said.kind)(said.trouble)
            for task, amount in said.advanced.items():
                self._progress.advance(task, amount)
            yield said

    def _spread(self, lanes: Sequence[Lane], paths: Paths, missing: Missing[Lane], crew: Crew) -> Any:
        rows = len(missing)
        size = min(MOST_ROWS, max(LEAST_ROWS, -(-rows // (crew.count * BLOCKS))))
        blocks = [paths.table(missing.rows[start : start + size]) for start in range(0, rows, size)]
        workers = min(crew.count, len(blocks))
        data = self._ray.data
        return data.from_arrow(blocks).map_batches(
            Worker,
            fn_constructor_args=(
                self._job,
                [replace(lane.backbone, read_range_images=None) for lane in lanes],
                rows,
                crew.cpus,
            ),
            batch_size=size,
            batch_format="pyarrow",
            compute=data.ActorPoolStrategy(
                min_size=1, max_size=workers, initial_size=workers, max_tasks_in_flight_per_actor=IN_FLIGHT
            ),
            num_cpus=crew.cpus,
            num_gpus=crew.gpus,
            runtime_env=environment(self._job),
        )

    def _crew(self) -> Crew:
        on_gpu = self.engine.device == "cuda"
        nodes = [node for node in list_nodes(self._ray) if node.cpus and (node.gpus or not on_gpu)]
        crew = shape(nodes, self._threads, on_gpu=on_gpu)
        if crew.count == 0:
            most = max((node.cpus for node in nodes), default=0)
            raise ClusterError(
                f"No machine of the cluster has {has(crew)} for a worker (the largest has {most}): give fewer "
                "--threads, or wait until the cluster has grown."
            )
        return crew

    def _places(self, crew: Crew) -> int:
        return sum(room(node, crew) for node in list_nodes(self._ray))


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
    """Connect to a cluster and see whether its machines can do the work; what this process connected, it leaves again.

    UsageError where Ray is not installed or the machines differ in what would run, ClusterError where there is no such
    cluster or a machine sees neither data nor cache.

    Args:
        address: "auto" for the cluster that this machine is part of, or host:port of its head.
        dataset: the examples.
        train: ids of the train split, from which int8 takes its ranges.
        data: where the examples come from; all machines must see it.
        request: the engine and precision; "auto" is settled by what the machines have.
        max_pixels: larger images are set aside.
        resources: with the cache, which all machines must see. Its cores are those of one worker; where None, a worker
            has those of the smallest machine.

    Yields:
        Cluster: the machines.
    """
    ray = _import_ray()
    wanted = pa.array(list_range_images(train), pa.string())
    job = Job(
        folder=resources.cache.absolute() / f".cluster-{uuid.uuid4().hex}",
        data=_seen_by_all(data),
        cache=resources.cache.absolute(),
        max_pixels=max_pixels,
        batch=resources.batch,
        offline=resources.offline,
        range_images=dataset.table.filter(pc.is_in(dataset.table["id"], value_set=wanted)),
    )
    ours = not ray.is_initialized()
    try:
        if ours:
            _connect(ray, address)
        _make(job.folder)
        nodes = fit(list_nodes(ray), request.engine)
        found = look(ray, nodes, job, dataset, request)
        require_alike(found, resources.progress)
        yield Cluster(ray, job, next(iter(found.values())).engine, resources)
    finally:
        if ours:
            _leave(ray)
        shutil.rmtree(job.folder, ignore_errors=True)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise StoreError(f"{folder} cannot be made ({error.strerror}): set VITRAIL_CACHE to another folder.") from error


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
            socket.create_connection((host, int(port)), timeout=REACH_S).close()
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
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # what matters of it is said in a sentence


def _leave(ray: Any) -> None:
    """Disconnect. A listener that was given up would connect again by itself, for which there is no public switch."""
    hook = ray._private.auto_init_hook
    before, hook.enable_auto_connect = hook.enable_auto_connect, False
    try:
        ray.shutdown()
        for thread in threading.enumerate():
            if thread.name == LISTENER:
                thread.join(REACH_S)
    finally:
        hook.enable_auto_connect = before
        ray._private.worker._worker_logs_enabled = True


def _seen_by_all(data: str | Path | None) -> str | None:
    """Data as another machine, with another working folder, is told of it."""
    if data is None or is_url(str(data)):
        return None if data is None else str(data)
    return str(Path(data).expanduser().absolute())


def _missing(lanes: Sequence[Lane], paths: Paths, wanted_N: NDArray[np.bool_]) -> Missing[Lane]:
    return Missing(paths, lanes, [wanted_N & ~lane.stored.has(paths.ids) for lane in lanes])


def _listen(table: Any, told: "queue.SimpleQueue[Done | Exception | None]") -> None:
    try:
        for batch in table.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
            for row in batch["done"].to_pylist():
                told.put(Done(**json.loads(row)))
        told.put(None)
    except Exception as error:  # noqa: BLE001 - raised again by who waits
        told.put(error)


def _given_up(missing: int, failure: BaseException | None) -> str:
    why = last_line(failure) if failure else "no row came of it"
    return (
        f"The cluster's workers cannot compute the features of {missing:,} images ({why}). What was computed is kept: "
        "run the same command again, or without --cluster to see what is wrong with them."
    )
