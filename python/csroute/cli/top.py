"""`csroute top`: queues, agents, clocks and the node, live in the terminal; `--once` prints one frame.

Figures of tickets and agents come over gRPC (`GetStats`), those of the node and its journal from its metrics endpoint.
Both are counters since start: what is shown by the second is the difference between two looks.
"""

from __future__ import annotations

import time
import urllib.request
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import RenderableType
    from rich.table import Table

    from csroute.types import ClockStats, QueueStats, Stats

__all__ = ["Look", "frame", "top"]

_QUEUES_SHOWN = 20
_BYTES_MAX = 16 << 20
_TIMEOUT_S = 2.0
_SPACE = {0: "ample", 1: "low: no new tickets", 2: "full: nothing is taken"}


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen at a time (seconds, of any clock that does not go back)."""

    at_s: float
    stats: Stats
    node: dict[str, float] = field(default_factory=dict)
    """The samples of the metrics endpoint that have no labels, by name; empty: it was not reached."""


def top(
    *,
    server: Annotated[str, typer.Option(metavar="ADDR", help="The server.")] = "127.0.0.1:7700",
    metrics: Annotated[
        str, typer.Option(metavar="ADDR", help="Its metrics endpoint, host:port, or off.")
    ] = "127.0.0.1:7780",
    tenant: Annotated[str, typer.Option(help="Whose figures. Empty: the server's default.")] = "",
    every: Annotated[float, typer.Option(min=0.2, max=60, help="Seconds between two looks.")] = 1.0,
    once: Annotated[bool, typer.Option("--once", help="Print one frame and leave.")] = False,
) -> None:
    """A live view of queues, agents, clocks, calls in flight, the journal and the policy. Ctrl-C leaves."""
    from rich.console import Console  # noqa: PLC0415
    from rich.live import Live  # noqa: PLC0415

    from csroute.client import Client  # noqa: PLC0415
    from csroute.errors import UnavailableError  # noqa: PLC0415

    with Client(server, tenant=tenant, caller="csroute-top", timeout_s=5) as client:

        def look() -> Look:
            return Look(time.monotonic(), client.stats(), _node(metrics))

        try:
            seen = look()
        except UnavailableError as error:
            if error.code:
                raise
            raise UnavailableError(f"no server answers at {server}", grpc_code=14) from None
        console = Console()
        if once or not console.is_terminal:
            # Rates need two looks.
            time.sleep(min(every, 1.0))
            console.print(frame(look(), seen, server))
            return
        with Live(frame(seen, None, server), console=console, screen=True, auto_refresh=False) as screen:
            while True:
                time.sleep(every)
                before, seen = seen, look()
                screen.update(frame(seen, before, server), refresh=True)


def _node(address: str) -> dict[str, float]:
    from prometheus_client.parser import text_string_to_metric_families  # noqa: PLC0415

    if address == "off":
        return {}
    try:
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=_TIMEOUT_S) as reply:
            text = reply.read(_BYTES_MAX).decode()
        families = list(text_string_to_metric_families(text))
    except (OSError, ValueError):
        return {}  # the view says so
    return {sample.name: sample.value for family in families for sample in family.samples if not sample.labels}


def frame(now: Look, before: Look | None, server: str) -> RenderableType:
    """One picture; rates by the second since the look before, if there is one."""
    from rich.columns import Columns  # noqa: PLC0415
    from rich.console import Group  # noqa: PLC0415
    from rich.panel import Panel  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    stats = now.stats
    policy = f"{stats.policy_name} {stats.policy_version:016x}" if stats.policy_version else "no policy"
    head = Text.assemble(("csroute top", "bold"), f"  {server}  {datetime.now().astimezone():%H:%M:%S}  ", policy)
    older = before.stats if before is not None else stats
    seconds = now.at_s - before.at_s if before is not None else 0.0
    return Group(
        head,
        Columns(
            [
                Panel(_tickets(stats, older, seconds), title="tickets", title_align="left"),
                Panel(_agents(stats), title="agents", title_align="left"),
                Panel(_clocks(stats.clocks, older.clocks), title="clocks", title_align="left"),
                Panel(_machine(now), title="node", title_align="left"),
            ]
        ),
        Panel(_queues(stats.queues, older.queues, seconds), title="queues", title_align="left"),
    )


def _rate(now: int, before: int, seconds: float) -> str:
    return f"{max(now - before, 0) / seconds:,.1f}" if seconds > 0 else "–"


def _grid(rows: Iterable[tuple[str, str]]) -> Table:
    from rich.table import Table  # noqa: PLC0415

    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim")
    grid.add_column(justify="right")
    for row in rows:
        grid.add_row(*row)
    return grid


def _tickets(stats: Stats, before: Stats, seconds: float) -> Table:
    states = ("scheduled", "waiting", "suspended", "offered", "active", "wrapping")
    rows = [(state, f"{getattr(stats, state):,}") for state in states if getattr(stats, state) or state == "waiting"]
    counters = ("submitted", "assigned", "completed", "cancelled", "overflowed")
    rows += [(f"{name}/s", _rate(getattr(stats, name), getattr(before, name), seconds)) for name in counters]
    return _grid([*rows, ("in time", f"{stats.service_level_milli / 10:.1f} %")])


def _agents(stats: Stats) -> Table:
    rows = [(presence, f"{getattr(stats, f'agents_{presence}'):,}") for presence in ("available", "away", "draining")]
    return _grid([*rows, ("offline", f"{stats.agents_offline:,}"), ("occupancy", f"{stats.occupancy:.1%}")])


def _clocks(clocks: Iterable[ClockStats], before: Iterable[ClockStats]) -> Table:
    from rich.table import Table  # noqa: PLC0415

    older = {clock.clock: clock for clock in before}
    table = Table(box=None, pad_edge=False, header_style="dim")
    for at, column in enumerate(("", "met", "warned", "breached", "new")):
        table.add_column(column, justify="left" if at == 0 else "right")
    for clock in clocks:
        was = older.get(clock.clock)
        new = clock.breached - (was.breached if was else 0)
        figures = (clock.met, clock.warned, clock.breached)
        table.add_row(clock.clock, *(f"{n:,}" for n in figures), f"[red]+{new}[/]" if new > 0 else "")
    return table


def _machine(look: Look) -> Table:
    node = look.node
    if not node:
        return _grid([("metrics", "not reached")])
    rows = [(name.replace("_", " "), f"{node.get(f'csroute_{name}', 0):,.0f}") for name in ("in_flight", "parked")]
    rows += [("watchers", f"{node.get('csroute_watchers', 0):,.0f}")]
    if node.get("csroute_draining"):
        rows.append(("draining", "yes"))
    if node.get("csroute_failed"):
        rows.append(("FAILED", "start it again"))
    if (lag := node.get("csroute_journal_durable_lag_seconds")) is None:
        return _grid([*rows, ("journal", "none")])
    space = _SPACE.get(int(node.get("csroute_journal_disk_space", 0)), "unknown")
    rows += [("journal lag", f"{lag * 1000:,.1f} ms"), ("journal disk", space)]
    return _grid([*rows, ("journal bytes", f"{node.get('csroute_journal_bytes_total', 0):,.0f}")])


def _queues(queues: Iterable[QueueStats], before: Iterable[QueueStats], seconds: float) -> Table:
    from rich.table import Table  # noqa: PLC0415

    from csroute.cli.bottleneck import duration  # noqa: PLC0415

    older = {queue.queue: queue for queue in before}
    table = Table(box=None, pad_edge=False, header_style="dim", expand=True)
    for at, column in enumerate(
        ("queue", "waiting", "oldest", "came/s", "answered/s", "left", "overflowed", "in time")
    ):
        table.add_column(column, justify="left" if at == 0 else "right", no_wrap=True)
    ranked = sorted(queues, key=lambda queue: (-queue.waiting, -queue.arrived, queue.queue))
    for queue in ranked[:_QUEUES_SHOWN]:
        was = older.get(queue.queue)
        came, answered = (was.arrived, was.answered) if was else (0, 0)
        counted = queue.answered + queue.abandoned + queue.overflowed - queue.short_abandoned
        table.add_row(
            queue.queue,
            f"{queue.waiting:,}",
            duration(queue.oldest_wait_ms),
            _rate(queue.arrived, came, seconds),
            _rate(queue.answered, answered, seconds),
            f"{queue.abandoned:,}",
            f"{queue.overflowed:,}",
            f"{queue.met / counted:.1%}" if counted else "–",
        )
    if len(ranked) > _QUEUES_SHOWN:
        rest = ranked[_QUEUES_SHOWN:]
        table.add_row(f"[dim]and {len(rest)} more[/]", f"{sum(queue.waiting for queue in rest):,}")
    return table
