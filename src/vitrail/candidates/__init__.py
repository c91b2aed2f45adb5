"""Everything that is known of each backbone before the test labels are opened: options, recipes, heads, thresholds."""

from vitrail.candidates.candidate import Candidate as Candidate
from vitrail.candidates.candidate import make_candidates as make_candidates
from vitrail.candidates.flags import make_options as make_options
from vitrail.candidates.opening import Prepared as Prepared
from vitrail.candidates.opening import prepare as prepare
from vitrail.candidates.options import BenchOptions as BenchOptions
from vitrail.candidates.options import choose_specs as choose_specs
