"""64 deck heads trained as one tensor, against the same 64 one after another by a plain torch loop and by Keras 3.

    python -m benchmarks.heads_together

RMSprop, 8 learning rates x 8 dropouts, 12,000 rows, 120 classes, 10 epochs without early stopping. An epoch costs the
same as any other and a head as any other, so that some are timed and multiplied out, which the table says. Keras needs
`pip install keras`; without it that column is empty. Writes benchmarks/heads_together_<hardware>_<yyyymm>.md.
"""

import argparse
import os
import statistics
from collections.abc import Callable
from functools import partial

import numpy as np
import torch

from benchmarks.results import clock_for, machine_line, write_results
from vitrail.heads.batched import Setting, TrainOptions
from vitrail.heads.trained import HeadTraining

N, C, EPOCHS = 12_000, 120, 10
SETTINGS = [
    Setting(learning_rate=float(rate), dropout=float(dropout))
    for rate in np.geomspace(1e-4, 1e-2, 8)
    for dropout in np.linspace(0.5, 0.8, 8)
]


def main() -> None:
    """Time every shape and batch."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--widths", type=int, nargs="*", default=[384, 2048])
    parser.add_argument("--epochs-timed", type=int, default=2)
    parser.add_argument("--loop-heads", type=int, default=3)
    arguments, clock, timing = clock_for(parser)
    peaks = {dtype: matrix_peak(dtype, clock) for dtype in (torch.float32, torch.bfloat16)}
    lines = [
        __doc__.split("\n", 1)[0],
        "",
        f"    python -m benchmarks.heads_together --threads {arguments.threads}",
        "",
        machine_line(),
        timing,
        "",
        f"Peak of a 2048^3 matrix product: {peaks[torch.float32] / 1e9:.0f} GFLOP/s in float32, "
        f"{peaks[torch.bfloat16] / 1e9:.0f} in bfloat16.",
        f"Of ours {arguments.epochs_timed} epochs are timed, of the loops one epoch of {arguments.loop_heads} heads; "
        f"all multiplied out to {EPOCHS} epochs of 64.",
        "",
        "| width | batch | ours | s (spread) | torch loop, s (spread) | Keras 3, s | loop / ours | share of the peak |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for D in arguments.widths:
        feature_ND, label_N = synthetic(D)
        for batch, precisions in ((24, ("float32",)), (512, ("float32", "bfloat16"))):
            torch_loop(feature_ND[:100], label_N[:100], batch)  # torch loads parts of itself at the first step
            loop = timed(partial(torch_loop, feature_ND, label_N, batch), arguments.loop_heads, clock)
            keras = keras_epoch(feature_ND, label_N, batch, clock)
            for precision in precisions:
                training = HeadTraining(
                    (feature_ND, label_N),
                    None,
                    classes=C,
                    settings=SETTINGS,
                    options=TrainOptions(batch=batch, precision=precision),
                )
                ours = timed(partial(training.advance, 1), arguments.epochs_timed, clock)
                flops = 4 * len(SETTINGS) * N * D * C / statistics.median(ours)
                share = flops / peaks[torch.bfloat16 if precision == "bfloat16" else torch.float32]
                lines.append(
                    f"| {D} | {batch} | {precision} | {figure(ours, EPOCHS)} | {figure(loop, EPOCHS * 64)} | "
                    f"{(keras and keras * EPOCHS * 64) or float('nan'):.0f} | "
                    f"{64 * statistics.median(loop) / statistics.median(ours):.1f} | {share:.0%} |"
                )
                print(lines[-1], flush=True)
    lines += [
        "",
        "Where a step goes, batch 512, bfloat16 (shares of the time in torch's operators):",
        "",
        *profile(arguments.widths),
    ]
    write_results("heads_together", lines)


def synthetic(width: int) -> tuple[np.ndarray, np.ndarray]:
    """Classes that overlap; speed does not depend on it."""
    draws = np.random.default_rng(0)
    label_N = draws.integers(0, C, N)
    centre_CD = draws.standard_normal((C, width), dtype=np.float32)
    return 0.3 * centre_CD[label_N] + draws.standard_normal((N, width), dtype=np.float32), label_N


def timed(work: Callable[[], object], repetitions: int, clock: Callable[[], float]) -> list[float]:
    """Seconds of each repetition."""
    seconds = []
    for _ in range(repetitions):
        start = clock()
        work()
        seconds.append(clock() - start)
    return seconds


def figure(seconds: list[float], times: int) -> str:
    """Median with the least and the most, multiplied out."""
    median, least, most = (f(seconds) * times for f in (statistics.median, min, max))
    return f"{median:.1f} ({least:.1f} to {most:.1f})"


def torch_loop(feature_ND: np.ndarray, label_N: np.ndarray, batch: int) -> None:
    """One epoch of one head as everyone writes it."""
    row_ND, label = torch.from_numpy(feature_ND), torch.from_numpy(label_N)
    head = torch.nn.Sequential(torch.nn.Dropout(0.6), torch.nn.Linear(row_ND.shape[1], C))
    optimiser = torch.optim.RMSprop(head.parameters(), lr=1e-3, alpha=0.9, eps=1e-7)
    for row_B in torch.randperm(len(row_ND)).split(batch):
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(head(row_ND[row_B]), label[row_B]).backward()
        optimiser.step()


def keras_epoch(feature_ND: np.ndarray, label_N: np.ndarray, batch: int, clock: Callable[[], float]) -> float | None:
    """Seconds of one epoch of one head in Keras 3 on torch, the second of two."""
    os.environ["KERAS_BACKEND"] = "torch"
    try:
        import keras
    except ImportError:
        return None
    head = keras.Sequential(
        [keras.layers.Input((feature_ND.shape[1],)), keras.layers.Dropout(0.6), keras.layers.Dense(C, "softmax")]
    )
    head.compile(optimizer=keras.optimizers.RMSprop(1e-3), loss="sparse_categorical_crossentropy")
    return (
        timed(lambda: head.fit(feature_ND[: N // 2], label_N[: N // 2], batch_size=batch, verbose=0), 2, clock)[1] * 2
    )


def matrix_peak(dtype: torch.dtype, clock: Callable[[], float]) -> float:
    """Floating-point operations a second of a large square product, the best of five."""
    one_MM = torch.randn(2048, 2048).to(dtype)
    torch.mm(one_MM, one_MM)
    return 2 * 2048**3 / min(timed(lambda: torch.mm(one_MM, one_MM), 5, clock))


def profile(widths: list[int]) -> list[str]:
    """The largest costs of an epoch."""
    lines = ["| width | operator | share |", "| --- | --- | --- |"]
    for D in widths:
        feature_ND, label_N = synthetic(D)
        training = HeadTraining(
            (feature_ND[:2048], label_N[:2048]),
            None,
            classes=C,
            settings=SETTINGS,
            options=TrainOptions(batch=512, precision="bfloat16"),
        )
        training.advance(1)
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as seen:
            training.advance(1)
        events = sorted(seen.key_averages(), key=lambda event: -event.self_cpu_time_total)
        total = sum(event.self_cpu_time_total for event in events)
        lines += [f"| {D} | {event.key} | {event.self_cpu_time_total / total:.0%} |" for event in events[:7]]
    return lines


if __name__ == "__main__":
    main()
