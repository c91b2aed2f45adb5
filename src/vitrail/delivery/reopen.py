"""The backbone of a run, opened again: the network of its card, with the very weights, fed as in the run.

The heads and predictions of a run belong to these features and to no others.
"""

from vitrail.backbones import Backbone, BackboneSpec, EngineRequest, find_card, open_backbone
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

    `spec` has its name in the run, and the file of its weights if they are not the published ones; the backbone that is
    returned has the name of its card. `digest` is the sha256 that the weights must have. `ranges` is for int8 alone:
    the digest of the images that the run took its ranges from.

    Raises UsageError if the run has no such backbone, and WeightsError if the weights are others, before they are
    downloaded or put on an engine if possible.
    """
    result = run.backbone(spec.name)
    named = BackboneSpec(name=result.card.name, file=spec.file)  # without the recipe
    known = named.given_digest() or ("" if named.is_adapted else find_card(named.name).sha256)
    if known:
        _require_weights(known, digest, spec, named)
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


def _require_weights(digest: str, wanted: str, spec: BackboneSpec, named: BackboneSpec) -> None:
    if digest != wanted:
        given = spec.file or f"the published weights of {named.name}"
        raise WeightsError(
            f"The head of {spec.name} was fitted on features of weights with sha256 {wanted[:12]}..., but {given} "
            f"has {digest[:12]}...: give the file that the run was made with, as -b {spec.name}=FILE."
        )
