"""The closing table of a benchmark: what a person reads last on the terminal."""

from statistics import stdev

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from vitrail.candidates.parity import parity_in_words
from vitrail.candidates.recipes import DECK
from vitrail.delivery.report import words
from vitrail.runs import BackboneResult, RunRecord
from vitrail.statistics.intervals import Interval

SHOWN_SET_ASIDE = 10
WIDE_ENOUGH = 150


def print_closing(run: RunRecord, console: Console) -> None:
    """Table, pairs, decision, what was set aside, and where the rest is."""
    results = run.results
    console.print()
    if console.width >= WIDE_ENOUGH:
        console.print(_table(results.backbones))
    else:
        for backbone in results.backbones:
            _print_narrow(backbone, console)
    for backbone in results.backbones:
        if backbone.parity is not None:
            said = f"{backbone.name}: {parity_in_words(backbone.parity, backbone.precision)}"
            console.print(f"[dim]{escape(said)}[/]", soft_wrap=True)
    _print_spread(results.backbones, console)
    _print_leaked(run, console)
    _print_sets(results.backbones, console)
    _print_deck(results.backbones, console)
    _print_set_aside(run, console)
    console.print()
    console.print(f"[bold]{escape(results.decision.sentence)}[/]")
    for reason in results.decision.because:
        console.print(f"  · {escape(reason)}")
    for caveat in results.decision.caveats:
        console.print(f"  [yellow]! {escape(caveat)}[/]")
    _print_labels(run, console)
    console.print()
    console.print(f"[dim]Report[/]  {escape(str(run.folder / 'report.html'))}", soft_wrap=True)


def _table(backbones: tuple[BackboneResult, ...]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("Backbone", overflow="fold")
    for heading in ("Test top-1 %", "Balanced %", "NLL", "ECE (null)", "GMACs", "ms/image"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("Head", overflow="fold")
    for one in backbones:
        table.add_row(
            escape(one.name),
            _percent(one.test.top1),
            _percent(one.test.balanced_accuracy),
            _plain(one.test.nll),
            _calibration(one),
            f"{one.card.gmacs:.3g}",
            words.milliseconds(one.cost.images_per_s),
            _head(one),
        )
    return table


def _print_narrow(one: BackboneResult, console: Console) -> None:
    console.print(f"[bold]{escape(one.name)}[/]")
    console.print(f"  test top-1  {_percent(one.test.top1)} %")
    console.print(f"  balanced    {_percent(one.test.balanced_accuracy)} %")
    console.print(f"  NLL         {_plain(one.test.nll)}")
    console.print(f"  ECE (null)  {_calibration(one)}")
    console.print(f"  cost        {one.card.gmacs:.3g} GMACs, {words.milliseconds(one.cost.images_per_s)} ms/image")
    console.print(f"  head        {_head(one)}")


def _print_leaked(run: RunRecord, console: Console) -> None:
    leaked = run.results.data.leaked
    if not leaked:
        return
    console.print()
    console.print(f"[bold]Without the test images that have a near-duplicate in train or val: {len(leaked)}[/]")
    for one in run.results.backbones:
        if one.top1_without_leaked:
            console.print(f"  {escape(one.name)}  test top-1  {_percent(one.top1_without_leaked)} %")


def _print_spread(backbones: tuple[BackboneResult, ...], console: Console) -> None:
    """Beside the intervals, which tell the luck of the test images: that of the split and of the seed."""
    for one in backbones:
        splits, seeds = one.search.splits, one.search.seeds
        if splits is not None:
            said = f"{one.name}: ± {100 * splits.deviation:.1f} points over {len(splits.accuracies)} other splits of "
            said += f"train and val (± {100 * splits.sampling:.1f} expected of drawing val alone)"
            if len(seeds) > 1:
                said += f", ± {100 * stdev(seeded.val_accuracy for seeded in seeds):.1f} over {len(seeds)} seeds"
            console.print(f"[dim]{escape(said)}[/]", soft_wrap=True)


def _print_sets(backbones: tuple[BackboneResult, ...], console: Console) -> None:
    """What a calibration part of its own promises, and what became of it on the test images."""
    promised = [(one, one.refusal) for one in backbones if one.refusal and one.refusal.set_on == "calibration"]
    if not promised:
        return
    console.print()
    console.print(f"[bold]Sets of classes[/] are {escape(promised[0][1].guarantee)}.", soft_wrap=True)
    for one, found in promised:
        held = ", ".join(f"{each.rule} {_percent(each.coverage)} % ({each.mean_size:.2f})" for each in found.sets[:2])
        console.print(f"  {escape(one.name)}  held the class of test images (classes a set): {held}", soft_wrap=True)


def _print_deck(backbones: tuple[BackboneResult, ...], console: Console) -> None:
    """The test line and the closing table of the deck: accuracy, and CPU seconds of features and head."""
    for one in backbones:
        if one.recipe == DECK:
            right = round(one.test.top1.value * one.test.top1.n)
            console.print()
            console.print(
                f"[bold]The deck's recipe on {escape(one.name)}[/]: test loss {one.test.nll.value:.4f}, accuracy "
                f"{one.test.top1.value:.4f} ({right:,} of {one.test.top1.n:,}); user time "
                f"{one.cost.user_s + one.search.user_s:,.0f} s",
                soft_wrap=True,
            )


def _print_labels(run: RunRecord, console: Console) -> None:
    """What more labels are worth to the backbone that was decided for."""
    for one in run.results.backbones:
        if one.name == run.results.decision.choose:
            for curve in one.search.label_curves:
                console.print(f"  · {escape(curve.sentence)}")


def _print_set_aside(run: RunRecord, console: Console) -> None:
    aside = run.results.data.set_aside
    if not aside:
        return
    console.print()
    console.print(f"[bold]Set aside: {len(aside)}[/]")
    for item in aside[:SHOWN_SET_ASIDE]:
        console.print(f"  {escape(item.path)}: {escape(item.reason)}", soft_wrap=True)
    if len(aside) > SHOWN_SET_ASIDE:
        console.print(f"  and {len(aside) - SHOWN_SET_ASIDE} more: results.json names each")


def _percent(interval: Interval) -> str:
    return f"{100 * interval.value:.1f} [dim]\\[{100 * interval.low:.1f}, {100 * interval.high:.1f}][/]"


def _plain(interval: Interval) -> str:
    return f"{interval.value:.3f} [dim]\\[{interval.low:.3f}, {interval.high:.3f}][/]"


def _calibration(one: BackboneResult) -> str:
    return f"{_plain(one.test.ece)} ({one.test.ece.null:.3f})"


def _head(one: BackboneResult) -> str:
    winner = one.search.winner
    return f"{winner.kind} {', '.join(f'{key} {_short(value)}' for key, value in winner.setting.items())}"


def _short(value: float | int | str) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
