"""Everything that is known of each backbone before the test labels are opened: options, recipes, heads, thresholds."""

from vitrail.candidates.automatic import BackboneChoice as BackboneChoice
from vitrail.candidates.automatic import choose_backbones as choose_backbones
from vitrail.candidates.candidate import Candidate as Candidate
from vitrail.candidates.candidate import make_candidates as make_candidates
from vitrail.candidates.flags import make_options as make_options
from vitrail.candidates.opening import Prepared as Prepared
from vitrail.candidates.opening import prepare as prepare
from vitrail.candidates.options import BenchOptions as BenchOptions
from vitrail.candidates.options import parse_specs as parse_specs
from vitrail.candidates.run_race import find_obstacle as find_obstacle
from vitrail.candidates.run_race import hold_race as hold_race
