"""What is wrong with a data set, found before a benchmark is believed."""

from vitrail.audit.audit import Audit, AuditOptions, audit, audit_to_json
from vitrail.audit.files import FileFacts, FileFinding
from vitrail.audit.labels import LabelFindings, SuspectLabel
from vitrail.audit.manifest import require_files, write_manifest
from vitrail.audit.page import write_page

__all__ = [
    "Audit",
    "AuditOptions",
    "FileFacts",
    "FileFinding",
    "LabelFindings",
    "SuspectLabel",
    "audit",
    "audit_to_json",
    "require_files",
    "write_manifest",
    "write_page",
]
