"""What comes: kinds of tickets in their shares, at a rate that follows a curve; or tickets that were recorded.

>>> from csroute.simulate.draws import Exponential
>>> calls = Kind("phone", handle=Exponential(180.0), patience=Exponential(120.0))
>>> workload = Workload("calls", [calls], curve=[(0.0, 0.5)], length_s=3600.0)
>>> round(workload.expected)
1800
>>> block = next(workload.blocks(seed=1))
>>> block["at_us"][0] < block["at_us"][1]
np.True_
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import numpy as np

from csroute.errors import ConfigError
from csroute.simulate.arrays import ARRIVAL, Records, arrivals
from csroute.simulate.draws import Distribution, Exponential, Never

__all__ = ["Again", "Kind", "Workload"]

_BLOCK = 250_000
"""Arrivals made at a time, about."""


@dataclass(frozen=True)
class Again:
    """The customer comes back: with this probability once answered, with that one after leaving without."""

    answered: float = 0.0
    abandoned: float = 0.0
    after: Distribution = Exponential(1800.0)  # noqa: RUF009 - a value
    attributes: Mapping[str, str] = field(default_factory=dict)
    """Changed then, as `{"contact": "repeat"}`."""
    same_agent: bool = False
    """Asks for whoever answered."""


@dataclass(frozen=True)
class Kind:
    """A kind of ticket, and its customers. `share`: of all arrivals, against the other kinds' shares."""

    channel: str
    attributes: Mapping[str, str] = field(default_factory=dict)
    share: float = 1.0
    handle: Distribution = Exponential(372.0)  # noqa: RUF009 - a value
    patience: Distribution = Never()  # noqa: RUF009 - a value
    category: str = ""
    """What the work is, by a skill's name: agents' pace may depend on it, and on their level in it."""
    skills: Mapping[str, int] = field(default_factory=dict)
    """The ticket's own needs."""
    transfer: float = 0.0
    """Probability that it is handed on after being worked on,"""
    transfer_to: str = ""
    """to this queue."""
    again: Again | None = None
    marks: Mapping[str, Distribution] = field(default_factory=dict)
    """Moments that the agent marks, so long after the first answer, at the latest when done."""
    confidence: Mapping[str, float] = field(default_factory=dict)
    """How sure a detector is of an attribute, by name; others are facts."""
    known: bool = False
    """From a customer who came before: one of the workload's last `customers_max`."""


@dataclass(frozen=True)
class Workload:
    """What comes from the start on, for `length_s`.

    curve: (from second, tickets a second), rising; before the first nothing comes. recorded: instead of the curve, a
    block of `arrays.ARRIVAL`. start: what time it is then: policies may care, and logs.
    """

    name: str
    kinds: Sequence[Kind]
    curve: Sequence[tuple[float, float]] = ()
    length_s: float = 86_400.0
    start: datetime = datetime(2024, 11, 10, 16, tzinfo=UTC)
    recorded: Records | None = None
    segments: Sequence[str] = ("tier",)
    """Attributes that figures are split by, besides queue and channel."""
    customers_max: int = 0
    """Of so many customers one may be back: a ticket is a new one's, or by its kind a `known` one's. 0: all unknown."""
    notes: Sequence[str] = ()
    """What a reader of the report must know of where it comes from."""

    def __post_init__(self) -> None:
        if not self.kinds or any(kind.share < 0 for kind in self.kinds) or not sum(kind.share for kind in self.kinds):
            raise ConfigError(f"workload {self.name}: it needs kinds with shares of at least 0, not all 0")
        starts = [start for start, _ in self.curve]
        if starts != sorted(set(starts)) or any(rate < 0 for _, rate in self.curve):
            raise ConfigError(
                f"workload {self.name}: a curve is (second, tickets a second), seconds rising: {self.curve}"
            )
        if (self.recorded is None) == (not self.curve):
            raise ConfigError(f"workload {self.name}: give a curve, or recorded tickets: exactly one")
        if self.recorded is not None and self.recorded.dtype != ARRIVAL:
            raise ConfigError(f"workload {self.name}: recorded tickets are records of csroute.simulate.arrays.ARRIVAL")

    @property
    def expected(self) -> float:
        """How many are expected."""
        if self.recorded is not None:
            return float(len(self.recorded))
        return math.fsum((to - start) * rate for start, to, rate in self._segments())

    def expected_between(self, start_s: float, to_s: float) -> float:
        """How many are expected from one second until another."""
        if self.recorded is not None:
            at = self.recorded["at_us"]
            return float(np.searchsorted(at, to_s * 1e6) - np.searchsorted(at, start_s * 1e6))
        parts = ((min(to, to_s) - max(start, start_s), rate) for start, to, rate in self._segments())
        return math.fsum(width * rate for width, rate in parts if width > 0)

    @property
    def flat(self) -> bool:
        """One rate throughout: what is measured settles, and one long run is enough."""
        return self.recorded is None and len(self.curve) == 1

    def scaled(self, factor: float) -> Workload:
        """The same at another rate; recorded tickets cannot be scaled."""
        if self.recorded is not None:
            raise ConfigError(f"workload {self.name}: recorded tickets come as they came; only a curve can be scaled")
        return replace(self, curve=[(start, rate * factor) for start, rate in self.curve])

    def blocks(self, seed: int) -> Iterator[Records]:
        """Arrivals in order of time, in blocks of bounded size. The same seed, the same arrivals."""
        if self.recorded is not None:
            for first in range(0, len(self.recorded), _BLOCK):
                yield self.recorded[first : first + _BLOCK]
            return
        shares = np.cumsum([kind.share for kind in self.kinds])
        known, new = np.array([kind.known for kind in self.kinds]), 0
        for number, (start, to, rate) in enumerate(self._windows()):
            random = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, number])))
            count = random.poisson(rate * (to - start))
            at = np.sort(random.random(count)) * (to - start) + start
            kinds = np.searchsorted(shares, random.random(count) * shares[-1], side="right")
            block = arrivals((at * 1e6).astype(np.int64), np.minimum(kinds, len(shares) - 1))
            if self.customers_max:
                again = known[block["kind"]]
                newest = new + np.cumsum(~again)
                back = random.random(count) * np.minimum(newest, self.customers_max)
                block["customer"] = newest - np.where(again, back.astype(np.int64), 0)
                new = int(newest[-1]) if count else new
            yield block

    def _segments(self) -> Iterator[tuple[float, float, float]]:
        ends = [*(start for start, _ in self.curve[1:]), self.length_s]
        for (start, rate), end in zip(self.curve, ends, strict=True):
            if min(end, self.length_s) > start:
                yield start, min(end, self.length_s), rate

    def _windows(self) -> Iterator[tuple[float, float, float]]:
        for start, to, rate in self._segments():
            parts = max(1, math.ceil(rate * (to - start) / _BLOCK))
            for part in range(parts):
                width = (to - start) / parts
                yield start + part * width, start + (part + 1) * width, rate
