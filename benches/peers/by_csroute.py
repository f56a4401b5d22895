"""The reduced work by csroute, in this process: wire bytes in, wire bytes out, one thread, a virtual clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benches.peers.reduced import START_US, policy
from csroute._csroute import Core, methods
from csroute.v1 import agent_pb2, event_pb2, policy_pb2, ticket_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from benches.peers.reduced import Block, World

__all__ = ["Csroute", "act", "route_batch"]

_NUMBERS = {path.rsplit("/", 1)[1]: number for number, path, _ in methods()}
_TENANT, _CALLER = "default", "bench"
_EVENTS = 1 << 20


def ticket_id(number: int) -> str:
    """As csroute is told it."""
    return f"t{number:012d}"


def route_batch(block: Block) -> ticket_pb2.RouteBatchRequest:
    """A block of submits."""
    request = ticket_pb2.RouteBatchRequest()
    for item in block.items:
        ticket = request.tickets.add(id=ticket_id(item.ticket), channel="chat")
        ticket.attributes.add(name="kind", value=f"k{item.kind}")
    return request


def act(block: Block) -> agent_pb2.ActRequest:
    """A block of completions."""
    request = agent_pb2.ActRequest()
    for item in block.items:
        request.actions.add().complete.MergeFrom(
            agent_pb2.CompleteRequest(ticket=ticket_id(item.ticket), attempt=1),
        )
    return request


def staff(world: World) -> list[tuple[str, bytes]]:
    """What makes the agents and logs them in, a second before the first ticket."""
    session = agent_pb2.OpenSessionRequest(session="desk", lease_ms=3_600_000)
    calls = [("OpenSession", session.SerializeToString())]
    agents = agent_pb2.UpsertAgentsRequest()
    logins = agent_pb2.ActRequest()
    for number, skills in enumerate(world.skills_of()):
        agents.agents.add(
            id=f"a{number:06d}",
            capacity=100,
            skills=[ticket_pb2.SkillLevel(skill=f"k{skill}", level=1) for skill in skills],
        )
        logins.actions.add().login.MergeFrom(agent_pb2.LoginRequest(session="desk", agent=f"a{number:06d}"))
        if len(agents.agents) == 1000 or number == world.agents - 1:
            calls.append(("UpsertAgents", agents.SerializeToString()))
            calls.append(("Act", logins.SerializeToString()))
            agents.Clear()
            logins.Clear()
    return calls


class Csroute:
    """A node's core without a thread."""

    def __init__(self, world: World) -> None:
        self._core = Core(ring_events_max=_EVENTS)
        self._seen = 0
        install = policy_pb2.InstallPolicyRequest(policy=policy(world).SerializeToString())
        now = START_US - 1_000_000
        for method, request in [("InstallPolicy", install.SerializeToString()), *staff(world)]:
            self._core.call(_NUMBERS[method], _TENANT, _CALLER, request, now)
        self.matches()

    def requests(self, blocks: Iterable[Block]) -> list[tuple[int, bytes, int]]:
        """Blocks as calls: method, bytes, time."""
        calls = []
        for block in blocks:
            method, message = ("RouteBatch", route_batch(block)) if block.kind == "submit" else ("Act", act(block))
            calls.append((_NUMBERS[method], message.SerializeToString(), block.now_us))
        return calls

    def run(self, requests: Sequence[tuple[int, bytes, int]]) -> None:
        """Calls one after the other."""
        call = self._core.call
        for method, request, now in requests:
            call(method, _TENANT, _CALLER, request, now)

    def matches(self) -> list[tuple[int, int]]:
        """Who got what since the last look, by the events. At most a million events may have happened."""
        found: list[tuple[int, int]] = []
        while True:
            reply = event_pb2.WatchReply.FromString(self._core.events(_TENANT, self._seen, 65_536))
            if not reply.events:
                return found
            if self._seen and reply.events[0].sequence != self._seen + 1:
                raise RuntimeError("events were missed: look more often")
            assigned = [event for event in reply.events if event.WhichOneof("kind") == "assigned"]
            found += [(int(event.ticket[1:]), int(event.agent[1:])) for event in assigned]
            self._seen = reply.events[-1].sequence
