"""How the documentation is built."""

project = "Vitrail"
author = "The Vitrail authors"
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
master_doc = "index"
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "Vitrail"
myst_heading_anchors = 3
myst_enable_extensions = ["dollarmath"]
nitpicky = True
suppress_warnings: list[str] = []
