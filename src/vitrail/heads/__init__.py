"""Classifiers on features: how they are fitted, how they are kept, what they say.

`logistic` and `softmax` need torch and are imported where heads are fitted, not here.
"""

from vitrail.heads.early_stopping import CurvePoint as CurvePoint
from vitrail.heads.head import Head as Head
from vitrail.heads.head import load_head as load_head
from vitrail.heads.head import logits as logits
from vitrail.heads.head import probabilities as probabilities
from vitrail.heads.head import save_head as save_head
