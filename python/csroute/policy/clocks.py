"""Clocks: named deadlines. Declared once in a plain class, given a target by rules.

```python
class Clocks:                              # their Python names are their names everywhere
    legal = Clock(starts="arrival", stops="first_reply", hard=True)

Clocks.legal.within(minutes(3), warn=[minutes(2)])   # of several layers' targets the shortest counts
Clocks.legal.exactly(minutes(5))                     # this one, whatever the others say
Clocks.legal.off()                                   # not for these tickets
```

A clock starts and stops at a moment: `arrival`, `assignment`, `completion`, or one that callers mark (`first_reply`).
Of clocks that contradict each other, hard ones go before targets, and those before goals:

```python
class Clocks:
    response = Clock(starts="arrival", stops="first_reply")
    mean_response = Goal(response, mean=minutes(1.5))              # what figures are held against; it routes nothing
    resolved = Goal(resolution, share=0.99, within=hours(3))
```
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from csroute.policy.durations import Duration
from csroute.policy.numbers import milli
from csroute.policy.origin import Origin, here

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Clock", "ClockMode", "ClockUse", "Goal", "clocks_of", "goals_of"]

ClockMode = Literal["within", "exactly", "off"]


@dataclass(eq=False)
class Clock:
    """A deadline's name, start and end.

    `hard`: a cap that no scene may lengthen, rather than a target. `pausable`: gateways may pause it, while they wait
    for the customer, say; pausing never stops seniority.
    """

    starts: str
    stops: str
    hard: bool = False
    pausable: bool = True
    name: str = field(default="", init=False)
    origin: Origin = field(default_factory=here, init=False, repr=False)

    def __repr__(self) -> str:
        return self.name or f"Clock(starts={self.starts!r}, stops={self.stops!r})"

    def __set_name__(self, owner: type, name: str) -> None:
        if self.name:
            raise TypeError(f"{owner.__name__}.{name}: this clock is {self.name} already; declare another")
        self.name = name

    def within(self, target: Duration, *, warn: Sequence[Duration] = ()) -> ClockUse:
        """At most `target` from its start; of several layers' the shortest counts. `warn`: points since its start."""
        return ClockUse(self, "within", target, tuple(warn))

    def exactly(self, target: Duration, *, warn: Sequence[Duration] = ()) -> ClockUse:
        """This target, whatever other layers say."""
        return ClockUse(self, "exactly", target, tuple(warn))

    def off(self) -> ClockUse:
        """No such clock, whatever other layers say."""
        return ClockUse(self, "off", Duration(0))


@dataclass(frozen=True)
class ClockUse:
    """A clock with what a rule says of it."""

    clock: Clock
    mode: ClockMode
    target: Duration
    warnings: tuple[Duration, ...] = ()


@dataclass(eq=False)
class Goal:
    """What a clock's figures should come to: a share within a time, or a mean. Goals never route."""

    clock: Clock
    share: float | None = None
    within: Duration | None = None
    mean: Duration | None = None
    name: str = field(default="", init=False)
    origin: Origin = field(default_factory=here, init=False, repr=False)

    def __post_init__(self) -> None:
        if (self.mean is None) == (self.share is None) or (self.share is None) != (self.within is None):
            raise TypeError("a goal is share=0.99, within=hours(3), or mean=minutes(1.5)")
        if self.share is not None:
            milli(self.share, "share", 1, 1000)

    def __set_name__(self, owner: type, name: str) -> None:
        if self.name:
            raise TypeError(f"{owner.__name__}.{name}: this goal is {self.name} already; declare another")
        self.name = name

    def __str__(self) -> str:
        if self.mean is not None:
            return f"mean {self.clock.name} {self.mean}"
        return f"{self.clock.name} within {self.within} for {(self.share or 0) * 100:g} %"


def clocks_of(owner: type | None) -> tuple[Clock, ...]:
    """The clocks that a class declares, in order."""
    return tuple(value for value in vars(owner or object).values() if isinstance(value, Clock))


def goals_of(owner: type | None) -> tuple[Goal, ...]:
    """The goals that a class declares, in order."""
    return tuple(value for value in vars(owner or object).values() if isinstance(value, Goal))
