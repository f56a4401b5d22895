"""Streams: what breaks is opened again where it was, and nothing is taken twice or left out."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest

from csroute.client import Assignment, AsyncClient, Client, Offer, Retry
from csroute.errors import LimitError, NotFoundError, UnavailableError
from csroute.types import Event, Ticket, TicketState, WorkOpening
from csroute.v1 import agent_pb2, event_pb2, stats_pb2, ticket_pb2
from tests.client.fake import Fake, Refuse

FAST = Retry(first_ms=1, pause_ms_max=5)
either = pytest.mark.parametrize("kind", [Client, AsyncClient])


def take(kind: type[Client | AsyncClient], target: str, count: int, stream: Callable[[Any], Any]) -> list[Any]:
    """The first items of a stream, by either client."""
    if issubclass(kind, Client):
        with kind(target, retry=FAST) as client:
            return list(itertools.islice(stream(client), count))

    async def awaited() -> list[Any]:
        found: list[Any] = []
        async with kind(target, retry=FAST) as client:
            items = stream(client)
            async for item in items:
                found.append(item)
                if len(found) == count:
                    break
            await items.aclose()
        return found

    return asyncio.run(awaited())


# --- Watch -----------------------------------------------------------------------------------------------------------


class Ring:
    """Events 1, 2, 3, …: two a message, and the stream breaks after each message, by turns in three ways."""

    def __init__(self) -> None:
        self.asked: list[event_pb2.WatchRequest] = []

    def __call__(self, request: bytes, _: object) -> Iterator[event_pb2.WatchReply]:
        asked = event_pb2.WatchRequest.FromString(request)
        self.asked.append(asked)
        after = asked.after_sequence
        events = [event_pb2.Event(sequence=after + n, ticket=f"t{after + n}") for n in (1, 2)]
        yield event_pb2.WatchReply(events=events, sequence=after + 3)  # the third was filtered out
        if len(self.asked) % 3 == 1:
            raise Refuse(grpc.StatusCode.UNAVAILABLE)
        if len(self.asked) % 3 == 2:
            raise Refuse(grpc.StatusCode.RESOURCE_EXHAUSTED, "WATCHER_SLOW", 410)


@either
def test_watch_goes_on_after_the_last_sequence_seen(kind: type[Client | AsyncClient]) -> None:
    ring = Ring()
    with Fake(Watch=ring) as fake:
        events = take(kind, fake.target, 8, lambda client: client.watch(sources=["shop"], after_sequence=10))
    assert all(isinstance(event, Event) for event in events)
    assert [event.sequence for event in events] == [11, 12, 14, 15, 17, 18, 20, 21]
    assert [asked.after_sequence for asked in ring.asked][:4] == [10, 13, 16, 19]
    assert all(list(asked.sources) == ["shop"] for asked in ring.asked)


@either
def test_watch_begins_now_without_a_gap(kind: type[Client | AsyncClient]) -> None:
    ring = Ring()
    with Fake(Watch=ring, GetStats=lambda *_: stats_pb2.GetStatsReply(sequence=41)) as fake:
        (event,) = take(kind, fake.target, 1, lambda client: client.watch())
    assert event.sequence == 42


@either
def test_watch_says_when_it_cannot_go_on(kind: type[Client | AsyncClient]) -> None:
    def gone(*_: object) -> Iterator[event_pb2.WatchReply]:
        raise Refuse(grpc.StatusCode.OUT_OF_RANGE, "SEQUENCE_GONE", 408)
        yield

    with Fake(Watch=gone) as fake, pytest.raises(LimitError, match="SEQUENCE_GONE"):
        take(kind, fake.target, 1, lambda client: client.watch(after_sequence=1))


@either
def test_watch_gives_up_on_a_server_that_stays_away(kind: type[Client | AsyncClient]) -> None:
    def away(*_: object) -> Iterator[event_pb2.WatchReply]:
        raise Refuse(grpc.StatusCode.UNAVAILABLE)
        yield

    with Fake(Watch=away) as fake, pytest.raises(UnavailableError):
        take(kind, fake.target, 1, lambda client: client.watch(after_sequence=1))


# --- RouteStream -----------------------------------------------------------------------------------------------------


class Line:
    """Answers batches in order; the first streams break off after so many answers."""

    def __init__(self, *breaks: int) -> None:
        self.breaks = list(breaks)
        self.taken: list[str] = []
        """Ids of the batches answered, each by its only ticket."""

    def __call__(self, requests: Iterator[bytes], _: object) -> Iterator[ticket_pb2.RouteBatchReply]:
        left = self.breaks.pop(0) if self.breaks else -1
        for request in requests:
            if left == 0:
                raise Refuse(grpc.StatusCode.UNAVAILABLE)
            left -= 1
            (ticket,) = ticket_pb2.RouteBatchRequest.FromString(request).tickets
            self.taken.append(ticket.id)
            result = ticket_pb2.RouteResult(reply=ticket_pb2.RouteReply(id=ticket.id))
            yield ticket_pb2.RouteBatchReply(results=[result])


def batches(count: int) -> list[list[Ticket]]:
    return [[Ticket(f"t{number}", "chat")] for number in range(count)]


@either
@pytest.mark.parametrize("breaks", [(), (0,), (3, 0, 5)], ids=["steady", "at once", "again and again"])
def test_a_stream_of_batches_is_answered_in_order(kind: type[Client | AsyncClient], breaks: tuple[int, ...]) -> None:
    line = Line(*breaks)
    with Fake(RouteStream=line) as fake:
        results = take(kind, fake.target, 21, lambda client: client.route_stream(batches(20), in_flight_max=4))
    assert [result.id for (result,) in results] == [f"t{number}" for number in range(20)]
    assert sorted(set(line.taken), key=lambda ticket: int(ticket[1:])) == [f"t{number}" for number in range(20)]


@either
def test_no_more_batches_are_sent_ahead_than_allowed(kind: type[Client | AsyncClient]) -> None:
    ahead: list[int] = []
    taken = 0

    def counted() -> Iterator[list[Ticket]]:
        nonlocal taken
        for batch in batches(10):
            taken += 1
            yield batch

    def slow(requests: Iterator[bytes], context: object) -> Iterator[ticket_pb2.RouteBatchReply]:
        for number, reply in enumerate(Line()(requests, context)):
            ahead.append(taken - number)
            yield reply

    with Fake(RouteStream=slow) as fake:
        take(kind, fake.target, 11, lambda client: client.route_stream(counted(), in_flight_max=3))
    assert taken == 10
    assert max(ahead) <= 4  # three without an answer, and one that was just answered


@either
def test_a_fault_in_the_caller_s_own_batches_is_the_caller_s_to_hear(kind: type[Client | AsyncClient]) -> None:
    def faulty() -> Iterator[list[Ticket]]:
        yield [Ticket("t0", "chat")]
        raise KeyError("mine")

    with Fake(RouteStream=Line()) as fake, pytest.raises(KeyError, match="mine"):
        take(kind, fake.target, 9, lambda client: client.route_stream(faulty()))


# --- Work ------------------------------------------------------------------------------------------------------------


HELD = (ticket_pb2.TICKET_STATE_OFFERED, ticket_pb2.TICKET_STATE_ACTIVE, ticket_pb2.TICKET_STATE_WRAPPING)


class Desk:
    """A session's Work stream: each opens with what is held, tells of one more ticket, and breaks off."""

    def __init__(self) -> None:
        self.opened = 0

    def __call__(self, requests: Iterator[bytes], _: object) -> Iterator[agent_pb2.WorkReply]:
        assert agent_pb2.WorkRequest.FromString(next(requests)).session == "desk"
        self.opened += 1
        if self.opened == 3:
            raise Refuse(grpc.StatusCode.NOT_FOUND, "SESSION_UNKNOWN", 202)
        held = [
            agent_pb2.HeldWork(agent="anna", ticket=ticket_pb2.Ticket(id=f"held{n}", state=state, attempt=1, due_us=9))
            for n, state in enumerate(HELD)
        ]
        yield agent_pb2.WorkReply(opening=agent_pb2.WorkOpening(work=held, sequence=5))
        kinds: list[dict[str, Any]] = [
            {"offered": event_pb2.Offered(expires_us=7)},
            {"assigned": event_pb2.Assigned(context=b"c")},
            {"completed": event_pb2.Completed(outcome="done")},
        ]
        yield agent_pb2.WorkReply(
            events=[
                event_pb2.Event(sequence=sequence, ticket="new", agent="anna", attempt=1, **kind)
                for sequence, kind in enumerate(kinds, start=6)
            ]
        )


def act(request: bytes, _: object) -> agent_pb2.ActionReply:
    return agent_pb2.ActionReply(sequence=len(request))


def quiet(*_: object) -> agent_pb2.ActionReply:
    return agent_pb2.ActionReply()


EXPECTED = [
    Offer("held0", 1, "anna", 9, b"", held=True),
    Assignment("held1", 1, "anna", b"", held=True),
    Assignment("held2", 1, "anna", b"", wrapping=True, held=True),
    Offer("new", 1, "anna", 7, b""),
    Assignment("new", 1, "anna", b"c"),
]


@either
def test_work_opens_again_with_what_is_held_and_ends_with_the_session(kind: type[Client | AsyncClient]) -> None:
    desk = Desk()
    found: list[Any] = []

    def blocking(target: str) -> None:
        with Client(target, retry=FAST) as client, client.session("desk") as session:
            for item in session.work():
                found.append(item)
                if isinstance(item, Offer):
                    session.accept(item)

    async def awaited(target: str) -> None:
        async with AsyncClient(target, retry=FAST) as client, client.session("desk") as session:
            async for item in session.work():
                found.append(item)
                if isinstance(item, Offer):
                    await session.accept(item)

    with Fake(Work=desk, OpenSession=quiet, CloseSession=quiet, Accept=act) as fake:
        with pytest.raises(NotFoundError, match="SESSION_UNKNOWN"):
            blocking(fake.target) if kind is Client else asyncio.run(awaited(fake.target))
        assert [name for name, _ in fake.seen] == ["OpenSession", *["Accept"] * 4, "CloseSession"]
    assert desk.opened == 3
    openings = [item for item in found if isinstance(item, WorkOpening)]
    assert [opening.work[1].ticket.state for opening in openings] == [TicketState.ACTIVE] * 2
    assert [item for item in found if isinstance(item, Offer | Assignment)] == EXPECTED * 2
    assert [item.sequence for item in found if isinstance(item, Event)] == [8, 8]


@either
def test_a_session_s_lease_is_renewed_while_it_is_open(kind: type[Client | AsyncClient]) -> None:
    renewed = 0

    def renew(*_: object) -> agent_pb2.ActionReply:
        nonlocal renewed
        renewed += 1
        if renewed == 1:
            raise Refuse(grpc.StatusCode.UNAVAILABLE)
        return agent_pb2.ActionReply()

    def idle(_: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[agent_pb2.WorkReply]:
        yield agent_pb2.WorkReply(opening=agent_pb2.WorkOpening())
        while renewed < 3 and context.is_active():
            time.sleep(0.005)
        yield agent_pb2.WorkReply(opening=agent_pb2.WorkOpening())

    with Fake(Work=idle, OpenSession=quiet, CloseSession=quiet, RenewLease=renew) as fake:
        if kind is Client:
            with Client(fake.target, retry=FAST) as client, client.session("desk", lease_ms=60) as session:
                assert len(list(itertools.islice(session.work(), 2))) == 2
        else:

            async def awaited() -> None:
                async with (
                    AsyncClient(fake.target, retry=FAST) as client,
                    client.session("desk", lease_ms=60) as session,
                ):
                    work = session.work()
                    await anext(work)
                    await anext(work)
                    await work.aclose()

            asyncio.run(awaited())
    assert renewed >= 3
