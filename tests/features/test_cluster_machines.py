from dataclasses import replace

import pytest

from vitrail.backbones import EngineChoice
from vitrail.core.errors import UsageError
from vitrail.core.progress import Silent
from vitrail.features.cluster_machines import Node, WorkerPlan, common_engines, plan_workers, usable_nodes
from vitrail.features.cluster_worker import MachineReport

OPENVINO = EngineChoice(name="openvino", precision="bf16", version="2026.4.1")
PLAIN = EngineChoice(name="torch", precision="fp32", version="2.13.0")


def node(cpus: int, gpus: int = 0) -> Node:
    return Node(id=f"{cpus}-{gpus}", address="127.0.0.1", cpus=cpus, gpus=gpus)


@pytest.mark.parametrize(
    ("nodes", "threads", "plan"),
    [
        ([node(8), node(8)], None, WorkerPlan(count=2, cpus=8, gpus=0)),
        ([node(64), node(8)], None, WorkerPlan(count=9, cpus=8, gpus=0)),
        ([node(64), node(8)], 16, WorkerPlan(count=4, cpus=16, gpus=0)),
        ([node(8)], 16, WorkerPlan(count=0, cpus=16, gpus=0)),
        ([node(32, gpus=4)], None, WorkerPlan(count=4, cpus=8, gpus=1)),
        ([node(32, gpus=4)], None, WorkerPlan(count=1, cpus=32, gpus=0)),
        ([node(2, gpus=4)], None, WorkerPlan(count=2, cpus=1, gpus=1)),
        ([], None, WorkerPlan(count=0, cpus=1, gpus=0)),
    ],
)
def test_workers_are_dealt_out_by_cores_or_by_gpus(nodes, threads, plan):
    assert plan_workers(nodes, threads, on_gpu=plan.gpus > 0) == plan


def test_machines_with_a_gpu_work_alone_unless_the_engine_has_no_use_for_one():
    head, plain, fast = node(0), node(8), node(8, gpus=1)
    assert usable_nodes([head, plain, fast], "auto") == [fast]
    assert usable_nodes([head, plain, fast], "openvino") == [plain, fast]
    assert usable_nodes([head, plain], "torch") == [plain]


class Noting(Silent):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)


def report(*engines: EngineChoice, processor: str = "A") -> MachineReport:
    return MachineReport(engines=engines, processor=processor)


def test_machines_that_have_no_engine_in_common_are_refused_and_other_processors_noted():
    progress = Noting()
    assert common_engines({"a": report(OPENVINO), "b": report(OPENVINO)}, progress) == (OPENVINO,)
    assert progress.notes == []
    common_engines({"a": report(OPENVINO), "b": report(OPENVINO, processor="B")}, progress)
    assert "2 kinds of processors (A, B)" in progress.notes[0]
    with pytest.raises(UsageError, match=r"a openvino 2026.4.1 bf16 on cpu; b torch 2.13.0 fp32 on cpu"):
        common_engines({"a": report(OPENVINO), "b": report(PLAIN)}, progress)


def test_machines_share_their_common_engines_in_the_order_of_the_first():
    exact = replace(OPENVINO, precision="fp32")
    reports = {"a": report(OPENVINO, exact, PLAIN), "b": report(PLAIN, exact), "c": report(exact, OPENVINO, PLAIN)}
    assert common_engines(reports, Noting()) == (exact, PLAIN)


def test_machines_that_differ_in_what_int8_leaves_unquantised_are_refused():
    int8 = replace(OPENVINO, precision="int8", quantiser="nncf 3.2.0, 1")
    reports = {rest: report(replace(int8, rest=rest)) for rest in ("bf16", "fp32")}
    with pytest.raises(UsageError, match=r"int8 by nncf 3.2.0, 1, the rest in bf16 .* the rest in fp32"):
        common_engines(reports, Noting())
