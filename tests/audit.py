"""What must always hold, checked on the events alone and on a reader's views, whoever made them.

audit = Audit()
for event in events:
    audit.hear(event)                # I1, I6, I9, and the order of events itself
audit.look(tickets, agents)          # I1, I2: the views agree with the events
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from csroute.v1 import agent_pb2, event_pb2, ticket_pb2

__all__ = ["Audit"]

NEW, SCHEDULED, WAITING, SUSPENDED, OFFERED, ACTIVE, WRAPPING, CLOSED, CANCELLED, OVERFLOWED = range(10)
ENDED = {CLOSED, CANCELLED, OVERFLOWED}
QUEUED_CAUSES = {1: {NEW, SCHEDULED}, 2: {OFFERED}, 3: {OFFERED}, 4: {OFFERED}, 5: {ACTIVE}, 6: {ACTIVE}}
# Event: the states it may find the ticket in, and the state it leaves it in (None: the same).
MOVES: dict[str, tuple[set[int], int | None]] = {
    "scheduled": ({NEW}, SCHEDULED),
    "queued": ({NEW, SCHEDULED, OFFERED, ACTIVE}, WAITING),
    "classified": ({SCHEDULED, WAITING, SUSPENDED}, None),
    "updated": ({SCHEDULED, WAITING, SUSPENDED, OFFERED, ACTIVE}, None),
    "step_taken": ({WAITING}, None),
    "offered": ({WAITING}, OFFERED),
    "assigned": ({WAITING, OFFERED}, ACTIVE),
    "completed": ({ACTIVE}, WRAPPING),
    "closed": ({WRAPPING}, CLOSED),
    "cancelled": ({SCHEDULED, WAITING, SUSPENDED, OFFERED}, CANCELLED),
    "overflowed": ({WAITING}, OVERFLOWED),
    "suspended": ({WAITING}, SUSPENDED),
    "resumed": ({SUSPENDED}, WAITING),
    "transferred": ({ACTIVE}, None),
    "marked": ({ACTIVE}, None),
    "all_declined": ({WAITING}, None),
    "exclusion_ended": ({WAITING, SUSPENDED}, None),
    "hold_ended": ({WAITING, SUSPENDED}, None),
}
CLOCK_EVENTS = {"clock_warned", "clock_breached", "clock_stopped", "clock_paused", "clock_resumed"}


@dataclass
class Heard:
    """What the events said of a ticket."""

    state: int = NEW
    agent: str = ""
    attempt: int = 0
    arrival_us: int = 0
    once: set[tuple[str, str, int]] = field(default_factory=set)


class Audit:
    """Listens to every event of a tenant from its first."""

    def __init__(self) -> None:
        self.sequence = 0
        self.at_us = 0
        self.tickets: dict[str, Heard] = {}

    def hear(self, event: event_pb2.Event) -> None:
        """AssertionError at the first event that cannot be."""
        assert event.sequence == self.sequence + 1, f"a gap after {self.sequence}: {event}"
        assert event.at_us >= self.at_us, f"time went back: {event}"
        self.sequence, self.at_us = event.sequence, event.at_us
        kind = event.WhichOneof("kind")
        assert kind, f"an event without a kind: {event}"
        if kind in MOVES:
            self.move(event, kind)
        elif kind in CLOCK_EVENTS:
            self.clock(event, kind)

    def move(self, event: event_pb2.Event, kind: str) -> None:
        known = self.tickets.get(event.ticket)
        if known is None or (known.state in ENDED and kind in ("scheduled", "queued")):
            known = self.tickets[event.ticket] = Heard()
        before, after = MOVES[kind]
        if kind == "queued":
            before = QUEUED_CAUSES[event.queued.cause]
            if event.queued.cause == event_pb2.QUEUE_CAUSE_ARRIVED:
                known.arrival_us = event.at_us
        assert known.state in before, f"I1: found the ticket in state {known.state}: {event}"
        known.state = known.state if after is None else after
        match = event.offered if kind == "offered" else event.assigned
        if kind == "offered" or (kind == "assigned" and match.HasField("reason")):
            reason = match.reason
            assert event.attempt == known.attempt + 1, f"attempts count by one: {event}"
            known.attempt, known.agent = event.attempt, event.agent
            boost_us = reason.boost_ms * 1000
            assert reason.seniority_us - boost_us == event.at_us - known.arrival_us, f"I9: seniority: {event}"
            terms_us = 1000 * (reason.head_start_ms + reason.fit_ms)
            urgency = reason.slope_milli * reason.seniority_us + 1000 * terms_us
            assert reason.urgency_milli_us == urgency, f"the urgency is not the sum of its terms: {event}"
        if kind in ("assigned", "completed", "closed", "transferred", "marked"):
            assert (event.agent, event.attempt) == (known.agent, known.attempt), f"not its agent's: {event}"
        if kind == "assigned":
            assert event.assigned.waited_ms == (event.at_us - known.arrival_us) // 1000, f"waited: {event}"
        if kind == "queued":
            known.agent = ""

    def clock(self, event: event_pb2.Event, kind: str) -> None:
        known = self.tickets.get(event.ticket, Heard())
        assert known.state not in ENDED | {NEW}, f"I6: a clock of an ended ticket: {event}"
        if kind in ("clock_warned", "clock_breached", "clock_stopped"):
            name = getattr(event, kind).clock
            once = (kind, name, event.clock_warned.point if kind == "clock_warned" else 0)
            assert once not in known.once, f"I6: twice: {event}"
            assert ("clock_stopped", name, 0) not in known.once, f"I6: after its stop: {event}"
            known.once.add(once)
        # A breach comes at a whole ms too, but for a lowered target that only the clock's stop finds passed.
        assert kind != "clock_warned" or event.at_us % 1000 == 0, f"I6: not at a whole ms: {event}"
        if kind == "clock_stopped":
            met = ("clock_breached", event.clock_stopped.clock, 0) not in known.once
            assert event.clock_stopped.met == met, f"met = not breached: {event}"

    def look(self, tickets: Iterable[ticket_pb2.Ticket], agents: Iterable[agent_pb2.Agent]) -> None:
        """`tickets`: all that have not ended; `agents`: all."""
        seen: dict[str, ticket_pb2.Ticket] = {}
        for ticket in tickets:
            assert ticket.id not in seen, f"I1: twice: {ticket.id}"
            seen[ticket.id] = ticket
            heard = self.tickets[ticket.id]
            assert ticket.state == heard.state, f"I1: {ticket.id} is {ticket.state}, the events say {heard.state}"
            assert ticket.attempt == heard.attempt, f"{ticket.id}: attempt {ticket.attempt}, heard {heard.attempt}"
            if heard.state != SCHEDULED:
                assert ticket.arrival_us == heard.arrival_us, f"I9: arrival of {ticket.id}"
        told = {name for name, heard in self.tickets.items() if heard.state not in ENDED}
        assert told == set(seen), f"I1: lost or invented: {told ^ set(seen)}"
        for agent in agents:
            held = {name for name, each in seen.items() if each.agent == agent.spec.id}
            assert held == set(agent.tickets), f"I1: {agent.spec.id} holds {agent.tickets}, the tickets say {held}"
