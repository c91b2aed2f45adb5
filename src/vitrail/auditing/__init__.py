"""What is wrong with a data set, found before a benchmark is believed."""

from vitrail.auditing.audit import Audit, AuditOptions, audit, audit_to_json
from vitrail.auditing.manifest import require_files, write_manifest
from vitrail.auditing.page import write_page

__all__ = [
    "Audit",
    "AuditOptions",
    "audit",
    "audit_to_json",
    "require_files",
    "write_manifest",
    "write_page",
]
