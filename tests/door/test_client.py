"""The clients at both doors: batches gathered from single tickets, and a second address when the first breaks."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from csroute.client import AsyncClient, Batching, Client
from csroute.errors import ConfigError, ConflictError, NotFoundError, RejectedError, UnavailableError
from csroute.types import Ticket, TicketState
from tests.server.rig import Rig, running


@pytest.fixture(params=["python", "native"])
def door(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def where(rig: Rig) -> str:
    return f"127.0.0.1:{rig.server.port if rig.door == 'python' else rig.server.native_port}"


def ticket(id: str, channel: str = "chat", customer: str = "") -> Ticket:
    return Ticket(id, channel, customer=customer, attributes={"kind": "bill"})


async def test_single_tickets_go_in_batches_and_each_gets_its_answer(door: str) -> None:
    async with running(door) as rig, AsyncClient(where(rig)) as client, Batching(client) as batching:
        answers = await asyncio.gather(*(batching.route(ticket(f"t{number}")) for number in range(2000)))
        assert [answer.id for answer in answers] == [f"t{number}" for number in range(2000)]
        assert {answer.state for answer in answers} == {TicketState.WAITING}
        with pytest.raises(ConflictError):
            await batching.route(ticket("t1", customer="another"))
        with pytest.raises(NotFoundError):
            await batching.route(ticket("u", channel="telex"))
        assert (await batching.route(ticket("t1"))).replayed


async def test_what_is_asked_is_answered_before_it_closes(door: str) -> None:
    async with running(door) as rig, AsyncClient(where(rig)) as client:
        async with Batching(client, batch_max=7, in_flight_max=1) as batching:
            asked = [asyncio.ensure_future(batching.route(ticket(f"t{number}"))) for number in range(100)]
            await asyncio.sleep(0)
        assert all(answer.state == TicketState.WAITING for answer in await asyncio.gather(*asked))
        with pytest.raises(UnavailableError):
            await batching.route(ticket("late"))


async def test_more_than_may_wait_begin_later(door: str) -> None:
    async with running(door) as rig, AsyncClient(where(rig)) as client:
        async with Batching(client, waiting_max=5, batch_max=2) as batching:
            answers = await asyncio.gather(*(batching.route(ticket(f"t{number}")) for number in range(50)))
        assert len(answers) == 50


def test_its_bounds_are_checked() -> None:
    client = AsyncClient("127.0.0.1:1")
    for wrong in ({"linger_ms": 2}, {"batch_max": 0}, {"batch_max": 5000}):
        with pytest.raises(ValueError, match="is"):
            Batching(client, **wrong)


async def test_the_next_address_is_taken_when_one_breaks(door: str) -> None:
    async with contextlib.AsyncExitStack() as stack:
        first = await stack.enter_async_context(running(door))
        second = await stack.enter_async_context(running(door))
        async with AsyncClient(f"{where(first)}, {where(second)}") as client:
            assert not (await client.route(ticket("t1"))).replayed
            with contextlib.suppress(RejectedError):
                await second.route("elsewhere")
            await first.server.stop(grace_s=0)
            assert not (await client.route(ticket("t1"))).replayed, "the second has never heard of it"
            assert (await client.route(ticket("t1"))).replayed


async def test_an_address_nobody_listens_at_is_passed_over(door: str) -> None:
    async with running(door) as rig:

        def ask() -> TicketState:
            with Client(f"127.0.0.1:1,{where(rig)}") as client:
                return client.route(ticket("t1")).state

        assert await asyncio.to_thread(ask) == TicketState.WAITING


def test_an_address_that_is_none_is_said() -> None:
    with pytest.raises(ConfigError, match="'nowhere'"):
        Client("127.0.0.1:1,nowhere")
