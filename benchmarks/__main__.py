"""`make benchmark`: every benchmark that needs no other machine, one after the other, each in a process of its own."""

import subprocess
import sys

THEMES = (
    "forward",
    "engine_trial",
    "extraction",
    "large_photographs",
    "precision",
    "predict",
    "memory",
    "same_bytes",
    "many_files",
    "compressed_tars",
    "kills",
    "faults",
    "bit_flips",
    "killed_runs",
    "ridge_path",
    "logistic_path",
    "logistic_streamed",
    "heads_together",
    "whole_search",
    "search_resumed",
    "heads_against_sklearn",
    "small_heads",
    "estimator",
    "coverage",
    "promises",
    "coverage_forecast",
    "coverage_pick",
    "coverage_balanced",
    "duplicates",
    "contamination",
    "race",
    "near_ties",
    "many_candidates",
    "audit_flags",
    "dates",
    "deck",
    "whole_runs",
)

if __name__ == "__main__":
    commands = {theme: [sys.executable, "-m", f"benchmarks.{theme}"] for theme in THEMES}
    failed = [theme for theme, command in commands.items() if subprocess.run(command, check=False).returncode]
    if failed:
        sys.exit(f"These did not come to their end: {', '.join(failed)}.")
