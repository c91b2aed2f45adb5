"""The lead of one head over another with all training images, forecast from their leads on nested subsets.

Error rates mostly fall as a + b n^-c (Viering and Loog 2022, arXiv:2103.10948). A few looks at few images do not show
c, so it is a half for both heads: a choice, which benchmarks/race.py tests with curves of 0.3 to 0.7. The lead is then

    lead(n) = lead(all) - s (n^-1/2 - all^-1/2),

and s is found from rows that both heads answered more than once: what a row's lead has changed between the first and
the last look at it, by least squares through the origin. A row is compared with itself, so that hard and easy rows
cancel out, and each row counts once. Other forecasts were measured and not chosen (benchmarks/race.py). Form and limit
were chosen on the simulated curves there, so what the rule misses on these curves is no estimate for real ones.

Letters: N rows of the last look, M of an earlier one.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ERRORS = 2.0  # standard errors of the upper limit


@dataclass(frozen=True, kw_only=True, slots=True)
class LeadForecast:
    """How much a lead is to grow until all images are used, and a limit on the lead that it then has; fractions.

    `high` is two standard errors above the forecast. It is a forecast too: no level is promised.
    """

    gain: float
    high: float


def forecast_lead(
    lead_by_look: Sequence[NDArray[np.integer]], images: int, group_N: NDArray[np.int64] | None = None
) -> LeadForecast:
    """Forecast the lead of head A over head B with all training images.

    Args:
        lead_by_look: for each look, from small to large, 1 for each row that A alone gets right, -1 for one of B alone,
            else 0. The rows of a look are the first rows of the next one. At least two looks.
        images: the number of all training images, more than the last look has.
        group_N: the number of the group of each row; None if rows are independent.
    """
    last_N = lead_by_look[-1].astype(np.float64)
    N = len(last_N)
    change_N, step_N, seen = np.zeros(N), np.zeros(N), 0
    for lead_M in lead_by_look[:-1]:
        new = slice(seen, len(lead_M))
        change_N[new] = last_N[new] - lead_M[new]
        step_N[new] = len(lead_M) ** -0.5 - N**-0.5
        seen = len(lead_M)
    to_come, square = N**-0.5 - images**-0.5, float(step_N @ step_N)
    slope = float(step_N @ change_N) / square
    now, gain = float(last_N.mean()), slope * to_come
    moved_N = (last_N - now) / N + to_come / square * step_N * (change_N - slope * step_N)
    moved_G = moved_N if group_N is None else np.bincount(group_N, weights=moved_N)
    return LeadForecast(gain=gain, high=now + gain + ERRORS * math.sqrt(float(moved_G @ moved_G)))
