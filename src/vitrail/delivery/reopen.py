"""The backbone of a run, opened again: the network of its card, with the very weights, fed as in the run.

The heads and predictions of a run belong to these features and to no others.
"""

from dataclasses import replace
from pathlib import Path

from vitrail.backbones import Backbone, BackboneSpec, Card, EngineRequest, find_card, open_backbone
from vitrail.backbones.cards import is_unknown_file
from vitrail.backbones.remembered import find_remembered, is_trusted_name
from vitrail.candidates.decoding import decode_as
from vitrail.candidates.recipes import apply_recipe
from vitrail.core.errors import RunError, WeightsError
from vitrail.core.progress import Progress
from vitrail.runs import RunRecord


def reopen(
    run: RunRecord,
    spec: BackboneSpec,
    *,
    digest: str,
    request: EngineRequest,
    ranges: str = "",
    may_download: bool,
    offline: bool,
    progress: Progress,
) -> Backbone:
    """Open a backbone of a run.

    `spec` has its name in the run, and the file of its weights if a person gave one; without, a file that was used
    before is found by its digest, else the published weights are taken. The backbone that is returned has the name of
    its card. `digest` is the sha256 that the weights must have. `ranges` is for int8 alone: the digest of the images
    that the run took its ranges from. A run may be a stranger's, so a name that stands only in its files downloads
    nothing: `may_download` says that a person named the backbone.

    Raises:
        UsageError: the run has no such backbone.
        RunError: its files contradict each other.
        WeightsError: the weights are others, cannot be found, or would have to be downloaded without `may_download`;
            said before they are downloaded or put on an engine if possible.
    """
    result = run.backbone(spec.name)
    if result.name not in (result.card.name, f"{result.card.name}+{result.recipe}"):
        raise RunError(
            f"The run {run.folder} says that {result.name} is {result.card.name}: its results.json was changed. Use "
            "an intact copy, or repeat the run."
        )
    named = BackboneSpec(name=result.card.name, file=spec.file)  # without the recipe
    if spec.file is None:
        named = replace(named, file=_find_file(result.card, digest, spec, progress))
        if named.file is None and not (may_download or offline or is_trusted_name(named.name, digest)):
            raise WeightsError(
                f"The weights of {named.name} would have to be downloaded, and so far only a file of the run "
                f"{run.folder} says so: give -b {spec.name} to allow it, or -b {spec.name}=FILE."
            )
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
