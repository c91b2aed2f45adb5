"""The search for a head on top of features: tuned on val, without the test labels."""

from vitrail.heads import CurvePoint as CurvePoint
from vitrail.search.curves import LabelCurve as LabelCurve
from vitrail.search.curves import LabelForecast as LabelForecast
from vitrail.search.curves import LabelPoint as LabelPoint
from vitrail.search.curves import make_label_curves as make_label_curves
from vitrail.search.fewshot import FewShot as FewShot
from vitrail.search.options import TuneOptions as TuneOptions
from vitrail.search.subsets import SubsetScores as SubsetScores
from vitrail.search.trial import Resplit as Resplit
from vitrail.search.trial import Search as Search
from vitrail.search.trial import Seeded as Seeded
from vitrail.search.trial import SplitSpread as SplitSpread
from vitrail.search.trial import Trial as Trial
from vitrail.search.trial import spread_of as spread_of
from vitrail.search.tune import tune as tune
