"""The short answer of a run: what to take, how accurate it will be, how far to trust that, what it costs, what next.

The terminal, the page and Python show the same words, and each draws them in its own way.
"""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from vitrail.backbones.cards import is_unknown_file
from vitrail.backbones.display_names import display_names, shorten_names
from vitrail.data import crop_to_boxes
from vitrail.delivery.units import big, milliseconds
from vitrail.evaluation import DecidingMetric, say_strength
from vitrail.evaluation.contamination import mark
from vitrail.evaluation.sentences import say_names, say_rate
from vitrail.evaluation.winners_curse import say_winner
from vitrail.runs import BackboneResult, Results

DATA = "DATA"  # stands for the images where the command does not tell
WORTH_AN_AUDIT = ("two_labels", "near_pairs", "near_across_splits", "near_two_labels")  # of `DataSummary.duplicates`
NEXT_SENTENCE = re.compile(r"(?<=[.!?]) (?=[A-Z])")


@dataclass(frozen=True, kw_only=True, slots=True)
class NextStep:
    """A command that is worth typing after the run, and what it is for."""

    purpose: str
    command: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """The pick and what to know of it, as sentences with short names; `full_name` is what is typed after `-b`.

    `doubt` is the weightiest of the caveats, and `caveats` are the others, each with the backbones that it concerns.
    """

    name: str
    full_name: str
    expected: str
    trust: str
    why: str
    doubt: str
    cost: str
    next_steps: tuple[NextStep, ...]
    caveats: tuple[str, ...]

    @property
    def headline(self) -> str:
        """What to take, in three words or four."""
        return f"Take {self.name}"

    def rows(self) -> tuple[tuple[str, str], ...]:
        """Each line of the answer under its headline: a label of one word, and the sentence."""
        rows = (
            ("Expect", self.expected),
            ("Trust", self.trust),
            ("Why", self.why),
            ("But", self.doubt),
            ("Cost", self.cost),
        )
        return tuple((label, text) for label, text in rows if text)


def make_answer(results: Results, run: str) -> Answer:
    """The answer of a run; `run` is its folder as it is typed in a command."""
    names = display_names(results.backbones)
    result = next(result for result in results.backbones if result.name == results.decision.choose)
    merged = merge_caveats(results, names)
    doubt, kept = _split_doubt(results, result, merged)
    return Answer(
        name=names[result.name],
        full_name=result.name,
        expected=_say_expected(results, result),
        trust=_say_trust(results),
        why="" if results.decision.strength is None else shorten_names(results.decision.sentence, names),
        doubt=doubt,
        cost=_say_cost(result),
        next_steps=_next_steps(results, run),
        caveats=kept,
    )


def merge_caveats(results: Results, names: Mapping[str, str]) -> dict[str, str]:
    """The caveats of the decision with short names, the weightiest first, each by the caveat that it was made from.

    What is the same for several backbones is said once and names them. The figures of each one's untuned classifier,
    which differ, are left to the details.
    """
    about = {result.contamination.sentence: result for result in results.backbones}
    merged: dict[str, list[str]] = {}
    source: dict[str, str] = {}
    for caveat in results.decision.caveats:
        result = about.get(caveat)
        text = shorten_names(caveat, names) if result is None else _without_name(result)
        merged.setdefault(text, []).extend([] if result is None else [result.name])
        source.setdefault(text, caveat)
    return {source[text]: _say_of(about_these, text, results, names) for text, about_these in merged.items()}


def _split_doubt(results: Results, result: BackboneResult, merged: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    """The main reason for doubt, and the caveats that are left.

    What was seen in pretraining and the luck of being chosen are in the expected accuracy already, and what is known of
    the data set is seldom a doubt.
    """
    if result.contamination.verdict in ("seen", "probably"):
        return "", tuple(merged.values())
    known = {*results.data.warnings, *say_winner(results.winner, DecidingMetric(name=results.options.decide_by))}
    first = next((caveat for caveat in merged if caveat not in known), next(iter(merged), None))
    if first is None:
        return "", ()
    doubt, *rest = NEXT_SENTENCE.split(merged[first])
    others = tuple(text for caveat, text in merged.items() if caveat != first)
    return doubt, (*([" ".join(rest)] if rest else []), *others)


def say_untuned(result: BackboneResult) -> str:
    """The figures of a backbone's own, untuned classifier, which the merged caveats leave out; "" if there are none."""
    return " ".join(sentence for sentence in _sentences(result) if _has_figures(sentence, result))


def _without_name(result: BackboneResult) -> str:
    """What is known of a backbone's pretraining, with "it" for its name."""
    sentences = [sentence for sentence in _sentences(result) if not _has_figures(sentence, result)]
    text = " ".join(sentences).replace(f"{result.name}'s", "its").replace(result.name, "it")
    return re.sub(r"(^|[.!?] )it", lambda match: f"{match[1]}It", text)


def _sentences(result: BackboneResult) -> list[str]:
    return NEXT_SENTENCE.split(result.contamination.sentence)


def _has_figures(sentence: str, result: BackboneResult) -> bool:
    untuned = result.contamination.untuned
    return untuned is not None and say_rate(untuned.accuracy) in sentence


def _say_of(about: list[str], sentence: str, results: Results, names: Mapping[str, str]) -> str:
    """A sentence with the backbones that it is about; one about the images names none."""
    if not about:
        return sentence
    if len(about) == len(results.backbones) > 2:
        return f"For each of the {len(about)} backbones: {sentence}"
    each = "For each of " if len(about) > 1 else ""
    return f"{each}{say_names([names[name] for name in about], most=len(about))}: {sentence}"


def _say_expected(results: Results, result: BackboneResult) -> str:
    """The accuracy with its range; of the best backbone without the luck of having been chosen."""
    metric, winner = DecidingMetric(name=results.options.decide_by), results.winner
    rate, best = result.test.deciding(metric.name), ""
    if winner is not None and winner.name == result.name:
        rate, best = winner.corrected, f" for the best of {winner.of}"
    reached, marked = metric.say_reached(rate), mark(result.contamination)
    if result.contamination.verdict == "seen":
        return f"{reached} here, but it {marked}: less on new ones"
    on = "of" if metric.name == "top1" else "on"
    text = f"{reached} {on} images like these ({100 * rate.level:g}% interval{best})"
    return f"{text}; perhaps less, since it {marked}" if marked else text


def _say_cost(result: BackboneResult) -> str:
    card = result.card
    known = card.licence and not is_unknown_file(card)
    return (
        f"{card.gmacs:.3g} G multiply-adds, {milliseconds(result.cost.images_per_s)} ms/image, "
        f"{big(card.parameters)} parameters, {card.licence if known else 'licence unknown'}"
    )


def _next_steps(results: Results, run: str) -> tuple[NextStep, ...]:
    folder = shlex.quote(run)
    steps = [NextStep(purpose="classify new images", command=f"vitrail predict {folder} IMAGE")]
    if results.data.leaked or any(results.data.duplicates.get(kind) for kind in WORTH_AN_AUDIT):
        data = shlex.quote(data_of(results.command))
        steps.append(NextStep(purpose="see copies and labels", command=f"vitrail audit {data} --run {folder}"))
    return tuple(steps)


def data_of(command: str) -> str:
    """The images that a command was given: right after `bench`, or after the option `--data` of `reproduce deck`."""
    try:
        words = shlex.split(command)
    except ValueError:  # a quotation is not closed: the command was typed by hand in Python
        return DATA
    if len(words) > 2 and words[1] == "bench" and not words[2].startswith("-"):
        data = words[2]
    elif "--data" in words[1:-1]:
        data = words[words.index("--data") + 1]
    else:
        return DATA
    return crop_to_boxes(data) if "--crop-to-boxes" in words else data


def _say_trust(results: Results) -> str:
    """How sure the pick is; candidates that left a race were not tested, so the pick is not compared with them."""
    strength, race = say_strength(results.decision), results.race
    if race is None or not race.out:
        return strength
    finalists, candidates = len(race.outcome.finalists), len(race.outcome.candidates)
    if finalists == 1:
        return f"the only finalist of {candidates} candidates"
    return f"{strength} (of {finalists} finalists; {candidates} candidates raced)"
