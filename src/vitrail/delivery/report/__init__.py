"""report.html, the page that a benchmark ends in."""

from vitrail.delivery.report.mistakes import Images
from vitrail.delivery.report.page import render_report, write_report

__all__ = ["Images", "render_report", "write_report"]
