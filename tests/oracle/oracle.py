"""The naive router behind the wire's own messages.

>>> oracle = Oracle()
>>> oracle.call("OpenSession", agent_pb2.OpenSessionRequest(session="desk"), now_us=1_000_000).sequence
1
>>> renewal = agent_pb2.RenewLeaseRequest(session="other")
>>> oracle.call("RenewLease", renewal, now_us=1_000_000)  # doctest: +IGNORE_EXCEPTION_DETAIL
Traceback (most recent call last):
OracleRejection: SESSION_UNKNOWN
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from csroute.v1 import agent_pb2, policy_pb2, ticket_pb2, version_pb2

from .commands import Answer, Commands
from .router import OracleRejection
from .state import CLOSED, ENDED, HELD, OFFERED, SCHEDULED, SUSPENDED, WAITING, WRAPPING, Clock, Ticket, ceil_ms

__all__ = ["Oracle"]

COMMANDS: dict[str, Callable[[Commands, Any], Answer]] = {
    "Route": Commands.submit,
    "Update": Commands.update,
    "Cancel": Commands.cancel_ticket,
    "Suspend": Commands.suspend,
    "Resume": Commands.resume_ticket,
    "UpsertAgent": Commands.upsert_agent,
    "RemoveAgent": Commands.remove_agent,
    "OpenSession": Commands.open_session,
    "RenewLease": Commands.renew_lease,
    "CloseSession": Commands.close_session,
    "Login": Commands.login,
    "SetPresence": Commands.presence,
    "Accept": Commands.accept,
    "Decline": Commands.decline,
    "Complete": Commands.complete_ticket,
    "Transfer": Commands.transfer,
    "Mark": Commands.mark,
    "PauseClock": Commands.pause_clock,
    "ResumeClock": Commands.resume_clock,
    "EndWrapUp": Commands.end_wrap_up,
    "Assign": Commands.assign,
    "Move": Commands.move,
}
# Batches: the field with the items, and what each item is.
BATCHES = {
    "RouteBatch": ("tickets", "Route"),
    "UpsertAgents": ("agents", "UpsertAgent"),
    "RemoveAgents": ("ids", "RemoveAgent"),
    "Act": ("actions", ""),
}


class Oracle(Commands):
    """The naive, obviously right router."""

    def call(self, method: str, request: Any, now_us: int) -> Any:
        """One command, by its RPC's name, at this time; OracleRejection."""
        self.begin(now_us)
        if method == "InstallPolicy":
            self.later.clear()
            reclassified = self.install(request.policy, request.reclassify, request.slice)
            for each in request.later:
                install = partial(self.install, each.policy, each.reclassify, request.slice)
                self.later.append((ceil_ms(max(each.at_us, now_us)), install))
            self.settle()
            reply = policy_pb2.InstallPolicyReply(reclassified=reclassified, sequence=len(self.events))
            reply.policy_version = self.current_policy.version
            return reply
        if method == "SetTable":
            replayed, reclassified = self.set_table(request)
            self.settle()
            set_reply = version_pb2.SetTableReply(replayed=replayed, reclassified=reclassified, left=self.left)
            set_reply.keys, set_reply.sequence = len(self.hour.get(request.table, {})), len(self.events)
            return set_reply
        if method == "Reclassify":
            reclassified = self.reclassify(request.tickets_max)
            self.settle()
            return policy_pb2.ReclassifyReply(reclassified=reclassified, left=self.left)
        if method in BATCHES:
            return self.batch(method, request)
        return self.one(method, request.ticket if method == "Route" else request)

    @property
    def left(self) -> int:
        """Tickets that an install has still to look at, at most."""
        return max(self.sweep[1] - self.sweep[0], 1) if self.sweep else 0

    def one(self, method: str, request: Any) -> Any:
        """One item, settled by itself."""
        replayed, ticket = COMMANDS[method](self, request)
        self.settle()
        if method == "Route":
            assert ticket is not None
            return self.route_reply(ticket, replayed=replayed)
        reply: Any = agent_pb2.ActionReply()
        if method in ("Update", "Cancel", "Suspend", "Resume"):
            reply = ticket_pb2.TicketReply(id=request.id)
        reply.replayed, reply.sequence = replayed, len(self.events)
        reply.state = ticket.state if ticket else 0
        return reply

    def batch(self, method: str, request: Any) -> Any:
        """Each item by itself; a rejection is a Status whose message is the code's name."""
        field, kind = BATCHES[method]
        reply: Any = (
            ticket_pb2.RouteBatchReply(tag=request.tag) if method == "RouteBatch" else agent_pb2.ActionResults()
        )
        for each in getattr(request, field):
            result, item, command = reply.results.add(), each, kind
            if method == "Act":
                result.tag, action = each.tag, each.WhichOneof("action")
                item, command = getattr(each, action), "".join(word.capitalize() for word in action.split("_"))
            try:
                result.reply.CopyFrom(self.one(command, item))
            except OracleRejection as rejection:
                result.rejection.message = rejection.code
        return reply

    def route_reply(self, ticket: Ticket, *, replayed: bool) -> ticket_pb2.RouteReply:
        state: Any = ticket.state
        reply = ticket_pb2.RouteReply(id=ticket.id, state=state, replayed=replayed, sequence=len(self.events))
        reply.attempt, reply.agent_context = ticket.attempt, ticket.agent_context
        if ticket.state not in ENDED:
            reply.ticket_class = ticket.ticket_class.number
            for name in ticket.ticket_class.clocks:
                clock = ticket.clocks.get(name, Clock())
                if clock.started_us is not None and clock.stopped_us is None:
                    reply.deadlines.add(clock=name, due_us=self.breach_due_us(ticket, name) if clock.ticking else 0)
        if ticket.state in (*HELD, CLOSED) and ticket.agent:
            reply.agent = ticket.agent.id
        if ticket.state in (SCHEDULED, SUSPENDED, OFFERED, WRAPPING):
            reply.due_us = ticket.due_us
        if ticket.state in (WAITING, SUSPENDED):
            reply.place = self.place(ticket)
        reply.outcome = ticket.outcome
        return reply

    def place(self, ticket: Ticket) -> int:
        """In the line of its class and stage (the steps taken), from 1."""

        def line(each: Ticket) -> tuple[int, object]:
            return each.ticket_class.number, each.taken

        ahead = [
            each
            for each in self.tickets.values()
            if each.state in (WAITING, SUSPENDED) and line(each) == line(ticket)
            if (each.arrival_us, each.sequence) < (ticket.arrival_us, ticket.sequence)
        ]
        return len(ahead) + 1
