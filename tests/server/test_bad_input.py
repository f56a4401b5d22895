"""What no client should send, sent: each gets a numbered rejection or a clean close, and the state's hash stays."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from csroute import _csroute
from csroute.errors import RejectedError, rejection
from csroute.v1 import agent_pb2, ticket_pb2
from tests.server.rig import POLICY, new_ticket, rejected, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.server.rig import Rig

UNARY = [path for _, path, kind in _csroute.methods() if kind == "unary"]
OFFLINE = agent_pb2.PRESENCE_OFFLINE
SKILLS = [ticket_pb2.SkillLevel(skill=f"s{number}", level=1) for number in range(10_000)]


@pytest.fixture
async def desk(rig: Rig) -> AsyncIterator[Rig]:
    """Ann is there and has an offer; at the end nothing has changed."""
    await rig.staff("ann")
    await rig.route("offered")
    before = await rig.hash()
    yield rig
    assert await rig.hash() == before


def agent(**spec: Any) -> bytes:
    spec = {"id": "new", **spec}
    return agent_pb2.UpsertAgentsRequest(agents=[agent_pb2.AgentSpec(**spec)]).SerializeToString()


def ticket(**fields: Any) -> bytes:
    return ticket_pb2.RouteRequest(ticket=new_ticket(**{"id": "new", **fields})).SerializeToString()


def level(of: int) -> list[ticket_pb2.SkillLevel]:
    return [ticket_pb2.SkillLevel(skill="bill", level=of)]


def attribute(**fields: Any) -> list[ticket_pb2.Attribute]:
    return [ticket_pb2.Attribute(**{"name": "kind", "value": "bill", **fields})]


MINUS_ONE = b"\xff" * 9 + b"\x01"  # as a varint, 64 bits wide
ROUTE, UPSERT = "/csroute.v1.RoutingService/Route", "/csroute.v1.AgentService/UpsertAgents"
PRESENCE, LOGIN = "/csroute.v1.AgentService/SetPresence", "/csroute.v1.AgentService/Login"
BAD: list[tuple[str, str, bytes, str]] = [
    ("an unknown presence", PRESENCE,
     agent_pb2.SetPresenceRequest(session="desk", agent="ann").SerializeToString() + b"\x18\x63", "UNKNOWN_VALUE"),
    ("no presence", PRESENCE,
     agent_pb2.SetPresenceRequest(session="desk", agent="ann").SerializeToString(), "UNKNOWN_VALUE"),
    ("an unknown state", "/csroute.v1.RoutingService/ListTickets", b"\x08\x63", "UNKNOWN_VALUE"),
    ("a login as offline", LOGIN,
     agent_pb2.LoginRequest(session="desk", agent="ann", presence=OFFLINE).SerializeToString(), "OUT_OF_RANGE"),
    ("no ticket", ROUTE, b"", "FIELD_MISSING"),
    ("an empty id", ROUTE, ticket(id=""), "FIELD_MISSING"),
    ("an id of 129 bytes", ROUTE, ticket(id="x" * 129), "FIELD_TOO_LONG"),
    ("an id of 1 MB", ROUTE, ticket(id="x" * 1_000_000), "FIELD_TOO_LONG"),
    ("a context of 1025 bytes", ROUTE, ticket(context=b"x" * 1025), "FIELD_TOO_LONG"),
    ("an id that is not UTF-8", ROUTE, b"\x0a\x04\x0a\x02\xff\xfe", "MALFORMED"),
    ("an unknown channel", ROUTE, ticket(channel="telex"), "CHANNEL_UNKNOWN"),
    ("an unknown value", ROUTE, ticket(attributes=attribute(value="odd")), "UNKNOWN_VALUE"),
    ("a required attribute missing", ROUTE, ticket(attributes=[]), "FIELD_MISSING"),
    ("a confidence above 1", ROUTE, ticket(attributes=attribute(confidence_milli=1001)), "OUT_OF_RANGE"),
    ("33 attributes", ROUTE, ticket(attributes=attribute() * 33), "TOO_MANY"),
    ("17 excluded agents", ROUTE, ticket(excluded_agents=["a"] * 17), "TOO_MANY"),
    ("9 skills", ROUTE, ticket(skills=SKILLS[:9]), "TOO_MANY"),
    ("10,000 skills", ROUTE, ticket(skills=SKILLS), "TOO_MANY"),
    ("a required level of 101", ROUTE, ticket(skills=level(101)), "OUT_OF_RANGE"),
    ("a time before 1970", ROUTE, ticket(not_before_us=-1), "OUT_OF_RANGE"),
    ("a wait of minus one", ROUTE, ticket() + b"\x10" + MINUS_ONE, "OUT_OF_RANGE"),
    ("a wait of a year", ROUTE, ticket() + b"\x10\x80\xf0\xa1\x85\x07", "OUT_OF_RANGE"),
    ("4097 tickets", "/csroute.v1.RoutingService/RouteBatch",
     ticket_pb2.RouteBatchRequest(tickets=[new_ticket("t")] * 4097).SerializeToString(), "TOO_MANY"),
    ("10,001 ids", "/csroute.v1.RoutingService/GetPositions",
     ticket_pb2.GetPositionsRequest(ids=["t"] * 10_001).SerializeToString(), "TOO_MANY"),
    ("a page of 1001", "/csroute.v1.RoutingService/ListTickets",
     ticket_pb2.ListTicketsRequest(page_size=1001).SerializeToString(), "OUT_OF_RANGE"),
    ("a page token of no page", "/csroute.v1.RoutingService/ListTickets",
     ticket_pb2.ListTicketsRequest(page_token="x").SerializeToString(), "UNKNOWN_VALUE"),
    ("revision 0", "/csroute.v1.RoutingService/Update",
     ticket_pb2.UpdateRequest(id="offered").SerializeToString(), "OUT_OF_RANGE"),
    ("an agent who is not there", LOGIN,
     agent_pb2.LoginRequest(session="desk", agent="nobody").SerializeToString(), "AGENT_UNKNOWN"),
    ("a session that is not open", LOGIN,
     agent_pb2.LoginRequest(session="nowhere", agent="ann").SerializeToString(), "SESSION_UNKNOWN"),
    ("a lease of a millisecond", "/csroute.v1.AgentService/OpenSession",
     agent_pb2.OpenSessionRequest(session="s", lease_ms=1).SerializeToString(), "OUT_OF_RANGE"),
    ("a ticket that is not there", "/csroute.v1.RoutingService/Cancel",
     ticket_pb2.CancelRequest(id="nobody").SerializeToString(), "TICKET_UNKNOWN"),
    ("a stale attempt", "/csroute.v1.AgentService/Complete",
     agent_pb2.CompleteRequest(ticket="offered", attempt=7).SerializeToString(), "STALE"),
    ("completing what is only offered", "/csroute.v1.AgentService/Complete",
     agent_pb2.CompleteRequest(ticket="offered", attempt=1).SerializeToString(), "WRONG_STATE"),
    ("a transfer to nowhere", "/csroute.v1.AgentService/Transfer",
     agent_pb2.TransferRequest(ticket="offered", attempt=1).SerializeToString(), "FIELD_MISSING"),
    ("the same id with other content", ROUTE, ticket(id="offered", customer="another"), "CONFLICT"),
]  # fmt: skip

# In a batch of agents each is answered by itself.
BAD_AGENTS: list[tuple[str, bytes, str]] = [
    ("no id", agent(id=""), "FIELD_MISSING"),
    ("10,000 skills", agent(skills=SKILLS), "TOO_MANY"),
    ("a skill twice", agent(skills=level(1) * 2), "OUT_OF_RANGE"),
    ("level 101", agent(skills=level(101)), "OUT_OF_RANGE"),
    ("a capacity above the bound", agent(capacity=100_001), "OUT_OF_RANGE"),
    ("an unknown channel", agent(channels=[agent_pb2.AgentChannel(channel="telex")]), "CHANNEL_UNKNOWN"),
]


@pytest.mark.parametrize(("path", "request_", "name"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
async def test_it_is_refused_by_number(desk: Rig, path: str, request_: bytes, name: str) -> None:
    no = await rejected(desk.raw(path, request_))
    assert (no.name, no.code > 0, bool(no.message)) == (name, True, True), no


@pytest.mark.parametrize(("request_", "name"), [case[1:] for case in BAD_AGENTS], ids=[case[0] for case in BAD_AGENTS])
async def test_an_agent_is_refused_by_number(desk: Rig, request_: bytes, name: str) -> None:
    try:
        results = agent_pb2.ActionResults.FromString(await desk.raw(UPSERT, request_)).results
        no: RejectedError = rejection(results[0].rejection)
    except grpc.aio.AioRpcError as error:
        no = await rejected(_again(error))
    assert no.name == name, no


async def _again(error: grpc.aio.AioRpcError) -> None:
    raise error


@pytest.mark.parametrize("path", UNARY)
async def test_random_and_truncated_bytes(desk: Rig, path: str) -> None:
    bits = random.Random(path)
    whole = ticket(context=b"x" * 50)
    tries = [whole[: bits.randrange(1, len(whole))], *[bits.randbytes(bits.randrange(1, 200)) for _ in range(20)]]
    refused = 0
    for request in tries:
        try:
            await desk.raw(path, request)  # an unknown field alone is well-formed
        except grpc.aio.AioRpcError as error:
            no = await rejected(_again(error))
            refused += 1
            assert no.code, no
    assert refused


async def test_what_is_a_little_too_large_is_refused_by_number(door: str) -> None:
    async with running(door, message_bytes_max=10_000) as rig:
        before = await rig.hash()
        no = await rejected(rig.raw(ROUTE, b"\x0a" + b"x" * 10_000))
        assert no.name == "MESSAGE_TOO_LARGE"
        assert await rig.hash() == before


async def test_a_message_of_100_mb_is_cut(desk: Rig) -> None:
    no = await rejected(desk.raw(ROUTE, bytes(100_000_000)))
    assert no.grpc_code == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
    stream = desk.channel.stream_stream("/csroute.v1.RoutingService/RouteStream")()
    await stream.write(bytes(100_000_000))
    assert (await rejected(stream.read())).grpc_code == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]


async def test_an_offer_that_expired(tmp_path: Path, door: str) -> None:
    policy = tmp_path / "short.py"
    policy.write_text(POLICY.read_text().replace("Offer(seconds(20))", "Offer(seconds(0.05))"))
    async with running(door, policy=str(policy)) as rig:
        await rig.staff("ann")
        await rig.route("t")
        await asyncio.sleep(0.2)
        before = await rig.hash()
        no = await rejected(rig.agents.Accept(agent_pb2.AcceptRequest(ticket="t", attempt=1)))
        assert (no.name, await rig.hash()) == ("WRONG_STATE", before)


async def test_two_sessions_for_one_agent(rig: Rig) -> None:
    await rig.staff("ann")
    await rig.agents.OpenSession(agent_pb2.OpenSessionRequest(session="newer"))
    await rig.agents.Login(agent_pb2.LoginRequest(session="newer", agent="ann"))
    before = await rig.hash()
    for call, request in (
        (rig.agents.Login, agent_pb2.LoginRequest(session="desk", agent="ann")),
        (
            rig.agents.SetPresence,
            agent_pb2.SetPresenceRequest(session="desk", agent="ann", presence=agent_pb2.PRESENCE_AWAY),
        ),
    ):
        assert (await rejected(call(request))).name == "SUPERSEDED"
    assert await rig.hash() == before


async def test_past_the_bound_in_flight_calls_are_refused_with_a_hint(door: str) -> None:
    async with running(door, in_flight_max=1) as rig:
        batch = ticket_pb2.RouteBatchRequest(tickets=[new_ticket(f"t{number}") for number in range(4096)])
        calls = [rig.routing.RouteBatch(batch) for _ in range(20)]
        answers = await asyncio.gather(*[_outcome(call) for call in calls])
        refused = [answer for answer in answers if answer is not None]
        assert refused
        assert {(no.name, no.grpc_code, no.retry_after_ms) for no in refused} == {("BUSY", 8, 50)}
        assert len(refused) < len(calls)


async def _outcome(call: Any) -> RejectedError | None:
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return await rejected(_again(error))
    return None
