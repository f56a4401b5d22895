"""The second half: the first minutes of the night, with people who need their time, in a life some sixty times faster.

Arrivals, handle times, patience and every duration of the policy are divided by the same factor, so that each decision
is the one of a real night; what does not shrink is the transport, and the factor times its p99 is the error.

A gateway submits tickets as customers come, and cancels those whose customers lose patience. Desktops accept, reply
and complete as agents would. The gateway hears of its tickets by Watch, and keeps a ledger of their states by the
events' sequence, so that it can be compared with what the server counts at exactly that point.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections import Counter
from contextlib import aclosing
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any, Final, TypeVar

from csroute.client import Assignment, AsyncClient, Offer
from csroute.demo.child import Link
from csroute.demo.plan import agents_of, new_ticket
from csroute.errors import RejectedError
from csroute.presets import double11_workload as workload
from csroute.types import (
    Accept,
    Action,
    Assigned,
    Cancelled,
    ClockBreached,
    ClockStopped,
    Closed,
    Complete,
    Completed,
    Event,
    EventBatch,
    Login,
    Mark,
    Overflowed,
    Presence,
    QueueCause,
    Queued,
    SetPresence,
    TicketState,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from csroute.client import AsyncSession
    from csroute.types import ActionResult, RouteResult, Ticket

__all__ = ["desktop", "gateway"]

R = TypeVar("R")

ACCEPT_S: Final = (2.0, 6.0)
"""How long an agent takes to accept what is offered, in seconds of the night (assumed)."""
REPLY_S: Final = (5.0, 15.0)
"""From then to the first reply (assumed)."""
_TICK_S: Final = 0.004
_IN_FLIGHT_MAX: Final = 64
_ACTIONS_MAX: Final = 1024

REPLY_CLOCKS: Final = ("legal", "response")
"""The clocks that a customer who leaves early has not seen met: the preset's, from arrival to first reply."""
STATES: Final = {
    Assigned: TicketState.ACTIVE,
    Closed: TicketState.CLOSED,
    Cancelled: TicketState.CANCELLED,
    Overflowed: TicketState.OVERFLOWED,
}


class _Transport:
    """Calls, timed: what they cost is the error of a compressed night."""

    def __init__(self) -> None:
        self.waits_ms: list[float] = []
        self.refused: Counter[str] = Counter()
        self._room = asyncio.Semaphore(_IN_FLIGHT_MAX)
        self._under_way: set[asyncio.Task[None]] = set()

    def send(self, call: Awaitable[R], answered: Callable[[R], None] | None = None) -> None:
        """Sends without waiting, as life does not wait either."""
        task = asyncio.ensure_future(self._send(call, answered))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _send(self, call: Awaitable[R], answered: Callable[[R], None] | None) -> None:
        async with self._room:
            sent = time.perf_counter()
            try:
                answer = await call
            except RejectedError as error:
                self.refused[error.name] += 1
                return
            self.waits_ms.append((time.perf_counter() - sent) * 1000)
        if answered is not None:
            answered(answer)

    async def quiet(self) -> None:
        """Waits for all that is under way."""
        while self._under_way:
            await asyncio.wait(self._under_way)


class _Book:
    """A gateway's ledger: its tickets' states, and what became of their clocks, by tier."""

    def __init__(self, short_ms: float) -> None:
        self.tier: dict[str, str] = {}
        self.state: dict[str, TicketState] = {}
        self.counts: Counter[str] = Counter()
        self.sequence = 0
        """Everything up to here was taken."""
        self._short_us = short_ms * 1000
        self._arrived_us: dict[str, int] = {}
        self._counted: dict[str, set[str]] = {}  # the clocks of a ticket that have their outcome
        self._figures: Counter[tuple[str, str]] = Counter()  # (tier, answered | left | left_soon)
        self._clocks: Counter[tuple[str, str, str]] = Counter()  # (tier, clock, met | missed | left)
        self._kept: list[EventBatch] | None = None  # once frozen: what came since

    def submitted(self, tickets: list[Ticket], results: list[RouteResult | RejectedError]) -> None:
        """Takes what a batch was answered."""
        for ticket, result in zip(tickets, results, strict=True):
            if isinstance(result, RejectedError):
                self.counts["refused"] += 1
            else:
                self.counts["submitted"] += 1
                self.state.setdefault(ticket.id, TicketState.WAITING)

    def take(self, batch: EventBatch) -> None:
        """Takes events; once frozen, keeps them for `settle`."""
        if self._kept is not None:
            self._kept.append(batch)
        else:
            self._take_up_to(batch, batch.sequence)

    def freeze(self) -> None:
        """Takes no further event until it is known up to which."""
        self._kept = []

    def settle(self, sequence: int) -> bool:
        """Takes what was kept, up to this sequence: whether that far has been heard."""
        kept, self._kept = self._kept or [], []
        for batch in kept:
            self._take_up_to(batch, sequence)
        return self.sequence >= sequence

    def _take_up_to(self, batch: EventBatch, sequence: int) -> None:
        for event in batch.events:
            if event.ticket in self.tier and event.sequence <= sequence:
                self._take(event, self.tier[event.ticket])
        self.sequence = max(self.sequence, batch.sequence)

    def _take(self, event: Event, tier: str) -> None:
        ticket = event.ticket
        match event.kind:
            case Queued(cause=QueueCause.ARRIVED):
                self._arrived_us[ticket] = event.at_us
            case Assigned():
                self.counts["assigned"] += 1
                self._figures[tier, "answered"] += 1
            case Completed():
                self.counts["completed"] += 1
            case Cancelled() | Overflowed():
                self.counts["cancelled" if isinstance(event.kind, Cancelled) else "overflowed"] += 1
                self._left(ticket, tier, event.at_us)
            case ClockStopped(clock=clock, met=met):
                self._clock(ticket, tier, clock, "met" if met else "missed")
            case ClockBreached(clock=clock):
                self._clock(ticket, tier, clock, "missed")
        if (state := STATES.get(type(event.kind))) is not None:
            self.state[ticket] = state

    def _left(self, ticket: str, tier: str, at_us: int) -> None:
        """Who leaves at once is not counted against the clocks; who leaves later is, where they still ran."""
        short = at_us - self._arrived_us.get(ticket, at_us) < self._short_us
        self._figures[tier, "left_soon" if short else "left"] += 1
        for clock in () if short else REPLY_CLOCKS:
            self._clock(ticket, tier, clock, "left")

    def _clock(self, ticket: str, tier: str, clock: str, outcome: str) -> None:
        """A clock counts once a ticket, by what came first."""
        counted = self._counted.setdefault(ticket, set())
        if clock not in counted:
            counted.add(clock)
            self._clocks[tier, clock, outcome] += 1

    def tiers(self) -> dict[str, dict[str, Any]]:
        """By tier: how many were answered and left, and by clock how many met it, missed it, or left before."""
        found: dict[str, dict[str, Any]] = {}
        for tier in sorted(set(self.tier.values())):
            found[tier] = {name: self._figures[tier, name] for name in ("answered", "left", "left_soon")}
            found[tier]["clocks"] = {}
        for (tier, clock, outcome), count in sorted(self._clocks.items()):
            found[tier]["clocks"].setdefault(clock, {"met": 0, "missed": 0, "left": 0})[outcome] = count
        return found


async def gateway(settings: dict[str, Any], link: Link) -> None:
    """Plays the customers of one source until the window is over; then keeps its ledger up to the sequence it is told.

    Settings: target, prefix, seed, scale, window_s, compression, short_ms.
    """
    random = Random(settings["seed"])  # noqa: S311 (a workload, no secret)
    people = workload.roster(settings["scale"])
    kinds = workload.tickets(settings["seed"])
    faster, window_s, prefix = settings["compression"], settings["window_s"], settings["prefix"]
    book, transport = _Book(settings["short_ms"]), _Transport()
    patience: list[tuple[float, str]] = []  # (when it ends, whose)
    async with AsyncClient(settings["target"], caller=prefix) as client:
        book.sequence = (await client.stats()).sequence
        watching = asyncio.create_task(_watch(client, book))
        link.tell("ready")
        await link.wait_for("start")
        begun = time.monotonic()

        def progress() -> dict[str, Any]:
            return {"tiers": book.tiers()}

        reporter = asyncio.create_task(link.keep_telling(progress))
        arrivals = _arrivals(random, people, window_s)
        numbers = itertools.count()
        due_s = next(arrivals, window_s)
        while (now_s := (time.monotonic() - begun) * faster) < window_s:
            fresh: list[Ticket] = []
            while due_s <= now_s and due_s < window_s:
                ticket = new_ticket(next(kinds), prefix, f"{prefix}-{next(numbers):08d}")
                book.tier[ticket.id] = str(ticket.attributes["tier"])
                heapq.heappush(patience, (due_s + workload.patience_s(random), ticket.id))
                fresh.append(ticket)
                due_s = next(arrivals, window_s)
            if fresh:
                transport.send(client.route_batch(fresh), partial(book.submitted, fresh))
            while patience and patience[0][0] <= now_s:
                _, leaving = heapq.heappop(patience)
                if book.state.get(leaving) == TicketState.WAITING:
                    transport.send(client.cancel(leaving, "out of patience"))
            if watching.done():
                watching.result()
            await asyncio.sleep(_TICK_S)
        await transport.quiet()
        reporter.cancel()
        link.tell("over", waits_ms=transport.waits_ms, tiers=book.tiers(), refused=transport.refused)
        await link.wait_for("freeze")
        book.freeze()
        link.tell("frozen")
        sequence = (await link.wait_for("settle"))["sequence"]
        while not book.settle(sequence):
            await asyncio.wait([watching], timeout=_TICK_S)
            if watching.done():
                watching.result()
        watching.cancel()
        link.tell("ledger", counts=book.counts, states=book.state)
        await link.wait_for("stop")


async def _watch(client: AsyncClient, book: _Book) -> None:
    """Takes all events in, of every source: only so the stream tells how far it has come."""
    async with aclosing(client.watch_batches(after_sequence=book.sequence)) as batches:
        async for batch in batches:
            book.take(batch)


def _arrivals(random: Random, people: list[workload.AgentSpec], window_s: float) -> Iterator[float]:
    """When customers come, in seconds of the night: a Poisson stream at the peak's rate, thinned to the curve."""
    at_s, peak = 0.0, workload.arrivals_per_s(0, people)
    while (at_s := at_s + random.expovariate(peak)) < window_s:
        if random.random() * peak < workload.arrivals_per_s(at_s, people):
            yield at_s


async def desktop(settings: dict[str, Any], link: Link) -> None:
    """Plays the agents of one desktop until it is told to finish; then they complete what they hold, and take no more.

    Settings: target, session, seed, scale, part, parts, compression.
    """
    agents = agents_of(settings["scale"], settings["part"], settings["parts"])
    async with AsyncClient(settings["target"], caller=settings["session"]) as client:
        await client.upsert_agents(agents)
        async with client.session(settings["session"]) as session:
            floor = _Floor(session, Random(settings["seed"]), settings["compression"])  # noqa: S311 (a workload)
            await session.act([Login(session.name, agent.id) for agent in agents])
            tasks = [asyncio.create_task(floor.listen()), asyncio.create_task(floor.act())]
            link.tell("ready", agents=len(agents))
            order = asyncio.create_task(link.wait_for("finish"))
            await asyncio.wait([*tasks, order], return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done():
                    task.result()  # neither ends well by itself
            link.tell("over", waits_ms=floor.transport.waits_ms)
            await session.act([SetPresence(session.name, agent.id, Presence.DRAINING, "closing") for agent in agents])
            floor.finish()
            await link.wait_for("stop")
            await floor.transport.quiet()
            for task in tasks:
                task.cancel()
            link.tell("ledger", refused=floor.transport.refused)


class _Floor:
    """What the agents of one desktop do, and when."""

    def __init__(self, session: AsyncSession, random: Random, faster: float) -> None:
        self.transport = _Transport()
        self._session = session
        self._random = random
        self._faster = faster
        self._held: dict[str, Offer | Assignment] = {}
        self._due: list[tuple[float, int, int, Action]] = []  # (when, order, attempt, what)
        self._order = itertools.count()
        self._finishing = False

    async def listen(self) -> None:
        """Hears what the agents are given, and what is taken from them."""
        async with aclosing(self._session.work()) as work:
            async for item in work:
                match item:
                    case Offer() | Assignment():
                        if self._held.get(item.ticket) != item:
                            self._held[item.ticket] = item
                            self._plan(item)
                    case Event(kind=Queued() | Cancelled() | Completed() | Overflowed(), ticket=ticket):
                        self._held.pop(ticket, None)

    def finish(self) -> None:
        """Whatever is held is done at once, and so is what still comes."""
        self._finishing = True
        for item in self._held.values():
            self._plan(item)

    def _plan(self, item: Offer | Assignment) -> None:
        """Accepts an offer after a moment; replies to a customer, and is done with the ticket after its handle time."""
        ticket, attempt = item.ticket, item.attempt
        match item:
            case Offer():
                self._at(self._random.uniform(*ACCEPT_S), Accept(ticket, attempt))
            case Assignment(wrapping=False):
                reply_s = self._random.uniform(*REPLY_S)
                self._at(reply_s, Mark(ticket, attempt, "first_reply"))
                self._at(max(reply_s, workload.handle_s(self._random)), Complete(ticket, attempt))

    def _at(self, after_s: float, action: Accept | Mark | Complete) -> None:
        due = time.monotonic() + (0 if self._finishing else after_s / self._faster)
        heapq.heappush(self._due, (due, next(self._order), action.attempt, action))

    async def act(self) -> None:
        """Does what is due, as far as the ticket is still there."""
        while True:
            actions: list[Action] = []
            while self._due and self._due[0][0] <= time.monotonic() and len(actions) < _ACTIONS_MAX:
                _, _, attempt, action = heapq.heappop(self._due)
                held = self._held.get(getattr(action, "ticket", ""))
                if held is not None and held.attempt == attempt:
                    actions.append(action)
            if actions:
                self.transport.send(self._session.act(actions), self._count)
            await asyncio.sleep(_TICK_S)

    def _count(self, results: list[ActionResult | RejectedError]) -> None:
        """A customer may leave while an answer is on its way: that is refused, and no fault."""
        self.transport.refused.update(result.name for result in results if isinstance(result, RejectedError))
