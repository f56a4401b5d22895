"""Who goes first, in words: each helper is an `Urgency` for a rule's `urgency=`.

Urgency is time: a ticket's wait × slope + its head start. So a head start is what a ticket is ahead by on arrival, and
`beats` / `yields_to` cases prove what it comes to.

>>> strict_priority(2).head_start > strict_priority(1).head_start > seconds(0)
True
"""

from __future__ import annotations

from dataclasses import dataclass

from csroute.policy.clocks import Clock
from csroute.policy.durations import Duration, hours, seconds

__all__ = ["ByDeadline", "Urgency", "ageing", "earliest_deadline", "fifo", "strict_priority", "weighted"]

_RANK = hours(24 * 102)  # more than any wait counts for (2^43 µs, 101 days and 19 hours)
_RANK_MAX = 100


@dataclass(frozen=True)
class ByDeadline:
    """A head start of `otherwise` − the clock's target: with `otherwise` the usual target, deadlines decide the order.

    A bare −target on one rule would put it behind everyone. Nothing, for a ticket without that clock.
    """

    clock: Clock
    otherwise: Duration


@dataclass(frozen=True)
class Urgency:
    """A head start and a slope (urgency gained per time waited, 1 by default)."""

    head_start: Duration | ByDeadline | None = None
    slope: float | None = None


def fifo() -> Urgency:
    """First come, first served."""
    return Urgency(slope=1)


def strict_priority(rank: int) -> Urgency:
    """Ahead of every lower rank, however long that has waited; rank 0 (an ordinary ticket) to 100."""
    if not 0 <= rank <= _RANK_MAX:
        raise ValueError(f"a rank is 0 to {_RANK_MAX}, not {rank}")
    return Urgency(_RANK * rank)


def earliest_deadline(clock: Clock, *, otherwise: Duration) -> Urgency:
    """By that clock's due time; tickets without it stand as if theirs were due `otherwise` after arrival."""
    return Urgency(ByDeadline(clock, otherwise))


def ageing(slope: float, *, head_start: Duration = seconds(0)) -> Urgency:  # noqa: B008 - a value
    """Begins with a head start, and gains `slope` ms of urgency a ms waited."""
    return Urgency(head_start, slope)


def weighted(weight: float) -> Urgency:
    """A share of attention: a ticket of weight 2 that waited 1 min stands beside one of weight 1 that waited 2."""
    return Urgency(slope=weight)
