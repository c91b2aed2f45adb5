"""From files to examples to a split with sealed test labels."""

from vitrail.data.columns import keep_columns, name_columns
from vitrail.data.dataset import EXAMPLE_SCHEMA, Dataset, ListedFile, Reader, SetAside, Source, read_example
from vitrail.data.enough import require_enough
from vitrail.data.examples import MAX_PIXELS, load
from vitrail.data.grey_copies import CopyCollector
from vitrail.data.images import ImageRejected, decode, inspect
from vitrail.data.leave_out import LeaveOutPlan, plan_leave_out
from vitrail.data.named import crop_to_boxes, find_named, open_data
from vitrail.data.named.hub_sets import is_hub_set
from vitrail.data.near_duplicates import NearDuplicates, NearPair, find_near_duplicates, keep_together, leaking_into
from vitrail.data.sealed import SealedTest
from vitrail.data.sources import is_url, open_source
from vitrail.data.split import SPLIT_NAMES, Split, SplitOptions, make_split

__all__ = [
    "EXAMPLE_SCHEMA",
    "MAX_PIXELS",
    "SPLIT_NAMES",
    "CopyCollector",
    "Dataset",
    "ImageRejected",
    "LeaveOutPlan",
    "ListedFile",
    "NearDuplicates",
    "NearPair",
    "Reader",
    "SealedTest",
    "SetAside",
    "Source",
    "Split",
    "SplitOptions",
    "crop_to_boxes",
    "decode",
    "find_named",
    "find_near_duplicates",
    "inspect",
    "is_hub_set",
    "is_url",
    "keep_columns",
    "keep_together",
    "leaking_into",
    "load",
    "make_split",
    "name_columns",
    "open_data",
    "open_source",
    "plan_leave_out",
    "read_example",
    "require_enough",
]
