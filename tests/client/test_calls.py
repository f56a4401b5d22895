"""Calls: each RPC of the wire has its method in both clients, and what may be sent again is."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import grpc
import pytest

from csroute.client import AsyncClient, Client, Retry
from csroute.client.calls import Ask, Calls, both
from csroute.errors import (
    ConflictError,
    InvalidError,
    LimitError,
    NotFoundError,
    RejectedError,
    StateError,
    UnavailableError,
)
from csroute.types import (
    Accept,
    AgentSpec,
    Complete,
    Guess,
    Login,
    Presence,
    Requirement,
    RouteResult,
    RuleTuning,
    ShiftHeadStart,
    Ticket,
    TicketState,
)
from csroute.v1 import (
    admin_service_pb2,
    agent_pb2,
    agent_service_pb2,
    policy_service_pb2,
    routing_service_pb2,
    ticket_pb2,
)
from tests.client.fake import Fake, Refuse

FAST = Retry(first_ms=1, pause_ms_max=5)
EXAMPLES: list[Ask[Any]] = [
    Calls.route.ask(Ticket("t1", "chat"), wait_ms=5),
    Calls.route_batch.ask([Ticket("t1", "chat")]),
    Calls.update.ask("t1", 2, {"emotion": Guess("angry", 0.9), "tier": ""}),
    Calls.cancel.ask("t1", "left"),
    Calls.suspend.ask("t1"),
    Calls.resume.ask("t1"),
    Calls.get_ticket.ask("t1"),
    Calls.list_tickets.ask(states=[TicketState.WAITING], source="shop"),
    Calls.get_positions.ask(["t1"]),
    Calls.explain.ask("t1"),
    Calls.explain_queue.ask("logistics"),
    Calls.upsert_agents.ask([AgentSpec("anna", {"general": 3})]),
    Calls.remove_agents.ask(["anna"]),
    Calls.list_agents.ask(presences=[Presence.AVAILABLE], skill="general"),
    Calls.open_session.ask("desk", lease_ms=5000),
    Calls.renew_lease.ask("desk"),
    Calls.close_session.ask("desk"),
    Calls.login.ask("desk", "anna"),
    Calls.set_presence.ask("desk", "anna", Presence.AWAY, "lunch"),
    Calls.accept.ask("t1", 1, b"hello"),
    Calls.decline.ask("t1", 1, "busy"),
    Calls.complete.ask("t1", 1, "solved"),
    Calls.transfer.ask("t1", 1, requirement=Requirement(({"vip": 1},))),
    Calls.mark.ask("t1", 1, "first_reply"),
    Calls.pause_clock.ask("t1", "legal"),
    Calls.resume_clock.ask("t1", "legal"),
    Calls.end_wrap_up.ask("t1", 1),
    Calls.act.ask([Login("desk", "anna"), Accept("t1", 1), Complete("t1", 1)]),
    Calls.assign.ask("t1", "anna"),
    Calls.move.ask("t1", "vip"),
    Calls.stats.ask(with_state_hash=True),
    Calls.drain.ask(),
    Calls.live.ask(),
    Calls.tune.ask([RuleTuning("Rank", "vip", slope_milli=2000)], lapse_ms=5000),
    Calls.start_canary.ask(b"tables", share=0.2),
    Calls.stop_canary.ask(),
    Calls.canary.ask(),
    Calls.apply.ask(b"tables", source="text", why="better", expected=3),
    Calls.versions.ask(page_size=5),
    Calls.version.ask(3),
    Calls.diff.ask(1, 2),
    Calls.activate_scenes.ask(["surge"], dry_run=True),
    Calls.rollback.ask(2, why="worse"),
    Calls.set_table.ask("segment", {"acme": "gold"}, replace=True),
    Calls.override.ask([ShiftHeadStart("vip", 120_000, relative=True)], duration_ms=900_000),
]


def call(kind: type[Client | AsyncClient], target: str, method: str, *args: Any, **options: Any) -> Any:
    """One call, by either client."""
    if issubclass(kind, Client):
        with kind(target, **options) as client:
            return getattr(client, method)(*args)

    async def awaited() -> Any:
        async with kind(target, **options) as client:
            return await getattr(client, method)(*args)

    return asyncio.run(awaited())


either = pytest.mark.parametrize("kind", [Client, AsyncClient])


def unary_methods() -> dict[str, Any]:
    """ "Service/Method": its descriptor."""
    return {
        f"{service.name}/{method.name}": method
        for file in (routing_service_pb2, agent_service_pb2, admin_service_pb2, policy_service_pb2)
        for service in file.DESCRIPTOR.services_by_name.values()
        for method in service.methods
        if not method.server_streaming
    }


def test_every_unary_method_of_the_wire_has_its_call() -> None:
    assert sorted(ask.rpc for ask in EXAMPLES) == sorted(unary_methods())
    assert len(EXAMPLES) == sum(isinstance(call, both) for call in vars(Calls).values())


@pytest.mark.parametrize("ask", EXAMPLES, ids=lambda ask: ask.rpc)
def test_a_call_sends_its_method_s_request_and_reads_its_reply(ask: Ask[Any]) -> None:
    method = unary_methods()[ask.rpc]
    assert ask.request.DESCRIPTOR is method.input_type
    read = ask.read(b"")  # an empty reply is a valid one
    expected = {"RouteBatchReply": [], "ActionResults": [], "GetPositionsReply": [], "DrainReply": 0, "DiffReply": []}
    if method.output_type.name in expected:
        assert read == expected[method.output_type.name]
    else:
        assert read.WIRE.DESCRIPTOR is method.output_type


def answer(request: bytes, _: object) -> ticket_pb2.RouteReply:
    ticket = ticket_pb2.RouteRequest.FromString(request).ticket
    return ticket_pb2.RouteReply(id=ticket.id, state=ticket_pb2.TICKET_STATE_WAITING, place=1)


class Flaky:
    """Refuses so many times, then answers."""

    def __init__(self, times: int, refusal: Refuse) -> None:
        self.left = times
        self.refusal = refusal

    def __call__(self, request: bytes, context: object) -> ticket_pb2.RouteReply:
        if self.left:
            self.left -= 1
            raise self.refusal
        return answer(request, context)


@either
def test_unavailable_is_sent_again_with_the_same_bytes(kind: type[Client | AsyncClient]) -> None:
    with Fake(Route=Flaky(3, Refuse(grpc.StatusCode.UNAVAILABLE))) as fake:
        result = call(kind, fake.target, "route", Ticket("t1", "chat"), retry=FAST)
    assert isinstance(result, RouteResult)
    assert (result.id, result.state, result.place) == ("t1", TicketState.WAITING, 1)
    assert len(fake.seen) == 4
    assert len(set(fake.seen)) == 1


@either
def test_a_full_server_s_hint_is_kept_to(kind: type[Client | AsyncClient]) -> None:
    full = Refuse(grpc.StatusCode.RESOURCE_EXHAUSTED, "WAITING_FULL", 400, retry_after_ms=150)
    with Fake(Route=Flaky(1, full)) as fake:
        begun = time.monotonic()
        call(kind, fake.target, "route", Ticket("t1", "chat"), retry=FAST)
        assert time.monotonic() - begun >= 0.15


@either
@pytest.mark.parametrize(
    ("refusal", "error"),
    [
        (Refuse(grpc.StatusCode.RESOURCE_EXHAUSTED), LimitError),
        (Refuse(grpc.StatusCode.ALREADY_EXISTS, "CONFLICT", 300), ConflictError),
        (Refuse(grpc.StatusCode.FAILED_PRECONDITION, "STALE", 302), StateError),
        (Refuse(grpc.StatusCode.NOT_FOUND, "TICKET_UNKNOWN", 200), NotFoundError),
        (Refuse(grpc.StatusCode.INVALID_ARGUMENT), InvalidError),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_final_no_is_raised_at_once(
    kind: type[Client | AsyncClient], refusal: Refuse, error: type[RejectedError]
) -> None:
    with Fake(Route=Flaky(1, refusal)) as fake:
        with pytest.raises(error):
            call(kind, fake.target, "route", Ticket("t1", "chat"), retry=FAST)
        assert len(fake.seen) == 1


@either
def test_tries_are_bounded(kind: type[Client | AsyncClient]) -> None:
    with Fake(Route=Flaky(99, Refuse(grpc.StatusCode.UNAVAILABLE))) as fake:
        with pytest.raises(UnavailableError):
            call(kind, fake.target, "route", Ticket("t1", "chat"), retry=Retry(tries_max=3, first_ms=1))
        assert len(fake.seen) == 3


@either
def test_the_timeout_bounds_all_tries_together(kind: type[Client | AsyncClient]) -> None:
    begun = time.monotonic()
    with pytest.raises(UnavailableError):
        call(kind, "127.0.0.1:1", "stats", timeout_s=0.5, retry=Retry(tries_max=1000, first_ms=10, pause_ms_max=50))
    assert time.monotonic() - begun < 5


@either
def test_tenant_and_caller_are_metadata(kind: type[Client | AsyncClient]) -> None:
    heard: list[dict[str, Any]] = []

    def hear(request: bytes, context: grpc.ServicerContext) -> ticket_pb2.RouteReply:
        heard.append(dict(context.invocation_metadata()))
        return answer(request, context)

    with Fake(Route=hear) as fake:
        call(kind, fake.target, "route", Ticket("t1", "chat"), tenant="acme", caller="gateway-7")
        call(kind, fake.target, "route", Ticket("t1", "chat"))
    assert (heard[0]["csroute-tenant"], heard[0]["csroute-caller"]) == ("acme", "gateway-7")
    assert not {"csroute-tenant", "csroute-caller"} & heard[1].keys()


@either
def test_a_batch_holds_its_items_rejections(kind: type[Client | AsyncClient]) -> None:
    def batch(request: bytes, _: object) -> ticket_pb2.RouteBatchReply:
        reply = ticket_pb2.RouteBatchReply()
        for ticket in ticket_pb2.RouteBatchRequest.FromString(request).tickets:
            result = reply.results.add()
            if ticket.channel == "chat":
                result.reply.id = ticket.id
            else:
                no = Refuse(grpc.StatusCode.NOT_FOUND, "CHANNEL_UNKNOWN", 205)
                result.rejection.CopyFrom(no.status)
        return reply

    tickets = [Ticket("t1", "chat"), Ticket("t2", "fax"), Ticket("t3", "chat")]
    with Fake(RouteBatch=batch) as fake:
        first, second, third = call(kind, fake.target, "route_batch", tickets)
    assert isinstance(second, NotFoundError)
    assert second.name == "CHANNEL_UNKNOWN"
    assert (first.id, third.id) == ("t1", "t3")


@either
def test_an_action_s_arguments_arrive(kind: type[Client | AsyncClient]) -> None:
    with Fake(Transfer=lambda *_: agent_pb2.ActionReply(replayed=True, state=ticket_pb2.TICKET_STATE_WAITING)) as fake:

        async def transfer(client: AsyncClient) -> Any:
            return await client.transfer("t1", 2, queue="vip")

        if kind is Client:
            with Client(fake.target) as client:
                result = client.transfer("t1", 2, queue="vip")
        else:
            result = asyncio.run(transfer(AsyncClient(fake.target)))
    assert result.replayed
    assert result.state == TicketState.WAITING
    ((_, request),) = fake.seen
    assert agent_pb2.TransferRequest.FromString(request) == agent_pb2.TransferRequest(
        ticket="t1", attempt=2, queue="vip"
    )
