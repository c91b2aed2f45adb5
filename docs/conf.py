"""How the documentation is built."""

project = "Vitrail"
author = "The Vitrail authors"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
source_suffix = {".md": "markdown"}
master_doc = "index"
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "Vitrail"
myst_heading_anchors = 3
myst_enable_extensions = ["deflist", "dollarmath"]
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
nitpicky = True
nitpick_ignore_regex = [("py:.*", ".*")]  # the types of other libraries, and ours that are not public
suppress_warnings: list[str] = []
