"""RouteStream, Watch and Work: order, resuming, half-closing, and clients that go or do not read."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import grpc

from csroute.v1 import agent_pb2, event_pb2, ticket_pb2
from tests.server.rig import new_ticket, rejected, running

if TYPE_CHECKING:
    from tests.server.rig import Rig

WITHIN_S = 10.0


async def next_of(stream: Any) -> Any:
    return await asyncio.wait_for(stream.read(), WITHIN_S)


async def until(what: Any) -> None:
    """Waits for something that the server does in its own time."""
    async with asyncio.timeout(WITHIN_S):
        while not what():  # noqa: ASYNC110 (the server knows nothing of tests)
            await asyncio.sleep(0.01)


async def kinds_until(stream: Any, kind: str) -> list[str]:
    """The kinds of a stream's events, up to the first of this one."""
    found: list[str] = []
    while kind not in found:
        found += [event.WhichOneof("kind") for event in (await next_of(stream)).events]
    return found


async def test_a_stream_of_batches_is_answered_in_order(rig: Rig) -> None:
    stream = rig.routing.RouteStream()
    for tag in range(50):
        tickets = [new_ticket(f"{tag}-{number}") for number in range(20)]
        await stream.write(ticket_pb2.RouteBatchRequest(tickets=tickets, tag=tag))
    await stream.done_writing()
    replies = [reply async for reply in stream]
    assert [reply.tag for reply in replies] == list(range(50))
    places = [result.reply.place for reply in replies for result in reply.results]
    assert places == list(range(1, 1001))


async def test_a_stream_says_which_batch_was_wrong_and_ends(rig: Rig) -> None:
    stream = rig.channel.stream_stream("/csroute.v1.RoutingService/RouteStream")()
    good = ticket_pb2.RouteBatchRequest(tickets=[new_ticket("a")], tag=1).SerializeToString()
    await stream.write(good)
    await stream.write(b"\xff\xff\xff")
    assert ticket_pb2.RouteBatchReply.FromString(await next_of(stream)).tag == 1
    assert (await rejected(next_of(stream))).name == "MALFORMED"
    assert (await rig.route("a")).replayed


async def test_a_watch_misses_nothing_and_resumes(rig: Rig) -> None:
    watch = rig.routing.Watch(event_pb2.WatchRequest(sources=["gateway"]))
    await watch.initial_metadata()  # it stands
    await rig.route("t1", source="gateway")
    await rig.route("t2", source="elsewhere")
    await rig.route("t3", source="gateway")
    events: list[event_pb2.Event] = []
    while len(events) < 2:
        reply = await next_of(watch)
        events += reply.events
    assert [event.ticket for event in events] == ["t1", "t3"]
    watch.cancel()
    await until(lambda: rig.open_streams() == 0)
    await rig.route("t4", source="gateway")
    watch = rig.routing.Watch(event_pb2.WatchRequest(sources=["gateway"], after_sequence=events[0].sequence))
    seen: list[str] = []
    while "t4" not in seen:
        seen += [event.ticket for event in (await next_of(watch)).events]
    assert seen == ["t3", "t4"]
    watch.cancel()


async def test_work_opens_with_what_is_held_then_goes_both_ways(rig: Rig) -> None:
    await rig.staff("ann", "bob")
    held = await rig.route("held")
    work = rig.agents.Work()
    await work.write(agent_pb2.WorkRequest(session="desk"))
    opening = (await next_of(work)).opening
    assert [agent.spec.id for agent in opening.agents] == ["ann", "bob"]
    assert [(work.agent, work.ticket.id) for work in opening.work] == [(held.agent, "held")]

    accept = agent_pb2.AgentAction(accept=agent_pb2.AcceptRequest(ticket="held", attempt=1), tag=11)
    stale = agent_pb2.AgentAction(accept=agent_pb2.AcceptRequest(ticket="held", attempt=9), tag=12)
    await work.write(agent_pb2.WorkRequest(actions=[accept, stale]))
    results: list[agent_pb2.ActionResult] = []
    kinds: list[str] = []
    while len(results) < 2 or "assigned" not in kinds:
        reply = await next_of(work)
        results += reply.results
        kinds += [event.WhichOneof("kind") for event in reply.events]
    assert [(result.tag, result.WhichOneof("result")) for result in results] == [(11, "reply"), (12, "rejection")]

    await rig.route("fresh")
    assert "offered" in await kinds_until(work, "offered")
    await work.done_writing()
    assert await next_of(work) is grpc.aio.EOF
    assert await work.code() == grpc.StatusCode.OK


async def test_work_may_act_in_its_first_message(rig: Rig) -> None:
    await rig.staff("ann")
    away = agent_pb2.SetPresenceRequest(session="desk", agent="ann", presence=agent_pb2.PRESENCE_AWAY)
    work = rig.agents.Work()
    await work.write(agent_pb2.WorkRequest(session="desk", actions=[agent_pb2.AgentAction(set_presence=away, tag=5)]))
    assert (await next_of(work)).HasField("opening")
    assert (await next_of(work)).results[0].tag == 5
    work.cancel()


async def test_work_names_an_open_session(rig: Rig) -> None:
    work = rig.agents.Work()
    await work.write(agent_pb2.WorkRequest(session="nowhere"))
    assert (await rejected(next_of(work))).name == "SESSION_UNKNOWN"
    work = rig.agents.Work()
    await work.done_writing()
    assert (await rejected(next_of(work))).name == "FIELD_MISSING"


async def test_a_stream_that_breaks_changes_nothing(rig: Rig) -> None:
    await rig.staff("ann")
    await rig.route("t1")
    work = rig.agents.Work()
    await work.write(agent_pb2.WorkRequest(session="desk"))
    await next_of(work)
    before = await rig.hash()
    work.cancel()
    await until(lambda: rig.open_streams() == 0)
    assert await rig.hash() == before


async def test_a_thousand_idle_streams_cost_nothing_and_go(door: str) -> None:
    async with running(door, streams_max=1000, connection_calls_max=2000) as rig:
        before = await rig.hash()
        streams = [rig.routing.RouteStream() for _ in range(500)]
        watches = [rig.routing.Watch(event_pb2.WatchRequest()) for _ in range(500)]
        await until(lambda: rig.open_streams() == 1000)
        assert (await rejected(next_of(rig.routing.Watch(event_pb2.WatchRequest())))).name == "BUSY"
        assert (await rejected(next_of(rig.routing.RouteStream()))).retry_after_ms
        assert await rig.hash() == before
        assert (await rig.route("t1")).place == 1
        for stream in (*streams, *watches):
            stream.cancel()
        await until(lambda: rig.open_streams() == 0)
        assert (await rig.route("t2")).place == 2
        await until(rig.idle)


async def test_a_client_that_does_not_read_is_cut(door: str) -> None:
    async with running(door, write_timeout_ms=300) as rig:
        watch = rig.routing.Watch(event_pb2.WatchRequest())
        await watch.initial_metadata()
        for number in range(200):  # the transport holds a while: windows, buffers
            tickets = [new_ticket(f"{number}-{item}", source="x" * 128, customer="y" * 128) for item in range(500)]
            await rig.routing.RouteBatch(ticket_pb2.RouteBatchRequest(tickets=tickets))
            if rig.open_streams() == 0:
                break
        await until(lambda: rig.open_streams() == 0)
        seen = 0

        async def read_on() -> None:
            nonlocal seen
            while (reply := await next_of(watch)) is not grpc.aio.EOF:
                seen = reply.sequence

        no = await rejected(read_on())
        assert no.name == "WATCHER_SLOW"
        again = rig.routing.Watch(event_pb2.WatchRequest(after_sequence=seen, batch_max=1))
        assert (await next_of(again)).events[0].sequence == seen + 1
        again.cancel()


async def test_a_stream_whose_answers_are_not_read_is_cut(door: str) -> None:
    async with running(door, write_timeout_ms=300) as rig:
        stream = rig.routing.RouteStream()

        async def write_on() -> None:
            for tag in range(1000):
                tickets = [new_ticket(f"{tag}-{number}") for number in range(500)]
                await stream.write(ticket_pb2.RouteBatchRequest(tickets=tickets, tag=tag))

        writing = asyncio.ensure_future(write_on())
        await until(lambda: rig.open_streams() == 1)
        await until(lambda: rig.open_streams() == 0)
        writing.cancel()
        await asyncio.wait([writing])
        assert rig.idle()
        assert (await rig.route("other")).place
