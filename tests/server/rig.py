"""A real server on a free loopback port, its stubs, and short words for what tests ask of it."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc

from csroute.config import load_config
from csroute.errors import RejectedError, rejection_from_rpc
from csroute.server import Server
from csroute.v1 import agent_pb2, stats_pb2, ticket_pb2
from csroute.v1.admin_service_pb2_grpc import AdminServiceStub
from csroute.v1.agent_service_pb2_grpc import AgentServiceStub
from csroute.v1.routing_service_pb2_grpc import RoutingServiceStub

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable

__all__ = ["POLICY", "Rig", "new_ticket", "rejected", "running"]

POLICY = Path(__file__).parent.parent / "scenarios" / "desk.py"
WITHIN_S = 10.0


class Rig:
    """The server, one channel to it, and its three stubs."""

    def __init__(self, server: Server, channel: grpc.aio.Channel, door: str) -> None:
        self.server = server
        self.door = door
        self.channel: Any = channel
        self.routing: Any = RoutingServiceStub(channel)
        self.agents: Any = AgentServiceStub(channel)
        self.admin: Any = AdminServiceStub(channel)

    def open_streams(self) -> int:
        """Streams that the door has open."""
        if self.door == "python":
            return self.server._door._streams
        return int(self._native()["streams"])

    def idle(self) -> bool:
        """Nobody waits for an answer."""
        return not self.server._pump._waiting and (self.door == "python" or not self._native()["calls"])

    def _native(self) -> dict[str, int]:
        assert self.server._native is not None
        figures: dict[str, int] = json.loads(self.server._native.figures())
        return figures

    async def hash(self) -> int:
        """The state's hash: equal before and after means that nothing changed."""
        stats: stats_pb2.GetStatsReply = await self.admin.GetStats(
            stats_pb2.GetStatsRequest(with_state_hash=True), timeout=WITHIN_S
        )
        return stats.state_hash

    async def raw(self, path: str, request: bytes) -> bytes:
        """A call with any bytes."""
        call: Any = self.channel.unary_unary(path)
        reply: bytes = await call(request, timeout=WITHIN_S)
        return reply

    async def route(self, id: str, **fields: Any) -> ticket_pb2.RouteReply:
        reply: ticket_pb2.RouteReply = await self.routing.Route(
            ticket_pb2.RouteRequest(ticket=new_ticket(id, **fields)), timeout=WITHIN_S
        )
        return reply

    async def staff(self, *names: str, session: str = "desk", **spec: Any) -> None:
        """These agents know bills, and are there."""
        await self.agents.OpenSession(agent_pb2.OpenSessionRequest(session=session, lease_ms=600_000))
        skills = [ticket_pb2.SkillLevel(skill="bill", level=1)]
        specs = [agent_pb2.AgentSpec(id=name, skills=skills, **spec) for name in names]
        await self.agents.UpsertAgents(agent_pb2.UpsertAgentsRequest(agents=specs))
        for name in names:
            await self.agents.Login(agent_pb2.LoginRequest(session=session, agent=name))


def new_ticket(id: str, kind: str = "bill", **fields: Any) -> ticket_pb2.NewTicket:
    attributes = [ticket_pb2.Attribute(name="kind", value=kind)]
    return ticket_pb2.NewTicket(**{"id": id, "channel": "chat", "attributes": attributes, **fields})


async def rejected(call: Awaitable[object]) -> RejectedError:
    """The rejection that a call ends with."""
    try:
        reply = await call
    except grpc.aio.AioRpcError as error:
        return rejection_from_rpc(error)
    raise AssertionError(f"it was not rejected: {reply}")


@contextlib.asynccontextmanager
async def running(door: str = "python", /, **settings: Any) -> AsyncIterator[Rig]:
    """A server of its own, with these settings, seen through one of its doors."""
    given = {
        "listen": "127.0.0.1:0",
        "native_listen": "127.0.0.1:0",
        "metrics_listen": "off",
        "policy": str(POLICY),
        "drain_grace_ms": 2000,
        **settings,
    }
    server = Server(load_config(environ={}, **given))
    await server.start()
    options = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
    try:
        port = {"python": server.port, "native": server.native_port}[door]
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
            yield Rig(server, channel, door)
    finally:
        await server.stop()
