"""What holds a queue up, as an operator sees it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from csroute.types import AgentCounts, QueueExplanation, QueueInterval, QueueReserve

__all__ = ["bottleneck", "duration"]

_LINES_SHOWN = 10
_STANDINGS = (
    ("free", "free"),
    ("capacity", "no free units"),
    ("channel_limit", "at the channel's limit"),
    ("wrap_up", "in wrap-up"),
    ("channel", "channel closed"),
    ("presence", "away or draining"),
    ("reserve", "kept by a reserve"),
    ("skill", "without the skill"),
)


def bottleneck(why: QueueExplanation) -> RenderableType:
    """The sentence, then the figures that it stands on: agents, lines, reserves, what came and went."""
    parts: list[RenderableType] = [Text(why.text), Text(), _agents(why.agents)]
    if why.lines and why.waiting + why.held:
        parts += [Text(), _lines(why)]
    if why.reserves:
        parts += [Text(), _reserves(why.reserves)]
    if why.flow:
        parts += [Text(), _flow(why.flow)]
    parts += [Text(), Text(_waits(why), style="dim")]
    title = f"[bold]{why.queue}[/] · {why.waiting} waiting, {why.held} held"
    return Panel(Group(*parts), title=title, title_align="left", expand=False)


def duration(ms: int) -> str:
    """A duration as people say it."""
    if ms < 10_000:
        return f"{ms / 1000:.1f} s"
    return f"{ms // 1000} s" if ms < 120_000 else f"{ms / 60_000:.0f} min"


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for at, column in enumerate(columns):
        table.add_column(column, justify="left" if at == 0 else "right", no_wrap=at > 0)
    return table


def _agents(counts: AgentCounts) -> Table:
    table = _table("agents logged in", "")
    for field, words in _STANDINGS:
        if count := getattr(counts, field):
            table.add_row(words, f"{count:,}")
    return table


def _lines(why: QueueExplanation) -> Table:
    table = _table("class", "step", "waiting", "held", "oldest", "free", "busy", "able in all")
    table.add_column("asks")
    for line in why.lines[:_LINES_SHOWN]:
        agents = line.agents
        busy = agents.capacity + agents.channel_limit + agents.wrap_up
        able = agents.free + busy + agents.channel + agents.presence
        asks = " and ".join(line.needs) or "anyone"
        figures = (line.waiting, line.held, duration(line.oldest_wait_ms), agents.free, busy, able)
        table.add_row(line.class_path, str(line.step or "–"), *map(str, figures), asks)
    if (left := max(len(why.lines) - _LINES_SHOWN, 0) + why.lines_left) > 0:
        table.add_row(f"and {left} more")
    return table


def _reserves(reserves: Iterable[QueueReserve]) -> Table:
    table = _table("reserve", "keeps", "state", "now", "opens at", "closes at")
    for reserve in reserves:
        says = duration if reserve.oldest_wait else str
        state = "open" if reserve.open else "closed" if reserve.for_queue else "closed, and not for this queue"
        if reserve.opens_at_us:
            state += f", opens {datetime.fromtimestamp(reserve.opens_at_us / 1e6, UTC).astimezone():%H:%M:%S}"
        keeps = f"{reserve.agents} agents ({reserve.skill})"
        table.add_row(reserve.reserve, keeps, state, *map(says, (reserve.measured, reserve.over, reserve.until)))
    return table


def _flow(flow: Iterable[QueueInterval]) -> Table:
    """By the minute; the last one is under way."""
    table = _table("from", "for", "came", "answered", "completed", "left", "overflowed")
    minutes: dict[int, list[QueueInterval]] = {}
    for interval in flow:
        minutes.setdefault(interval.begins_us // 60_000_000, []).append(interval)
    for pieces in minutes.values():
        begins, ends = pieces[0].begins_us, pieces[-1].ends_us
        sums = [sum(getattr(it, f) for it in pieces) for f in ("arrived", "answered", "completed", "abandoned")]
        at = datetime.fromtimestamp(begins / 1e6, UTC).astimezone()
        overflowed = sum(it.overflowed for it in pieces)
        table.add_row(f"{at:%H:%M:%S}", duration((ends - begins) // 1000), *(f"{n:,}" for n in (*sums, overflowed)))
    return table


def _waits(why: QueueExplanation) -> str:
    newcomer = f"a newcomer would wait about {duration(why.expected_wait_ms)} (as long as the head of the line has)"
    pace = f"at the last minute's pace all are answered in {duration(why.clears_in_ms)}"
    pace = pace if why.clears_in_ms else "in the last minute nobody was answered"
    return f"{newcomer}; {pace}; policy {why.policy_version:016x}"
