"""The machines of a Ray cluster: what each has, how many workers it runs, whether it can do the work."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any

from vitrail.backbones import EngineChoice, EngineRequest
from vitrail.core.errors import ClusterError, UsageError
from vitrail.core.machine import cache_root
from vitrail.core.progress import Progress
from vitrail.data import Dataset
from vitrail.features.cluster_worker import Job, MachineReport, inspect_machine

CHECK_S = 120.0  # a machine that does not answer for so long is busy with other work


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """A machine of the cluster; `id` is Ray's."""

    id: str
    address: str
    cpus: int
    gpus: int


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerPlan:
    """How many workers run, and how many cores and GPUs each has."""

    count: int
    cpus: int
    gpus: int


def list_nodes(ray: Any) -> list[Node]:
    """The machines that are alive now."""
    return [
        Node(
            id=node["NodeID"],
            address=node["NodeManagerAddress"],
            cpus=int(node["Resources"].get("CPU", 0)),
            gpus=int(node["Resources"].get("GPU", 0)),
        )
        for node in ray.nodes()
        if node["Alive"]
    ]


def usable_nodes(nodes: Sequence[Node], engine: str) -> list[Node]:
    """The machines with a GPU if there are any and the engine can use it, otherwise all with a core."""
    with_gpu = [node for node in nodes if node.gpus and node.cpus]
    return with_gpu if with_gpu and engine != "openvino" else [node for node in nodes if node.cpus]


def plan_workers(nodes: Sequence[Node], threads: int | None, *, on_gpu: bool) -> WorkerPlan:
    """One worker for each GPU, or as many as the cores of a machine allow.

    Args:
        nodes: where they may run.
        threads: cores of one worker; None for those of the smallest machine, divided by its GPUs.
        on_gpu: whether each needs a GPU.
    """
    cores = [node.cpus // node.gpus if on_gpu else node.cpus for node in nodes]
    plan = WorkerPlan(count=0, cpus=threads or max(1, min(cores, default=1)), gpus=int(on_gpu))
    return replace(plan, count=sum(worker_slots(node, plan) for node in nodes))


def worker_slots(node: Node, plan: WorkerPlan) -> int:
    """How many such workers a machine can run."""
    return min(node.cpus // plan.cpus, node.gpus if plan.gpus else node.cpus)


def describe_worker(plan: WorkerPlan) -> str:
    """What each worker has, in words."""
    cores = f"{plan.cpus} core{'s' * (plan.cpus > 1)}"
    return f"{cores} and a GPU" if plan.gpus else cores


def inspect_nodes(
    ray: Any, nodes: Sequence[Node], job: Job, dataset: Dataset, request: EngineRequest
) -> dict[str, MachineReport]:
    """What each machine has, by its address.

    Raises:
        ClusterError: a machine cannot do the work.
    """
    if not nodes:
        raise ClusterError("No machine of the cluster has a free core: add machines, or try again later.")
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    first = dataset.table.slice(0, 1)
    answers = [
        ray.remote(inspect_machine)
        .options(
            num_cpus=0,
            num_gpus=int(node.gpus > 0 and request.engine != "openvino"),
            max_retries=0,
            runtime_env=job_environment(),
            scheduling_strategy=NodeAffinitySchedulingStrategy(node.id, soft=False),
        )
        .remote(
            job,
            example=first["id"][0].as_py(),
            path=first["paths"][0][0].as_py(),
            request=request,
            vitrail=version("vitrail"),
        )
        for node in nodes
    ]
    reports = {}
    for node, answer in zip(nodes, answers, strict=True):
        try:
            report = ray.get(answer, timeout=CHECK_S)
        except ray.exceptions.GetTimeoutError as error:
            raise ClusterError(
                f"The machine {node.address} did not answer in {CHECK_S:g} s: it may be busy: try again later."
            ) from error
        except ray.exceptions.TaskUnschedulableError as error:
            raise ClusterError(f"The machine {node.address} has left the cluster: run the command again.") from error
        except ray.exceptions.RayError as error:
            raise ClusterError(
                f"The machine {node.address} cannot run Vitrail ({last_line(error)}): install the same version "
                "and the same extras of Vitrail on every machine."
            ) from error
        if isinstance(report, str):
            raise ClusterError(report)
        reports[f"{node.address} ({node.id[:8]})"] = report
    return reports


def common_engines(reports: Mapping[str, MachineReport], progress: Progress) -> tuple[EngineChoice, ...]:
    """The engines that all machines have, in the order of the first machine; notes kinds of processors.

    Raises:
        UsageError: they have none in common.
    """
    first, *others = (report.engines for report in reports.values())
    common = tuple(engine for engine in first if all(engine in engines for engines in others))
    if not common:
        kinds = "; ".join(f"{where} {_in_words(report.engines[0])}" for where, report in reports.items())
        raise UsageError(
            f"The machines of the cluster would not compute the same features ({kinds}): give an --engine and "
            "--precision that all of them have, and install the same versions."
        )
    processors = Counter(report.processor for report in reports.values())
    if len(processors) > 1:
        progress.note(
            f"The cluster has {len(processors)} kinds of processors ({', '.join(sorted(processors))}): features from "
            "different kinds may differ in their last bits."
        )
    return common


def _in_words(engine: EngineChoice) -> str:
    by = f" by {engine.quantiser}, the rest in {engine.rest}" if engine.precision == "int8" else ""
    return f"{engine.name} {engine.version} {engine.precision}{by} on {engine.device}"


def job_environment() -> dict[str, dict[str, str]]:
    """The environment that Ray gives every process of the job."""
    return {"env_vars": {"VITRAIL_CACHE": str(cache_root().absolute())}}


def last_line(error: BaseException) -> str:
    """The line in which Ray says what happened, after pages of where."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:300].rstrip(".")
