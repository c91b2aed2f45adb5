"""The backbone of a run, opened again: the network of its card, with the very weights, fed as in the run.

The heads and predictions of a run belong to these features and to no others.
"""

from dataclasses import replace
from pathlib import Path

from vitrail.backbones import Backbone, BackboneSpec, Card, EngineRequest, find_card, open_backbone
from vitrail.backbones.cards import is_unknown_file
from vitrail.backbones.remembered import find_remembered
from vitrail.candidates.decoding import decode_as
from vitrail.candidates.recipes import apply_recipe
from vitrail.core.errors import WeightsError
from vitrail.core.progress import Progress
from vitrail.runs import RunRecord


def reopen(
    run: RunRecord,
    spec: BackboneSpec,
    *,
    digest: str,
    request: EngineRequest,
    ranges: str = "",
    offline: bool,
    progress: Progress,
) -> Backbone:
    """Open a backbone of a run.

    `spec` has its name in the run, and the file of its weights if a person gave one; without, a file that was used
    before is found by its digest, else the published weights are taken. The backbone that is returned has the name of
    its card. `digest` is the sha256 that the weights must have. `ranges` is for int8 alone: the digest of the images
    that the run took its ranges from.

    Raises UsageError if the run has no such backbone, and WeightsError if the weights are others or cannot be found,
    before they are downloaded or put on an engine if possible.
    """
    result = run.backbone(spec.name)
    named = BackboneSpec(name=result.card.name, file=spec.file)  # without the recipe
    if spec.file is None:
        named = replace(named, file=_find_file(result.card, digest, spec, progress))
    else:
        _require_weights(named.given_digest(), digest, spec, named)
    opened = open_backbone(
        named,
        engine=request.engine,
        precision=request.precision,
        ranges=ranges,
        offline=offline,
        progress=progress,
    )
    _require_weights(opened.digest, digest, spec, named)
    return decode_as(apply_recipe(opened, result.recipe), result.card.preprocessing.decode)


def _find_file(card: Card, digest: str, spec: BackboneSpec, progress: Progress) -> Path | None:
    """Where weights that were used before are; None if the published ones are to be taken.

    Raises:
        WeightsError: no such file is known any more, and the published weights are others or unknown.
    """
    remembered = find_remembered(digest, progress)
    published = "" if BackboneSpec(name=card.name).is_adapted else find_card(card.name).sha256
    are_others = published not in ("", digest)
    if remembered.path is None and (is_unknown_file(card) or are_others):
        others = f"the published weights of {card.name} are others, and " if are_others else ""
        raise WeightsError(
            f"The head of {spec.name} was fitted on features of weights with sha256 {digest[:12]}..., but {others}"
            f"{remembered.fault}: give the file that the run was made with, as -b {spec.name}=FILE."
        )
    return remembered.path


def _require_weights(digest: str, wanted: str, spec: BackboneSpec, named: BackboneSpec) -> None:
    if digest != wanted:
        given = spec.file or f"the published weights of {named.name}"
        raise WeightsError(
            f"The head of {spec.name} was fitted on features of weights with sha256 {wanted[:12]}..., but {given} "
            f"has {digest[:12]}...: give the file that the run was made with, as -b {spec.name}=FILE."
        )
