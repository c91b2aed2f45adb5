"""From probabilities on sealed test images to figures with intervals, pairs and a decision in words."""

from vitrail.evaluation.contamination import Contamination as Contamination
from vitrail.evaluation.contamination import ZeroTraining as ZeroTraining
from vitrail.evaluation.decision import Conclusion as Conclusion
from vitrail.evaluation.decision import Contender as Contender
from vitrail.evaluation.decision import Decision as Decision
from vitrail.evaluation.decision import Pair as Pair
from vitrail.evaluation.decision import conclude as conclude
from vitrail.evaluation.decision import decide as decide
from vitrail.evaluation.parity import Parity as Parity
from vitrail.evaluation.parity import measure_parity as measure_parity
from vitrail.evaluation.parity import parity_in_words as parity_in_words
from vitrail.evaluation.predictions import Predictions as Predictions
from vitrail.evaluation.refusal import RefusalCheck as RefusalCheck
from vitrail.evaluation.refusal import predict_calibration as predict_calibration
from vitrail.evaluation.refusal import refusal_of as refusal_of
from vitrail.evaluation.traces import Evidence as Evidence
from vitrail.evaluation.traces import find_traces as find_traces
from vitrail.evaluation.verdict import MARGIN as MARGIN
from vitrail.evaluation.verdict import BackboneVerdict as BackboneVerdict
from vitrail.evaluation.verdict import Candidate as Candidate
from vitrail.evaluation.verdict import ClassMetrics as ClassMetrics
from vitrail.evaluation.verdict import Metrics as Metrics
from vitrail.evaluation.verdict import Verdict as Verdict
from vitrail.evaluation.verdict import assess as assess
from vitrail.evaluation.verdict import judge as judge
from vitrail.evaluation.winners_curse import WinnersCurse as WinnersCurse
