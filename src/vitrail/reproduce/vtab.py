"""VTAB's two means over finished runs: of the 19 tasks, and of the three groups. Papers print either.

A run of a task is a benchmark of the data set of that name, such as `vitrail bench vtab-cifar-100`. Test images that
are set aside because no training image has their class count as wrong, as they do in the benchmark.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vitrail.core.errors import UsageError
from vitrail.data.named.cards import load_dataset_cards
from vitrail.data.named.vtab import TASKS, UNTRAINED, Group
from vitrail.runs.run import RunRecord
from vitrail.statistics.intervals import Interval, wilson
from vitrail.statistics.mean_of_rates import mean_of_rates


@dataclass(frozen=True, kw_only=True, slots=True)
class VtabMeans:
    """The means of one backbone over the tasks in `accuracy`; `groups` has the mean within each group.

    Intervals are over draws of test images alone, not of training images.
    """

    accuracy: Mapping[str, Interval]
    groups: Mapping[Group, Interval]
    mean_of_tasks: Interval
    mean_of_groups: Interval

    @property
    def missing(self) -> list[str]:
        """The tasks without a run; the means of fewer than 19 tasks are not VTAB's."""
        return [task for task in TASKS if task not in self.accuracy]

    @property
    def other_tests(self) -> dict[str, int]:
        """The tasks that were not scored on as many test images as the benchmark has, each with its number of these.

        Copies of an image count once, and equal images with two labels not at all: dSprites has each shape at 0 and at
        360 degrees, which are two classes of its orientation.
        """
        official = {task: load_dataset_cards()[task].counts["test"] for task in self.accuracy}
        return {task: count for task, count in official.items() if count != self.accuracy[task].n}


def vtab_means(accuracy: Mapping[str, Interval]) -> VtabMeans:
    """Both means over one task or more, by the names of the tasks.

    In the mean of tasks a task counts 1/19; in the mean of groups each of the three groups counts 1/3, so that one of
    the four specialised tasks counts twice as much as one of the eight structured ones.
    """
    members: dict[Group, list[Interval]] = {}
    for task in TASKS:
        if task in accuracy:
            members.setdefault(TASKS[task].group, []).append(accuracy[task])
    groups = {group: _mean(rates) for group, rates in members.items()}
    weighted = [(rate, 1 / len(rates) / len(members)) for rates in members.values() for rate in rates]
    return VtabMeans(
        accuracy={task: accuracy[task] for task in TASKS if task in accuracy},
        groups=groups,
        mean_of_tasks=_mean([rate for rates in members.values() for rate in rates]),
        mean_of_groups=mean_of_rates([rate for rate, _ in weighted], [weight for _, weight in weighted]),
    )


def summarise_vtab(records: Sequence[RunRecord]) -> dict[str, VtabMeans]:
    """The means of each backbone that all runs have, by its name.

    Raises:
        UsageError: no run was given, a run is of another data set, two are of one task, or they share no backbone.
    """
    of_task: dict[str, RunRecord] = {}
    for record in records:
        task = record.results.data.name
        if task not in TASKS:
            raise UsageError(
                f"{record.folder} is a run on {task}, which is not a task of VTAB: give runs of data sets such as "
                f"{next(iter(TASKS))}."
            )
        if task in of_task:
            raise UsageError(f"{of_task[task].folder} and {record.folder} are both runs on {task}: give one of them.")
        of_task[task] = record
    names = [[result.name for result in record.results.backbones] for record in of_task.values()]
    shared = [name for name in names[0] if all(name in other for other in names)] if names else []
    if not shared:
        raise UsageError("No backbone is in all of these runs: benchmark the same backbones on each task.")
    return {
        name: vtab_means({task: task_accuracy(record, name) for task, record in of_task.items()}) for name in shared
    }


def task_accuracy(record: RunRecord, name: str) -> Interval:
    """The accuracy on the whole test, with images that nobody could have right."""
    top1 = record.backbone(name).test.top1
    lost = sum(aside.reason == f"{UNTRAINED}: it is in test" for aside in record.results.data.set_aside)
    return wilson(round(top1.value * top1.n), top1.n + lost, top1.level) if lost else top1


def _mean(rates: Sequence[Interval]) -> Interval:
    return mean_of_rates(rates, [1 / len(rates)] * len(rates))
