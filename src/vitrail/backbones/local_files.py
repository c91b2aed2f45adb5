"""What a local weights file is: which published weights it holds, if any, by its bytes or by its tensors.

A file in another format, or with its metadata or its keys in another order, has other bytes and the same tensors. They
are compared as networks read them: by our names, floating-point ones as float32. So a file stored in float16 is the
published one only if the published values fit float16.
"""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from vitrail.backbones.cards import Card, of_local_file
from vitrail.backbones.catalogue import load_catalogue
from vitrail.backbones.same_bytes import verified
from vitrail.core.errors import WeightsError
from vitrail.core.progress import Progress
from vitrail.fetch.known_weights import KnownTensors, read_known, remember_tensors


def describe_local_file(card: Card, file: Path, digest: str, progress: Progress) -> Card:
    """The card of a local file that was given for the backbone of `card`.

    Origin, licence and pretraining data are those of the published weights with the same bytes or tensors, which may
    be another card's, as a note then says; otherwise they are not stated.
    """
    if digest == card.sha256:
        return card
    published = _find_same_bytes(card, digest) or _find_same_tensors(card, file, digest, progress)
    if published is None:
        progress.note(
            f"Vitrail does not know the weights in {file} and reads images for them as for {card.name}; if they were "
            "trained on other pixels, their features are worse."
        )
        return of_local_file(card, digest)
    if published.name != card.name:
        progress.note(
            f"The weights in {file} were given for {card.name}, but they are those of {published.name}: Vitrail uses "
            f"the licence and pretraining data of {published.name}."
        )
    return replace(
        card,
        licence=published.licence,
        commercial=published.commercial,
        pretraining=published.pretraining,
        labels=published.labels,
        repository=published.repository,
        revision=f"{published.revision} (a local file with the same tensors, sha256 {digest[:12]}…)".lstrip(),
        sha256=digest,
        seen_in={
            fact: source
            for origin, facts in ((card, {"preprocessing"}), (published, {"licence", "pretraining"}))
            for fact, source in origin.seen_in.items()
            if fact in facts
        },
        tensors="",
    )


def learn_tensors(card: Card, file: Path, digest: str, progress: Progress) -> None:
    """Remember the digest of the tensors of a published file, so that local copies of them are recognised."""
    if card.tensors or any((old.name, old.sha256) == (card.name, digest) for old in read_known(progress).published):
        return
    from vitrail.backbones.weights import digest_tensors, read_weights

    with suppress(WeightsError):  # said when the network is loaded
        with verified(file, digest):
            tensors = digest_tensors(read_weights(file))
        remember_tensors(KnownTensors(name=card.name, sha256=digest, tensors=tensors), progress)


def _find_same_bytes(card: Card, digest: str) -> Card | None:
    return next((other for other in _others_last(card) if other.sha256 == digest), None)


def _find_same_tensors(card: Card, file: Path, digest: str, progress: Progress) -> Card | None:
    from vitrail.backbones.weights import digest_tensors, read_weights

    learnt = {(known.name, known.sha256): known.tensors for known in read_known(progress).published}
    digests: dict[str, Card] = {}
    for other in filter(lambda other: _network_of(other) == _network_of(card), _others_last(card)):
        stated = {other.tensors} | {
            tensors for (name, sha256), tensors in learnt.items() if name == other.name and other.sha256 in ("", sha256)
        }
        for tensors in stated - {""}:
            digests.setdefault(tensors, other)
    with suppress(WeightsError), verified(file, digest):  # said when the network is loaded
        state = read_weights(file, progress.note)
        return digests.get(digest_tensors(state)) if digests else None
    return None


def _others_last(card: Card) -> list[Card]:
    """All cards, this one first: cards of one file at several input sizes have the same weights."""
    return [card, *(other for other in load_catalogue().values() if other.name != card.name)]


def _network_of(card: Card) -> dict[str, str | int]:
    """What the names and shapes of tensors follow from, so that a file is read only where it may be another's."""
    return {"family": card.family} | {key: value for key, value in card.variant.items() if key != "stored"}
