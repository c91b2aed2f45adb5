"""The table of a backtest: every claim, what was asked of it, how often it held, and how much it left open."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.results import machine_line
from vitrail.statistics.clustered import clustered_rate
from vitrail.statistics.intervals import Interval, normal_quantile, wilson

Record = dict  # one run, as `backtest.run` returns it
BELOW, NEAR = "**below**", "below, within noise"


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A claim that holds or fails; `asked` is the least share of times that it shall hold, None if nothing is asked.

    `points` says that its width is in points of a rate, and not in nats.
    """

    key: str
    text: str
    asked: float | None
    points: bool = True


@dataclass(frozen=True, kw_only=True)
class Mean:
    """A figure whose mean over runs is promised, in per cent or points; None if nothing is."""

    key: str
    text: str
    asked: str
    scale: float = 100.0


FIGURES = (
    Claim(key="top1", text="accuracy of a backbone", asked=0.95),
    Claim(key="top5", text="top-5, where there are more than five classes", asked=0.95),
    Claim(key="recall", text="accuracy on one class", asked=0.95),
    Claim(key="balanced_accuracy", text="balanced accuracy", asked=0.95),
    Claim(key="macro_f1", text="macro F1", asked=0.95),
    Claim(key="nll", text="NLL (width in nats)", asked=0.95, points=False),
    Claim(key="brier", text="Brier score (width in hundredths)", asked=0.95),
    Claim(key="ece", text="calibration error", asked=0.95),
    Claim(key="ece_equal_mass", text="calibration error, bins of equally many", asked=0.95),
    Claim(key="ranked together", text="accuracies beside the ranking, all of a run together", asked=0.95),
    Claim(key="pairs together", text="differences of pairs, all of a run together", asked=0.95),
    Claim(key="winner", text="accuracy of the best, corrected for the choice", asked=0.95),
)
DECISIONS = (
    Claim(key="no false beats", text="no pair of a run is said to beat that does not", asked=0.95),
    Claim(key="beats", text="a pair that is said to beat does (width: its true lead)", asked=None),
    Claim(key="loss of the pick", text="the pick loses no more than is said (width: the bound)", asked=0.95),
    Claim(key="all losses", text="the same of all backbones of a run together", asked=0.95),
    Claim(key="proven", text="a proven pick is the best", asked=0.95),
    Claim(key="equivalent pick", text="an equivalent pick loses less than a point", asked=0.95),
    Claim(key="settling range", text="the range of images that would settle it holds the true number", asked=0.95),
    Claim(key="equivalent", text="an equivalent pair is within a point", asked=0.95),
)
THRESHOLDS = (
    Claim(key="confidence found", text="a confidence for 95% is found", asked=None),
    Claim(key="no false promise", text="no confidence above which fewer than 95% are right", asked=0.9),
    Claim(key="confidence kept", text="the same, where one is found", asked=None),
    Claim(key="precision of answers", text="interval of the precision of answers", asked=0.95),
    Claim(key="coverage of sets", text="interval of the coverage of sets", asked=0.95),
    Claim(key="flagged interval", text="interval of the share that looks strange", asked=0.95),
)
TRAININGS = (
    Claim(key="retrained", text="accuracy on average over trainings", asked=0.95),
    Claim(key="retrained by the test alone", text="the same, by the interval of the test images alone", asked=None),
    Claim(key="no false beats over trainings", text="no false beats over trainings without a warning", asked=0.95),
    Claim(key="no false beats over trainings, warned or not", text="the same, with a warning too", asked=None),
    Claim(key="beats over trainings", text="a lead without a warning is one over trainings", asked=None),
    Claim(key="beats with a warning, over trainings", text="a lead with a warning is one over trainings", asked=None),
    Claim(key="forecast given", text="a label forecast is given", asked=None),
    Claim(key="forecast", text="label forecast: the gain on average over pools", asked=0.9),
    Claim(key="forecast of this head", text="the same interval, the gain of the run's very head", asked=None),
)
CLEAN = (
    Claim(key="top1 clean", text="accuracy of a backbone", asked=None),
    Claim(key="pairs together clean", text="differences of pairs, all of a run together", asked=None),
    Claim(key="no false beats clean", text="no pair of a run is said to beat that does not", asked=None),
    Claim(key="loss of the pick clean", text="the pick loses no more to the best than is said", asked=None),
)
MEANS = (
    Mean(key="winner as seen", text="the best, as seen, less its truth", asked="-"),
    Mean(key="winner corrected", text="the best, corrected, less its truth", asked="0 ± 0.3"),
    Mean(key="true loss", text="what the pick truly loses to the best", asked="-"),
    Mean(key="calibration error", text="true calibration error of a head", asked="-"),
    Mean(key="answered", text="share answered, where a confidence is found", asked="-"),
    Mean(key="sets lac", text="sets hold the class: lac", asked="90"),
    Mean(key="sets adaptive", text="sets hold the class: adaptive", asked="90"),
    Mean(key="sets lac-by-class", text="sets hold the class: lac by class", asked="90"),
    Mean(key="sets adaptive-by-class", text="sets hold the class: adaptive by class", asked="90"),
    Mean(key="size lac", text="classes in a set: lac", asked="-", scale=1.0),
    Mean(key="size adaptive", text="classes in a set: adaptive", asked="-", scale=1.0),
    Mean(key="flagged", text="images that look strange", asked="-"),
    Mean(key="flagged above promise", text="the same, less what is promised (1% or a little more)", asked="0"),
    Mean(key="settled by the least", text="settled by the fewest images of the range", asked="80 at most"),
    Mean(key="settled by the most", text="settled by the most images of the range", asked="80 at least"),
    Mean(key="gain forecast", text="gain of twice the labels: forecast", asked="-"),
    Mean(key="gain true", text="gain of twice the labels: true, on average over pools", asked="-"),
    Mean(key="gain true of this head", text="gain of twice the labels: true, of this very head", asked="-"),
)
CHAPTERS = {
    "Figures and differences": FIGURES,
    "The decision": DECISIONS,
    "Thresholds": THRESHOLDS,
    "Other training images, and more of them": TRAININGS,
}


def make_table(records: Sequence[Record]) -> list[str]:
    """All lines of the result."""
    noisy = [record for record in records if record["noise"]]
    lines = [
        "What the promises are worth: small runs on real features, each printed claim scored on the images left out.",
        "",
        f"    python -m benchmarks.backtest FEATURES.npz --runs {len(records)}",
        "",
        machine_line(),
        "",
        f"{len(records)} runs, {len(noisy)} of them with a tenth of all labels changed; "
        f"{np.mean([record['seconds'] for record in records]):.0f} s of one core each. "
        "Beside each share and mean stands its 95% interval, over runs. Widths are medians, in points.",
        "",
        f"The images left out tell the truth but for noise of their own: an exact 95% interval of an accuracy would "
        f"hold in {100 * np.mean([_exact(record) for record in records]):.1f}% of these runs.",
        "",
        *_worlds(records),
        "",
        _say_picks(records),
    ]
    for title, claims in CHAPTERS.items():
        lines += ["", f"## {title}", "", *_claims(claims, records)]
    lines += ["", "## Means, in per cent or points", "", *_means(records)]
    lines += ["", _say_forecast_noise(records)]
    if noisy:
        lines += ["", "## The same claims against the labels before the change", ""]
        lines += ["Runs with changed labels. Nothing is promised here: the test as drawn has changed labels too.", ""]
        lines += _claims(CLEAN, noisy)
    return lines


def _exact(record: Record) -> float:
    """How often an exact interval from the test images would hold the rate of the images left out."""
    z = normal_quantile(0.95) / math.sqrt(1 + record["test"] / record["left"])
    return math.erf(z / math.sqrt(2))


def _say_forecast_noise(records: Sequence[Record]) -> str:
    """How often exact intervals of a forecast would hold gains that are known from a few pools only.

    What the pools tell differs with the data, above all with how many images are left out to score them.
    """
    z, shares = normal_quantile(0.9), []
    for claim, noise in (("forecast", "noise of the gain"), ("forecast of this head", "noise of this gain")):
        exact = []
        for data in {record["data"] for record in records}:
            runs = [record for record in records if record["data"] == data]
            values = [value for run in runs for value in run["value"].get(noise, [])]
            variance = np.mean(values) if values else math.nan
            errors = [width / (2 * z) for run in runs for width in run["width"].get(claim, []) if width > 0]
            exact += [math.erf(z / math.sqrt(2 * (1 + variance / error**2))) for error in errors]
        shares.append(f"{100 * np.mean(exact):.1f}%")
    return (
        f"The true gains are known from a few pools: an exact 90% interval of a forecast would hold in {shares[0]} "
        f"(on average over pools) and {shares[1]} (of this very head)."
    )


def _worlds(records: Sequence[Record]) -> Iterator[str]:
    yield "| data | runs | images | of which test | left out |"
    yield "| --- | --- | --- | --- | --- |"
    for data in sorted({record["data"] for record in records}):
        runs = [record for record in records if record["data"] == data]
        ranges = (_range([run[key] for run in runs]) for key in ("images", "test", "left"))
        yield f"| {data} | {len(runs)} | {' | '.join(ranges)} |"


def _say_picks(records: Sequence[Record]) -> str:
    """How sure the picks were."""
    counts = [sum(kind in record["held"] for record in records) for kind in ("proven", "equivalent pick", "practical")]
    return f"{counts[0]} picks were proven, {counts[1]} equivalent and {counts[2]} practical."


def _range(counts: Sequence[int]) -> str:
    low, high = min(counts), max(counts)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _claims(claims: Sequence[Claim], records: Sequence[Record]) -> Iterator[str]:
    yield "| claim | asked | held | labels as they are | a tenth changed | width | claims | |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- |"
    for claim in claims:
        every, *parts = (_held(claim.key, [r for r in records if pick(r)]) for pick in (_any, _is_clean, _is_noisy))
        widths = [width for record in records for width in record["width"].get(claim.key, [])]
        width = f"{(100 if claim.points else 1) * np.median(widths):.{1 if claim.points else 2}f}" if widths else "-"
        asked = "-" if claim.asked is None else f"{claim.asked:.0%}"
        cells = (_say(interval) for interval in (every, *parts))
        count = 0 if every is None else every.n
        yield f"| {claim.text} | {asked} | {' | '.join(cells)} | {width} | {count:,} | {_mark(claim, every)} |"


def _any(record: Record) -> bool:
    return True


def _is_clean(record: Record) -> bool:
    return not record["noise"]


def _is_noisy(record: Record) -> bool:
    return bool(record["noise"])


def _held(key: str, records: Sequence[Record]) -> Interval | None:
    """How often a claim held, with an interval over runs; None if it was never made."""
    events = [(held, record["run"]) for record in records for held in record["held"].get(key, [])]
    if not events:
        return None
    held_N, run_N = np.array([held for held, _ in events]), np.array([run for _, run in events])
    if len(np.unique(run_N)) == len(run_N):
        return wilson(int(held_N.sum()), len(held_N))
    return clustered_rate(held_N, run_N)


def _say(interval: Interval | None) -> str:
    if interval is None:
        return "never claimed"
    return f"{100 * interval.value:.1f}% [{100 * interval.low:.1f}, {100 * interval.high:.1f}]"


def _mark(claim: Claim, held: Interval | None) -> str:
    if claim.asked is None or held is None or held.value >= claim.asked:
        return ""
    return BELOW if held.high < claim.asked else NEAR


def _means(records: Sequence[Record]) -> Iterator[str]:
    yield "| figure | asked | mean | labels as they are | a tenth changed | runs |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for mean in MEANS:
        cells = (_mean(mean, [r for r in records if pick(r)]) for pick in (_any, _is_clean, _is_noisy))
        runs = sum(bool(record["value"].get(mean.key)) for record in records)
        yield f"| {mean.text} | {mean.asked} | {' | '.join(cells)} | {runs} |"
    stated, true = (
        [np.mean(record["value"][key]) for record in records] for key in ("variance stated", "variance true")
    )
    yield (
        f"| deviation between trainings: stated | - | {100 * math.sqrt(np.mean(stated)):.2f} | - | - | {len(stated)} |"
    )
    yield (
        f"| deviation between trainings: true | - | {100 * math.sqrt(max(0.0, np.mean(true))):.2f} | - | - "
        f"| {len(true)} |"
    )


def _mean(mean: Mean, records: Sequence[Record]) -> str:
    per_run = [float(np.mean(record["value"][mean.key])) for record in records if record["value"].get(mean.key)]
    if not per_run:
        return "-"
    error = normal_quantile(0.95) * np.std(per_run, ddof=1) / math.sqrt(len(per_run)) if len(per_run) > 1 else math.nan
    return f"{mean.scale * np.mean(per_run):.2f} ± {mean.scale * error:.2f}"
