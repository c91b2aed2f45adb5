"""What an export is made from: the backbone of a run in float32 with its head and thresholds, as one network.

Letters: B images, H rows, W columns, C classes, D features.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Self

from vitrail.backbones import Backbone, BackboneSpec, EngineChoice, EngineRequest, parse_spec
from vitrail.core.progress import Progress
from vitrail.delivery.reopen import reopen
from vitrail.heads import Head, load_head
from vitrail.heads.refusal import Refusal, load_refusal
from vitrail.runs import BackboneResult, RunRecord

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True, slots=True)
class Classifier:
    """A backbone of a run on torch in float32, with the head and the thresholds that the run chose for it."""

    result: BackboneResult
    backbone: Backbone
    pooling: str
    head: Head
    refusal: Refusal

    @property
    def other_pooling(self) -> str | None:
        """The pooling, or None if it is the network's own."""
        return None if self.pooling == self.backbone.card.pooling else self.pooling

    @classmethod
    def open(cls, run: RunRecord, backbone: str | None, *, offline: bool, progress: Progress) -> Self:
        """Open a backbone of a run; None for the one that the run picked.

        Raises:
            UsageError: the run has no such backbone.
            WeightsError: head or thresholds are missing or damaged, or the weights are not those of the run.
        """
        spec = BackboneSpec(name=run.results.decision.choose) if backbone is None else parse_spec(backbone)
        result = run.backbone(spec.name)
        head, _ = run.read(run.head_file(result.name), load_head)
        read_refusal = partial(load_refusal, features=len(head.scaling.mean_D), classes=len(head.classes))
        opened = reopen(
            run,
            spec,
            digest=result.weights_sha256,
            request=EngineRequest(engine="torch", precision="fp32"),
            may_download=backbone is not None,
            offline=offline,
            progress=progress,
        )
        return cls(
            result=result,
            backbone=replace(opened, engine=EngineChoice(name="torch", precision="fp32")),
            pooling=result.search.pooling,
            head=head,
            refusal=run.read(run.refusal_file(result.name), read_refusal),
        )


def join_network(classifier: Classifier) -> "nn.Module":
    """8-bit `pixel_BHWC` in, `probability_BC` and `distance_B` out, in evaluation mode.

    The distance is that to the training images, by which an image counts as strange.
    """
    from torch import Tensor, nn

    from vitrail.backbones.converted import normalising
    from vitrail.heads.module import AnswerModule

    backbone = classifier.backbone

    class Joined(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = normalising(backbone.load_net(), backbone.card.preprocessing, classifier.other_pooling)
            self.answer = AnswerModule(classifier.head, classifier.refusal)

        def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
            probability_BC, distance_B = self.answer(self.network(pixels))
            return probability_BC, distance_B

    return Joined().eval()
