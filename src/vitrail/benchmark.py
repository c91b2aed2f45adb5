"""The main path, from labelled images to a decision. Each step of `bench` is one arrow of docs/architecture.md."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from vitrail.backbones import BackboneSpec
from vitrail.backbones.remembered import remember_given
from vitrail.candidates import (
    BackboneChoice,
    BenchOptions,
    Candidate,
    Prepared,
    choose_backbones,
    find_obstacle,
    hold_race,
    make_candidates,
    prepare,
)
from vitrail.candidates.automatic import say_older_choice
from vitrail.candidates.held_race import HeldRace
from vitrail.candidates.opening import check_request, extract_here, needs_split, open_entries
from vitrail.candidates.plan import BEHIND_URL, LIST_NOT_HERE, Plan, make_plan, say_candidates
from vitrail.candidates.run_race import LEAST_TRAIN, say_race
from vitrail.core.clock import Clock
from vitrail.core.errors import DownloadError, UsageError
from vitrail.core.hashing import fingerprint
from vitrail.core.machine import usable_memory
from vitrail.core.progress import FOR_EACH_BACKBONE, Progress, phase
from vitrail.core.resources import Resources
from vitrail.data import (
    Dataset,
    ListedFile,
    NearPair,
    SealedTest,
    Source,
    Split,
    find_near_duplicates,
    is_url,
    keep_columns,
    keep_together,
    load,
    make_split,
    name_columns,
    open_data,
    plan_leave_out,
    require_enough,
)
from vitrail.delivery.report import Images, write_report
from vitrail.evaluation import Contestant, DecidingMetric, JudgedImages, judge, say_plan
from vitrail.features import Part
from vitrail.runs import (
    FINISHED,
    REPORT,
    Journal,
    Opened,
    Question,
    RunRecord,
    default_folder,
    enter_folder,
    forget_steps,
    is_finished,
    load_run,
    make_criteria,
    measure_cost,
    record_opening,
    require_writable,
    steps_folder,
    summarise,
    write_receipt,
    write_run,
)

KEPT_SHARE = 8  # an eighth of the memory, for downloads between their two reads


def bench(
    data: str | Path | None = None,
    backbones: Sequence[str] = (),
    *,
    out: Path | None = None,
    options: BenchOptions | None = None,
    resources: Resources | None = None,
    cluster: str | None = None,
    command: str = "vitrail.bench",
) -> RunRecord:
    """Compare frozen backbones on labelled images and say which to build on.

    Args:
        data: a folder with one folder of images per class, a manifest (CSV, Parquet), an archive, shards, Parquet with
            images, or the URL of one of these; or the name of a public data set; None for scikit-learn's digits.
        backbones: "NAME" of the catalogue or "NAME=FILE"; none, or "auto" alone, for candidates from the catalogue;
            none for the digits are our two small ones.
        out: the run folder; None for runs/<data>-<8 digits>.
        options: what may change the answer; None for the defaults.
        resources: what may be used; None for the defaults. With OpenVINO they change no bit of a feature.
        cluster: a Ray cluster whose machines compute the features, "auto" or host:port; None for this machine. All
            of its machines must see data and cache.
        command: the command that was typed, kept in the results.

    Returns:
        The finished run: a stored one if the same question was answered in this folder before.

    Raises:
        UsageError: backbones, options or cluster do not fit together, or `out` holds another run.
    """
    options, resources = options or BenchOptions(), resources or Resources()
    clock = Clock(resources.progress)
    resources = replace(resources, progress=clock)
    require_writable(out)
    with phase(clock, "starting networks"):
        choice = choose_backbones(data, backbones, options, resources)
    question = Question(command=command, options=options, choice=choice)
    with phase(clock, "reading"):
        source = open_data(data, resources, kept_bytes=usable_memory() // KEPT_SHARE)
    with phase(clock, "starting networks"):
        check_request(choice.specs, options, cluster=cluster)
    with phase(clock, "reading"):
        columns = name_columns(options.slices, options.search.leave_out)
        dataset = load(source, max_pixels=options.max_pixels, columns=columns, resources=resources)
    dataset = keep_columns(dataset, options.slices, options.search.leave_out)
    _, planned, _ = make_split(dataset, options.split)  # near-duplicates may move some images later
    identity = question.identity(dataset)
    folder = out or default_folder(dataset.name, identity)
    with enter_folder(folder, identity) as journal:
        if is_finished(folder):
            forget_steps(folder)
            _continue(question, journal, clock)
            return load_run(folder)
        question = _continue(question, journal, clock)
        specs = question.choice.specs
        journal.start(identity, command=command, **question.choice.record())
        obstacle = find_obstacle(question.choice, options, train=len(planned.train), cluster=cluster)
        _show_candidates(question.choice, obstacle, journal, dataset, resources)
        _announce(clock, journal, backbones=len(specs) * len(options.recipes))
        metric = DecidingMetric(name=options.decide_by)
        plan = partial(say_plan, dataset, planned, backbones=len(specs) * len(options.recipes), level=options.level)
        for line in plan(metric=metric, left_out=options.search.leave_out):
            clock.note(line)
        run_networks = partial(prepare, options=options, data=data, cluster=cluster, resources=resources)
        waits = needs_split(options, cluster) or not obstacle
        ready = None if waits else run_networks(specs, dataset.without_labels(), planned)
        dataset, near_pairs = _group_near_duplicates(dataset, options, resources)
        dataset, split, sealed = make_split(dataset, options.split)
        race = None if obstacle else _hold_race(specs, dataset, split, options, resources)
        prepared = ready or run_networks(specs if race is None else race.choose(specs), dataset, split)
        prepared = replace(prepared, race=race)
        require_enough(dataset, sealed=sealed, without=prepared.extraction.unreadable_ids)
        split = split.without(prepared.extraction.unreadable_ids)
        opened = judge_split(prepared, dataset, split, sealed, options, resources=resources, journal=journal)
        cost = partial(measure_cost, clock, decode_s=prepared.decode_s, starts=journal.starts)
        results = summarise(question, dataset, split, near_pairs, prepared, opened, cost())
        with phase(clock, "page"):
            predictions = {tested.name: tested for tested in opened.verdict.predictions}
            images = Images.of(dataset, max_pixels=options.max_pixels)
            write_report(results, predictions, images=images, path=folder / REPORT)
        results = replace(results, cost=cost())
        run = write_run(folder, results, dataset, split, opened.candidates, opened.verdict.predictions)
        write_receipt(folder, results)
        journal.write(FINISHED)
        forget_steps(folder)
        return run


def plan_bench(
    data: str | Path | None,
    backbones: Sequence[str],
    *,
    options: BenchOptions,
    resources: Resources,
    cluster: str | None = None,
) -> Plan:
    """The candidates that `bench` would take from the catalogue, and what they would cost; reads and fetches no image.

    Args:
        data: as `bench` takes it; images are counted if their list is on this machine.
        backbones: none, or "auto" alone.
        options: as `bench` takes them.
        resources: what may be used.
        cluster: as `bench` takes it.

    Raises:
        UsageError: backbones were named, or the digits have two of ours.
    """
    source = None if is_url(str(data)) else open_data(data, replace(resources, offline=True))
    choice = choose_backbones(data, backbones, options, resources)
    if choice.automatic is None:
        raise UsageError("--plan shows candidates that are chosen from the catalogue: give DATA and no names after -b.")
    images = BEHIND_URL if source is None else _count_images(source)
    obstacle = find_obstacle(choice, options, train=LEAST_TRAIN, cluster=cluster)
    if not obstacle and isinstance(images, int) and images < LEAST_TRAIN:  # nobody knows yet how many are to train on
        obstacle = f"{images:,} images are too few"
    return make_plan(choice.automatic, images, resources, race=say_race(obstacle))


def _count_images(source: Source) -> int | str:
    """How many images are listed, among them copies and damaged ones, or why nobody can count them yet."""
    try:
        return sum(isinstance(listed, ListedFile) for listed in source.list_files())
    except DownloadError:
        return LIST_NOT_HERE


def judge_split(
    prepared: Prepared,
    dataset: Dataset,
    split: Split,
    sealed: SealedTest,
    options: BenchOptions,
    *,
    resources: Resources,
    journal: Journal,
) -> Opened:
    """From features and a split to a verdict: tune on train and val, then open the test.

    Args:
        prepared: the features of every backbone; they may be of more examples than the split has.
        dataset: the examples, without the labels of the test images.
        split: of these examples; another split of the same examples may be judged with the same features.
        sealed: the test labels.
        options: of the benchmark.
        resources: of this command.
        journal: of the run folder, where the opening is recorded and finished steps of a search are kept.

    Returns:
        The candidates and the verdict on them.
    """
    steps = partial(steps_folder, journal.folder)
    candidates = make_candidates(prepared, dataset, split, options, resources=resources, steps=steps)
    choices = fingerprint([split.fingerprint, *(candidate.digest for candidate in candidates)])
    openings = record_opening(journal, split.test, choices, resources.progress)
    with phase(resources.progress, "verdict"):
        verdict = judge(
            [_enter_contest(candidate) for candidate in candidates],
            _describe_images(dataset, split, options),
            sealed,
            choices,
            make_criteria(options, prepared.race),
        )
    return Opened(candidates=candidates, verdict=verdict, openings=openings)


@dataclass(frozen=True, kw_only=True, slots=True)
class PartDone:
    """The outcome of one part: of `images` in the data set, `in_part` belong to it; rows computed now, by backbone."""

    part: str
    images: int
    in_part: int
    unreadable: int
    computed: dict[str, int]


def compute_part(
    data: str | Path | None,
    backbones: Sequence[str],
    part: Part,
    *,
    options: BenchOptions,
    resources: Resources,
) -> PartDone:
    """Compute the rows of one part of the images that the cache lacks, under the keys where `bench` looks for them.

    Args:
        data: as `bench` takes it.
        backbones: as `bench` takes them.
        part: which part of the images.
        options: those of the benchmark: what changes a feature, or the split that int8 takes its ranges from, must
            agree.
        resources: what may be used.

    Returns:
        What was done.

    Raises:
        UsageError: no backbone was named.
    """
    choice = choose_backbones(data, backbones, options, resources)
    if choice.automatic is not None:
        raise UsageError("Parts need named backbones, since each machine might choose others: give -b NAME.")
    specs, source = choice.specs, open_data(data, resources)
    check_request(specs, options, cluster=None)
    dataset = load(source, max_pixels=options.max_pixels, resources=resources)
    if needs_split(options, None):  # copies move images between splits
        dataset, _ = _group_near_duplicates(dataset, options, resources)
    dataset, split, _ = make_split(dataset, options.split)
    entries = open_entries(specs, dataset, split, options, resources=resources)
    extraction = extract_here(dataset, [entry.backbone for entry in entries], options, resources=resources, part=part)
    remember_given(specs, [entry.backbone for entry in entries], resources.progress)
    return PartDone(
        part=f"{part.number}/{part.of}",
        images=dataset.table.num_rows,
        in_part=extraction.features[0].cost.images + len(extraction.unreadable_ids),
        unreadable=len(extraction.unreadable_ids),
        computed={features.backbone: features.cost.computed for features in extraction.features},
    )


def _group_near_duplicates(
    dataset: Dataset, options: BenchOptions, resources: Resources
) -> tuple[Dataset, tuple[NearPair, ...]]:
    """The data set with near-duplicates in one group, and the pairs; unchanged if the options turn the search off."""
    if not options.near_duplicates:
        return dataset, ()
    with phase(resources.progress, "near-duplicates"):
        near = find_near_duplicates(dataset, max_pixels=options.max_pixels, resources=resources)
    return keep_together(dataset, near), near.pairs


def _announce(clock: Clock, journal: Journal, *, backbones: int) -> None:
    """Announce the phases to come, for the time left; not in a continued run, whose finished steps take no time."""
    if journal.starts > 1:
        return
    clock.expect("features", 1)
    for each in FOR_EACH_BACKBONE:
        clock.expect(each, backbones)


def _continue(question: Question, journal: Journal, progress: Progress) -> Question:
    """The question with the candidates of the first start, if the run was started before."""
    choice = question.choice.as_recorded(journal.first_start())
    if note := say_older_choice(choice, question.choice):
        progress.note(note)
    return replace(question, choice=choice)


def _show_candidates(
    choice: BackboneChoice, obstacle: str, journal: Journal, dataset: Dataset, resources: Resources
) -> None:
    """Show candidates that nobody named, before their work starts; not again when it continues.

    `obstacle` says why they do not race; "" if they do.
    """
    if choice.automatic is None or journal.starts > 1:
        return
    with phase(resources.progress, "starting networks"):
        plan = make_plan(choice.automatic, dataset.table.num_rows, resources, race=say_race(obstacle))
    for line in say_candidates(plan):
        resources.progress.note(line)


def _hold_race(
    specs: Sequence[BackboneSpec], dataset: Dataset, split: Split, options: BenchOptions, resources: Resources
) -> HeldRace | None:
    """The race of the candidates, and what may be claimed of it; None if the looks are too few."""
    race = hold_race(specs, dataset, split, options, resources=resources)
    for line in race.claims if race else (say_race("the classes have too few training images"),):
        resources.progress.note(line)
    return race


def _describe_images(dataset: Dataset, split: Split, options: BenchOptions) -> JudgedImages:
    left_out = options.search.leave_out
    return JudgedImages(
        ids=tuple(split.test),
        classes=dataset.classes,
        groups=dataset.groups(),
        warnings=dataset.warnings,
        slices={column: dataset.further(column, split.test) for column in dataset.slices},
        left_out=None if left_out is None else plan_leave_out(dataset, split, left_out),
        given=dataset.test_is_given,
    )


def _enter_contest(candidate: Candidate) -> Contestant:
    card = candidate.entry.backbone.card
    return Contestant(
        name=candidate.name,
        gmacs=card.gmacs,
        licence=card.licence,
        probability_NC=candidate.probability_NC,
        traces=candidate.traces,
        refusal=candidate.refusal,
        strange_N=candidate.strange_N,
        halves=candidate.search.halves,
        out_of_fold=candidate.search.out_of_fold,
        features=candidate.shift,
        new_probability_MC=candidate.new_probability_MC,
    )
