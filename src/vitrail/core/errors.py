"""Every error Vitrail raises on purpose.

VitrailError                  exit code 1: the work failed
├── UsageError                exit code 2: wrong usage
├── DataError                 the images, labels or manifest are not valid for a benchmark
├── WeightsError              a weights file does not fit, is damaged or is hostile
├── DownloadError             weights could not be fetched, or are not the trusted ones
├── UploadError               files could not be uploaded
├── StoreError                the feature store cannot be read or written
├── ClusterError              a cluster cannot be reached, or its machines cannot do the work
├── MachineError              the system refuses the threads or the memory that the work needs
├── RunError                  a run folder is missing, damaged or belongs to another run
└── SealError                 the test labels were opened twice, or too early

A message is one sentence or two: what happened, where, and what to do next.
"""


class VitrailError(Exception):
    """Base of all errors that a user can act on."""

    exit_code = 1


class UsageError(VitrailError):
    """The command or call asks for something that does not exist or does not fit together."""

    exit_code = 2


class DataError(VitrailError):
    """The images, labels or manifest cannot carry a benchmark."""


class WeightsError(VitrailError):
    """A weights file does not fit its network, is damaged or is hostile."""


class DownloadError(VitrailError):
    """Weights could not be fetched, or are not the ones locked before."""


class UploadError(VitrailError):
    """Files could not be uploaded, or the other side refuses them."""


class StoreError(VitrailError):
    """The feature store cannot be read or written."""


class ClusterError(VitrailError):
    """A cluster is not there, or its machines cannot do the work."""


class MachineError(VitrailError):
    """The system refuses the threads or the memory that the work needs."""


class RunError(VitrailError):
    """A run folder is missing, damaged or belongs to another question."""


class SealError(VitrailError):
    """The test labels were opened twice, or before every choice was made."""
