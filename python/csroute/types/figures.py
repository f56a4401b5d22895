"""Figures and explanations. Documented field by field in `stats.proto` and `explain.proto`."""

from collections.abc import Mapping
from dataclasses import dataclass

from csroute.types.events import MatchReason
from csroute.types.mirror import Mirror
from csroute.types.tickets import TicketView
from csroute.v1 import explain_pb2, stats_pb2

__all__ = ["ClockStats", "Explanation", "NotEligible", "QueueStats", "RuleHit", "Stats"]


@dataclass(frozen=True, slots=True)
class QueueStats(Mirror[stats_pb2.QueueStats]):
    """A queue: what waits now, and counters since start. Times in ms."""

    queue: str
    waiting: int
    oldest_wait_ms: int
    arrived: int
    answered: int
    met: int
    abandoned: int
    short_abandoned: int
    overflowed: int
    completed: int
    wait_total_ms: int


@dataclass(frozen=True, slots=True)
class ClockStats(Mirror[stats_pb2.ClockStats]):
    """A clock's counters since start."""

    clock: str
    met: int
    breached: int
    warned: int


@dataclass(frozen=True, slots=True)
class Stats(Mirror[stats_pb2.GetStatsReply]):
    """A tenant's figures: tickets and agents now, counters since start. `rejections`: {code: how many}.

    `state_hash`: equal states, equal hashes; 0 unless asked for.
    """

    queues: tuple[QueueStats, ...]
    clocks: tuple[ClockStats, ...]
    scheduled: int
    waiting: int
    suspended: int
    offered: int
    active: int
    wrapping: int
    submitted: int
    assigned: int
    completed: int
    closed: int
    cancelled: int
    overflowed: int
    remembered: int
    agents_available: int
    agents_away: int
    agents_draining: int
    agents_offline: int
    units_used: int
    units_total: int
    classes: int
    profiles: int
    sequence: int
    state_hash: int
    rejections: Mapping[int, int]
    policy_version: int
    policy_name: str
    service_level_milli: int

    @property
    def occupancy(self) -> float:
        """Units held ÷ units of logged-in agents; 0 while nobody is logged in."""
        return self.units_used / self.units_total if self.units_total else 0.0


@dataclass(frozen=True, slots=True)
class RuleHit(Mirror[explain_pb2.RuleHit]):
    """A rule that put the ticket into its class, and the policy's own why."""

    layer: str
    rule: str
    why: str


@dataclass(frozen=True, slots=True)
class NotEligible(Mirror[explain_pb2.NotEligible]):
    """How many logged-in agents are not eligible, by the first reason that holds, in this order."""

    presence: int
    skill: int
    level: int
    channel: int
    excluded: int
    channel_limit: int
    capacity: int
    held_for_another: int


@dataclass(frozen=True, slots=True)
class Explanation(Mirror[explain_pb2.ExplainReply]):
    """Why a ticket is where it is. Printed, it is one paragraph for a person.

    `needs`: the requirement in force, in words. `assigned`: why this agent, once there is one.
    """

    ticket: TicketView
    rules: tuple[RuleHit, ...]
    needs: tuple[str, ...]
    none_of: tuple[str, ...]
    next_step_us: int
    next_step: int
    place: int
    wait_low_ms: int
    wait_high_ms: int
    wait_method: str
    eligible_count: int
    able_count: int
    not_eligible: NotEligible
    urgency_milli_us: int
    head_start_ms: int
    boost_ms: int
    slope_milli: int
    assigned: MatchReason | None
    text: str

    def __str__(self) -> str:
        return self.text
