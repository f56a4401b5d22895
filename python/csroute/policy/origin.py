"""Where a policy's object was written: what `check` puts before its messages."""

from __future__ import annotations

import sys
from typing import NamedTuple

__all__ = ["Origin", "here"]


class Origin(NamedTuple):
    """A line of a policy's file."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


def here() -> Origin:
    """The nearest line outside of this package: the policy engineer's."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("csroute.policy."):
        frame = frame.f_back
    return Origin(frame.f_code.co_filename, frame.f_lineno)
