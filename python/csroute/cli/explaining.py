"""An explanation, as a person sees it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from csroute.types import TicketState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from csroute.types import Explanation, MatchReason

__all__ = ["rendered"]

_IN_LINE = (TicketState.WAITING, TicketState.SUSPENDED)
_WHY_NOT = (
    ("presence", "away or draining"),
    ("skill", "without a skill it needs"),
    ("level", "at too low a level"),
    ("channel", "without this channel"),
    ("excluded", "excluded: they declined it, or it named them"),
    ("channel_limit", "at the channel's limit"),
    ("capacity", "with too few free units"),
    ("held_for_another", "free, but it waits for its preferred agent"),
)


def rendered(why: Explanation) -> RenderableType:
    """The explanation as a panel: a paragraph, then the facts it stands on."""
    ticket = why.ticket
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column()
    for name, fact in _facts(why):
        facts.add_row(name, fact)
    title = f"[bold]{ticket.id}[/] · {ticket.state.name.lower()}"
    return Panel(Group(Text(why.text), Text(), facts), title=title, title_align="left", expand=False)


def _facts(why: Explanation) -> Iterator[tuple[str, RenderableType]]:
    ticket = why.ticket
    yield "class", Text(f"{ticket.class_path} (number {ticket.ticket_class}, queue {ticket.queue})")
    for hit in why.rules:
        yield f"  {hit.layer}", Text(hit.rule + (f": {hit.why}" if hit.why else ""))
    yield "needs", Text(" and ".join(why.needs if len(why.needs) == 1 else (f"({group})" for group in why.needs)))
    if why.none_of:
        yield "none of", Text(", ".join(why.none_of))
    if ticket.agent:
        yield "agent", Text(f"{ticket.agent} (attempt {ticket.attempt})")
    if why.assigned is not None:
        yield "why this one", Text(_match(why.assigned))
    if ticket.state in _IN_LINE:
        yield from _in_line(why)
    for clock in ticket.clocks:
        yield f"clock {clock.clock}", Text(_clock(clock.breached, clock.stopped_us, clock.due_us))


def _in_line(why: Explanation) -> Iterator[tuple[str, RenderableType]]:
    between = f"{_seconds(why.wait_low_ms)} to {_seconds(why.wait_high_ms)} (by {why.wait_method})"
    wait = between if why.wait_high_ms else "not known yet"
    yield "place in line", Text(f"{why.place} of its class; estimated wait {wait}")
    at = f"step {why.next_step} at {_clock_time(why.next_step_us)}" if why.next_step_us else "no further step"
    yield "step", Text(f"{why.ticket.step or 'none taken'}; {at}")
    boost = f" + boost {_seconds(why.boost_ms)}" if why.boost_ms else ""
    urgency = f"{why.slope_milli / 1000:g} × wait + head start {_seconds(why.head_start_ms)}{boost}"
    yield "urgency", Text(f"{_seconds(why.urgency_milli_us // 1_000_000)} = {urgency}")
    yield "agents", Text(f"{why.eligible_count} eligible now, {why.able_count} able but for their load")
    for field, words in _WHY_NOT:
        if count := getattr(why.not_eligible, field):
            yield "", Text(f"{count} {words}")


def _match(reason: MatchReason) -> str:
    if reason.supervisor:
        return "a supervisor's choice"
    among = "the preferred agent" if reason.preferred else f"first of {reason.candidates} who could take it"
    waited, ahead = _seconds(reason.seniority_us // 1000), _seconds(reason.head_start_ms + reason.fit_ms)
    return f"{among}; waited {waited}, {ahead} ahead, step {reason.step or 'none'}"


def _clock(breached: bool, stopped_us: int, due_us: int) -> str:
    if stopped_us:
        return "missed" if breached else "met"
    if breached:
        return f"breached at {_clock_time(due_us)}" if due_us else "breached"
    return f"due {_clock_time(due_us)}" if due_us else "paused, or not started"


def _seconds(duration_ms: int) -> str:
    return f"{duration_ms / 1000:.1f} s" if abs(duration_ms) < 120_000 else f"{duration_ms / 60_000:.1f} min"


def _clock_time(at_us: int) -> str:
    return datetime.fromtimestamp(at_us / 1e6, UTC).astimezone().strftime("%H:%M:%S")
