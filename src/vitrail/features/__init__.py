"""One pass of each backbone over the images, and the store that keeps its rows."""

from vitrail.features.int8_ranges import attach_range_images
from vitrail.features.part import Part, parse_part
from vitrail.features.pipeline import Extraction, Features, extract, take_turns

__all__ = ["Extraction", "Features", "Part", "attach_range_images", "extract", "parse_part", "take_turns"]
