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
# scikit-learn gives these to every estimator; their texts link to pages of its own.
autodoc_default_options = {"exclude-members": "set_fit_request, set_score_request"}
autodoc_typehints_format = "short"
nitpicky = True
nitpick_ignore_regex = [("py:.*", ".*")]  # the types of other libraries, and ours that are not public
suppress_warnings: list[str] = []
