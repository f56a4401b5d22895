"""Who works, when and how.

>>> crew = team(2, "front", {"general": 2}) + team(1, "experts", {"general": 4}, shifts=[(0, 3600)])
>>> [agent.id for agent in crew.agents], crew.groups
(['front-0', 'front-1', 'experts-0'], ['front', 'experts'])
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from csroute.simulate.draws import Distribution

__all__ = ["AgentPlan", "Conduct", "Roster", "team"]

ALWAYS: tuple[tuple[float, float], ...] = ((0.0, 1e9),)
"""A shift without end."""


@dataclass(frozen=True)
class Conduct:
    """How an agent behaves. Probabilities are of one offer; a policy that assigns at once makes none."""

    answer: Distribution | None = None
    """How long until an offer is answered; None: at once."""
    decline: float = 0.0
    miss: float = 0.0
    """Not answered: the offer expires."""
    wrap_up: Distribution | None = None
    """How long writing up takes; None: as long as the policy gives."""
    back_after_s: float = 60.0
    """Sent away for a missed offer, back after this."""
    pace: Mapping[str, float] = field(default_factory=dict)
    """By category: work takes so many times its length; "" is for all others."""


@dataclass(frozen=True)
class AgentPlan:
    """An agent and the working time. Shifts and breaks: (from, to) in seconds since the start, not overlapping."""

    id: str
    group: str
    skills: Mapping[str, int]
    capacity: int = 100
    """Units."""
    channels: Mapping[str, int] = field(default_factory=dict)
    """Open channels and their limits (0: the policy's); empty: all."""
    shifts: Sequence[tuple[float, float]] = ALWAYS
    breaks: Sequence[tuple[float, float]] = ()
    conduct: Conduct = Conduct()


@dataclass(frozen=True)
class Roster:
    """The people. pace_by_level: work takes so many times its length at this level of the ticket's category."""

    agents: Sequence[AgentPlan]
    pace_by_level: Mapping[int, float] = field(default_factory=dict)
    reserves: Sequence[str] = ("reserve",)
    """Groups whose use is told apart."""

    @property
    def groups(self) -> list[str]:
        """Their groups, in order of appearance."""
        return list(dict.fromkeys(agent.group for agent in self.agents))

    def __add__(self, other: Roster) -> Roster:
        return Roster([*self.agents, *other.agents], {**self.pace_by_level, **other.pace_by_level}, self.reserves)

    def pace(self, agent: AgentPlan, category: str) -> float:
        """How many times its length work of this category takes."""
        own = agent.conduct.pace.get(category, agent.conduct.pace.get("", 1.0))
        return own * self.pace_by_level.get(agent.skills.get(category, 0), 1.0)


def team(
    size: int,
    group: str = "agents",
    skills: Mapping[str, int] | None = None,
    *,
    capacity: int = 100,
    channels: Mapping[str, int] | None = None,
    shifts: Sequence[tuple[float, float]] = ALWAYS,
    breaks: Sequence[tuple[float, float]] = (),
    conduct: Conduct = Conduct(),
) -> Roster:
    """So many agents alike."""
    alike = [
        AgentPlan(f"{group}-{number}", group, skills or {}, capacity, channels or {}, shifts, breaks, conduct)
        for number in range(size)
    ]
    return Roster(alike)
