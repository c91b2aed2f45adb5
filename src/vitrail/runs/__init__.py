"""The run folder: everything that one benchmark stores."""

from vitrail.runs.folder import (
    REPORT,
    default_folder,
    enter_folder,
    forget_steps,
    is_finished,
    require_writable,
    steps_folder,
)
from vitrail.runs.journal import FINISHED, Journal
from vitrail.runs.openings import Openings, record_opening, say_openings
from vitrail.runs.receipt import write_receipt
from vitrail.runs.results import (
    SCHEMA_VERSION,
    BackboneCost,
    BackboneResult,
    DataSummary,
    Results,
    RunCost,
    SearchSummary,
    SplitSummary,
    read_results,
    results_schema,
    results_to_json,
)
from vitrail.runs.run import RunRecord, load_run, write_run
from vitrail.runs.summary import Opened, Question, make_criteria, measure_cost, summarise

__all__ = [
    "FINISHED",
    "REPORT",
    "SCHEMA_VERSION",
    "BackboneCost",
    "BackboneResult",
    "DataSummary",
    "Journal",
    "Opened",
    "Openings",
    "Question",
    "Results",
    "RunCost",
    "RunRecord",
    "SearchSummary",
    "SplitSummary",
    "default_folder",
    "enter_folder",
    "forget_steps",
    "is_finished",
    "load_run",
    "make_criteria",
    "measure_cost",
    "read_results",
    "record_opening",
    "require_writable",
    "results_schema",
    "results_to_json",
    "say_openings",
    "steps_folder",
    "summarise",
    "write_receipt",
    "write_run",
]
