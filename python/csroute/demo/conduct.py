"""How each half is played: a server of its own, client processes against it, and the reckoning in the end.

A half is a sequence of orders to the crew. Its result is a plain dict, as `--json` writes it: what the clients' ledgers
say, where they disagree with the server, and the figures of the time played (the setting up and the closing are not
part of it).
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from csroute.client import AsyncClient
from csroute.client.calls import Ask, Calls
from csroute.demo.child import unpack
from csroute.demo.crew import Child, Crew, CrewError
from csroute.demo.figures import PERCENTILES, Scrape, quantiles, scrape
from csroute.demo.ledger import compare, open_ids, reconcile, settle
from csroute.demo.plan import compressed, plan_night, plan_throughput
from csroute.errors import NotFoundError
from csroute.presets.double11 import policy
from csroute.types import QueueStats, Stats, TicketState
from csroute.v1 import ticket_pb2

if TYPE_CHECKING:
    from csroute.demo.plan import Options
    from csroute.demo.screen import Screen

__all__ = ["play_night", "play_throughput"]

_LOOK_S: Final = 0.5
_CLOSING_S: Final = 30.0
"""How long the desktops may take to complete what they hold when the time is up."""
_HELD: Final = ("offered", "active", "wrapping")
_OPEN: Final = tuple(state for state in TicketState if state and not state.ended)
_ALL: Final = tuple(state for state in TicketState if state)
_PORTS: Final = ("--listen", "127.0.0.1:0", "--native", "off", "--metrics", "127.0.0.1:0")
_SHORT_MS: Final = 5000
"""The preset's: who leaves sooner is not counted."""

Figures = dict[str, Any]
Show = Callable[[float, Scrape, list[Figures]], None]
"""Draws: the seconds played, what the server says, what the client processes say."""


async def play_throughput(options: Options, screen: Screen) -> Figures:
    """The first half: as many tickets as are asked for, completed at once."""
    plan = plan_throughput(options)
    async with Crew() as crew:
        address, metrics, _ = await _server(crew)
        names = [f"g{number}" for number in range(options.gateways)]
        rate_per_s = plan.rate_per_min / 60 / len(names)
        desktops = [
            await crew.hire(f"desktop {number}", "throughput.desktop", target=address, session=f"desktop-{number}",
                            scale=1.0, part=number, parts=options.desktops)
            for number in range(options.desktops)
        ]  # fmt: skip
        gateways = [
            await crew.hire(f"gateway {number}", "throughput.gateway", target=address, prefix=name,
                            seed=options.seed + number, rate_per_s=rate_per_s, batch=options.batch, in_flight_max=8)
            for number, name in enumerate(names)
        ]  # fmt: skip
        await _all(desktops, "ready")
        await _all(gateways, "ready")
        screen.begin_throughput(plan, len(gateways), len(desktops))
        async with AsyncClient(address, caller="demo", timeout_s=30) as client:
            before = await scrape(metrics)
            begun = _tell(gateways, "start")
            occupancy = await _look_on(plan.seconds, begun, metrics, [*gateways, *desktops], screen.throughput)
            seconds = time.monotonic() - begun
            _tell(gateways, "stop")
            _tell(desktops, "finish")
            completed = sum(report["completed"] for report in await _all(desktops, "over"))
            after = await scrape(metrics)
            given = await _all(gateways, "ledger")
            stats = await _closed(client, metrics)
            _tell(desktops, "stop")
            done = await _all(desktops, "ledger")
            ledgers = {
                name: (unpack(report["marks"]), _merged([desk["marks"].get(name) for desk in done]))
                for name, report in zip(names, given, strict=True)
            }
            told = await _told(client, open_ids(ledgers))
            tally = reconcile(ledgers, told)
            compare(tally, stats)
    waits_ms = [wait for report in given for wait in report["waits_ms"]]
    submitted = sum(report["answered"] for report in given)
    return {
        "offered_load_over_capacity": round(occupancy * submitted / max(1, completed), 3),
        "seconds": round(seconds, 3),
        **asdict(tally),
        "refused": sum(marks.count(0xFF) for marks, _ in ledgers.values()),
        "tickets_per_minute": round(completed / seconds * 60),
        "submitted_per_minute": round(submitted / seconds * 60),
        "decision_latency_us": after.quantiles_us("decision", before),
        "end_to_end_latency_us": after.quantiles_us("end_to_end", before),
        "batch_round_trip_ms": quantiles(waits_ms),
        "occupancy": occupancy,
        "batch": plan.batch,
        "agents": plan.agents,
        "actions_refused": dict(sum((Counter(report["refused"]) for report in done), Counter())),
    }


async def play_night(options: Options, screen: Screen) -> Figures:
    """The second half: the first minutes of the night, as people can serve them."""
    plan = plan_night(options.night_seconds, options.night_scale)
    with tempfile.TemporaryDirectory(prefix="csroute-demo-") as folder:
        faster = Path(folder) / "double11-compressed.policy"
        faster.write_bytes(compressed(policy.compile(), plan.compression))
        async with Crew() as crew:
            address, metrics, _ = await _server(crew, "--policy", str(faster))
            desktops = [
                await crew.hire(f"desktop {number}", "night.desktop", target=address, session=f"desktop-{number}",
                                seed=options.seed + number, scale=plan.scale, part=number, parts=options.desktops,
                                compression=plan.compression)
                for number in range(options.desktops)
            ]  # fmt: skip
            await _all(desktops, "ready")
            gateway = await crew.hire(
                "gateway", "night.gateway", target=address, prefix="shop", seed=options.seed, scale=plan.scale,
                window_s=plan.window_s, compression=plan.compression, short_ms=_SHORT_MS / plan.compression,
            )  # fmt: skip
            await gateway.report("ready")
            screen.begin_night(plan, len(desktops))
            async with AsyncClient(address, caller="demo", timeout_s=30) as client:
                before = await scrape(metrics)
                begun = _tell([gateway], "start")
                occupancy = await _look_on(plan.seconds, begun, metrics, [gateway], screen.night)
                over = await gateway.report("over")
                played = await client.stats()
                after = await scrape(metrics)
                _tell(desktops, "finish")
                desks = await _all(desktops, "over")
                await _closed(client, metrics)
                _tell([gateway], "freeze")
                await gateway.report("frozen")
                closed = await client.stats()
                gateway.order("settle", sequence=closed.sequence)
                book = await gateway.report("ledger")
                states = {ticket: TicketState(state) for ticket, state in book["states"].items()}
                tally = settle(states, book["counts"], await _listed(client, _ALL))
                compare(tally, closed)
    waits_ms = [*over["waits_ms"], *(wait for desk in desks for wait in desk["waits_ms"])]
    transport = quantiles(waits_ms, PERCENTILES)
    return {
        "offered_load_over_capacity": round(plan.load, 3),
        "window_s": plan.window_s,
        "compression": plan.compression,
        "transport_ms": transport,
        "error_s": round(transport.get("p99", 0) * plan.compression / 1000, 3),
        **asdict(tally),
        "at_the_end": _at_the_end(played),
        "refused": book["counts"].get("refused", 0),
        "tickets_per_minute": round(played.completed / plan.window_s * 60, 1),
        "service_level": _service_level(played, over["tiers"], plan.compression),
        "decision_latency_us": after.quantiles_us("decision", before),
        "end_to_end_latency_us": after.quantiles_us("end_to_end", before),
        "occupancy": occupancy,
        "agents": plan.agents,
    }


# --- the parts of a half -------------------------------------------------------------------------------------------


async def _server(crew: Crew, *arguments: str) -> tuple[str, int, int]:
    """Starts a server on free ports of this machine: its address, its metrics' port, its process id."""
    ready, pid = await crew.serve(*_PORTS, *arguments, ready=_listening)
    ports = json.loads(ready)
    return f"127.0.0.1:{ports['port']}", ports["metrics_port"], pid


def _listening(line: str) -> str | None:
    """The server's log line that says where it listens; None for any other."""
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return line if isinstance(found, dict) and found.get("event") == "listening" else None


async def _all(children: list[Child], kind: str) -> list[Figures]:
    return [await child.report(kind) for child in children]


def _tell(children: list[Child], kind: str) -> float:
    for child in children:
        child.order(kind)
    return time.monotonic()


async def _look_on(seconds: float, begun: float, metrics: int, children: list[Child], show: Show) -> float:
    """Shows how it goes until the time is up: the mean occupancy."""
    looks: list[float] = []
    while (left_s := begun + seconds - time.monotonic()) > 0:
        await asyncio.sleep(min(_LOOK_S, left_s))
        seen: Scrape = await scrape(metrics)
        looks.append(seen.value("csroute_occupancy_ratio"))
        show(min(seconds, time.monotonic() - begun), seen, [child.latest for child in children])
    return round(sum(looks) / len(looks), 4)


async def _closed(client: AsyncClient, metrics: int) -> Stats:
    """Waits until no agent holds a ticket any more: the figures then."""
    until = time.monotonic() + _CLOSING_S
    while True:
        seen = await scrape(metrics)  # up to a second old, but it costs the router nothing
        if not any(seen.value("csroute_tickets", state=state) for state in _HELD):
            stats = await client.stats()
            if not stats.offered + stats.active + stats.wrapping:
                return stats
        if time.monotonic() > until:
            held = ", ".join(f"{seen.value('csroute_tickets', state=state):.0f} {state}" for state in _HELD)
            raise CrewError(f"the desktops did not finish in {_CLOSING_S:.0f} s: {held} tickets are left")
        await asyncio.sleep(0.2)


async def _listed(client: AsyncClient, states: tuple[TicketState, ...]) -> dict[str, TicketState]:
    """All tickets in these states, by the server; of each, no more is read than that."""
    found: dict[str, TicketState] = {}
    token = ""
    while True:
        whole = Calls.list_tickets.ask(states=states, page_size=1000, page_token=token)
        page = await client._ask(Ask(whole.rpc, whole.request, ticket_pb2.ListTicketsReply.FromString))
        found.update((ticket.id, TicketState(ticket.state)) for ticket in page.tickets)
        if not (token := page.next_page_token):
            return found


async def _told(client: AsyncClient, tickets: list[str]) -> dict[str, TicketState]:
    """The server's word on these tickets; one that it does not know is left out."""
    told = await _listed(client, _OPEN) if tickets else {}
    for ticket in tickets:
        if ticket not in told:
            try:
                told[ticket] = (await client.get_ticket(ticket)).state
            except NotFoundError:
                continue
    return told


def _merged(ledgers: list[str | None]) -> bytearray:
    """Several desktops' ledgers of one gateway's tickets, added up."""
    merged = bytearray()
    for ledger in ledgers:
        marks = unpack(ledger) if ledger is not None else bytearray()
        if len(marks) > len(merged):
            merged, marks = marks, merged
        for number, times in enumerate(marks):
            if times:
                merged[number] += times
    return merged


def _at_the_end(played: Stats) -> Figures:
    """Where tickets were when the window was over."""
    names = (
        "submitted",
        "assigned",
        "completed",
        "cancelled",
        "overflowed",
        "waiting",
        "offered",
        "active",
        "wrapping",
    )
    return {name: getattr(played, name) for name in names}


def _service_level(played: Stats, tiers: Figures, compression: float) -> Figures:
    """Of all, by queue, by tier and clock. Times in seconds of the night."""
    return {
        "overall": played.service_level_milli / 1000,
        "by_queue": {queue.queue: _queue(queue, compression) for queue in played.queues if queue.arrived},
        "by_clock": {
            clock.clock: {"met": clock.met, "breached": clock.breached, "level": _share(clock.met, clock.breached)}
            for clock in played.clocks
        },
        "by_tier": {
            tier: {
                **{name: figures[name] for name in ("answered", "left", "left_soon")},
                "clocks": {
                    clock: {**outcome, "level": _share(outcome["met"], outcome["missed"] + outcome["left"])}
                    for clock, outcome in figures["clocks"].items()
                },
            }
            for tier, figures in tiers.items()
        },
    }


def _queue(queue: QueueStats, compression: float) -> Figures:
    counted = queue.answered + queue.abandoned + queue.overflowed - queue.short_abandoned
    return {
        "arrived": queue.arrived,
        "answered": queue.answered,
        "abandoned": queue.abandoned,
        "overflowed": queue.overflowed,
        "waiting": queue.waiting,
        "level": _share(queue.met, counted - queue.met),
        "asa_s": round(queue.wait_total_ms / queue.answered * compression / 1000, 1) if queue.answered else None,
    }


def _share(good: int, bad: int) -> float | None:
    return round(good / (good + bad), 4) if good + bad else None
