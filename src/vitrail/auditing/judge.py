"""Which backbone judges labels if none is named: the largest one that is on this machine.

On average a larger network has the better features. One that takes a CPU more than a second an image is left to those
who name it. The two embedded backbones are the last resort.
"""

from collections.abc import Iterator
from pathlib import Path

from vitrail.backbones import BackboneSpec, Card
from vitrail.backbones.catalogue import load_catalogue
from vitrail.backbones.opening import EMBEDDED
from vitrail.backbones.remembered import is_unchanged
from vitrail.core.progress import Progress
from vitrail.fetch.download import is_fetched
from vitrail.fetch.known_weights import read_known

LAST_RESORT = "vit_mini"
MOST_GMACS = 20.0  # of ViT-B/16 at 224 pixels, with some room


def choose_judge(progress: Progress) -> BackboneSpec:
    """The backbone with the most multiply-adds whose weights are here: fetched before, or a file that was used before.

    Weights on the hub must have a digest on their card or in the lock; a file must have the bytes it had when used.
    """
    at_hand = sorted(_list_at_hand(progress), key=lambda pair: -pair[0].gmacs)
    for card, known in at_hand:
        if known is None:
            return BackboneSpec(name=card.name)
        path, digest = known
        if is_unchanged(path, digest):
            return BackboneSpec(name=card.name, file=path)
    return BackboneSpec(name=LAST_RESORT)


def _list_at_hand(progress: Progress) -> Iterator[tuple[Card, tuple[Path, str] | None]]:
    """Cards with weights here, and path and digest for those of a file."""
    catalogue = load_catalogue()
    fitting = {name: card for name, card in catalogue.items() if card.gmacs <= MOST_GMACS}
    for known in reversed(read_known(progress).files):
        if known.name in fitting:
            yield fitting[known.name], (Path(known.path), known.sha256)
    for card in fitting.values():
        if card.repository not in ("", EMBEDDED) and is_fetched(card):
            yield card, None
