"""Tickets: what is submitted, what the router answers, what a reader sees; field by field in `ticket.proto`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from csroute.types.mirror import Guess, Mirror
from csroute.v1 import ticket_pb2 as pb

__all__ = [
    "ClockState",
    "Position",
    "RouteResult",
    "Ticket",
    "TicketPage",
    "TicketResult",
    "TicketState",
    "TicketView",
]


class TicketState(IntEnum):
    """Where a ticket is in its life."""

    UNSPECIFIED = 0
    SCHEDULED = 1
    WAITING = 2
    SUSPENDED = 3
    OFFERED = 4
    ACTIVE = 5
    WRAPPING = 6
    CLOSED = 7
    CANCELLED = 8
    OVERFLOWED = 9

    @property
    def ended(self) -> bool:
        """Closed, cancelled or overflowed: nothing more happens to it."""
        return self >= TicketState.CLOSED


@dataclass(frozen=True, slots=True)
class Ticket(Mirror[pb.NewTicket]):
    """A ticket to submit.

    `attributes`: a fact is its value, a detector's word a `Guess`. `skills`: {skill: at least this level, 1..100},
    required besides the policy's. `not_before_us`: Unix µs before which it does not wait. `context`: handed to the
    agent's side as it is, at most 1 KiB.
    """

    id: str
    channel: str
    customer: str = ""
    source: str = ""
    attributes: Mapping[str, str | Guess] = field(default_factory=dict)
    skills: Mapping[str, int] = field(default_factory=dict)
    preferred_agent: str = ""
    excluded_agents: tuple[str, ...] = ()
    not_before_us: int = 0
    context: bytes = b""


@dataclass(frozen=True, slots=True)
class RouteResult(Mirror[pb.RouteReply]):
    """The router's answer to a submitted ticket, at that moment.

    `replayed`: the id was known, nothing was done. `place`: in line, from 1, while it waits. `wait_low_ms`,
    `wait_high_ms`: the estimate's range, 0 while nothing is known. `deadlines`: {clock: due, Unix µs}.
    """

    id: str
    state: TicketState
    replayed: bool
    ticket_class: int
    agent: str
    attempt: int
    place: int
    wait_low_ms: int
    wait_high_ms: int
    deadlines: Mapping[str, int]
    due_us: int
    agent_context: bytes
    outcome: str
    sequence: int


@dataclass(frozen=True, slots=True)
class TicketResult(Mirror[pb.TicketReply]):
    """The answer to update, cancel, suspend and resume. `replayed`: nothing was left to do."""

    id: str
    state: TicketState
    replayed: bool
    sequence: int


@dataclass(frozen=True, slots=True)
class ClockState(Mirror[pb.ClockState]):
    """One clock of a ticket. Times in Unix µs: 0 where it has not started, is paused, or still runs."""

    clock: str
    started_us: int
    due_us: int
    stopped_us: int
    paused: bool
    breached: bool
    warned: int
    target_ms: int


@dataclass(frozen=True, slots=True)
class TicketView(Mirror[pb.Ticket]):
    """A ticket, as a reader sees it. Times in Unix µs."""

    id: str
    state: TicketState
    ticket_class: int
    class_path: str
    queue: str
    step: int
    arrival_us: int
    queued_at_us: int
    agent: str
    attempt: int
    due_us: int
    revision: int
    channel: str
    customer: str
    source: str
    attributes: Mapping[str, str | Guess]
    context: bytes
    agent_context: bytes
    clocks: tuple[ClockState, ...]
    outcome: str
    policy_version: int
    ticket_sequence: int
    excluded_count: int
    held: bool


@dataclass(frozen=True, slots=True)
class TicketPage(Mirror[pb.ListTicketsReply]):
    """A page of tickets. `next_page_token` is empty on the last; watch from `sequence` to go on without a gap."""

    tickets: tuple[TicketView, ...]
    next_page_token: str
    sequence: int


@dataclass(frozen=True, slots=True)
class Position(Mirror[pb.Position]):
    """A place in line: from 1, 0 if it does not wait; its age and estimated wait in ms."""

    id: str
    state: TicketState
    place: int
    age_ms: int
    wait_low_ms: int
    wait_high_ms: int
