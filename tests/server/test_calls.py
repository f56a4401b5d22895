"""The three services through gRPC, with generated stubs: what is asked is done and answered."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from csroute import _csroute
from csroute.errors import ConfigError, rejection
from csroute.server.door import TENANT_KEY, deadline_us
from csroute.server.pump import Refused
from csroute.server.service import SERVICES
from csroute.v1 import admin_pb2, agent_pb2, explain_pb2, policy_pb2, stats_pb2, ticket_pb2
from tests.server.rig import POLICY, new_ticket, rejected, running

if TYPE_CHECKING:
    from tests.server.rig import Rig


async def test_a_ticket_finds_its_agent(rig: Rig) -> None:
    await rig.staff("ann")
    offered = await rig.route("t1", context=b"hello")
    assert (offered.state, offered.agent, offered.attempt) == (ticket_pb2.TICKET_STATE_OFFERED, "ann", 1)
    assert [clock.clock for clock in offered.deadlines] == ["reply"]
    accepted = await rig.agents.Accept(agent_pb2.AcceptRequest(ticket="t1", attempt=1))
    assert accepted.state == ticket_pb2.TICKET_STATE_ACTIVE
    await rig.agents.Mark(agent_pb2.MarkRequest(ticket="t1", attempt=1, moment="first_reply"))
    completed = await rig.agents.Complete(agent_pb2.CompleteRequest(ticket="t1", attempt=1, outcome="solved"))
    assert completed.state == ticket_pb2.TICKET_STATE_WRAPPING
    closed = await rig.agents.EndWrapUp(agent_pb2.EndWrapUpRequest(ticket="t1", attempt=1))
    assert closed.state == ticket_pb2.TICKET_STATE_CLOSED
    seen = await rig.routing.GetTicket(ticket_pb2.GetTicketRequest(id="t1"))
    assert (seen.outcome, seen.queue, seen.agent) == ("solved", "bill", "ann")


async def test_a_batch_answers_each_item_by_itself(rig: Rig) -> None:
    tickets = [new_ticket("a"), new_ticket("b", channel="telex"), new_ticket("a"), new_ticket("a", customer="c")]
    reply = await rig.routing.RouteBatch(ticket_pb2.RouteBatchRequest(tickets=tickets, tag=7))
    assert reply.tag == 7
    assert [result.WhichOneof("result") for result in reply.results] == ["reply", "rejection", "reply", "rejection"]
    assert [result.reply.replayed for result in reply.results] == [False, False, True, False]
    assert "CHANNEL_UNKNOWN" in str(reply.results[1].rejection)
    assert "CONFLICT" in str(reply.results[3].rejection)


async def test_readers(rig: Rig) -> None:
    for number in range(5):
        await rig.route(f"t{number}", source="gateway")
    listed = await rig.routing.ListTickets(ticket_pb2.ListTicketsRequest(source="gateway", page_size=3))
    rest = await rig.routing.ListTickets(
        ticket_pb2.ListTicketsRequest(source="gateway", page_size=3, page_token=listed.next_page_token)
    )
    assert [ticket.id for page in (listed, rest) for ticket in page.tickets] == [f"t{number}" for number in range(5)]
    places = await rig.routing.GetPositions(ticket_pb2.GetPositionsRequest(ids=["t4", "nobody", "t0"]))
    assert [(position.id, position.place) for position in places.positions] == [("t4", 5), ("t0", 1)]
    why = await rig.routing.Explain(explain_pb2.ExplainRequest(ticket="t0"))
    assert why.text
    assert [(rule.layer, rule.rule) for rule in why.rules] == [("Who", "bill")]
    stats = await rig.admin.GetStats(stats_pb2.GetStatsRequest())
    assert (stats.waiting, stats.submitted, stats.policy_name) == (5, 5, "desk")


async def test_a_route_that_waits_hears_of_its_agent(rig: Rig) -> None:
    request = ticket_pb2.RouteRequest(ticket=new_ticket("t1", channel="phone"), wait_ms=5000)
    waiting = asyncio.ensure_future(rig.routing.Route(request))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    await rig.staff("ann")
    offered = await rig.routing.GetTicket(ticket_pb2.GetTicketRequest(id="t1"))
    assert offered.state == ticket_pb2.TICKET_STATE_OFFERED
    await asyncio.sleep(0.1)
    assert not waiting.done(), "an offer is no assignment"
    await rig.agents.Accept(agent_pb2.AcceptRequest(ticket="t1", attempt=1))
    reply = await waiting
    assert (reply.state, reply.agent, reply.attempt) == (ticket_pb2.TICKET_STATE_ACTIVE, "ann", 1)


async def test_a_route_that_waits_in_vain_hears_its_place(rig: Rig) -> None:
    before = time.monotonic()
    reply = await rig.routing.Route(ticket_pb2.RouteRequest(ticket=new_ticket("t1"), wait_ms=200))
    assert 0.15 < time.monotonic() - before < 3
    assert (reply.state, reply.place) == (ticket_pb2.TICKET_STATE_WAITING, 1)


async def test_an_opening_has_a_bound(rig: Rig) -> None:
    names = [f"agent-{number}" for number in range(2500)]
    skills = [ticket_pb2.SkillLevel(skill="bill")]
    specs = [agent_pb2.AgentSpec(id=name, skills=skills) for name in names]
    logins = [agent_pb2.AgentAction(login=agent_pb2.LoginRequest(session="desk", agent=name)) for name in names]
    await rig.agents.OpenSession(agent_pb2.OpenSessionRequest(session="desk", lease_ms=600_000))
    await rig.agents.UpsertAgents(agent_pb2.UpsertAgentsRequest(agents=specs))
    await rig.agents.Act(agent_pb2.ActRequest(actions=logins))

    async def busier(prefix: str) -> agent_pb2.WorkOpening:
        tickets = [new_ticket(f"{prefix}{number}", context=bytes(1024)) for number in range(2500)]
        await rig.routing.RouteBatch(ticket_pb2.RouteBatchRequest(tickets=tickets))
        stream = rig.agents.Work()
        await stream.write(agent_pb2.WorkRequest(session="desk"))
        first: agent_pb2.WorkReply = await stream.read()
        stream.cancel()
        return first.opening

    opening = await busier("first-")
    assert (len(opening.agents), len(opening.work)) == (2500, 2500)
    no = await rejected(busier("second-"))
    assert (no.name, no.subject) == ("TOO_MANY", "desk")
    assert "several sessions" in no.message


async def test_tenants_are_apart(rig: Rig) -> None:
    await rig.route("t1")
    other = ((TENANT_KEY, "other"),)
    no = await rejected(rig.routing.GetTicket(ticket_pb2.GetTicketRequest(id="t1"), metadata=other))
    assert no.name == "TICKET_UNKNOWN"
    no = await rejected(rig.routing.Route(ticket_pb2.RouteRequest(ticket=new_ticket("t1")), metadata=other))
    assert no.name == "NO_POLICY"


async def test_tenants_of_the_settings_have_their_policies(door: str) -> None:
    async with running(door, tenants={"other": "double11"}) as rig:
        for metadata, name in ((None, "desk"), (((TENANT_KEY, "other"),), "double11")):
            stats = await rig.admin.GetStats(stats_pb2.GetStatsRequest(), metadata=metadata)
            assert stats.policy_name == name


async def test_a_tenant_has_a_name(rig: Rig) -> None:
    for tenant in ("", "x" * 129):
        request = stats_pb2.GetStatsRequest()
        no = await rejected(rig.admin.GetStats(request, metadata=((TENANT_KEY, tenant),)))
        assert (no.name, no.subject) == ("FIELD_TOO_LONG", TENANT_KEY)


async def test_a_deadline_that_passed_stops_a_call_before_it_begins(rig: Rig) -> None:
    before = await rig.hash()
    request = ticket_pb2.RouteRequest(ticket=new_ticket("t1")).SerializeToString()
    number = next(number for number, path, _ in _csroute.methods() if path.endswith("/Route"))
    with pytest.raises(Refused) as refused:
        await rig.server._pump.call(number, "default", "test", request, 1)
    no = rejection(refused.value.status)
    assert (no.name, no.grpc_code, no.retryable) == ("DEADLINE_PASSED", 4, True)
    assert await rig.hash() == before


async def test_a_deadline_is_handed_to_the_node() -> None:
    class Context:
        def __init__(self, left_s: float | None) -> None:
            self.left_s = left_s

        def time_remaining(self) -> float | None:
            return self.left_s

    assert deadline_us(Context(None)) == 0
    assert abs(deadline_us(Context(2.0)) - (time.time() + 2) * 1e6) < 1e6


async def test_installing_has_no_rpc(rig: Rig) -> None:
    install = policy_pb2.InstallPolicyRequest(policy=b"").SerializeToString()
    for path in ("/internal/InstallPolicy", "/csroute.v1.AdminService/InstallPolicy"):
        no = await rejected(rig.raw(path, install))
        assert no.grpc_code == grpc.StatusCode.UNIMPLEMENTED.value[0]


async def test_health_follows_draining(rig: Rig) -> None:
    health: Any = health_pb2_grpc.HealthStub(rig.channel)
    states = health_pb2.HealthCheckResponse

    async def status(service: str) -> int:
        reply: health_pb2.HealthCheckResponse = await health.Check(health_pb2.HealthCheckRequest(service=service))
        return reply.status

    for service in ("", *SERVICES):
        assert await status(service) == states.SERVING
    reply = await rig.admin.Drain(admin_pb2.DrainRequest(on=True))
    assert reply.open_tickets == 0
    assert await status(SERVICES[0]) == states.SERVING, "one tenant drains, the server serves"
    no = await rejected(rig.route("t1"))
    assert (no.name, no.retryable) == ("DRAINING", True)
    await rig.admin.Drain(admin_pb2.DrainRequest(on=False))
    assert (await rig.route("t1")).state == ticket_pb2.TICKET_STATE_WAITING


async def test_reflection_knows_the_services(rig: Rig) -> None:
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(rig.channel)
    asks = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol="csroute.v1.RoutingService"),
        reflection_pb2.ServerReflectionRequest(file_by_filename="google/rpc/status.proto"),
    ]
    answers = [answer async for answer in stub.ServerReflectionInfo(iter(asks))]
    named = {service.name for service in answers[0].list_services_response.service}
    assert named >= {*SERVICES, "grpc.health.v1.Health"}
    assert all(answer.file_descriptor_response.file_descriptor_proto for answer in answers[1:])


@pytest.mark.parametrize("setting", ["listen", "metrics_listen"])
async def test_a_port_that_is_taken_is_said(setting: str) -> None:
    async with running(metrics_listen="127.0.0.1:0") as rig:
        taken = rig.server.port if setting == "listen" else rig.server.metrics_port
        with pytest.raises(ConfigError, match=f"{setting}: 127.0.0.1:{taken} cannot be listened on"):
            async with running(**{setting: f"127.0.0.1:{taken}", "policy": str(POLICY)}):
                pass
