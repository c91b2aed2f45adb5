"""Classifiers on features: how they are fitted, how they are stored, and their probabilities.

The files that fit heads need torch and are imported where heads are fitted, not here.
"""

from vitrail.heads.head import CurvePoint as CurvePoint
from vitrail.heads.head import Fit as Fit
from vitrail.heads.head import Head as Head
from vitrail.heads.head import logits as logits
from vitrail.heads.head import probabilities as probabilities
from vitrail.heads.head_file import head_to_bytes as head_to_bytes
from vitrail.heads.head_file import load_head as load_head
from vitrail.heads.head_file import save_head as save_head
from vitrail.heads.scaling import SCALINGS as SCALINGS
from vitrail.heads.scaling import Scaling as Scaling
from vitrail.heads.scaling import ScalingKind as ScalingKind
from vitrail.heads.scores import FORM_OF as FORM_OF
from vitrail.heads.scores import Linear as Linear
