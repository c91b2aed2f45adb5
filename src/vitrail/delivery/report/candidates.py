"""How the candidates were chosen when nobody named a backbone, in words."""

from dataclasses import dataclass

from vitrail.candidates.automatic import ChosenBackbone, list_left_out
from vitrail.runs import Results

PLACES = {
    "given folder": "weights from the given folder",
    "hub's cache": "weights were on this machine",
    "hub": "weights downloaded",
}
NO_PROOF = (
    "Files recognised by the names and shapes of their tensors may be other weights of the same network: nobody states "
    "their origin and licence."
)
MOST_FITS = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class ExplainedCandidate:
    """A candidate, what it stands for, and where its weights came from."""

    name: str
    reason: str
    weights: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Explained:
    """The rule in a sentence, the candidates in the order of their choice, and the names left out by reason."""

    rule: str
    candidates: tuple[ExplainedCandidate, ...]
    left_out: tuple[tuple[str, list[str]], ...]
    notes: tuple[str, ...]


def explain_candidates(results: Results) -> Explained | None:
    """The choice of a run; None if its backbones were named."""
    choice = results.automatic
    if choice is None:
        return None
    unproven = any(each.recognised == "names and shapes" for each in choice.backbones)
    return Explained(
        rule=choice.rule,
        candidates=tuple(
            ExplainedCandidate(name=each.name, reason=each.reason, weights=_say_weights(each))
            for each in choice.backbones
        ),
        left_out=tuple(list_left_out(choice)),
        notes=(NO_PROOF,) if unproven else (),
    )


def _say_weights(chosen: ChosenBackbone) -> str:
    words = PLACES[chosen.weights]
    if chosen.recognised:
        words += f", recognised by {'their digest' if chosen.recognised == 'digest' else 'names and shapes'}"
    if chosen.fits:
        more = len(chosen.fits) - MOST_FITS
        words += f" (as well for {', '.join(chosen.fits[:MOST_FITS])}{f' and {more} more' if more > 0 else ''})"
    return words if chosen.ms is None else f"{words}; {chosen.ms:.3g} ms an image, measured beforehand"
