"""A canary, and what came of both sides. Documented field by field in `canary.proto`."""

from dataclasses import dataclass

from csroute.types.mirror import Mirror
from csroute.v1 import canary_pb2

__all__ = ["Canary", "CanarySide"]


@dataclass(frozen=True, slots=True)
class CanarySide(Mirror[canary_pb2.CanarySide]):
    """One side's tickets since the canary began. Times in ms."""

    policy_version: int
    arrived: int
    answered: int
    met: int
    abandoned: int
    short_abandoned: int
    overflowed: int
    wait_total_ms: int


@dataclass(frozen=True, slots=True)
class Canary(Mirror[canary_pb2.GetCanaryReply]):
    """The canary that is on; `on` false: none is, and all else is empty."""

    on: bool
    share_milli: int
    margin_milli: int
    error_milli: int
    tickets_min: int
    since_us: int
    stable: CanarySide | None
    canary: CanarySide | None
