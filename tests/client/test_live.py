"""Both clients against a real server: a ticket's life through the agent's gateway, batches, streams, explanations."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator

import pytest

from csroute.client import Assignment, AsyncClient, Client, Offer
from csroute.errors import ConflictError, NotFoundError, RejectedError
from csroute.types import (
    AgentSpec,
    Assigned,
    Complete,
    Login,
    Presence,
    RouteResult,
    Ticket,
    TicketState,
)

ORDERS = {"order": 2, "payment": 2, "lang[zh]": 1}
ids = itertools.count()


@pytest.fixture
def client(server: str, request: pytest.FixtureRequest) -> Iterator[Client]:
    """A tenant's default, and a caller named like the test."""
    with Client(server, caller=request.node.name[:100]) as client:
        yield client


def fresh(**attributes: str) -> Ticket:
    """A ticket that needs an agent for orders, offered like all written ones."""
    return Ticket(
        f"t{next(ids)}", "chat", source="shop", attributes={"category": "order", "language": "zh", **attributes}
    )


def test_a_ticket_s_life(client: Client) -> None:
    client.upsert_agents([AgentSpec("anna", ORDERS)])
    ticket = fresh()
    with client.session("desk") as session:
        work = session.work()
        session.login("anna")
        assert client.route(ticket).state == TicketState.OFFERED
        assert client.route(ticket).replayed
        with pytest.raises(ConflictError):
            client.route(Ticket(ticket.id, "phone"))
        offer = next(item for item in work if isinstance(item, Offer))
        assert (offer.ticket, offer.agent, offer.attempt) == (ticket.id, "anna", 1)
        session.accept(offer, context=b"anna here")
        given = next(item for item in work if isinstance(item, Assignment))
        assert given.ticket == ticket.id
        assert client.route(ticket).agent_context == b"anna here"
        assert client.list_agents(session="desk").agents[0].tickets == (ticket.id,)
        session.mark(given, "first_reply")
        clocks = {clock.clock: clock for clock in client.get_ticket(ticket.id).clocks}
        assert clocks["response"].stopped_us >= clocks["response"].started_us > 0
        assert not clocks["response"].breached
        assert session.complete(given, "solved").state == TicketState.CLOSED
        assert session.complete(given, "solved").replayed
        work.close()
    ended = client.get_ticket(ticket.id)
    assert (ended.state, ended.outcome) == (TicketState.CLOSED, "solved")


def test_a_ticket_that_waits_is_explained(client: Client) -> None:
    ticket = fresh(tier="vip")
    answer = client.route(ticket)
    assert (answer.state, answer.place) == (TicketState.WAITING, 1)
    why = client.explain(ticket.id)
    assert why.ticket.queue == "vip"
    assert why.rules[0].rule == "vip"
    assert str(why)
    (position,) = client.get_positions([ticket.id, "nobody"])
    assert (position.id, position.place) == (ticket.id, 1)
    assert client.cancel(ticket.id, "left").state == TicketState.CANCELLED
    with pytest.raises(NotFoundError):
        client.explain("nobody")


def test_batches_and_streams_answer_each_ticket(client: Client) -> None:
    batches = [[fresh() for _ in range(10)] for _ in range(20)]
    batches[3][4] = Ticket("", "chat")
    for results, batch in zip(client.route_stream(batches), batches, strict=True):
        assert [result.id for result in results if isinstance(result, RouteResult)] == [t.id for t in batch if t.id]
    assert isinstance(client.route_batch(batches[3])[4], RejectedError)
    for batch in batches:
        for ticket in batch:
            if ticket.id:
                client.cancel(ticket.id)


def test_watch_tells_what_became_of_a_source_s_tickets(client: Client) -> None:
    sequence = client.stats().sequence
    ticket = fresh()
    client.route(ticket)
    client.cancel(ticket.id, "left")
    watching = client.watch(sources=["shop"], after_sequence=sequence)
    mine = itertools.islice((event for event in watching if event.ticket == ticket.id), 2)
    assert [type(event.kind).__name__ for event in mine] == ["Queued", "Cancelled"]
    watching.close()


def test_the_awaiting_client_does_the_same(server: str) -> None:
    async def life() -> None:
        async with AsyncClient(server, caller="gateway") as client, client.session("desk-2") as session:
            await client.upsert_agents([AgentSpec("bert", ORDERS)])
            first = fresh()
            events = client.watch(sources=["shop"])
            opening = asyncio.ensure_future(anext(events))
            await asyncio.sleep(0.2)
            await client.route(first)
            assert (await opening).ticket == first.id
            (logged_in,) = await session.act([Login("desk-2", "bert")])
            assert not isinstance(logged_in, RejectedError)
            work = session.work()
            async for item in work:
                match item:
                    case Offer():
                        await session.accept(item)
                    case Assignment():
                        assert item.ticket == first.id
                        await session.act([Complete(item.ticket, item.attempt)])
                        break
            await work.aclose()
            kinds = []
            async for event in events:
                kinds.append(type(event.kind))
                if (await client.get_ticket(first.id)).state.ended and Assigned in kinds:
                    break
            await events.aclose()
            await session.set_presence("bert", Presence.OFFLINE)
            stats = await client.stats()
            assert stats.policy_name == "double11"
            assert stats.completed >= 1

    asyncio.run(life())


def test_a_held_reply_comes_with_the_assignment(server: str) -> None:
    async def hold() -> None:
        async with AsyncClient(server) as client, client.session("desk-3") as session:
            await client.upsert_agents([AgentSpec("carl", {"technical": 2, "lang[zh]": 1}, channels={"phone": 0})])
            ticket = Ticket("held", "phone", attributes={"topic": "electronics", "language": "zh"})
            held = asyncio.ensure_future(client.route(ticket, wait_ms=10_000))
            await asyncio.sleep(0.1)
            assert not held.done()
            await session.login("carl")
            async for item in session.work():
                if isinstance(item, Offer):
                    await session.accept(item)
                elif isinstance(item, Assignment):
                    break
            answer = await held
            assert (answer.state, answer.agent) == (TicketState.ACTIVE, "carl")

    asyncio.run(hold())
