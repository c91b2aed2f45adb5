"""`vitrail serve`: a model folder behind HTTP, without torch."""

from importlib.util import find_spec

from vitrail.core.errors import UsageError

NEEDS = ("fastapi", "h11", "prometheus_client", "python_multipart", "uvicorn")


def require_packages() -> None:
    """Check that what HTTP needs is installed; raises UsageError if a package is missing."""
    missing = [package for package in NEEDS if find_spec(package) is None]
    if missing:
        raise UsageError(f"Serving needs {', '.join(missing)}: pip install 'vitrail[serve]'.")
