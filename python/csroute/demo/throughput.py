"""The first half: how many tickets go through, when nobody has to wait for a person.

Gateways stream tickets in batches of 256, at the rate asked for. Desktops accept what their agents are offered and
complete it at once; people cannot (that is the second half). Everybody keeps a ledger of one byte a ticket: gateways
the state that the router answered, desktops how often it acknowledged the completion. In the end they are compared
with each other and with what the server counted, ticket by ticket.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import grpc.aio

from csroute.client import AsyncClient
from csroute.client.connect import OPTIONS, PACKAGE, work_request
from csroute.demo.child import Link, pack
from csroute.demo.encode import ACCEPT, COMPLETE, END_WRAP_UP, TicketBytes, number_of, work_bytes
from csroute.demo.ledger import REFUSED
from csroute.demo.plan import agents_of, new_ticket
from csroute.presets.double11_workload import tickets
from csroute.types import Login, Presence, SetPresence
from csroute.v1 import agent_pb2, ticket_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["desktop", "gateway"]

_SAMPLES: Final = 4096


async def gateway(settings: dict[str, Any], link: Link) -> None:
    """Streams tickets until it is told to stop; then reports its ledger.

    Settings: target, prefix, seed, rate_per_s, batch, in_flight_max.
    """
    samples = [new_ticket(sample, settings["prefix"]) for sample in islice(tickets(settings["seed"]), _SAMPLES)]
    maker = TicketBytes(settings["prefix"], [sample.to_wire() for sample in samples])
    batch: int = settings["batch"]
    every_s = batch / settings["rate_per_s"]
    room = asyncio.Semaphore(settings["in_flight_max"])
    ledger, sent_at = bytearray(), deque[float]()
    waits_ms: list[float] = []
    async with grpc.aio.insecure_channel(settings["target"], OPTIONS) as channel:
        stream: Any = channel.stream_stream(PACKAGE + "RoutingService/RouteStream")
        call = stream(metadata=(("csroute-caller", settings["prefix"]),))

        def progress() -> dict[str, Any]:
            return {"answered": len(ledger), "waits_ms": waits_ms[-400:]}

        async def receive() -> None:
            while (reply := await call.read()) is not grpc.aio.EOF:
                waits_ms.append((time.perf_counter() - sent_at.popleft()) * 1000)
                room.release()
                for result in ticket_pb2.RouteBatchReply.FromString(reply).results:
                    ledger.append(result.reply.state or REFUSED)

        link.tell("ready")
        await link.wait_for("start")
        stop = asyncio.create_task(link.wait_for("stop"))
        receiver = asyncio.create_task(receive())
        reporter = asyncio.create_task(
            link.keep_telling(lambda: {"answered": len(ledger), "waits_ms": waits_ms[-400:]})
        )
        sent, due = 0, time.perf_counter()
        while not stop.done() and not receiver.done():
            await room.acquire()
            if (early_s := due - time.perf_counter()) > 0:
                await asyncio.sleep(early_s)
            due = max(due + every_s, time.perf_counter() - 10 * every_s)  # a stall is not made up for at one stroke
            sent_at.append(time.perf_counter())
            await call.write(maker.batch(sent, batch))
            sent += batch
        answered = len(ledger)
        await call.done_writing()
        await receiver
        reporter.cancel()
        link.tell("ledger", answered=answered, marks=pack(ledger), waits_ms=waits_ms)
        await stop


async def desktop(settings: dict[str, Any], link: Link) -> None:
    """Logs its agents in and completes what they are given, until it is told to finish: then they take no more.

    Settings: target, session, scale, part, parts.
    """
    agents = agents_of(settings["scale"], settings["part"], settings["parts"])
    async with AsyncClient(settings["target"], caller=settings["session"]) as client:
        for some in _chunks(agents):
            _all_well(await client.upsert_agents(some))
        async with client.session(settings["session"]) as session:
            for some in _chunks(agents):
                _all_well(await session.act([Login(session.name, agent.id) for agent in some]))
            desk = _Desk()
            link.tell("ready", agents=len(agents))
            working = asyncio.create_task(desk.work(settings["target"], session.name))
            reporter = asyncio.create_task(link.keep_telling(lambda: {"completed": desk.completed}))
            order = asyncio.create_task(link.wait_for("finish"))
            await asyncio.wait([working, order], return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                working.result()  # it never ends well by itself
            reporter.cancel()
            link.tell("over", completed=desk.completed)
            for some in _chunks(agents):
                away = [SetPresence(session.name, agent.id, Presence.DRAINING, "closing") for agent in some]
                _all_well(await session.act(away))
            await link.wait_for("stop")
            working.cancel()
            marks = {prefix: pack(ledger) for prefix, ledger in desk.ledgers.items()}
            link.tell("ledger", marks=marks, refused=desk.refused)


class _Desk:
    """What the agents of a desktop do: accept and complete at once, and end the wrap-up where there is one."""

    def __init__(self) -> None:
        self.completed = 0
        self.refused: dict[str, int] = {}
        self.ledgers: dict[str, bytearray] = {}  # by gateway: how often each ticket's completion was acknowledged
        self._asked: deque[tuple[int, str, int]] = deque()

    async def work(self, target: str, session: str) -> None:
        """Works; a stream that breaks is opened again, and begins with what the agents hold."""
        async with grpc.aio.insecure_channel(target, OPTIONS) as channel:
            stream: Any = channel.stream_stream(PACKAGE + "AgentService/Work")
            while True:
                call = stream(metadata=(("csroute-caller", session),))
                self._asked.clear()
                with contextlib.suppress(grpc.aio.AioRpcError):
                    await call.write(work_request(session))
                    while (reply := await call.read()) is not grpc.aio.EOF:
                        if actions := list(self._answer(agent_pb2.WorkReply.FromString(reply))):
                            self._asked += actions
                            await call.write(work_bytes(actions))
                call.cancel()
                await asyncio.sleep(0.05)

    def _answer(self, reply: agent_pb2.WorkReply) -> Iterator[tuple[int, str, int]]:
        for held in reply.opening.work:
            yield ACCEPT, held.ticket.id, held.ticket.attempt  # harmless where it was accepted before
            yield COMPLETE, held.ticket.id, held.ticket.attempt
        for result in reply.results:
            yield from self._acknowledged(*self._asked.popleft(), result)
        for event in reply.events:
            kind = event.WhichOneof("kind")
            if kind == "offered":
                yield ACCEPT, event.ticket, event.attempt
                yield COMPLETE, event.ticket, event.attempt
            elif kind == "assigned" and event.assigned.HasField("reason"):  # given without an offer
                yield COMPLETE, event.ticket, event.attempt

    def _acknowledged(
        self, verb: int, ticket: str, attempt: int, result: agent_pb2.ActionResult
    ) -> Iterator[tuple[int, str, int]]:
        if result.HasField("rejection"):
            name = f"{verb >> 3}: {result.rejection.message}"
            if len(self.refused) < 100:
                self.refused[name] = self.refused.get(name, 0) + 1
        elif verb == COMPLETE and not result.reply.replayed:
            self.completed += 1
            prefix, number = ticket.split("-", maxsplit=1)[0], number_of(ticket)
            ledger = self.ledgers.setdefault(prefix, bytearray())
            if number >= len(ledger):
                ledger.extend(bytes(number + 65_536 - len(ledger)))
            ledger[number] += 1
            if result.reply.state == ticket_pb2.TICKET_STATE_WRAPPING:
                yield END_WRAP_UP, ticket, attempt


def _chunks(items: list[Any], size: int = 1000) -> Iterator[list[Any]]:
    return (items[at : at + size] for at in range(0, len(items), size))


def _all_well(results: list[Any]) -> None:
    for result in results:
        if isinstance(result, Exception):
            raise result
