"""Who worked when, out of a journal's events: a roster, as it was.

A shift lasts from login until draining or offline; away is a break, unless a missed offer caused it. Agents whose
skills, channels or capacity changed go home, and come as somebody else (`ana~2`). Offers are answered, declined and
missed, and tickets written up, as all of them did on the average.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from csroute.simulate.roster import AgentPlan, Conduct, Roster
from csroute.simulate.survival import Survival
from csroute.v1 import agent_pb2, event_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable

    from csroute.simulate.draws import Distribution

__all__ = ["People"]

_CAPACITY = 100
_THERE = {agent_pb2.PRESENCE_AVAILABLE, agent_pb2.PRESENCE_AWAY}


@dataclass
class _Person:
    """One, with skills that stay. Times are Unix µs; `since`, `away`, `missed`: open, or None."""

    spec: agent_pb2.AgentSpec
    shifts: list[tuple[int, int]] = field(default_factory=list)
    breaks: list[tuple[int, int]] = field(default_factory=list)
    since: int | None = None
    away: int | None = None
    missed: int | None = None

    def turn(self, presence: int, at_us: int, *, expired: bool = False) -> int | None:
        """Is so now; how long it was away for a missed offer, if that ends."""
        there, back = presence in _THERE, None
        if there and self.since is None:
            self.since = at_us
        if self.away is not None and presence != agent_pb2.PRESENCE_AWAY:
            self.breaks.append((self.away, at_us))
            self.away = None
        if self.missed is not None and presence != agent_pb2.PRESENCE_AWAY:
            back, self.missed = at_us - self.missed, None
        if presence == agent_pb2.PRESENCE_AWAY and self.away is None and self.missed is None:
            if expired:
                self.missed = at_us
            else:
                self.away = at_us
        if not there and self.since is not None:
            self.shifts.append((self.since, at_us))
            self.since = None
        return back


@dataclass
class People:
    """Everybody. specs: what agents were said to be, by (id, Unix µs)."""

    specs: dict[tuple[str, int], agent_pb2.AgentSpec] = field(default_factory=dict)
    answers: list[float] = field(default_factory=list)
    wrap_ups: list[float] = field(default_factory=list)
    backs: list[float] = field(default_factory=list)
    offers: int = 0
    declined: int = 0
    missed: int = 0
    _known: dict[str, list[_Person]] = field(default_factory=dict)
    _presence: dict[str, int] = field(default_factory=dict)

    def begin(self, agents: Iterable[agent_pb2.Agent]) -> None:
        """Those who were there at the beginning."""
        for agent in agents:
            self._known[agent.spec.id] = [_Person(agent.spec)]
            self._turn(agent.spec.id, agent.presence, 0)

    def hear(self, event: event_pb2.Event) -> None:
        """Something happened; what is not about people does not matter."""
        kind = event.WhichOneof("kind")
        if kind == "agent_upserted":
            spec = self.specs.get((event.agent, event.at_us))
            if spec is not None:
                self._become(event.agent, spec, event.at_us)
        elif kind == "presence_changed":
            expired = event.presence_changed.cause == event_pb2.PRESENCE_CAUSE_EXPIRED_OFFER
            self._turn(event.agent, event.presence_changed.presence, event.at_us, expired=expired)
        elif kind == "agent_removed":
            self._turn(event.agent, agent_pb2.PRESENCE_OFFLINE, event.at_us)

    def _become(self, name: str, spec: agent_pb2.AgentSpec, at_us: int) -> None:
        lives = self._known.setdefault(name, [])
        if lives and lives[-1].spec == spec:
            return
        presence = self._presence.get(name, agent_pb2.PRESENCE_OFFLINE)
        if lives:
            lives[-1].turn(agent_pb2.PRESENCE_OFFLINE, at_us)
        lives.append(_Person(spec))
        lives[-1].turn(presence, at_us)

    def _turn(self, name: str, presence: int, at_us: int, *, expired: bool = False) -> None:
        self._presence[name] = presence
        if name in self._known:
            back = self._known[name][-1].turn(presence, at_us, expired=expired)
            if back:
                self.backs.append(back / 1e6)

    def roster(self, start: int, last: int) -> Roster:
        """Who was there between these times (Unix µs), and when, in seconds since the first."""
        answered = self.offers - self.missed
        conduct = Conduct(
            answer=_drawn(self.answers),
            decline=self.declined / answered if answered > 0 else 0.0,
            miss=self.missed / self.offers if self.offers else 0.0,
            wrap_up=_drawn(self.wrap_ups),
            back_after_s=float(np.mean(self.backs)) if self.backs else Conduct().back_after_s,
        )
        plans = []
        for name, lives in self._known.items():
            for number, person in enumerate(lives, 1):
                person.turn(agent_pb2.PRESENCE_OFFLINE, last)
                shifts, breaks = (_within(spans, start, last) for spans in (person.shifts, person.breaks))
                if shifts:
                    called = name if number == 1 else f"{name}~{number}"
                    plans.append(_plan(called, person.spec, shifts, breaks, conduct))
        return Roster(plans)


def _plan(
    name: str,
    spec: agent_pb2.AgentSpec,
    shifts: list[tuple[float, float]],
    breaks: list[tuple[float, float]],
    conduct: Conduct,
) -> AgentPlan:
    skills = {one.skill: one.level or 1 for one in spec.skills}
    group = max(skills, key=lambda skill: (skills[skill], [-ord(letter) for letter in skill]), default="agents")
    channels = {one.channel: one.limit for one in spec.channels}
    return AgentPlan(name, group, skills, spec.capacity or _CAPACITY, channels, shifts, breaks, conduct)


def _within(spans: list[tuple[int, int]], start: int, last: int) -> list[tuple[float, float]]:
    cut = [(max(since, start), min(until, last)) for since, until in spans]
    return [((since - start) / 1e6, (until - start) / 1e6) for since, until in cut if since < until]


def _drawn(values: list[float]) -> Distribution | None:
    return Survival(np.array(values), np.ones(len(values), np.bool_)).distribution() if values else None
