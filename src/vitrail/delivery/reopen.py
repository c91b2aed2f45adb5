"""The backbone of a run, opened again: the network of its card, with the very weights, under the run's recipe.

What a run keeps, heads and predictions, belongs to these features and to no others.
"""

from vitrail.backbones import Backbone, BackboneSpec, find_card, open_backbone
from vitrail.candidates.recipes import apply_recipe
from vitrail.core.errors import WeightsError
from vitrail.core.progress import Progress
from vitrail.runs import RunRecord


def reopen(
    run: RunRecord,
    spec: BackboneSpec,
    *,
    digest: str,
    engine: str = "auto",
    precision: str = "auto",
    calibration: str = "",
    offline: bool,
    progress: Progress,
) -> Backbone:
    """Open a backbone of a run.

    UsageError where the run has no such backbone; WeightsError where the weights are others, found before they are
    downloaded or put on an engine where it can be.

    Args:
        run: a finished run.
        spec: its name in the run, and the file of its weights where they are not the published ones.
        digest: the sha256 that the weights must have.
        engine: "auto", or a name of `backbones/engines.py`.
        precision: the same.
        calibration: with int8, the digest of the images that the run calibrated on.
        offline: never use the network.
        progress: hears of a download.

    Returns:
        The backbone, by the name of its card.
    """
    result = run.backbone(spec.name)
    named = BackboneSpec(name=result.card.name, file=spec.file)  # without the recipe
    known = named.given_digest() or ("" if named.is_adapted else find_card(named.name).sha256)
    if known:
        _require_weights(known, digest, spec, named)
    opened = open_backbone(
        named, engine=engine, precision=precision, calibration=calibration, offline=offline, progress=progress
    )
    _require_weights(opened.digest, digest, spec, named)
    return apply_recipe(opened, result.recipe)


def _require_weights(found: str, wanted: str, spec: BackboneSpec, named: BackboneSpec) -> None:
    if found != wanted:
        given = spec.file or f"the published weights of {named.name}"
        raise WeightsError(
            f"The head of {spec.name} was fitted on features of weights with sha256 {wanted[:12]}..., but {given} "
            f"has {found[:12]}...: give the file that the run was made with, as -b {spec.name}=FILE."
        )
