"""A load test as a sequence of orders to its processes, and the report in the end."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import secrets
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from csroute._csroute import histograms_merged
from csroute.client import AsyncClient
from csroute.demo.child import unpack
from csroute.demo.crew import Child, Crew, CrewError
from csroute.errors import ConfigError, CsrouteError, UnavailableError
from csroute.load.options import LATE_P99_MS_MAX, Options
from csroute.load.reckon import Book, open_ids, reconcile
from csroute.load.source import Source, double11
from csroute.types import AgentSpec, Login

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Figures", "Show", "run", "running"]

Figures = dict[str, Any]
T = TypeVar("T")
Show = Callable[[float, Figures], None]
"""Draws: the seconds measured so far (less than 0: warming up), and the figures of this look."""

_LOOK_S: Final = 0.5
_ANSWER_S: Final = 120.0
_STILL_S: Final = 1.0
"""Desks that completed nothing for so long have nothing left."""
_AGENTS_A_CALL: Final = 1000
_IDS_A_CALL: Final = 10_000
_ASKED_MAX: Final = 100_000
"""Tickets that nobody completed, and that the server is asked about one by one."""
_SUMMED: Final = (
    "calls", "sent", "taken", "good", "offered", "replayed", "unanswered", "unsent", "completed",
    "completed_measured", "strangers", "in_flight",
)  # fmt: skip
_MEASURES: Final = ("call", "assigned", "late")


def run(options: Options, source: Source | None = None, show: Show | None = None) -> Figures:
    """Runs it; the report, as `--json` writes it. Raises UnavailableError if the server does not answer (any more)."""
    return asyncio.run(_until_told(options, source, show))


async def _until_told(options: Options, source: Source | None, show: Show | None) -> Figures:
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 (a coroutine that runs has one)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)  # as Ctrl-C: end what was started
    return await running(options, source, show)


async def running(options: Options, source: Source | None = None, show: Show | None = None) -> Figures:
    """The same, for whoever has a loop already."""
    options = options.named(f"l{secrets.token_hex(3)}")
    if source is None:
        source = double11(options.seed, options.agents_scale if options.desks != "none" else 0)
    if options.loop == "recorded" and not source.recorded_ns:
        raise ConfigError("load: the loop is as recorded, and nothing was: give a journal")
    if options.desks != "none" and not source.agents:
        raise ConfigError("load: there are no agents in this source: give desks none")
    try:
        return await _played(options, source, show)
    except CrewError as error:
        raise UnavailableError(str(error), grpc_code=14) from None


async def _played(options: Options, source: Source, show: Show | None) -> Figures:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="csroute-load-")))
        source.write(folder / "source")
        client = await stack.enter_async_context(
            AsyncClient(options.desk_server or options.server, caller="load", tenant=options.tenant,
                        token=options.token, timeout_s=_ANSWER_S)
        )  # fmt: skip
        await client.stats()  # it answers
        if options.desks != "none":
            await _staff(stack, client, options, source.agents)
        crew = await stack.enter_async_context(Crew())
        children = [
            await crew.hire(f"client {process}", "load.client", source=str(folder / "source"),
                            generator=options.settings(process))
            for process in range(options.processes)
        ]  # fmt: skip
        for child in children:
            await child.report("ready")
        before = await client.stats()
        for child in children:
            child.order("start")
        begun = time.monotonic()
        series = await _look_on(options, children, begun, show)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(options.settle_s if options.desks != "none" else 0.01):
                await _settled(children)
        for child in children:
            child.order("stop")
        left = [await child.report("ledger", timeout_s=_ANSWER_S) for child in children]
        books = [Book(unpack(one["given"]), _told(one["told"])) for one in left]
        opened = open_ids(options.name, books)
        asked = opened[:: 1 + len(opened) // _ASKED_MAX]  # all, or one in so many
        server = await _word(client, asked)
        after = await client.stats()
    tally = {**reconcile(options.name, books, asked, server), "not_completed": len(opened)}
    waiting = {"before": before.waiting, "after": after.waiting}
    return _report(options, left, tally, series, waiting)


def _told(told: dict[str, list[str]]) -> dict[int, tuple[bytearray, bytearray]]:
    return {int(process): (unpack(assigned), unpack(completed)) for process, (assigned, completed) in told.items()}


async def _staff(stack: AsyncExitStack, client: AsyncClient, options: Options, agents: Sequence[AgentSpec]) -> None:
    """Each process's desk has its share of the agents, under names of this run; they leave with it."""
    for process in range(options.processes):
        mine = agents[process :: options.processes]
        named = [AgentSpec(f"{options.name}.{one.id}", one.skills, one.capacity, one.channels) for one in mine]
        session = await stack.enter_async_context(client.session(options.session(process), lease_ms=60_000))
        for some in _chunks(named, _AGENTS_A_CALL):
            _all_well(await client.upsert_agents(some))
            _all_well(await session.act([Login(session.name, one.id) for one in some]))


def _chunks(items: list[T], size: int) -> Iterator[list[T]]:
    return (items[at : at + size] for at in range(0, len(items), size))


def _all_well(results: Sequence[object]) -> None:
    for result in results:
        if isinstance(result, CsrouteError):
            raise result


async def _look_on(options: Options, children: list[Child], begun: float, show: Show | None) -> list[Figures]:
    """Until all is sent and answered: what was seen, look by look."""
    most_s = options.warm_up_s + options.seconds + options.patience_ms / 1000 + _ANSWER_S
    over = [asyncio.ensure_future(child.report("over", timeout_s=most_s)) for child in children]
    series: list[Figures] = []
    last: Figures = {}
    while not all(one.done() for one in over):
        await asyncio.wait(over, timeout=_LOOK_S, return_when=asyncio.ALL_COMPLETED)
        seen = _summed([child.latest for child in children])
        played = time.monotonic() - begun - options.warm_up_s
        seen["seconds"] = round(played, 2)
        passed = played - last.get("seconds", -options.warm_up_s)
        for rate in ("taken", "completed"):
            seen[f"{rate}_per_s"] = round((seen[rate] - last.get(rate, 0)) / max(passed, 1e-3))
        if options.server_pid:
            seen["rss_bytes"] = _resident(options.server_pid)
            seen["server_cpu_s"] = _cpu_s(options.server_pid)
        last = seen
        series.append(seen)
        if show is not None:
            show(played, seen)
        if seen["trouble"]:
            break
    for one in over:
        one.cancel()
    for one in over:
        if one.done() and not one.cancelled():
            one.result()
    if last.get("trouble"):
        raise UnavailableError(f"the load broke off: {last['trouble']}", grpc_code=14)
    return series


def _summed(looks: list[Figures]) -> Figures:
    """The processes' figures together: counts added, the worst of percentiles (a look's are not kept as histograms)."""
    seen: Figures = {name: sum(one.get(name, 0) for one in looks) for name in _SUMMED}
    for name in ("refused", "actions_refused"):
        seen[name] = dict(sum((Counter(one.get(name, {})) for one in looks), Counter()))
    for measure in _MEASURES:
        parts = [one["since"][measure] for one in looks if one.get("since")]
        seen[measure] = {key: max((part[key] for part in parts), default=0) for key in ("p50_us", "p99_us", "max_us")}
    seen["cpu_s"] = [one.get("cpu_s", 0.0) for one in looks]
    seen["trouble"] = next((one["trouble"] for one in looks if one.get("trouble")), None)
    return seen


def _resident(pid: int) -> int:
    """A process's resident memory, bytes; 0: it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:")), 0)


def _cpu_s(pid: int) -> float:
    """The time that a process's threads had a core so far, user's and system's."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _server_us(series: list[Figures]) -> float:
    """µs of a core that the server used for a ticket that was taken, by the looks; 0: it was not looked at."""
    looks = [look for look in series if "server_cpu_s" in look]
    taken = looks[-1]["taken"] - looks[0]["taken"] if looks else 0
    return round(1e6 * (looks[-1]["server_cpu_s"] - looks[0]["server_cpu_s"]) / taken, 2) if taken else 0.0


async def _settled(children: list[Child]) -> None:
    """Until the desks have nothing left to complete."""
    completed, since = -1, time.monotonic()
    while time.monotonic() - since < _STILL_S:
        await asyncio.sleep(_LOOK_S / 2)
        now = sum(child.latest.get("completed", 0) for child in children)
        if now != completed:
            completed, since = now, time.monotonic()


async def _word(client: AsyncClient, ids: list[str]) -> dict[str, str]:
    """The server's word on tickets: the state of each that it knows."""
    found: dict[str, str] = {}
    for some in _chunks(ids, _IDS_A_CALL):
        for position in await client.get_positions(some):
            found[position.id] = position.state.name
    return found


def _report(options: Options, left: list[Figures], tally: Figures, series: list[Figures], waiting: Figures) -> Figures:
    counts = _summed([one["counts"] for one in left])
    report: Figures = {
        "options": options.to_dict(),
        "seconds": options.seconds,
        "offered_per_s": round(counts["offered"] / options.seconds, 1),
        "good_per_s": round(counts["good"] / options.seconds, 1),
        "completed_per_s": round(counts["completed_measured"] / options.seconds, 1),
        "calls": counts["calls"],
        "unsent_calls": counts["unsent"],
        "refused_by_code": counts["refused"],
        "actions_refused_by_code": counts["actions_refused"],
        "generator_cores": round(max(counts["cpu_s"]) / (options.warm_up_s + options.seconds), 2),
        "server_us_a_ticket": _server_us(series),
        "waiting": waiting,
        "others_tickets": counts["strangers"],
        "nice": left[0]["nice"],
    }
    for measure in _MEASURES:
        whole, figures = histograms_merged([base64.b64decode(one["histograms"][measure]) for one in left])
        report[measure] = {**json.loads(figures), "hdr": base64.b64encode(whole).decode()}
    report["problems"] = tally.pop("problems")
    report["ledger"] = tally
    if counts["replayed"]:
        report["problems"].append(f"{counts['replayed']} new tickets were known already")
    report["invalid"] = _invalid(options, counts, report)
    report["valid"] = not report["invalid"]
    report["series"] = series
    return report


def _invalid(options: Options, counts: Figures, report: Figures) -> list[str]:
    """Why the run says nothing about the server."""
    why = []
    if options.is_open and (late := report["late"]["p99_us"] / 1000) > LATE_P99_MS_MAX:
        why.append(
            f"the generator was late itself: {late:.1f} ms at p99, {LATE_P99_MS_MAX:g} is allowed; "
            "use more processes, a lower rate, or a machine of its own"
        )
    if counts["unsent"]:
        why.append(
            f"{counts['unsent']} calls that were due were not sent, as many as may be being under way: "
            "it is no open loop any more; raise in-flight, or lower the rate"
        )
    return why
