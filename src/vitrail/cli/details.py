"""What `bench --details` prints before its answer: every figure of each backbone, and how it was reached."""

from collections.abc import Mapping
from statistics import stdev

from rich.markup import escape

from vitrail.backbones.display_names import shorten_names
from vitrail.candidates.decoding import decoding_in_words
from vitrail.candidates.parity import parity_in_words
from vitrail.candidates.recipes import DECK
from vitrail.core.console import PrintableConsole
from vitrail.delivery.answer import say_untuned
from vitrail.delivery.report import words
from vitrail.delivery.units import milliseconds
from vitrail.runs import BackboneResult, RunRecord
from vitrail.statistics.intervals import Interval

SHOWN_SET_ASIDE = 10
SHOWN_SECONDS = 0.1  # of a part of the run


def print_details(run: RunRecord, names: Mapping[str, str], console: PrintableConsole) -> None:
    """Backbone by backbone, then the reasons of the decision, what was set aside, and where the time went."""
    for result in run.results.backbones:
        _print_backbone(result, console)
        _print_run_of(result, console)
        _print_conditions(result, console)
        _print_deck(result, console)
    console.print()
    console.print("[bold]Figures behind the decision[/]")
    for reason in run.results.decision.because:
        console.print(f"  · {escape(shorten_names(reason, names))}", soft_wrap=True)
    _print_set_aside(run, console)
    _print_parts(run, console)


def _print_backbone(result: BackboneResult, console: PrintableConsole) -> None:
    console.print()
    console.print(f"[bold]{escape(result.name)}[/]", soft_wrap=True)
    console.print(f"  test top-1  {_percent(result.test.top1)} %")
    if result.top1_without_leaked:
        console.print(f"              {_percent(result.top1_without_leaked)} % without near-duplicates of train or val")
    console.print(f"  balanced    {_percent(result.test.balanced_accuracy)} %")
    console.print(f"  NLL         {_plain(result.test.nll)}")
    console.print(f"  ECE (null)  {_plain(result.test.ece)} ({result.test.ece.null:.3f})")
    cost = f"{result.card.gmacs:.3g} GMACs, {milliseconds(result.cost.images_per_s)} ms/image"
    console.print(f"  cost        {cost}")
    console.print(f"  head        {escape(_head(result))}")


def _print_run_of(result: BackboneResult, console: PrintableConsole) -> None:
    """What precision and decoding changed, and how far figures move with other splits, seeds and training images."""
    lines = []
    if result.parity is not None:
        lines.append(parity_in_words(result.parity, result.precision))
    if result.decoding is not None:
        lines.append(decoding_in_words(result.decoding, result.card.preprocessing.decode))
    if result.retraining is not None:
        lines.append(result.retraining.sentence)
    splits, seeds = result.search.splits, result.search.seeds
    if splits is not None:
        line = f"± {100 * splits.deviation:.1f} points over {len(splits.accuracies)} other splits of train and val "
        line += f"(± {100 * splits.sampling:.1f} expected of drawing val alone)"
        if len(seeds) > 1:
            line += f", ± {100 * stdev(seeded.val_accuracy for seeded in seeds):.1f} over {len(seeds)} seeds"
        lines.append(line)
    for line in lines:
        console.print(f"  [dim]{escape(line)}[/]", soft_wrap=True)


def _print_conditions(result: BackboneResult, console: PrintableConsole) -> None:
    """New values, signs of recall, and what became of the promises of a calibration split."""
    new, refusal = result.conditions.new_values, result.refusal
    if new is not None:
        console.print(f"  [dim]{escape(f'{result.name} reaches {new.sentence}')}[/]", soft_wrap=True)
    untuned = say_untuned(result)
    if untuned:
        console.print(f"  [dim]{escape(untuned)}[/]", soft_wrap=True)
    if refusal.set_on == "calibration":
        sets = refusal.sets[:2]
        held = ", ".join(f"{check.rule} {_percent(check.coverage)} % ({check.mean_size:.2f})" for check in sets)
        console.print(f"  sets of classes are {escape(refusal.guarantee)}", soft_wrap=True)
        console.print(f"  they held the class of test images (classes a set): {held}", soft_wrap=True)


def _print_deck(result: BackboneResult, console: PrintableConsole) -> None:
    """The test line and the closing table of the deck: accuracy, and CPU seconds of features and head."""
    if result.recipe == DECK:
        user_s = result.cost.user_s + result.search.user_s
        console.print(f"  the deck's recipe: {say_test_line(result)}; user time {user_s:,.0f} s", soft_wrap=True)


def say_test_line(result: BackboneResult) -> str:
    """Loss and accuracy on the test images to four digits, as Keras prints them in the deck."""
    top1 = result.test.top1
    right = f"{round(top1.value * top1.n):,} of {top1.n:,}"
    return f"test loss {result.test.nll.value:.4f}, accuracy {top1.value:.4f} ({right})"


def _print_set_aside(run: RunRecord, console: PrintableConsole) -> None:
    aside = run.results.data.set_aside
    if not aside:
        return
    console.print()
    console.print(f"[bold]Set aside: {len(aside):,}[/]")
    for item in aside[:SHOWN_SET_ASIDE]:
        console.print(f"  {escape(item.path)}: {escape(item.reason)}", soft_wrap=True)
    if len(aside) > SHOWN_SET_ASIDE:
        console.print(f"  and {len(aside) - SHOWN_SET_ASIDE:,} more: results.json names each")


def _print_parts(run: RunRecord, console: PrintableConsole) -> None:
    """Where the time of the run went, the longest parts first."""
    cost = run.results.cost
    console.print()
    starts = f", started {cost.starts} times: the last start" if cost.starts > 1 else ""
    console.print(f"[bold]Where the time went[/] ({words.duration(cost.wall_s)}{starts})")
    for part, seconds in sorted(words.parts_of(cost), key=lambda row: -row[1]):
        if seconds >= SHOWN_SECONDS:
            console.print(f"  [dim]{words.duration(seconds):>10}  {part}[/]", soft_wrap=True)


def _percent(interval: Interval) -> str:
    return f"{100 * interval.value:.1f} [dim]\\[{100 * interval.low:.1f}, {100 * interval.high:.1f}][/]"


def _plain(interval: Interval) -> str:
    return f"{interval.value:.3f} [dim]\\[{interval.low:.3f}, {interval.high:.3f}][/]"


def _head(result: BackboneResult) -> str:
    winner = result.search.winner
    return f"{winner.kind} {', '.join(f'{key} {_short(value)}' for key, value in winner.setting.items())}"


def _short(value: float | int | str) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
