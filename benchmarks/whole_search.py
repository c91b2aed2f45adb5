"""A whole search of 64 softmax heads with halving and patience 5, beside the same 64 trained one by one to their end.

    python -m benchmarks.whole_search

12,000 rows to train on and 3,000 to choose on, 384 features, 120 classes that overlap; the heads are drawn by the
search, RMSprop with a dropout of 0.5 to 0.8, minibatches of 128, at most 40 epochs. One by one is a plain torch loop
with the same settings and early stopping, and no halving. Writes benchmarks/whole_search_<hardware>_<yyyymm>.md.
"""

import argparse

import numpy as np
import torch

from benchmarks.heads_together import C, matrix_peak
from benchmarks.results import clock_for, machine_line, write_results
from vitrail.candidates.recipes import DECK_DROPOUTS
from vitrail.search import TuneOptions
from vitrail.search.examples import Examples, Holdout
from vitrail.search.halving import SOFTMAX
from vitrail.search.ledger import Ledger
from vitrail.search.scored_trial import ScoredTrial

D, TRAIN, VAL = 384, 12_000, 3_000


def main() -> None:
    """Search, then train the same settings one by one."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--heads", type=int, default=64)
    arguments, clock, timing = clock_for(parser)
    examples, options = overlapping(), options_for(arguments.heads)
    peak = matrix_peak(torch.float32, clock)
    start = clock()
    trials = search(examples, options)
    ours = clock() - start
    epochs = sum(len(trial.curve) for trial in trials)
    share = 4 * epochs * TRAIN * D * C / ours / peak
    best = max(trials, key=lambda trial: float(trial.right_S.mean()))
    print(f"searched in {ours:.1f} s", flush=True)
    start = clock()
    alone = [train_alone(examples, trial, options) for trial in trials]
    theirs, epochs_alone = clock() - start, sum(seen for _, seen in alone)
    accuracy, accuracy_alone = float(best.right_S.mean()), max(right for right, _ in alone)
    noise = (accuracy * (1 - accuracy) / VAL) ** 0.5
    lines = [
        __doc__.split("\n", 1)[0],
        "",
        f"    python -m benchmarks.whole_search --threads {arguments.threads}",
        "",
        machine_line(),
        timing,
        "",
        "| | s | epochs of a head | best val accuracy |",
        "| --- | --- | --- | --- |",
        f"| the search | {ours:.1f} | {epochs:,} | {accuracy:.4f} |",
        f"| one by one | {theirs:.1f} | {epochs_alone:,} | {accuracy_alone:.4f} |",
        "",
        f"{theirs / ours:.1f} times as fast in all, {theirs / epochs_alone / (ours / epochs):.1f} times an epoch. A "
        f"standard error of the accuracy is {noise:.4f}. The search reached {share:.0%} of this machine's peak of "
        f"{peak / 1e9:.0f} GFLOP/s (a 2048^3 product in float32); early stopping's own scoring of val is not counted.",
        "",
        "Where the time of the search goes (shares of the time in torch's operators, 8 heads):",
        "",
        *largest_costs(examples),
    ]
    write_results("whole_search", lines)


def overlapping() -> Examples:
    """Classes that no head tells apart without mistakes."""
    draws = np.random.default_rng(0)
    label_N = draws.integers(0, C, TRAIN + VAL)
    centre_CD = draws.standard_normal((C, D), dtype=np.float32)
    feature_ND = 0.13 * centre_CD[label_N] + draws.standard_normal((TRAIN + VAL, D), dtype=np.float32)
    holdout = Holdout(np.arange(TRAIN), *[np.arange(TRAIN, TRAIN + VAL)] * 2)
    ids = tuple(str(number) for number in range(TRAIN + VAL))
    return Examples(ids, feature_ND, label_N, np.arange(TRAIN + VAL), C, (holdout,), ())


def options_for(heads: int) -> TuneOptions:
    """The deck's space, our minibatches."""
    return TuneOptions(
        kinds=("softmax",),
        trials=heads,
        scalings=("standardise",),
        optimisers=("rmsprop",),
        weight_decays=(0.0,),
        dropouts=DECK_DROPOUTS,
    )


def search(examples: Examples, options: TuneOptions) -> list[ScoredTrial]:
    """Every trial."""
    return [trial for finished in SOFTMAX.rounds(examples, options, Ledger(None, identity="")) for trial in finished]


def train_alone(examples: Examples, trial: ScoredTrial, options: TuneOptions) -> tuple[float, int]:
    """The best epoch's val accuracy, and how many epochs were trained, as everyone writes it."""
    (holdout,) = examples.holdouts
    train_ND, train_N = (torch.from_numpy(array) for array in examples.take_rows(holdout.fit))
    val_ND, val_N = (torch.from_numpy(array) for array in examples.take_rows(holdout.score))
    mean_D, scale_D = train_ND.mean(dim=0), train_ND.std(dim=0)
    train_ND, val_ND = (train_ND - mean_D) / scale_D, (val_ND - mean_D) / scale_D
    head = torch.nn.Sequential(torch.nn.Dropout(float(trial.setting["dropout"])), torch.nn.Linear(D, C))
    rate = float(trial.setting["learning_rate"])
    optimiser = torch.optim.RMSprop(head.parameters(), lr=rate, alpha=0.9, eps=1e-7)
    least, right, since, epoch = float("inf"), 0.0, 0, 0
    while since < options.patience and epoch < options.epochs:
        epoch += 1
        head.train()
        for row_B in torch.randperm(TRAIN).split(options.batch):
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(head(train_ND[row_B]), train_N[row_B]).backward()
            optimiser.step()
        head.eval()
        with torch.no_grad():
            score_NC = head(val_ND)
            loss = float(torch.nn.functional.cross_entropy(score_NC, val_N))
        since += 1
        if loss < least:
            least, right, since = loss, float((score_NC.argmax(dim=1) == val_N).double().mean()), 0
    return right, epoch


def largest_costs(examples: Examples) -> list[str]:
    """Of a small search."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as seen:
        search(examples, options_for(8))
    events = sorted(seen.key_averages(), key=lambda event: -event.self_cpu_time_total)
    total = sum(event.self_cpu_time_total for event in events)
    rows = [f"| {event.key} | {event.self_cpu_time_total / total:.0%} |" for event in events[:6]]
    return ["| operator | share |", "| --- | --- |", *rows]


if __name__ == "__main__":
    main()
