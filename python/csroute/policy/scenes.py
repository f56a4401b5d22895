"""Changes to a policy: scenes that are switched on and off again, variants, dates.

```python
class Scenes:
    failure = Scene(
        change(Who.logistics, urgency=earliest_deadline(Clocks.legal, otherwise=minutes(4))),
        wake(Who.crisis),
        why="a large-scale failure: recover in the order of deadlines")

calm = policy.under()                       # no scene
night = policy.under(Scenes.failure)        # that one switched on
shop = policy.but(change(Rank.vip, head_start=minutes(2)), name="shop-x", why="their contract")
```

A change replaces whole fields, and says nothing of the others. Active scenes are a set: the later declared wins, in
whatever order they were switched on. A rule that only a scene needs stands in its place as `dormant=True` until `wake`.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, TypeVar

from csroute.policy.clocks import ClockUse
from csroute.policy.conditions import Reserve, While
from csroute.policy.durations import Duration
from csroute.policy.layers import (
    Affinity,
    AgentOrder,
    AutoAccept,
    Fit,
    Offer,
    Otherwise,
    Rule,
    Step,
)
from csroute.policy.origin import Origin, here
from csroute.policy.skills import Needs
from csroute.policy.urgency import ByDeadline, Urgency

__all__ = ["Change", "Dates", "Scene", "change", "changed", "scenes_of", "wake"]

_KEEP: Final[Any] = object()
R = TypeVar("R", bound=Rule | Otherwise)


@dataclass(frozen=True)
class Dates:
    """When something is in force; None: open. Each with its offset from UTC."""

    starts: datetime | None = None
    ends: datetime | None = None

    def __post_init__(self) -> None:
        for what, at in (("starts", self.starts), ("ends", self.ends)):
            if at is not None and at.utcoffset() is None:
                raise ValueError(f"{what} is {at}, without its offset: say tzinfo=timezone(timedelta(hours=8)), or UTC")
        if self.starts and self.ends and self.ends <= self.starts:
            raise ValueError(f"it ends at {self.ends}, not after it starts, {self.starts}")

    def __bool__(self) -> bool:
        return not (self.starts is None and self.ends is None)


@dataclass(frozen=True, eq=False)
class Change:
    """What replaces fields of a rule, or wakes it."""

    rule: Rule | Otherwise
    gives: Otherwise
    """The new values."""
    fields: tuple[str, ...]
    """Those replaced; the others stay."""
    wakes: bool = False
    origin: Origin = field(default_factory=here)


def change(
    rule: Rule | Otherwise,
    *,
    needs: Needs | None = _KEEP,
    head_start: Duration | ByDeadline | None = _KEEP,
    slope: float | None = _KEEP,
    urgency: Urgency = _KEEP,
    steps: Sequence[Step] = _KEEP,
    clocks: Sequence[ClockUse] = _KEEP,
    order: Sequence[AgentOrder] = _KEEP,
    affinity: Affinity | None = _KEEP,
    offer: Offer | AutoAccept | None = _KEEP,
    cost: int | None = _KEEP,
    wrap_up: Duration | None = _KEEP,
    decline_exclude: Duration | None = _KEEP,
    fits: Sequence[Fit] = _KEEP,
    skip_unstaffed: bool | None = _KEEP,
    overlays: Sequence[While] = _KEEP,
    reserves: Sequence[Reserve] = _KEEP,
    waiting_max: int | None = _KEEP,
) -> Change:
    """These fields of a rule, whole; what is not named stays."""
    named: dict[str, Any] = {name: value for name, value in locals().items() if name != "rule" and value is not _KEEP}
    if not isinstance(rule, Rule | Otherwise):
        raise TypeError(f"a change names a rule, like Who.vip, not {rule!r}")
    if not named:
        raise TypeError(f"the change of {rule} says nothing: give it what is to be different")
    fields = dict.fromkeys(named)
    if "urgency" in fields:
        fields = dict.fromkeys([*(name for name in fields if name != "urgency"), "head_start", "slope"])
    return Change(rule, Otherwise(**named), tuple(fields))


def wake(rule: Rule) -> Change:
    """A dormant rule holds, while the scene is on."""
    if not getattr(rule, "dormant", False):
        raise TypeError(f"only a dormant rule is woken: write {rule} with dormant=True")
    return Change(rule, Otherwise(), (), wakes=True)


class Scene:
    """A set of changes, switched on and off as one."""

    def __init__(self, *changes: Change, why: str = "", dates: Dates = Dates()) -> None:
        """`dates`: when it may be on: named before, it comes on by itself; at its end it goes off."""
        if not changes or not all(isinstance(each, Change) for each in changes):
            raise TypeError("a scene is made of change(…) and wake(…), at least one")
        self.changes, self.why, self.dates = changes, why, dates
        self.name = ""
        self.origin = here()

    def __set_name__(self, owner: type, name: str) -> None:
        if self.name:
            raise TypeError(f"{owner.__name__}.{name}: this scene is {self.name} already; declare another")
        self.name = name

    def __repr__(self) -> str:
        return f"Scene({self.name})"


def scenes_of(owner: type | None) -> tuple[Scene, ...]:
    """The scenes that a class declares, in order."""
    return tuple(value for value in vars(owner or object).values() if isinstance(value, Scene))


def changed(rule: R, changes: Sequence[Change]) -> R:
    """The rule with what these changes say of it; the rule itself where they say nothing."""
    mine = [each for each in changes if each.rule is rule]
    if not mine:
        return rule
    found = copy(rule)
    for each in mine:
        for name in each.fields:
            object.__setattr__(found, name, getattr(each.gives, name))
        if each.wakes:
            object.__setattr__(found, "dormant", False)
        object.__setattr__(found, "origin", each.origin)
    return found
