"""The options of a benchmark as people give them: keywords with the command line's names, in the units of its flags.

`vitrail.bench` and the command make their `BenchOptions` here. Every check that needs no image is made here, before
any work, and its error names the flag, the value and what can be given.
"""

import math
import re
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, Literal, NoReturn, cast, get_args

from vitrail.backbones.engines import EngineName, Precision
from vitrail.backbones.select import Wanted, parse_count
from vitrail.candidates.decoding import DECODES
from vitrail.candidates.options import BenchOptions
from vitrail.candidates.recipes import DEFAULT, RECIPES, say_recipes
from vitrail.candidates.shortlist import CANDIDATES, ShortlistOptions
from vitrail.core.errors import UsageError
from vitrail.data import SplitOptions
from vitrail.search import TuneOptions
from vitrail.statistics.metrics import DECIDE_BY, DecideBy

ChooseBy = Literal["nll", "accuracy"]
Recipe = Literal["default", "deck", "deck-no-equalise"]
Decode = Literal["auto", "exact", "fast"]

TIME = re.compile(r"(?:(?P<h>\d+(?:\.\d+)?)h)?(?:(?P<m>\d+(?:\.\d+)?)m)?(?:(?P<s>\d+(?:\.\d+)?)s?)?")
SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0}
POINTS = re.compile(r"(?P<number>[-+.\w]+?)\s*(?P<unit>%|pt|points?)?", re.IGNORECASE)
LEAST_BARE_POINTS = 0.1  # a smaller number without a unit is more likely a fraction: 0.01 for one point
LEAST_MEGAPIXELS = 0.01


def make_options(
    *,
    seed: int = 0,
    engine: str = "auto",
    precision: str = "auto",
    decode: str = "auto",
    margin: str | float = "1pt",
    level: float = 0.95,
    decide_by: str = "top1",
    max_megapixels: float = 100,
    recipe: str | Sequence[str] = DEFAULT,
    trials: int | None = None,
    budget: str | float | None = None,
    choose_by: str = "nll",
    balanced: bool = False,
    calibration: float = 0.0,
    near_duplicates: bool = True,
    slices: str | Sequence[str] = (),
    leave_out: str | None = None,
    candidates: int | None = None,
    licence: str | None = None,
    max_params: str | int | None = None,
    max_gmacs: float | None = None,
    max_ms: float | None = None,
    pretrained_on: str | None = None,
    not_pretrained_on: str | None = None,
    race_budget: float | None = None,
) -> BenchOptions:
    """The options of a benchmark; `vitrail.bench` says what each keyword means.

    Raises:
        UsageError: a value cannot be used; the message names its flag.
    """
    recipes = _list_texts(recipe)
    _require_name("--engine", engine, ("auto", *get_args(EngineName)))
    _require_name("--precision", precision, ("auto", *get_args(Precision)))
    _require_name("--decode", decode, DECODES)
    _require_name("--choose-by", choose_by, get_args(ChooseBy))
    if not recipes or len(set(recipes)) < len(recipes) or not set(recipes) <= set(RECIPES):
        _refuse("--recipe", ", ".join(map(str, recipes)) or "nothing", f"give {say_recipes()}")
    _require_whole("--seed", seed, least=0)
    if trials is not None:
        _require_whole("--trials", trials, least=1)
    if not (_is_number(max_megapixels) and max_megapixels >= LEAST_MEGAPIXELS and max_megapixels * 1e6 < 2**63):
        _refuse("--max-megapixels", max_megapixels, f"give {LEAST_MEGAPIXELS} or more; 100 is usual")
    split = SplitOptions()
    if not (_is_number(calibration) and 0 <= calibration < split.fractions[0]):
        rule = f"give a fraction of the images below the {split.fractions[0]:g} that train has, such as 0.1"
        _refuse("--calibration", calibration, rule)
    return BenchOptions(
        split=SplitOptions(calibration=float(calibration), seed=int(seed)),
        search=TuneOptions(
            trials=None if trials is None else int(trials),
            budget_s=None if budget is None else read_seconds(budget),
            metric=cast("ChooseBy", choose_by),
            balanced=balanced,
            leave_out=leave_out,
            seed=int(seed),
        ),
        engine=engine,
        precision=precision,
        decode=decode,
        margin=read_margin(margin),
        level=read_level(level),
        decide_by=read_decide_by(decide_by),
        max_pixels=round(max_megapixels * 1e6),
        near_duplicates=near_duplicates,
        recipes=recipes,
        slices=_list_texts(slices),
        shortlist=make_shortlist_options(
            candidates=candidates,
            licence=licence,
            max_params=max_params,
            max_gmacs=max_gmacs,
            pretrained_on=pretrained_on,
            not_pretrained_on=not_pretrained_on,
            max_ms=max_ms,
            race_budget=race_budget,
        ),
        seed=int(seed),
    )


def make_shortlist_options(
    *,
    candidates: int | None,
    licence: str | None,
    max_params: str | int | None,
    max_gmacs: float | None,
    pretrained_on: str | None,
    not_pretrained_on: str | None,
    max_ms: float | None = None,
    race_budget: float | None = None,
) -> ShortlistOptions | None:
    """How many candidates the catalogue shall give and what they must meet; None if nothing is given.

    Raises:
        UsageError: a value cannot be used.
    """
    if candidates is not None:
        _require_whole("--candidates", candidates, least=1)
    if max_gmacs is not None and not (_is_number(max_gmacs) and max_gmacs > 0):
        _refuse("--max-gmacs", max_gmacs, "give 1e9 multiply-adds an image, more than 0, such as 5")
    if max_ms is not None and not (_is_number(max_ms) and 0 < max_ms < math.inf):
        _refuse("--max-ms", max_ms, "give milliseconds an image, more than 0, such as 20")
    if race_budget is not None and not (_is_number(race_budget) and 0 < race_budget <= 1):
        rule = "give a share of the multiply-adds of all candidates, more than 0 and at most 1, such as 0.25"
        _refuse("--race-budget", race_budget, rule)
    wanted = Wanted(
        licence=licence,
        max_parameters=parse_count(max_params) if isinstance(max_params, str) else max_params,
        max_gmacs=max_gmacs,
        pretrained_on=pretrained_on,
        not_pretrained_on=not_pretrained_on,
    )
    if candidates is None and max_ms is None and race_budget is None and wanted == Wanted():
        return None
    return ShortlistOptions(
        wanted=wanted,
        candidates=CANDIDATES if candidates is None else int(candidates),
        max_ms=None if max_ms is None else float(max_ms),
        race_budget=1.0 if race_budget is None else float(race_budget),
    )


def read_margin(margin: str | float) -> float:
    """A margin as a fraction: "1pt", "1", "1%" and 1.0 are 0.01.

    Raises:
        UsageError: it is not a number of points between 0 and 100, or it may be meant as a fraction.
    """
    match = POINTS.fullmatch(margin.strip()) if isinstance(margin, str) else None
    try:
        points = float(match["number"] if match else margin)
    except (TypeError, ValueError):
        _refuse("--margin", repr(margin), "give points of accuracy, such as 1pt or 0.5pt")
    if not 0 < points < 100:
        _refuse("--margin", margin, "give more than 0 and less than 100 points of accuracy, such as 1pt or 0.5pt")
    if points < LEAST_BARE_POINTS and not (match and match["unit"]):
        rule = f"a margin is in points, not a fraction; give {100 * points:g}pt, or {points:g}pt if you mean that"
        _refuse("--margin", margin, rule)
    return points / 100


def read_level(level: float) -> float:
    """A confidence level.

    Raises:
        UsageError: it is not a fraction between 0 and 1.
    """
    if not (_is_number(level) and 0 < level < 1):
        _refuse("--level", level, "give a confidence level between 0 and 1, such as 0.95")
    return float(level)


def read_decide_by(name: str) -> DecideBy:
    """The accuracy that decides; raises UsageError if there is none of this name."""
    _require_name("--decide-by", name, DECIDE_BY)
    return cast("DecideBy", name)


def read_seconds(time: str | float) -> float:
    """A time in seconds: 90, "90s", "2m", "1h30m".

    Raises:
        UsageError: it is not a time, or not above 0.
    """
    text = str(time).strip()
    match = TIME.fullmatch(text)
    if not text or not match:
        _refuse("--budget", repr(time), "give a time in seconds, or hours, minutes and seconds: 90s, 2m, 1h30m")
    seconds = sum(float(amount) * SECONDS[unit] for unit, amount in match.groupdict().items() if amount)
    if seconds <= 0:
        _refuse("--budget", time, "give a time above 0, such as 90s, 2m or 1h30m")
    return seconds


def _require_name(flag: str, name: object, known: Sequence[str]) -> None:
    if name not in known:
        _refuse(flag, repr(name), f"choose {', '.join(known[:-1])} or {known[-1]}")


def _require_whole(flag: str, number: Any, *, least: int) -> None:
    if not (_is_number(number) and isinstance(number, Integral) and int(number) >= least):
        _refuse(flag, number, f"give a whole number, {least} or more")


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _list_texts(texts: str | Sequence[str]) -> tuple[str, ...]:
    return (texts,) if isinstance(texts, str) else tuple(texts)


def _refuse(flag: str, value: object, rule: str) -> NoReturn:
    """Name the flag, and also the keyword of Python if it has underscores where the flag has dashes."""
    keyword = flag.removeprefix("--").replace("-", "_")
    python = f" ({keyword} in Python)" if f"--{keyword}" != flag else ""
    raise UsageError(f"{flag} {value}{python} cannot be used: {rule}.")
