"""Layers of rules: what a ticket's attributes give it.

```python
class Who(Layer):                          # the first layer: its rules are the queues
    logistics = Rule(Ticket.category.is_("logistics"), needs=S.logistics.at_least(2), why="R1", steps=[
        After(seconds(20), needs=S.logistics | S.general), At(Clocks.legal, 0.8, alert="supervisor")])
    general = Otherwise(needs=S.general)

class Rank(Layer, every=True):             # every rule that holds
    angry = Rule(Ticket.emotion.is_("angry"), head_start=seconds(90), why="R3")
    vip = Rule(Ticket.tier.is_("vip"), head_start=seconds(60), why="R4")
    ordinary = Otherwise()
```

The order on the page is precedence: the first rule that holds applies; under `every=True` all that hold do, and the
last, `Otherwise`, only if none does. Needs of several layers are and-ed; head starts, fits and boosts are summed;
clocks combine as `clocks.py` says; everything else comes from one layer. One concern a layer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from csroute.policy.attributes import Condition
from csroute.policy.clocks import Clock, ClockUse
from csroute.policy.conditions import Reserve, While
from csroute.policy.durations import Duration
from csroute.policy.numbers import milli
from csroute.policy.origin import Origin, here
from csroute.policy.skills import Entry, Needs
from csroute.policy.urgency import ByDeadline, Urgency

__all__ = [
    "Affinity",
    "After",
    "AgentOrder",
    "At",
    "AutoAccept",
    "Fit",
    "Gives",
    "Layer",
    "Offer",
    "Otherwise",
    "Rule",
    "Step",
    "rules_of",
]

AgentOrder = Literal["least_loaded", "longest_idle", "best_level", "spare_generalists", "round_robin"]


@dataclass(frozen=True)
class Affinity:
    """How a ticket's preferred agent is waited for. No hold for one who is away or not eligible."""

    hold: Duration
    """Since first waiting."""
    transfer_hold: Duration | None = None
    """Since a transfer to an agent; None: `hold`."""
    needs: Needs | None = None
    """The (lower) requirement that the preferred agent may meet instead."""
    owner: Duration | None = None
    """Whoever is the first to be assigned a customer's ticket is remembered so long, and preferred for the next one.

    Each assignment to the one remembered renews it; a ticket's own preference goes before. None: nobody is remembered.
    """


@dataclass(frozen=True)
class Offer:
    """Agents are asked, and have `ttl` (1 ms to 1 h) to accept."""

    ttl: Duration
    away_on_expiry: bool = True
    """One who lets it expire is set away; False: only excluded from this ticket, like one who declined."""


@dataclass(frozen=True)
class AutoAccept:
    """Agents are not asked: assigned at once."""


@dataclass(frozen=True)
class Fit:
    """Agents with this skill count for more: the ticket's urgency for them is `ms` greater. Fits are summed."""

    skill: Entry
    ahead: Duration


@dataclass(frozen=True, kw_only=True)
class Step:
    """What changes when a ticket has waited long enough. Taken once; only its layer's part changes."""

    needs: Needs | None = None
    """Replaces its layer's needs."""
    boost: Duration | None = None
    """Seniority added while this is the layer's last listed step taken: each step states its own."""
    alert: str = ""
    """Raised with the step, for people."""
    overflow: str = ""
    """Ends the ticket here, for that place."""
    move: Rule | Otherwise | Callable[[], Rule | Otherwise] | None = None
    """Replaces the layer's rule; ages run on.

    `lambda: Who.senior` names one that stands further down the page; annotate that, `senior: Rule = Rule(…)`, for mypy.
    """

    def target(self) -> Rule | Otherwise | None:
        """The rule that `move` names."""
        return self.move() if callable(self.move) else self.move


@dataclass(frozen=True)
class After(Step):
    """A step at an age: time since the ticket first waited, or was transferred."""

    age: Duration


@dataclass(frozen=True)
class At(Step):
    """A step at a share (over 0, at most 1) of a clock's target: stays right when targets change or pause."""

    clock: Clock
    share: float

    @property
    def share_milli(self) -> int:
        """The share in thousandths."""
        return milli(self.share, "share", 1, 1000)


@dataclass(frozen=True, eq=False, kw_only=True)
class Gives:
    """What a rule gives to the tickets that it holds for."""

    needs: Needs | None = None
    """And-ed with other layers'."""
    head_start: Duration | ByDeadline | None = None
    """How far ahead of an equal ticket on arrival; summed over layers."""
    slope: float | None = None
    """Urgency gained per time waited, 0 to 100; 1 where nothing is said."""
    urgency: Urgency | None = None
    """Instead of head_start and slope: `strict_priority(2)`, `weighted(3)`, …"""
    steps: Sequence[Step] = ()
    clocks: Sequence[ClockUse] = ()
    order: Sequence[AgentOrder] = ()
    """Which of several free agents; least_loaded, longest_idle where nothing is said."""
    affinity: Affinity | None = None
    offer: Offer | AutoAccept | None = None
    """Assigned at once where nothing is said."""
    cost: int | None = None
    """Units of an agent's capacity; the channel's where nothing is said."""
    wrap_up: Duration | None = None
    """How long the agent has to write up; none where nothing is said."""
    decline_exclude: Duration | None = None
    """How long a decline keeps the agent away from the ticket; 1 min where nothing is said."""
    fits: Sequence[Fit] = ()
    skip_unstaffed: bool | None = None
    """A step that nobody logged in meets is passed over at once."""
    overlays: Sequence[While] = ()
    """Needs for the time that a queue is too full; over the steps'."""
    reserves: Sequence[Reserve] = ()
    """Reserves that may be released to these tickets; united over layers."""
    waiting_max: int | None = None
    """Tickets that may wait in this queue; more are refused, with a retry hint. For rules of the first layer."""
    why: str = ""
    """For those who ask: a rule's number, a contract's clause."""
    name: str = field(default="", init=False)
    layer: str = field(default="", init=False)
    origin: Origin = field(default_factory=here, init=False, repr=False)

    def __post_init__(self) -> None:
        for name, kinds in _KINDS.items():
            value = getattr(self, name)
            if value is not None and not isinstance(value, kinds):
                raise TypeError(f"{name} is {' or '.join(kind.__name__ for kind in kinds)}, not {value!r}")
        for name, kind in _LISTS.items():
            items = tuple(getattr(self, name))
            if not all(isinstance(item, kind) for item in items):
                raise TypeError(f"{name} is a list of {kind.__name__}, not {items!r}")
            object.__setattr__(self, name, items)
        if self.urgency is not None:
            if self.head_start is not None or self.slope is not None:
                raise TypeError("urgency stands instead of head_start and slope: give one or the other")
            object.__setattr__(self, "head_start", self.urgency.head_start)
            object.__setattr__(self, "slope", self.urgency.slope)

    def __set_name__(self, owner: type, name: str) -> None:
        if self.name:
            raise TypeError(f"{owner.__name__}.{name}: this rule is {self} already; write another")
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "layer", owner.__name__)

    def __str__(self) -> str:
        return f"{self.layer}.{self.name}" if self.name else "defaults"


_KINDS: dict[str, tuple[type, ...]] = {
    "needs": (Needs,), "head_start": (Duration, ByDeadline), "slope": (int, float), "urgency": (Urgency,),
    "affinity": (Affinity,), "offer": (Offer, AutoAccept), "cost": (int,), "wrap_up": (Duration,),
    "decline_exclude": (Duration,), "skip_unstaffed": (bool,), "waiting_max": (int,), "why": (str,),
}  # fmt: skip
_LISTS: dict[str, type] = {
    "steps": Step, "clocks": ClockUse, "order": str, "fits": Fit, "overlays": While, "reserves": Reserve,
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Rule(Gives):
    """What tickets get for which `when` holds. In the first layer: a queue."""

    when: Condition
    dormant: bool = field(default=False, kw_only=True)
    """It stands in its place, and holds for nobody, until a scene wakes it."""

    def __post_init__(self) -> None:
        if not isinstance(self.when, Condition):
            raise TypeError(f"a rule begins with its condition, like Ticket.tier.is_('vip'), not {self.when!r}")
        super().__post_init__()


@dataclass(frozen=True, eq=False, kw_only=True)
class Otherwise(Gives):
    """What tickets get for which no rule of the layer holds: its last. As a policy's `defaults`: what nobody gave."""


class Layer:
    """The base of a layer. Its rules stand in the class, in order of precedence; `Otherwise` is the last."""

    _rules: tuple[Rule | Otherwise, ...] = ()
    _every: bool = False
    _origin: Origin = Origin("", 0)

    def __init_subclass__(cls, *, every: bool = False) -> None:
        cls._rules = tuple(value for value in vars(cls).values() if isinstance(value, Rule | Otherwise))
        cls._every = every
        cls._origin = here()


def rules_of(layer: type[Layer]) -> tuple[Rule | Otherwise, ...]:
    """The rules of a layer, in order."""
    return layer._rules
