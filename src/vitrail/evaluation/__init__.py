"""From probabilities on sealed test images to figures with intervals, pairs and a decision in words."""

from vitrail.evaluation.conditions import Conditions as Conditions
from vitrail.evaluation.contamination import Contamination as Contamination
from vitrail.evaluation.contestants import Contestant as Contestant
from vitrail.evaluation.contestants import Criteria as Criteria
from vitrail.evaluation.contestants import JudgedImages as JudgedImages
from vitrail.evaluation.deciding_metric import DecidingMetric as DecidingMetric
from vitrail.evaluation.decision import Decision as Decision
from vitrail.evaluation.decision import say_strength as say_strength
from vitrail.evaluation.pairs import Pair as Pair
from vitrail.evaluation.pairs import turn as turn
from vitrail.evaluation.power import say_plan as say_plan
from vitrail.evaluation.retraining import RetrainedPair as RetrainedPair
from vitrail.evaluation.retraining import Retraining as Retraining
from vitrail.evaluation.shift import ClassShares as ClassShares
from vitrail.evaluation.slices import Slice as Slice
from vitrail.evaluation.slices import find_worst as find_worst
from vitrail.evaluation.thresholds import RefusalCheck as RefusalCheck
from vitrail.evaluation.verdict import BackboneVerdict as BackboneVerdict
from vitrail.evaluation.verdict import ClassMetrics as ClassMetrics
from vitrail.evaluation.verdict import Metrics as Metrics
from vitrail.evaluation.verdict import Verdict as Verdict
from vitrail.evaluation.verdict import assess as assess
from vitrail.evaluation.verdict import judge as judge
from vitrail.evaluation.winners_curse import WinnersCurse as WinnersCurse
