"""Rows through real servers, by the load kit: a `csroute serve` of its own, clients beside it on the same cores.

python -m benches.kit lifecycles | open_loop | durable | overload     [--quick]
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benches.peers.measure import BATCH, FOLDER, IN_FLIGHT, redis_durable
from benches.peers.reduced import World, policy
from benches.rows import Row, show
from csroute.demo.crew import Crew
from csroute.load import Options, Source
from csroute.load.conduct import running
from csroute.load.source import sample
from csroute.types import AgentSpec
from csroute.v1 import ticket_pb2

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

__all__ = ["GROUPS", "Served", "fsync_p99_ms", "run", "serving", "source"]

COMMAND = "python -m benches.kit"
OPEN_PER_MIN = 1_000_000
WORLD = World(places=5)
CALLS_MAX = 64


class Served:
    """A server's doors, and its process."""

    def __init__(self, said: dict[str, Any], pid: int) -> None:
        self.python = f"127.0.0.1:{said['port']}"
        self.native = f"127.0.0.1:{said['native_port']}"
        self.pid = pid


@contextlib.asynccontextmanager
async def serving(
    world: World, *, durable: bool = False, settings: dict[str, int] | None = None
) -> AsyncIterator[Served]:
    """A server with the world's policy; `durable`: every answer after an fsync, on the disk that the project is on."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
        file = Path(folder) / "bench.policy"
        file.write_bytes(policy(world).SerializeToString())
        arguments = ["--listen", "127.0.0.1:0", "--native", "127.0.0.1:0", "--metrics", "off", "--policy", str(file)]
        if durable:
            arguments += ["--data-dir", str(Path(folder) / "data"), "--durability", "fsync"]
        if settings:
            (Path(folder) / "bench.toml").write_text("".join(f"{name} = {value}\n" for name, value in settings.items()))
            arguments += ["--config", str(Path(folder) / "bench.toml")]
        async with Crew() as crew:
            said, pid = await crew.serve(*arguments, ready=_listening)
            yield Served(json.loads(said), pid)


def _listening(line: str) -> str | None:
    return line if '"event": "listening"' in line else None


def source(world: World, seed: int) -> Source:
    """The reduced work's tickets and agents."""
    rng = random.Random(seed)
    tickets = []
    for _ in range(4096):
        ticket = ticket_pb2.NewTicket(channel="chat")
        ticket.attributes.add(name="kind", value=f"k{rng.randrange(world.skills)}")
        tickets.append(sample(ticket))
    skills = enumerate(world.skills_of())
    return Source(
        tickets, [AgentSpec(f"a{n}", dict.fromkeys((f"k{one}" for one in some), 1), 100) for n, some in skills]
    )


def fsync_p99_ms(seconds: float = 1.0) -> float:
    """The disk's own: 32 KiB appended and made durable, one after the other."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    took: list[float] = []
    block = bytes(32 << 10)
    with tempfile.NamedTemporaryFile(dir=FOLDER) as file:
        end = time.perf_counter() + seconds
        while (began := time.perf_counter()) < end or len(took) < 20:
            file.write(block)
            file.flush()
            os.fdatasync(file.fileno())
            took.append((time.perf_counter() - began) * 1000)
    return sorted(took)[len(took) * 99 // 100]


async def run(options: Options, world: World) -> dict[str, Any]:
    """A run; raises RuntimeError if its answers were wrong."""
    report = await running(
        options, source(world, options.seed) if options.desks != "none" else _tickets(world, options)
    )
    if report["problems"]:
        raise RuntimeError(f"wrong answers: {report['problems']}")
    return report


def _tickets(world: World, options: Options) -> Source:
    return Source(source(world, options.seed).samples)


def _valid(reports: list[dict[str, Any]]) -> str:
    bad = sum(not report["valid"] for report in reports)
    return (
        f"; {bad} of {len(reports)} runs NOT VALID: {next(r['invalid'][0] for r in reports if r['invalid'])}"
        if bad
        else ""
    )


async def lifecycles(*, short: bool, seed: int) -> list[Row]:
    """Route and complete in batches of 256, fsync, at both doors by turns."""
    rounds, seconds = (1, 1.0) if short else (3, 8.0)
    reports: dict[str, list[dict[str, Any]]] = {"native": [], "python": []}
    async with serving(WORLD, durable=True) as served:
        for _ in range(rounds):
            for door, found in reports.items():
                options = Options(getattr(served, door), how="batch", batch=BATCH, loop="closed", in_flight=IN_FLIGHT,
                                  desks="act", seconds=seconds, warm_up_s=1, seed=seed,
                                  server_pid=served.pid)  # fmt: skip
                found.append(await run(options, WORLD))
    rates = {door: [60 * one["completed_per_s"] / 1e6 for one in found] for door, found in reports.items()}
    note = f"route + complete, {IN_FLIGHT} batches in flight, closed loop, client on the same cores"
    rows = []
    for door, other in (("python", "native"), ("native", "python")):
        ratios = [one / its for one, its in zip(rates[door], rates[other], strict=True)]
        more = {"server_us_a_lifecycle": [one["server_us_a_ticket"] for one in reports[door]]}
        what = f"lifecycles in batches of {BATCH}, fsync, {door} door"
        rows.append(
            Row(
                what, "M/min", rates[door], f"the {other} door, same round", ratios, f"{COMMAND} lifecycles", note, more
            )
        )
    return rows


async def open_loop(*, short: bool, seed: int) -> list[Row]:
    """Unary Route at a million a minute, Poisson, fsync: what p99 is, and what the disk's own is."""
    rounds, seconds, rate = (1, 1.0, 30_000) if short else (3, 10.0, OPEN_PER_MIN)
    reports, disk = [], []
    async with serving(WORLD, durable=True) as served:
        for _ in range(rounds):
            before = fsync_p99_ms(0.1 if short else 1.0)
            options = Options(served.native, how="unary", loop="poisson", rate_per_min=rate, desks="act",
                              seconds=seconds, warm_up_s=1 if short else 3, seed=seed)  # fmt: skip
            reports.append(await run(options, WORLD))
            disk.append((before + fsync_p99_ms(0.1 if short else 1.0)) / 2)
    found = [one["call"]["p99_us"] / 1000 for one in reports]
    ratios = [one / its for one, its in zip(found, disk, strict=True)]
    late = ", ".join(f"{one['late']['p99_us'] / 1000:.2f}" for one in reports)
    note = f"open loop, Poisson; the disk's fsync p99 {', '.join(f'{one:.2f}' for one in disk)} ms; late p99 {late} ms"
    what = f"unary Route, native door, fsync, open loop at {rate:,}/min: p99"
    more = {"assigned_p99_ms": [one["assigned"]["p99_us"] / 1000 for one in reports], "disk_p99_ms": disk}
    return [
        Row(
            what,
            "ms",
            found,
            "the disk's fsync p99, same run",
            ratios,
            f"{COMMAND} open_loop",
            note + _valid(reports),
            more,
        )
    ]


async def durable(*, short: bool, seed: int) -> list[Row]:
    """End to end and durable, native door, against Redis with appendfsync always."""
    rounds, seconds, each = (1, 1.0, 4) if short else (3, 6.0, 40)
    ours: list[float] = []
    theirs: list[float] = []
    world = World(agents=1_000, profiles=100, places=5) if short else WORLD
    async with serving(world, durable=True) as served:
        for number in range(rounds):
            options = Options(served.native, how="batch", batch=BATCH, loop="closed", in_flight=IN_FLIGHT, desks="act",
                              seconds=seconds, warm_up_s=1, seed=seed)  # fmt: skip
            ours.append((await run(options, world))["completed_per_s"])
            alone = World(agents=world.agents, profiles=world.profiles)
            theirs += redis_durable(alone, rounds=1, each=each, seed=seed + number)
    ratios = [one / its for one, its in zip(ours, theirs, strict=True)]
    note = f"batches of {BATCH}, {IN_FLIGHT} in flight both; Redis over a unix socket, a batch a script call"
    more = {"peer": theirs}
    what = "lifecycles end to end, fsync, native door"
    return [Row(what, "lifecycles/s", ours, "Redis, appendfsync always", ratios, f"{COMMAND} durable", note, more)]


async def overload(*, short: bool, seed: int) -> list[Row]:
    """Offered twice what a closed loop reaches, in batches, whose clients cost little: what is answered in 100 ms.

    The door takes as many calls at a time as it answers in a third of that, and sheds the rest. Nobody is logged in.
    """
    rounds, seconds, size = (1, 1.0, 64) if short else (3, 4.0, 64)
    peaks, goods, reports = [], [], []
    for _ in range(rounds):
        async with serving(WORLD, settings={"native_calls_max": CALLS_MAX}) as served:
            half = CALLS_MAX // 2
            peak = Options(served.native, how="batch", batch=size, loop="closed", in_flight=half, desks="none",
                           seconds=seconds, warm_up_s=1, seed=seed)  # fmt: skip
            peaks.append((await run(peak, WORLD))["good_per_s"])
            rate = 2 * 60 * peaks[-1]
            twice = Options(served.native, how="batch", batch=size, loop="constant", rate_per_min=rate, desks="none",
                            patience_ms=100, seconds=seconds, warm_up_s=1, seed=seed)  # fmt: skip
            reports.append(await run(twice, WORLD))
            goods.append(reports[-1]["good_per_s"])
    ratios = [one / its for one, its in zip(goods, peaks, strict=True)]
    shed = ", ".join(f"{one['refused_by_code'].get('8', 0):,} of {one['calls']:,}" for one in reports)
    late = ", ".join(f"{one['late']['p99_us'] / 1000:.2f}" for one in reports)
    note = f"batches of {size}, in memory; shed with a retry hint: {shed} calls; late p99 {late} ms{_valid(reports)}"
    what = "goodput at twice the peak, native door"
    more = {"p99_ms": [one["call"]["p99_us"] / 1000 for one in reports]}
    return [
        Row(what, "tickets/s", goods, "the closed loop's peak, same round", ratios, f"{COMMAND} overload", note, more)
    ]


GROUPS: dict[str, Callable[..., Any]] = {
    "lifecycles": lifecycles,
    "open_loop": open_loop,
    "durable": durable,
    "overload": overload,
}

if __name__ == "__main__":
    for name in [one for one in sys.argv[1:] if not one.startswith("--")] or GROUPS:
        found = asyncio.run(GROUPS[name](short="--quick" in sys.argv, seed=11))
        show(found)
        print(*(row.note for row in found), sep="\n")
