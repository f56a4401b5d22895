"""What a controller is given and gives: numpy arrays, one row a line, a profile or a rule.

>>> Steering(slope=np.array([1.0, 2.5])).slope
array([1. , 2.5])
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from csroute.v1 import live_pb2

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["FIGURES", "LINES", "PROFILES", "Controller", "Memory", "Range", "State", "Steering", "controller"]

FIGURES: Final = ("head_start_s", "slope", "fit")
"""What may be steered: a rule's head start (s), its slope (1: a second a second), the weight of its fits (1: as is)."""

LINES: Final = np.dtype(
    [
        ("ticket_class", np.uint32),
        ("queue", np.uint32),  # a place in State.queues
        ("channel", np.uint32),  # a place in State.channels
        ("step", np.uint32),
        ("waiting", np.uint32),
        ("held", np.uint32),  # suspended, or held for one agent
        ("oldest_wait_s", np.float64),
        ("arrived", np.uint32),  # of the class in this period, on its first line; 0 on the others
        ("answered", np.uint32),  # likewise
        ("head_start_s", np.float64),  # as it is now, all its rules together
        ("slope", np.float64),
        ("boost_s", np.float64),
        ("cost", np.uint32),  # units
    ]
)
"""A row of `State.lines`: the waiting tickets of one class at one step. Classes without tickets have none."""

PROFILES: Final = np.dtype(
    [
        ("agents", np.uint32),
        ("available", np.uint32),
        ("free", np.uint32),  # available, with a free unit
        ("units_used", np.uint64),
        ("units_total", np.uint64),
    ]
)
"""A row of `State.profiles`: logged-in agents with the same skills, levels, channels, limits and capacity."""


@dataclass(frozen=True, slots=True)
class Range:
    """What a rule may be steered to, each (lowest, highest); None: not at all. An answer outside is refused.

    `head_start_s`: at most a week either way; `slope`: 0 to 100; `fit`: 0 to 2.
    """

    head_start_s: tuple[float, float] | None = None
    slope: tuple[float, float] | None = None
    fit: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class State:
    """The live state of one tenant at the end of a period."""

    now_us: int
    elapsed_s: float
    """Since the period before; 0 in the first."""
    queues: tuple[str, ...]
    channels: tuple[str, ...]
    lines: NDArray[np.void]
    """`LINES`, n rows."""
    profiles: NDArray[np.void]
    """`PROFILES`, m rows."""
    serves: NDArray[np.bool_]
    """n × m: whether agents of the profile meet what the line asks now."""
    rules: tuple[str, ...]
    """The rules that may be steered, "Layer.rule", as the controller declares them: r of them."""
    applies: NDArray[np.bool_]
    """n × r: whether the rule applies to the line's class."""
    low: Mapping[str, NDArray[np.float64]]
    """By figure, r numbers: the lowest that each rule may have; NaN where it is not steered."""
    high: Mapping[str, NDArray[np.float64]]

    def waiting(self) -> NDArray[np.float64]:
        """Tickets that wait under each rule: r numbers."""
        counts: NDArray[np.float64] = self.lines["waiting"].astype(np.float64) @ self.applies
        return counts

    def oldest_wait_s(self) -> NDArray[np.float64]:
        """The longest wait under each rule: r numbers; 0 where nobody waits."""
        waits = np.where(self.applies, self.lines["oldest_wait_s"][:, None], 0.0)
        oldest: NDArray[np.float64] = waits.max(axis=0, initial=0.0)
        return oldest

    def clip(self, figure: str, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values moved into the rules' ranges."""
        clipped: NDArray[np.float64] = np.clip(values, self.low[figure], self.high[figure])
        return clipped


@dataclass(frozen=True, slots=True)
class Steering:
    """New figures, r numbers each, in the order of `State.rules`; None: all as the policy says."""

    head_start_s: NDArray[np.float64] | None = None
    slope: NDArray[np.float64] | None = None
    fit: NDArray[np.float64] | None = None


Steer = Callable[[State], "Steering | None"]
"""Called once a period; None: steer nothing."""


@dataclass(frozen=True, slots=True)
class Controller:
    """A callable with the ranges that it may steer in. `ranges`: by rule, `Who.logistics` or "Who.logistics"."""

    steer: Steer
    ranges: Mapping[object, Range]
    period_s: float = 1.0

    def __call__(self, state: State) -> Steering | None:
        """Steers."""
        return self.steer(state)

    def names(self) -> tuple[str, ...]:
        """The rules, in order."""
        return tuple(str(rule) for rule in self.ranges)


def controller(ranges: Mapping[object, Range], *, period_s: float = 1.0) -> Callable[[Steer], Controller]:
    """Makes a controller of a function:

    >>> @controller({"Who.logistics": Range(head_start_s=(0, 120))})
    ... def calm(state: State) -> Steering:
    ...     return Steering(head_start_s=np.minimum(state.waiting(), 120.0))
    >>> calm.names()
    ('Who.logistics',)
    """
    return lambda steer: Controller(steer, ranges, period_s)


@dataclass(slots=True)
class Memory:
    """Makes states of replies, and remembers what counters were a period ago."""

    controller: Controller
    _then_us: int = 0
    _version: int = 0
    _counters: dict[int, tuple[int, int]] = field(default_factory=dict)

    def state(self, live: live_pb2.GetLiveReply) -> State:
        """What the controller is given."""
        names = self.controller.names()
        queues = _numbered(line.queue for line in live.lines)
        channels = _numbered(line.channel for line in live.lines)
        lines = np.zeros(len(live.lines), LINES)
        applies = np.zeros((len(lines), len(names)), np.bool_)
        places = {f"{rule.layer}.{rule.rule}": at for at, rule in enumerate(live.rules)}
        columns = {places[name]: at for at, name in enumerate(names) if name in places}
        profiles, serves = _profiles(live)
        fresh = live.policy_version != self._version
        counters: dict[int, tuple[int, int]] = {}
        for at, line in enumerate(live.lines):
            arrived = answered = 0
            if line.ticket_class not in counters:
                counters[line.ticket_class] = (line.arrived, line.answered)
                before = self._counters.get(line.ticket_class, (0, 0))
                arrived, answered = line.arrived - before[0], line.answered - before[1]
                if arrived < 0 or answered < 0:  # the number is another class's now
                    arrived, answered = line.arrived, line.answered
                if fresh:  # what it counted before is of no period
                    arrived = answered = 0
            lines[at] = (
                line.ticket_class, queues[line.queue], channels[line.channel], line.step, line.waiting, line.held,
                line.oldest_wait_ms / 1000, arrived, answered, line.head_start_ms / 1000, line.slope_milli / 1000,
                line.boost_ms / 1000, line.cost,
            )  # fmt: skip
            for rule in line.rules:
                if rule in columns:
                    applies[at, columns[rule]] = True
        elapsed_s = (live.now_us - self._then_us) / 1e6 if self._then_us else 0.0
        self._then_us, self._version, self._counters = live.now_us, live.policy_version, counters
        low, high = _bounds(self.controller)
        return State(
            live.now_us, elapsed_s, tuple(queues), tuple(channels), lines, profiles, serves, names, applies, low, high
        )  # fmt: skip


def _numbered(names: object) -> dict[str, int]:
    found: dict[str, int] = {}
    for name in names:  # type: ignore[attr-defined]
        found.setdefault(name, len(found))
    return found


def _profiles(live: live_pb2.GetLiveReply) -> tuple[NDArray[np.void], NDArray[np.bool_]]:
    places = {profile.number: at for at, profile in enumerate(live.profiles)}
    profiles = np.zeros(len(places), PROFILES)
    for at, it in enumerate(live.profiles):
        profiles[at] = (it.agents, it.available, it.free, it.units_used, it.units_total)
    met = {}
    for asked in live.requirements:
        row = np.zeros(len(places), np.bool_)
        row[[places[number] for number in asked.profiles if number in places]] = True
        met[asked.number] = row
    serves = np.zeros((len(live.lines), len(places)), np.bool_)
    for at, line in enumerate(live.lines):
        serves[at] = met[line.requirement]
    return profiles, serves


def _bounds(steered: Controller) -> tuple[dict[str, NDArray[np.float64]], dict[str, NDArray[np.float64]]]:
    none = (np.nan, np.nan)
    bounds = {
        figure: np.array([getattr(it, figure) or none for it in steered.ranges.values()], np.float64).reshape(-1, 2)
        for figure in FIGURES
    }
    return {figure: pair[:, 0] for figure, pair in bounds.items()}, {
        figure: pair[:, 1] for figure, pair in bounds.items()
    }
