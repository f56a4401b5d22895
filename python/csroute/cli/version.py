"""The version of the package that is installed."""

from importlib import metadata

__all__ = ["version"]


def version() -> str:
    """As `pip` knows it; "unknown" in a tree that was never built."""
    try:
        return metadata.version("csroute")
    except metadata.PackageNotFoundError:
        return "unknown"
