"""One pass of each backbone over the images, and the store that keeps its rows."""

from vitrail.features.calibration import calibrate
from vitrail.features.part import Part, parse_part
from vitrail.features.pipeline import Cost, Extraction, Features, extract

__all__ = ["Cost", "Extraction", "Features", "Part", "calibrate", "extract", "parse_part"]
