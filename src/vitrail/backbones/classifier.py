"""The classifier in a backbone's own file: what the network predicted before it was tuned."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vitrail.backbones.backbone import Backbone
from vitrail.backbones.build import CLASSIFIER
from vitrail.core.label_sets import LabelSet, imagenet_1k

# Letters: N examples, D features, K classes of the classifier.


@dataclass(frozen=True, kw_only=True, slots=True)
class Classifier:
    """A linear layer on the stored features. `labels` are the classes of its outputs."""

    labels: LabelSet
    weight_KD: NDArray[np.float32] = field(repr=False)
    bias_K: NDArray[np.float32] = field(repr=False)

    def log_probabilities(self, feature_ND: NDArray[np.float32]) -> NDArray[np.float64]:
        """Its log-probabilities for each row, N x K, in float64."""
        logit_NK = feature_ND.astype(np.float64) @ self.weight_KD.T.astype(np.float64) + self.bias_K
        logit_NK -= logit_NK.max(axis=1, keepdims=True)
        result: NDArray[np.float64] = logit_NK - np.log(np.exp(logit_NK).sum(axis=1, keepdims=True))
        return result


def read_classifier(backbone: Backbone) -> Classifier | None:
    """The classifier of a backbone's file, to be applied to its features as they are stored.

    A layer of 1,000 outputs is read as ImageNet-1k's, in the order of the synset ids: that is how timm, torchvision and
    those who publish for them order it.

    None if the file has no classifier, or if the classes of its outputs are unknown.
    """
    names = [f"{CLASSIFIER.get(backbone.card.family)}.{part}" for part in ("weight", "bias")]
    state = backbone.read_weights(names)
    weight, bias = (state.get(name) for name in names)
    labels = imagenet_1k()
    if weight is None or bias is None:
        return None
    weight_KD = weight.flatten(1)  # BiT's is a 1 x 1 convolution
    if tuple(weight_KD.shape) != (len(labels.ids), backbone.card.feature_width):
        return None
    return Classifier(labels=labels, weight_KD=weight_KD.numpy(), bias_K=bias.numpy())
