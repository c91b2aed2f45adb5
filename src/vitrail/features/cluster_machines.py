"""The machines of a Ray cluster: what they have, how many workers each gets, whether it can do the work."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any

from vitrail.backbones import EngineChoice, EngineRequest
from vitrail.core.errors import ClusterError, UsageError
from vitrail.core.machine import cache_root
from vitrail.core.progress import Progress
from vitrail.data import Dataset
from vitrail.features.cluster_worker import Job, Surroundings, look_around

CHECK_S = 120.0  # a machine that does not answer for so long is busy with others' work


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """A machine of the cluster; `id` is Ray's."""

    id: str
    address: str
    cpus: int
    gpus: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Crew:
    """How workers are dealt out: `count` of them, each with so many cores, and with a GPU or none."""

    count: int
    cpus: int
    gpus: int


def list_nodes(ray: Any) -> list[Node]:
    """The machines that are there now."""
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


def fit(nodes: Sequence[Node], engine: str) -> list[Node]:
    """Those with a GPU where there are any and the engine has a use for it, else all that have a core to give."""
    with_gpu = [node for node in nodes if node.gpus and node.cpus]
    return with_gpu if with_gpu and engine != "openvino" else [node for node in nodes if node.cpus]


def shape(nodes: Sequence[Node], threads: int | None, *, on_gpu: bool) -> Crew:
    """One worker a GPU, or as many as the cores of a machine allow.

    Args:
        nodes: where they may be.
        threads: cores of one worker; those of the smallest machine, or its share of a GPU's machine, where None.
        on_gpu: whether each needs a GPU.

    Returns:
        How many there is room for, and what each has.
    """
    cores = [node.cpus // node.gpus if on_gpu else node.cpus for node in nodes]
    crew = Crew(count=0, cpus=threads or max(1, min(cores, default=1)), gpus=int(on_gpu))
    return replace(crew, count=sum(room(node, crew) for node in nodes))


def room(node: Node, crew: Crew) -> int:
    """How many of such workers a machine can have."""
    return min(node.cpus // crew.cpus, node.gpus if crew.gpus else node.cpus)


def has(crew: Crew) -> str:
    """What each worker has, in words."""
    cores = f"{crew.cpus} core{'s' * (crew.cpus > 1)}"
    return f"{cores} and a GPU" if crew.gpus else cores


def look(
    ray: Any, nodes: Sequence[Node], job: Job, dataset: Dataset, request: EngineRequest
) -> dict[str, Surroundings]:
    """What each machine has, by its address; raises ClusterError for one that cannot do the work."""
    if not nodes:
        raise ClusterError("No machine of the cluster has a core to give: wait until it has grown.")
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    first = dataset.table.slice(0, 1)
    asked = [
        ray.remote(look_around)
        .options(
            num_cpus=0,
            num_gpus=int(node.gpus > 0 and request.engine != "openvino"),
            max_retries=0,
            runtime_env=environment(job),
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
    found = {}
    for node, answer in zip(nodes, asked, strict=True):
        try:
            said = ray.get(answer, timeout=CHECK_S)
        except ray.exceptions.GetTimeoutError as error:
            raise ClusterError(
                f"The machine {node.address} did not answer in {CHECK_S:g} s: it is busy with other work."
            ) from error
        except ray.exceptions.TaskUnschedulableError as error:
            raise ClusterError(f"The machine {node.address} has left the cluster: run the command again.") from error
        except ray.exceptions.RayError as error:
            raise ClusterError(
                f"The machine {node.address} cannot run Vitrail ({last_line(error)}): install the same version "
                "of it, with the same extras, on every machine."
            ) from error
        if isinstance(said, str):
            raise ClusterError(said)
        found[f"{node.address} ({node.id[:8]})"] = said
    return found


def require_alike(found: dict[str, Surroundings], progress: Progress) -> None:
    """One engine for all, since a key holds it; processors of several kinds are worth a note."""
    engines = {said.engine: where for where, said in found.items()}
    if len(engines) > 1:
        kinds = "; ".join(f"{where} {_in_words(engine)}" for engine, where in engines.items())
        raise UsageError(
            f"The machines of the cluster would not compute the same features ({kinds}): give --engine and "
            "--precision that all of them have, and the same versions."
        )
    processors = Counter(said.processor for said in found.values())
    if len(processors) > 1:
        progress.note(
            f"The cluster has {len(processors)} kinds of processors ({', '.join(sorted(processors))}): features may "
            "differ in their last bits by where they were computed."
        )


def _in_words(engine: EngineChoice) -> str:
    by = f" by {engine.quantiser}, the rest in {engine.rest}" if engine.precision == "int8" else ""
    return f"{engine.name} {engine.version} {engine.precision}{by} on {engine.device}"


def environment(job: Job) -> dict[str, dict[str, str]]:
    """What Ray sets around every process of the job."""
    return {"env_vars": {"VITRAIL_CACHE": str(cache_root().absolute())}}


def last_line(error: BaseException) -> str:
    """Where Ray says what happened, after pages that say where."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:300].rstrip(".")
