"""Clocks: named deadlines. Declared once in a plain class, given a target by rules.

```python
class Clocks:                              # their Python names are their names everywhere
    legal = Clock(starts="arrival", stops="first_reply", hard=True)

Clocks.legal.within(minutes(3), warn=[minutes(2)])   # of several layers' targets the shortest counts
Clocks.legal.exactly(minutes(5))                     # this one, whatever the others say
Clocks.legal.off()                                   # not for these tickets
```

A clock starts and stops at a moment: `arrival`, `assignment`, `completion`, or one that callers mark (`first_reply`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from csroute.policy.durations import Duration
from csroute.policy.origin import Origin, here

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Clock", "ClockMode", "ClockUse", "clocks_of"]

ClockMode = Literal["within", "exactly", "off"]


@dataclass(eq=False)
class Clock:
    """A deadline's name, start and end. `hard`: a cap that nothing may lengthen, rather than a target."""

    starts: str
    stops: str
    hard: bool = False
    name: str = field(default="", init=False)
    origin: Origin = field(default_factory=here, init=False, repr=False)

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


def clocks_of(owner: type | None) -> tuple[Clock, ...]:
    """The clocks that a class declares, in order."""
    return tuple(value for value in vars(owner or object).values() if isinstance(value, Clock))
