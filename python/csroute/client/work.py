"""What an agent gateway's work stream yields, for both clients.

    for item in session.work():
        match item:
            case Offer():      session.accept(item)
            case Assignment(): …serve the customer…; session.complete(item)
            case WorkOpening(): …what the agents hold as the stream opens, or opens again after a break…
            case Event():      …all else that concerns the session's agents…

A stream that breaks is opened again. It then begins with another `WorkOpening`: what the agents hold now, whatever
was missed meanwhile. What is held follows as offers and assignments with `held` set, so that a loop which reads only
those misses nothing; answering one a second time is harmless (ticket and attempt name it).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from csroute.types import Assigned, Event, Offered, TicketState, WorkOpening
from csroute.v1 import agent_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Assignment", "Offer", "WorkItem", "read_work"]


@dataclass(frozen=True, slots=True)
class Offer:
    """A ticket held for an agent until `expires_us` (Unix µs): accept or decline it. `held`: known from an opening."""

    ticket: str
    attempt: int
    agent: str
    expires_us: int
    context: bytes
    held: bool = False


@dataclass(frozen=True, slots=True)
class Assignment:
    """A ticket that an agent has: serve it, then complete or transfer it.

    `wrapping`: it is done but for the writing up (end_wrap_up). `held`: known from an opening.
    """

    ticket: str
    attempt: int
    agent: str
    context: bytes
    wrapping: bool = False
    held: bool = False


WorkItem = Offer | Assignment | Event | WorkOpening


def read_work(reply: bytes) -> Iterator[WorkItem]:
    """The items of one WorkReply, in order."""
    message = agent_pb2.WorkReply.FromString(reply)
    if message.HasField("opening"):
        opening = WorkOpening.from_wire(message.opening)
        yield opening
        for work in opening.work:
            ticket, agent = work.ticket, work.agent
            if ticket.state == TicketState.OFFERED:
                yield Offer(ticket.id, ticket.attempt, agent, ticket.due_us, ticket.context, held=True)
            else:
                wrapping = ticket.state == TicketState.WRAPPING
                yield Assignment(ticket.id, ticket.attempt, agent, ticket.context, wrapping=wrapping, held=True)
    for wire in message.events:
        event = Event.from_wire(wire)
        match event.kind:
            case Offered(expires_us=expires_us, context=context):
                yield Offer(event.ticket, event.attempt, event.agent, expires_us, context)
            case Assigned(context=context):
                yield Assignment(event.ticket, event.attempt, event.agent, context)
            case _:
                yield event
