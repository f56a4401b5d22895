"""What a person sees: a live table while a half is played, and the summary in the end.

On a terminal the table is drawn in place; elsewhere a line a second says how it goes.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from csroute.demo.figures import Scrape, quantiles

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from csroute.demo.plan import Night, Throughput

__all__ = ["Screen"]

_SPARKS: Final = "▁▂▃▄▅▆▇█"
_TREND_LOOKS: Final = 40
_QUEUES_SHOWN: Final = 12
_LINE_EVERY_S: Final = 1.0

Figures = dict[str, Any]


class Screen:
    """The demo's output."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console()
        self._live: Live | None = None
        self._line_at = 0.0
        self._last = (0.0, 0.0)  # (seconds played, tickets completed) at the last look
        self._trend: deque[float] = deque(maxlen=_TREND_LOOKS)
        self._throughput: Throughput | None = None
        self._night: Night | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_live()

    def say(self, text: str) -> None:
        """A line of its own, above the table."""
        self.console.print(text, highlight=False)

    def stop(self, text: str) -> None:
        """The last line, in the table's place."""
        self._end_live()
        self.say(text)

    # --- the first half --------------------------------------------------------------------------------------------

    def begin_throughput(self, plan: Throughput, gateways: int, desktops: int) -> None:
        """Opens with offered load ÷ capacity."""
        self._throughput = plan
        self._begin(
            "1 of 2 · routing throughput",
            f"{plan.rate_per_min:,} tickets/min offered by {gateways} gateways; "
            f"{plan.agents:,} agents at {desktops} desktops complete at once",
            f"offered load ÷ capacity: [bold]{plan.load:.2f}[/] "
            f"({plan.places:,} places, each held for some {plan.turnaround_s * 1000:.0f} ms)",
        )

    def throughput(self, played_s: float, seen: Scrape, told: list[Figures]) -> None:
        """How the first half goes: tickets by the clients' own ledgers, latencies and load by the server."""
        assert self._throughput is not None  # noqa: S101 (begun)
        completed = sum(report.get("completed", 0) for report in told)
        at_s, before = self._last
        if played_s > at_s:
            self._trend.append((completed - before) / (played_s - at_s) * 60)
        self._last = (played_s, completed)
        waits = quantiles([wait for report in told for wait in report.get("waits_ms", [])])
        now = f"{self._trend[-1]:,.0f} tickets/min"
        rows = {
            "completed now": f"[bold green]{now}[/]",
            "": _sparks(self._trend),
            "submitted": f"{sum(report.get('answered', 0) for report in told):,}",
            "completed": f"{completed:,}",
            "waiting": f"{seen.value('csroute_tickets', state='waiting'):,.0f}",
            "with agents": f"{_with_agents(seen):,.0f}   occupancy {seen.value('csroute_occupancy_ratio'):.1%}",
            "decision": _latency(seen.quantiles_us("decision"), "µs"),
            "in the node": _latency(seen.quantiles_us("end_to_end"), "µs"),
            "round trip": _latency(waits, "ms") + f"  (a batch of {self._throughput.batch}, gateway to gateway)",
        }
        self._show(played_s, self._throughput.seconds, f"{played_s:.0f} s", _grid(rows))
        self._line(played_s, f"{now}, {completed:,} completed")

    # --- the second half -------------------------------------------------------------------------------------------

    def begin_night(self, plan: Night, desktops: int) -> None:
        """Opens with offered load ÷ capacity."""
        self._night = plan
        offered = ", then ".join(f"{rate:,.0f}" for _, rate in plan.offered)
        self._begin(
            "2 of 2 · service levels",
            f"00:00–{_night_time(plan.window_s)[:5]} of the night, {plan.compression:g} times faster than life; "
            f"{plan.agents} agents at {desktops} desktops",
            f"offered load ÷ capacity: [bold]{plan.load:.2f}[/] ({offered} tickets a minute of the night; "
            f"these people can do {plan.capacity_per_min:,.0f})",
        )

    def night(self, played_s: float, seen: Scrape, told: list[Figures]) -> None:
        """How the second half goes. Times are the night's."""
        plan = self._night
        assert plan is not None  # noqa: S101 (begun)
        table = Table(box=None, pad_edge=False, header_style="dim")
        table.add_column("queue")
        for name in ("arrived", "waiting", "oldest", "answered", "left", "ASA", "in time"):
            table.add_column(name, justify="right")
        arrived = seen.by("csroute_queue_arrived_total", "queue")
        for queue in sorted(arrived, key=lambda name: -arrived[name])[:_QUEUES_SHOWN]:
            table.add_row(*_queue_row(queue, seen, plan.compression))
        tiers = _tiers_line(next((report["tiers"] for report in told if "tiers" in report), {}))
        occupancy = seen.value("csroute_occupancy_ratio")
        level = seen.value("csroute_service_level_ratio")
        below = Text.assemble(("occupancy ", "dim"), f"{occupancy:.1%}", ("   in time ", "dim"), f"{level:.1%}", tiers)
        now = _night_time(played_s * plan.compression)
        self._show(played_s, plan.seconds, now, Group(table, Text(), below))
        waiting = seen.value("csroute_tickets", state="waiting")
        self._line(played_s, f"{now}  {waiting:,.0f} waiting, {level:.1%} in time, occupancy {occupancy:.1%}")

    # --- the end ---------------------------------------------------------------------------------------------------

    def summary(self, report: Figures) -> None:
        """Both halves, and whether anything was lost."""
        self._end_live()
        halves = [half for half in ("throughput", "service_level") if half in report]
        for half in halves:
            render = _throughput_summary if half == "throughput" else _night_summary
            self.console.print(render(report[half]))
        for half in halves:
            for problem in report[half]["problems"]:
                self.say(f"[bold red]{half}: {problem}[/]")
        lost = report["lost"]
        agree = "the clients' ledgers and the server's agree" if report["ledgers_agree"] else "[red]ledgers disagree[/]"
        colour = "green" if not lost and report["ledgers_agree"] else "red"
        self.say(
            f"[bold {colour}]{lost} lost[/] of {report['submitted']:,} tickets: {report['completed']:,} completed, "
            f"{report['cancelled']:,} cancelled, {report['overflowed']:,} overflowed, {report['waiting']:,} waiting; "
            f"{agree}"
        )

    # --- drawing ---------------------------------------------------------------------------------------------------

    def _begin(self, title: str, *lines: str) -> None:
        self._end_live()
        self._last, self._line_at = (0.0, 0.0), 0.0
        self._trend.clear()
        self.say(f"\n[bold]{title}[/]")
        for line in lines:
            self.say(f"  {line}")
        if self.console.is_terminal:
            self._live = Live(console=self.console, auto_refresh=False, transient=True)
            self._live.start()

    def _show(self, played_s: float, seconds: float, now: str, body: RenderableType) -> None:
        if self._live is not None:
            bar = Table.grid(padding=(0, 1))
            bar.add_row(Text(now, style="bold"), ProgressBar(total=seconds, completed=played_s, width=40))
            table = Group(bar, Text(), body)
            wide = self.console.measure(table).maximum + 4
            # Room at the right: the terminal's own "^C" must not wrap, or a line of the table stays behind.
            panel = Panel(table, width=min(wide, self.console.width - 3), border_style="dim")
            self._live.update(panel, refresh=True)

    def _line(self, played_s: float, text: str) -> None:
        if self._live is None and played_s >= self._line_at:
            self._line_at = played_s + _LINE_EVERY_S
            self.say(f"  {played_s:5.1f} s  {text}")

    def _end_live(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None


def _throughput_summary(half: Figures) -> RenderableType:
    rows = {
        "offered load ÷ capacity": f"{half['offered_load_over_capacity']:.2f}  ({half['agents']:,} agents, measured)",
        "completed": f"[bold green]{half['tickets_per_minute']:,}[/] tickets/min over {half['seconds']:.1f} s",
        "decision": _latency(half["decision_latency_us"], "µs"),
        "in the node": _latency(half["end_to_end_latency_us"], "µs"),
        "round trip": _latency(half["batch_round_trip_ms"], "ms")
        + f"  (a batch of {half['batch']}, gateway to gateway)",
        "occupancy": f"{half['occupancy']:.1%}",
    }
    return Panel(_grid(rows), title="[bold]throughput[/]", title_align="left", expand=False)


def _night_summary(half: Figures) -> RenderableType:
    level = half["service_level"]
    rows = {
        "offered load ÷ capacity": f"{half['offered_load_over_capacity']:.2f}  ({half['agents']:,} agents)",
        "error": f"± {half['error_s']:.2f} s of the night ({half['compression']:g} × transport p99 "
        f"{half['transport_ms'].get('p99', 0):.1f} ms)",
        "answered in time": f"[bold]{level['overall']:.1%}[/] of all",
        "occupancy": f"{half['occupancy']:.1%}",
        "decision": _latency(half["decision_latency_us"], "µs"),
        "in the node": _latency(half["end_to_end_latency_us"], "µs"),
    }
    table = Table(box=None, pad_edge=False, header_style="dim")
    clocks = sorted({clock for tier in level["by_tier"].values() for clock in tier["clocks"]})
    table.add_column("tier")
    for name in ("answered", "left", *(f"{clock} met" for clock in clocks)):
        table.add_column(name, justify="right")
    for tier, figures in level["by_tier"].items():
        met = [_met(figures["clocks"].get(clock, {})) for clock in clocks]
        table.add_row(tier, f"{figures['answered']:,}", f"{figures['left'] + figures['left_soon']:,}", *met)
    return Panel(Group(_grid(rows), Text(), table), title="[bold]service levels[/]", title_align="left", expand=False)


def _queue_row(queue: str, seen: Scrape, compression: float) -> list[str]:
    def of(name: str) -> float:
        return seen.value(f"csroute_queue_{name}", queue=queue)

    answered = of("answered_total")
    asa_s = of("wait_seconds_total") / answered * compression if answered else 0.0
    return [
        queue,
        f"{of('arrived_total'):,.0f}",
        f"{of('waiting'):,.0f}",
        _night_time(of("oldest_wait_seconds") * compression)[3:],
        f"{answered:,.0f}",
        f"{of('abandoned_total') + of('overflowed_total'):,.0f}",
        _night_time(asa_s)[3:],
        f"{of('service_level_ratio'):.0%}",
    ]


def _tiers_line(tiers: Figures) -> Text:
    line = Text("   first reply in time:" if tiers else "", style="dim")
    for tier, figures in tiers.items():
        outcome = figures["clocks"].get("response", {"met": 0, "missed": 0, "left": 0})
        counted = sum(outcome.values())
        line.append(f"  {tier} ", style="dim")
        line.append(_percent(outcome["met"] / counted if counted else None), style="not dim")
    return line


def _grid(rows: dict[str, str]) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim")
    grid.add_column()
    for name, value in rows.items():
        grid.add_row(name, value)
    return grid


def _with_agents(seen: Scrape) -> float:
    return sum(seen.value("csroute_tickets", state=state) for state in ("offered", "active", "wrapping"))


def _latency(found: dict[str, float], unit: str) -> str:
    parts = [f"{name.replace('_', '.')} {value:,.1f}" for name, value in found.items()]
    return f"{'  '.join(parts)} {unit}" if parts else "nothing yet"


def _sparks(values: deque[float]) -> str:
    top = max(values, default=0.0) or 1.0
    return "".join(_SPARKS[min(7, int(value / top * 8))] for value in values)


def _night_time(seconds: float) -> str:
    return f"{int(seconds) // 3600:02}:{int(seconds) // 60 % 60:02}:{int(seconds) % 60:02}"


def _met(outcome: Figures) -> str:
    """The share of those whose clock has its outcome, and how many they are."""
    counted = sum(outcome.get(name, 0) for name in ("met", "missed", "left"))
    return f"{outcome['level']:.1%} of {counted:,}" if counted else "–"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.1%}"
