"""Everything that can be tuned on top of features, tuned on val, without the test labels."""

from vitrail.heads import CurvePoint as CurvePoint
from vitrail.search.trial import Search as Search
from vitrail.search.trial import Trial as Trial
from vitrail.search.tune import TuneOptions as TuneOptions
from vitrail.search.tune import tune as tune
