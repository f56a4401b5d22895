"""What the oracle remembers: plain records, no behaviour but arithmetic.

>>> ceil_ms(1_200)
2000
"""

from __future__ import annotations

from dataclasses import dataclass, field

from csroute.v1 import agent_pb2, ticket_pb2

from .policy import TicketClass

__all__ = ["ENDED", "HELD", "OPEN", "Agent", "Clock", "Exclusion", "Session", "Ticket", "ceil_ms"]

SCHEDULED, WAITING, SUSPENDED, OFFERED, ACTIVE, WRAPPING, CLOSED, CANCELLED, OVERFLOWED = range(1, 10)
AVAILABLE, AWAY, DRAINING, OFFLINE = range(1, 5)
# States in which an agent holds the ticket, in which it has ended, and in which it has not.
HELD = (OFFERED, ACTIVE, WRAPPING)
ENDED = (CLOSED, CANCELLED, OVERFLOWED)
OPEN = (SCHEDULED, WAITING, SUSPENDED, *HELD)


def ceil_ms(us: int) -> int:
    """Rounds Unix µs up to a whole ms."""
    return -(-us // 1000) * 1000


@dataclass
class Clock:
    """A ticket's record of one clock; it outlives the clock's leaving the class."""

    started_us: int | None = None
    stopped_us: int | None = None
    paused_us: int | None = None
    pauses_us: int = 0
    warned: set[int] = field(default_factory=set)
    breached: bool = False
    # When its due times were last worked out: none of them is earlier.
    armed_us: int = 0

    @property
    def ticking(self) -> bool:
        """Started, not paused, not stopped."""
        return self.started_us is not None and self.stopped_us is None and self.paused_us is None

    def run_us(self, now_us: int) -> int:
        """The time run until now, pauses not counted."""
        if self.started_us is None:
            return 0
        ends = [at for at in (self.stopped_us, self.paused_us) if at is not None]
        return min([now_us, *ends]) - self.started_us - self.pauses_us

    def at_us(self, run_us: int) -> int:
        """When a ticking clock will have run so long (raw), but no earlier than it was armed."""
        assert self.started_us is not None
        return max(self.started_us + self.pauses_us + run_us, self.armed_us)


@dataclass
class Exclusion:
    """A decline, an expired offer or a transfer: this agent not until then."""

    agent: Agent
    until_us: int


@dataclass(eq=False)
class Session:
    """An agent gateway's session."""

    id: str
    number: int
    lease_ms: int
    lease_until_us: int


@dataclass(eq=False)
class Agent:
    """An agent; one that is removed and upserted again is another."""

    number: int
    spec: agent_pb2.AgentSpec
    presence: int = OFFLINE
    reason: str = ""
    session: Session | None = None
    sequence: int = 0
    idle_since_us: int = 0
    last_assignment: int = 0
    lost_at_us: int | None = None
    removed: bool = False

    @property
    def id(self) -> str:
        return self.spec.id

    @property
    def skills(self) -> dict[str, int]:
        return {each.skill: each.level for each in self.spec.skills}

    @property
    def logged_in(self) -> bool:
        return self.presence != OFFLINE


@dataclass(eq=False)
class Ticket:
    """A ticket, until it is forgotten."""

    sequence: int
    sent: ticket_pb2.NewTicket
    ticket_class: TicketClass
    attributes: dict[str, tuple[str, int]]
    state: int
    due_us: int = 0
    revision: int = 0
    arrival_us: int = 0
    queued_at_us: int = 0
    taken: set[int] = field(default_factory=set)
    preferred: Agent | None = None
    hold_until_us: int | None = None
    named: list[Agent] = field(default_factory=list)
    declines: list[Exclusion] = field(default_factory=list)
    clocks: dict[str, Clock] = field(default_factory=dict)
    moments: dict[str, int] = field(default_factory=dict)
    # The newest attempt, who holds or held it, what was answered for it, and the terms fixed with it.
    attempt: int = 0
    agent: Agent | None = None
    answered: set[tuple[str, ...]] = field(default_factory=set)
    units: int = 0
    wrap_up_ms: int = 0
    decline_exclude_ms: int = 0
    away_on_expiry: bool = False
    outcome: str = ""
    agent_context: bytes = b""
    ended_us: int = 0

    @property
    def id(self) -> str:
        return self.sent.id

    def excludes(self, agent: Agent) -> bool:
        return agent in self.named or any(each.agent is agent for each in self.declines)
