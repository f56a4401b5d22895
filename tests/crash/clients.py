"""Gateways, an agents' desk and a watcher, outside the server, each with a ledger of what it was told.

Whoever gets no answer sends the same again, with the same ids, until there is one: as clients are to.
"""

from __future__ import annotations

import asyncio
import collections
from typing import Any

import grpc

from csroute.errors import RejectedError, rejection_from_rpc
from csroute.v1 import agent_pb2, event_pb2, ticket_pb2
from csroute.v1.agent_service_pb2_grpc import AgentServiceStub
from csroute.v1.routing_service_pb2_grpc import RoutingServiceStub

__all__ = ["AGENTS", "BATCH", "Floor", "batch"]

AGENTS = 40
BATCH = 16
_TIMEOUT_S = 20.0
_PAUSE_S = 0.02
_OPTIONS = [
    ("grpc.initial_reconnect_backoff_ms", 20),
    ("grpc.min_reconnect_backoff_ms", 20),
    ("grpc.max_reconnect_backoff_ms", 50),
    ("grpc.use_local_subchannel_pool", 1),
]


class Floor:
    """All clients of one server, and their ledgers."""

    def __init__(self, port: int) -> None:
        self._channel: Any = grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=_OPTIONS)
        self._routing: Any = RoutingServiceStub(self._channel)
        self._agents: Any = AgentServiceStub(self._channel)
        self._hears = asyncio.Event()
        self._todo: collections.deque[agent_pb2.AgentAction] = collections.deque()
        self._number = 0
        self.stopping = False
        # Ledgers.
        self.routed: dict[str, str] = {}
        """Tickets whose Route was answered, and the agent in the answer, if there was one."""
        self.recent: list[str] = []
        """Those since the last audit."""
        self.completed: dict[str, int] = {}
        """Answered completions: the attempt."""
        self.refused: collections.Counter[str] = collections.Counter()
        """Answers that were a no, by name; tickets refused are sent again."""
        self.assigned: dict[str, list[tuple[str, int]]] = collections.defaultdict(list)
        """Who was told to work on it, from the events."""
        self.sequence = 0
        """The last event heard; they come without a gap."""
        self.faults: list[str] = []
        """What must not be."""

    async def open(self) -> None:
        """The agents come; then everybody works until `close`."""
        skills = [ticket_pb2.SkillLevel(skill="general", level=1)]
        specs = [agent_pb2.AgentSpec(id=f"a{n}", skills=skills) for n in range(AGENTS)]
        await self._agents.UpsertAgents(agent_pb2.UpsertAgentsRequest(agents=specs))
        await self._agents.OpenSession(agent_pb2.OpenSessionRequest(session="desk", lease_ms=3_600_000))
        for n in range(AGENTS):
            await self._agents.Login(agent_pb2.LoginRequest(session="desk", agent=f"a{n}"))
        self._watcher_task = asyncio.create_task(self._watcher())
        await self._hears.wait()  # from here on nothing is missed
        self._desk_task = asyncio.create_task(self._desk())
        self._gateways = [asyncio.create_task(self._gateway()) for _ in range(2)]

    async def close(self) -> None:
        """Ends the gateways, waits until the desk has done all work, and ends the rest."""
        self.stopping = True
        async with asyncio.timeout(60):
            others = (self._desk_task, self._watcher_task)
            await asyncio.gather(*self._gateways)
            while len(self.completed) < len(self.routed):
                for task in others:
                    if task.done():
                        task.result()
                await asyncio.sleep(0.05)
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def leave(self) -> None:
        """Closes the connection."""
        await self._channel.close()

    async def audit(self) -> int:
        """What was acknowledged since the last audit is known, and with the agent that was named: how many."""
        recent, self.recent = self.recent, []
        for start in range(0, len(recent), 256):
            ids = recent[start : start + 256]
            reply = await self._until_answered(self._routing.RouteBatch, batch(ids))
            for ticket, result in zip(ids, reply.results, strict=True):
                if not result.reply.replayed:
                    self.faults.append(f"{ticket} was acknowledged and is lost: {result}")
                elif self.routed[ticket] and result.reply.agent != self.routed[ticket]:
                    self.faults.append(f"{ticket} was given to {self.routed[ticket]} and is {result.reply.agent}'s")
        return len(recent)

    def check(self) -> None:
        """The ledgers agree."""
        for ticket, agents in self.assigned.items():
            if len(agents) != 1:
                self.faults.append(f"{ticket} was assigned {len(agents)} times: {agents}")
        for ticket in self.routed:
            if ticket not in self.assigned:
                self.faults.append(f"{ticket} was acknowledged, and nobody was ever told to work on it")
        assert not self.faults, f"{len(self.faults)} faults: {self.faults[:10]}"

    async def _gateway(self) -> None:
        while not self.stopping:
            ids = [f"t{self._number + n}" for n in range(BATCH)]
            self._number += BATCH
            while ids:
                reply = await self._until_answered(self._routing.RouteBatch, batch(ids))
                again = []
                for ticket, result in zip(ids, reply.results, strict=True):
                    if result.HasField("reply"):
                        self.routed[ticket] = result.reply.agent if result.reply.state != _OFFERED else ""
                        self.recent.append(ticket)
                    else:
                        self.refused["a ticket of a batch"] += 1
                        again.append(ticket)
                ids = again
            await asyncio.sleep(_PAUSE_S)

    async def _desk(self) -> None:
        """Accepts what is offered, completes what is assigned."""
        while True:
            actions = [self._todo.popleft() for _ in range(min(len(self._todo), 256))]
            if not actions:
                await asyncio.sleep(_PAUSE_S / 2)
                continue
            request = agent_pb2.ActRequest(actions=actions)
            reply = await self._until_answered(self._agents.Act, request)
            for action, result in zip(actions, reply.results, strict=True):
                if not result.HasField("reply"):
                    self.faults.append(f"{action} was refused: {result}")
                elif action.WhichOneof("action") == "complete":
                    self.completed[action.complete.ticket] = action.complete.attempt

    async def _watcher(self) -> None:
        while True:
            try:
                stream = self._routing.Watch(event_pb2.WatchRequest(after_sequence=self.sequence))
                await stream.initial_metadata()
                self._hears.set()
                async for reply in stream:
                    for event in reply.events:
                        self._heard(event)
                    self.sequence = max(self.sequence, reply.sequence)
            except grpc.aio.AioRpcError as error:
                self._not_answered(error)
            await asyncio.sleep(_PAUSE_S)

    def _heard(self, event: event_pb2.Event) -> None:
        if self.sequence and event.sequence != self.sequence + 1:
            self.faults.append(f"after event {self.sequence} came {event.sequence}")
        self.sequence = event.sequence
        kind = event.WhichOneof("kind")
        if kind == "offered":
            accept = agent_pb2.AcceptRequest(ticket=event.ticket, attempt=event.attempt)
            self._todo.append(agent_pb2.AgentAction(accept=accept))
        elif kind == "assigned":
            self.assigned[event.ticket].append((event.agent, event.attempt))
            complete = agent_pb2.CompleteRequest(ticket=event.ticket, attempt=event.attempt)
            self._todo.append(agent_pb2.AgentAction(complete=complete))

    async def _until_answered(self, method: Any, request: object) -> Any:
        while True:
            try:
                return await method(request, timeout=_TIMEOUT_S)
            except grpc.aio.AioRpcError as error:
                self._not_answered(error)
            await asyncio.sleep(_PAUSE_S)

    def _not_answered(self, error: grpc.aio.AioRpcError) -> None:
        no: RejectedError = rejection_from_rpc(error)
        self.refused[no.name] += 1
        if not no.retryable:
            self.faults.append(f"a no that is final: {no}")


_OFFERED = ticket_pb2.TICKET_STATE_OFFERED


def batch(ids: list[str]) -> ticket_pb2.RouteBatchRequest:
    """New tickets of these ids, the same each time."""

    def new(ticket: str) -> ticket_pb2.NewTicket:
        way = "offered" if int(ticket[1:]) % 4 == 0 else "assigned"
        attributes = [ticket_pb2.Attribute(name="way", value=way)]
        return ticket_pb2.NewTicket(id=ticket, channel="chat", source="gateway", attributes=attributes)

    return ticket_pb2.RouteBatchRequest(tickets=[new(ticket) for ticket in ids])
