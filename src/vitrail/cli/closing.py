"""The closing table of a benchmark: what a person reads last on the terminal."""

from statistics import stdev

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from vitrail.candidates.decoding import decoding_in_words
from vitrail.candidates.parity import parity_in_words
from vitrail.candidates.recipes import DECK
from vitrail.delivery.report import words
from vitrail.evaluation import say_strength
from vitrail.evaluation.contamination import mark
from vitrail.runs import BackboneResult, RunRecord, say_openings
from vitrail.statistics.intervals import Interval

SHOWN_SET_ASIDE = 10
WIDE_ENOUGH = 150
SHOWN_SECONDS = 0.1  # of a part of the run


def print_closing(run: RunRecord, console: Console) -> None:
    """Openings, table, pairs, decision, what was set aside, and where the rest is."""
    results = run.results
    console.print()
    if results.split.test_openings > 1:
        sentence = say_openings(results.split.test_openings, results.split.first_opened)
        console.print(f"[yellow]! {escape(sentence)}[/]")
    if console.width >= WIDE_ENOUGH:
        console.print(_table(results.backbones))
    else:
        for backbone in results.backbones:
            _print_narrow(backbone, console)
    for backbone in results.backbones:
        if backbone.parity is not None:
            line = f"{backbone.name}: {parity_in_words(backbone.parity, backbone.precision)}"
            console.print(f"[dim]{escape(line)}[/]", soft_wrap=True)
        if backbone.decoding is not None:
            line = f"{backbone.name}: {decoding_in_words(backbone.decoding, backbone.card.preprocessing.decode)}"
            console.print(f"[dim]{escape(line)}[/]", soft_wrap=True)
    _print_spread(results.backbones, console)
    for note in dict.fromkeys(note for backbone in results.backbones for note in backbone.search.notes):
        console.print(f"[yellow]! {escape(note)}[/]", soft_wrap=True)
    _print_new_values(run, console)
    _print_leaked(run, console)
    _print_sets(results.backbones, console)
    _print_deck(results.backbones, console)
    _print_set_aside(run, console)
    console.print()
    console.print(f"[bold]{escape(results.decision.sentence)}[/]")
    console.print(f"  [dim]{escape(say_strength(results.decision))}[/]")
    for reason in results.decision.because:
        console.print(f"  · {escape(reason)}")
    for caveat in results.decision.caveats:
        console.print(f"  [yellow]! {escape(caveat)}[/]")
    _print_labels(run, console)
    _print_parts(run, console)
    console.print()
    console.print(f"[dim]Report[/]  {escape(str(run.folder / 'report.html'))}", soft_wrap=True)


def _table(backbones: tuple[BackboneResult, ...]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("Backbone", overflow="fold")
    for heading in ("Test top-1 %", "Balanced %", "NLL", "ECE (null)", "GMACs", "ms/image"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("Head", overflow="fold")
    for result in backbones:
        table.add_row(
            _name(result),
            _percent(result.test.top1),
            _percent(result.test.balanced_accuracy),
            _plain(result.test.nll),
            _calibration(result),
            f"{result.card.gmacs:.3g}",
            words.milliseconds(result.cost.images_per_s),
            _head(result),
        )
    return table


def _name(result: BackboneResult) -> str:
    """The name of a backbone, marked where its figures may be recall."""
    marked = mark(result.contamination)
    return escape(result.name) + (f" [yellow]({marked})[/]" if marked else "")


def _print_narrow(result: BackboneResult, console: Console) -> None:
    console.print(f"[bold]{_name(result)}[/]")
    console.print(f"  test top-1  {_percent(result.test.top1)} %")
    console.print(f"  balanced    {_percent(result.test.balanced_accuracy)} %")
    console.print(f"  NLL         {_plain(result.test.nll)}")
    console.print(f"  ECE (null)  {_calibration(result)}")
    console.print(
        f"  cost        {result.card.gmacs:.3g} GMACs, {words.milliseconds(result.cost.images_per_s)} ms/image"
    )
    console.print(f"  head        {_head(result)}")


def _print_new_values(run: RunRecord, console: Console) -> None:
    """The other backbones on values that training never saw; the decision's own stands beside the decision."""
    for result in run.results.backbones:
        new = result.conditions.new_values
        if new is not None and result.name != run.results.decision.choose:
            console.print(f"[dim]{escape(f'{result.name} reaches {new.sentence}')}[/]", soft_wrap=True)


def _print_leaked(run: RunRecord, console: Console) -> None:
    leaked = run.results.data.leaked
    if not leaked:
        return
    console.print()
    console.print(f"[bold]Without the test images that have a near-duplicate in train or val: {len(leaked)}[/]")
    for result in run.results.backbones:
        if result.top1_without_leaked:
            console.print(f"  {escape(result.name)}  test top-1  {_percent(result.top1_without_leaked)} %")


def _print_spread(backbones: tuple[BackboneResult, ...], console: Console) -> None:
    """Beside the intervals, which tell the luck of the test images: that of training images, the split and the seed."""
    for result in backbones:
        splits, seeds = result.search.splits, result.search.seeds
        if result.retraining is not None:
            console.print(f"[dim]{escape(f'{result.name}: {result.retraining.sentence}')}[/]", soft_wrap=True)
        if splits is not None:
            line = f"{result.name}: ± {100 * splits.deviation:.1f} points over {len(splits.accuracies)} other splits "
            line += f"of train and val (± {100 * splits.sampling:.1f} expected of drawing val alone)"
            if len(seeds) > 1:
                line += f", ± {100 * stdev(seeded.val_accuracy for seeded in seeds):.1f} over {len(seeds)} seeds"
            console.print(f"[dim]{escape(line)}[/]", soft_wrap=True)


def _print_sets(backbones: tuple[BackboneResult, ...], console: Console) -> None:
    """What a calibration split promises, and what became of it on the test images."""
    promised = [result for result in backbones if result.refusal.set_on == "calibration"]
    if not promised:
        return
    console.print()
    console.print(f"[bold]Sets of classes[/] are {escape(promised[0].refusal.guarantee)}.", soft_wrap=True)
    for result in promised:
        sets = result.refusal.sets[:2]
        held = ", ".join(f"{check.rule} {_percent(check.coverage)} % ({check.mean_size:.2f})" for check in sets)
        console.print(f"  {escape(result.name)}  held the class of test images (classes a set): {held}", soft_wrap=True)


def _print_deck(backbones: tuple[BackboneResult, ...], console: Console) -> None:
    """The test line and the closing table of the deck: accuracy, and CPU seconds of features and head."""
    for result in backbones:
        if result.recipe == DECK:
            right = round(result.test.top1.value * result.test.top1.n)
            console.print()
            console.print(
                f"[bold]The deck's recipe on {escape(result.name)}[/]: test loss {result.test.nll.value:.4f}, accuracy "
                f"{result.test.top1.value:.4f} ({right:,} of {result.test.top1.n:,}); user time "
                f"{result.cost.user_s + result.search.user_s:,.0f} s",
                soft_wrap=True,
            )


def _print_labels(run: RunRecord, console: Console) -> None:
    """What more labels are worth to the backbone that was decided for."""
    for result in run.results.backbones:
        if result.name == run.results.decision.choose:
            for curve in result.search.label_curves:
                console.print(f"  · {escape(curve.sentence)}")


def _print_parts(run: RunRecord, console: Console) -> None:
    """Where the time of the run went, the longest parts first."""
    cost = run.results.cost
    console.print()
    starts = f", started {cost.starts} times: the last start" if cost.starts > 1 else ""
    console.print(f"[bold]Where the time went[/] ({words.duration(cost.wall_s)}{starts})")
    for part, seconds in sorted(words.parts_of(cost), key=lambda row: -row[1]):
        if seconds >= SHOWN_SECONDS:
            console.print(f"  [dim]{words.duration(seconds):>10}  {part}[/]", soft_wrap=True)


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


def _calibration(result: BackboneResult) -> str:
    return f"{_plain(result.test.ece)} ({result.test.ece.null:.3f})"


def _head(result: BackboneResult) -> str:
    winner = result.search.winner
    return f"{winner.kind} {', '.join(f'{key} {_short(value)}' for key, value in winner.setting.items())}"


def _short(value: float | int | str) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
