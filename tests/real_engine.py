"""The engine behind the oracle's interface: the same messages in, the same messages out.

engine = RealEngine()
engine.call("OpenSession", agent_pb2.OpenSessionRequest(session="desk"), now_us=1_000_000)
engine.events     # all events so far
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from google.rpc import error_details_pb2, status_pb2

from csroute._csroute import Core, Rejected, methods
from csroute.v1 import agent_pb2, event_pb2, explain_pb2, policy_pb2, ticket_pb2, version_pb2
from tests.oracle import OracleRejection

__all__ = ["RealEngine"]

TENANT, CALLER = "default", "test"
NUMBERS = {path.rsplit("/", 1)[-1]: number for number, path, _ in methods()}
REPLIES: dict[str, Any] = {
    "Route": ticket_pb2.RouteReply,
    "RouteBatch": ticket_pb2.RouteBatchReply,
    **dict.fromkeys(["Update", "Cancel", "Suspend", "Resume"], ticket_pb2.TicketReply),
    **dict.fromkeys(["UpsertAgents", "RemoveAgents", "Act"], agent_pb2.ActionResults),
    "InstallPolicy": policy_pb2.InstallPolicyReply,
    "GetTicket": ticket_pb2.Ticket,
    "ListTickets": ticket_pb2.ListTicketsReply,
    "Explain": explain_pb2.ExplainReply,
    "ListAgents": agent_pb2.ListAgentsReply,
    "SetTable": version_pb2.SetTableReply,
    "Reclassify": policy_pb2.ReclassifyReply,
}


def code_of(status: status_pb2.Status) -> str:
    """The code's name in a rejection."""
    info = error_details_pb2.ErrorInfo()
    for detail in status.details:
        if detail.Unpack(info):
            return info.reason
    raise AssertionError(f"a status without ErrorInfo: {status}")


class RealEngine:
    """`csroute._csroute.Core`, one tenant of it."""

    def __init__(self, snapshot: bytes | None = None, events: Sequence[event_pb2.Event] = ()) -> None:
        """With a snapshot and the events until then: goes on from there."""
        self.core = Core()
        self.said = ""
        self.events = list(events)
        self.seen = len(self.events)
        if snapshot is not None:
            self.core.restore(TENANT, snapshot)

    def call(self, method: str, request: Any, now_us: int) -> Any:
        """The reply; raises OracleRejection with the code's name."""
        try:
            reply = self.core.call(NUMBERS[method], TENANT, CALLER, request.SerializeToString(), now_us)
        except Rejected as rejected:
            raise self.rejection(rejected) from rejected
        finally:
            self.read_events()
        return REPLIES.get(method, agent_pb2.ActionReply).FromString(reply)

    def advance(self, until_us: int, timers_max: int) -> tuple[int, bool]:
        try:
            return self.core.advance(TENANT, until_us, timers_max)
        except Rejected as rejected:
            raise self.rejection(rejected) from rejected
        finally:
            self.read_events()

    def resume(self, now_us: int, grace_ms: int) -> None:
        try:
            self.core.resume(TENANT, now_us, grace_ms)
        except Rejected as rejected:
            raise self.rejection(rejected) from rejected
        finally:
            self.read_events()

    def rejection(self, rejected: Rejected) -> OracleRejection:
        status = status_pb2.Status.FromString(rejected.args[1])
        self.said = status.message
        return OracleRejection(code_of(status))

    def read_events(self) -> None:
        while True:
            reply = ticket_events(self.core.events(TENANT, self.seen, 4096))
            self.events.extend(reply)
            if not reply:
                return
            self.seen = reply[-1].sequence

    def state_hash(self) -> int:
        return self.core.state_hash(TENANT)

    def snapshot(self) -> bytes:
        return self.core.snapshot(TENANT)


def ticket_events(reply: bytes) -> list[event_pb2.Event]:
    return list(event_pb2.WatchReply.FromString(reply).events)
