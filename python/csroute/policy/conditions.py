"""Conditions on a queue, and what they open: steps for the time that it is too full, and reserves.

```python
class Reserves:                            # their Python names are their names everywhere
    spare = Reserve(S.spare, open=oldest_wait(over=seconds(60), until=seconds(20)))

class Who(Layer):
    logistics = Rule(…, needs=S.logistics, reserves=[Reserves.spare], overlays=[
        While(queue_length(over=500, until=200), needs=S.logistics | S.general)])
```

A condition is on from `over`, and off again at `until`, so that it does not flutter. It measures the ticket's own
queue; a reserve's, all classes that name the reserve; `of=` names other queues instead. Waiting tickets count; a wait
runs from first waiting, or from a transfer.

Agents with a reserve's skill are kept from every class until it is released; then from all but those that name it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from csroute.policy.durations import Duration
from csroute.policy.origin import Origin, here
from csroute.policy.skills import Entry, Needs

if TYPE_CHECKING:
    from csroute.policy.layers import Otherwise, Rule

__all__ = ["QueueCondition", "Reserve", "While", "oldest_wait", "queue_length", "reserves_of"]

Queues = Sequence["Rule | Otherwise"] | Callable[[], Sequence["Rule | Otherwise"]]
Measure = Literal["length", "oldest_wait"]


@dataclass(frozen=True, eq=False)
class QueueCondition:
    """On at `over` or more, off at `until` or less: tickets, or ms."""

    measure: Measure
    over: int
    until: int
    of: Queues = ()

    def queues(self) -> tuple[Rule | Otherwise, ...]:
        """Those that `of` names; none: the usual ones."""
        return tuple(self.of() if callable(self.of) else self.of)

    def __str__(self) -> str:
        over, until = (self.over, self.until) if self.measure == "length" else map(Duration, (self.over, self.until))
        named = ", ".join(rule.name for rule in self.queues())
        said = {"length": "tickets waiting", "oldest_wait": "oldest wait"}[self.measure]
        return f"{said}{f' of {named}' if named else ''} from {over} until {until}"


def oldest_wait(*, over: Duration, until: Duration, of: Queues = ()) -> QueueCondition:
    """While the oldest ticket has waited long.

    `of=lambda: [Who.x]` names queues that stand further down the page; annotate those, `x: Rule = Rule(…)`, for mypy.
    """
    return QueueCondition("oldest_wait", over.ms, until.ms, of)


def queue_length(*, over: int, until: int, of: Queues = ()) -> QueueCondition:
    """While many tickets wait."""
    return QueueCondition("length", over, until, of)


@dataclass(frozen=True)
class While:
    """While a condition holds, its layer's needs are these; of several that hold, the last listed."""

    condition: QueueCondition
    needs: Needs


@dataclass(eq=False)
class Reserve:
    """Agents with this skill, kept from every class until released to those that name the reserve."""

    skill: Entry
    open: QueueCondition
    name: str = field(default="", init=False)
    origin: Origin = field(default_factory=here, init=False, repr=False)

    def __post_init__(self) -> None:
        for value, kind in ((self.skill, Entry), (self.open, QueueCondition)):
            if not isinstance(value, kind):
                raise TypeError(f"a reserve is a skill, and open=oldest_wait(…) or queue_length(…), not {value!r}")

    def __set_name__(self, owner: type, name: str) -> None:
        if self.name:
            raise TypeError(f"{owner.__name__}.{name}: this reserve is {self.name} already; declare another")
        self.name = name


def reserves_of(owner: type | None) -> tuple[Reserve, ...]:
    """The reserves that a class declares, in order."""
    return tuple(value for value in vars(owner or object).values() if isinstance(value, Reserve))
