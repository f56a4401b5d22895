"""A run as a person reads it in a terminal, and as JSON. `html` makes the page with charts."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from csroute.simulate.result import SHOWN, shown
from csroute.simulate.setup import INTERVAL_S

if TYPE_CHECKING:
    from csroute.simulate.compare import Comparison
    from csroute.simulate.estimate import Estimate
    from csroute.simulate.result import Result

__all__ = ["cuts_table", "load_line", "rendered", "to_json"]

_COLUMNS: Final = (
    "tickets",
    "service_level",
    "asa_s",
    "wait_p90_s",
    "wait_max_s",
    "abandoned",
    "overflowed",
    "stepped",
    "reserve",
)


def load_line(result: Result) -> str:
    """What every report opens with: offered load ÷ capacity."""
    load = result.summary()["load"].mean
    verdict = "the backlog grows, whatever the router does" if load > 1 else "there are people enough, on the whole"
    return f"Offered load ÷ capacity: {100 * load:.0f} %: {verdict}."


def rendered(result: Result, against: Comparison | None = None) -> RenderableType:
    """The report for a terminal."""
    scene = result.scene
    head = f"{scene.policy_name} ({scene.policy_version:016x}) on {scene.workload.name}, seed {result.seed}"
    runs = f"{len(result.replications)} replication(s), {result.tickets_per_s:,.0f} tickets/s"
    parts: list[RenderableType] = [Text(head, style="bold"), Text(load_line(result)), Text(runs, style="dim")]
    parts.append(_figures(result, against))
    parts += [cuts_table(result, cut) for cut in ("queue", *scene.cuts)]
    parts.append(_clocks(result))
    parts.append(_groups(result))
    if against is not None:
        parts.append(Text(against.sentence(), style="bold"))
    return Group(*parts)


def _figures(result: Result, against: Comparison | None) -> Table:
    table = Table("figure", title="All tickets", title_justify="left")
    table.add_column(result.scene.policy_name, justify="right")
    if against is not None:
        table.add_column(f"against {against.other.scene.policy_name}", justify="right")
        table.add_column("difference", justify="right")
    summary = result.summary()
    others = against.other.summary() if against else {}
    for name, (words, _) in SHOWN.items():
        row = [words, _sure(name, summary[name])]
        if against is not None:
            row += [_sure(name, others[name]), _sure(name, against.differences[name], sign=True)]
        table.add_row(*row)
    return table


def cuts_table(result: Result, cut: str) -> Table:
    """The main figures by queue, channel or an attribute's values."""
    values = result.replications[0].tally.cuts[cut]
    summary = result.summary()
    table = Table(cut, title=f"By {cut}", title_justify="left")
    for name in _COLUMNS:
        table.add_column(SHOWN[name][0], justify="right")
    for value in values:
        if f"tickets[{cut}={value}]" in summary:
            cells = [shown(name, summary[f"{name}[{cut}={value}]"].mean) for name in _COLUMNS]
            table.add_row(value or "(none)", *cells)
    return table


def _clocks(result: Result) -> Table:
    summary = result.summary()
    segments = [
        (cut, value) for cut, (values, _) in result.scene.cuts.items() if cut != "channel" for value in values if value
    ]
    table = Table("clock: met in time", title="Promises", title_justify="left")
    table.add_column("all", justify="right")
    for _, value in segments:
        table.add_column(value, justify="right")
    for clock in result.scene.clocks:
        name = f"clock.{clock}"
        cells = [_known(summary, f"{name}[{cut}={value}]", name) for cut, value in segments]
        table.add_row(clock, _known(summary, name, name), *cells)
    return table


def _groups(result: Result) -> Table:
    table = Table("group", title="People", title_justify="left")
    for title in ("occupancy", "answered"):
        table.add_column(title, justify="right")
    summary, flow = result.summary(), result.mean_tables["flow"]
    for place, group in enumerate(result.scene.groups):
        answered = flow[:, place].sum()
        table.add_row(group, shown("occupancy", summary[f"occupancy[group={group}]"].mean), f"{answered:,.0f}")
    return table


def _known(summary: dict[str, Estimate], name: str, base: str) -> str:
    return shown(base, summary[name].mean) if name in summary else "–"


def _sure(name: str, found: Estimate, *, sign: bool = False) -> str:
    text = ("+" if sign and found.mean > 0 else "") + shown(name, found.mean)
    return text if math.isnan(found.half_width) else f"{text} ± {shown(name, found.half_width)}"


def to_json(result: Result, against: Comparison | None = None) -> dict[str, Any]:
    """Everything that the report tells, as plain data. Shares are from 0 to 1; NaN is null."""
    report = _one(result)
    if against is not None:
        report["against"] = _one(against.other)
        report["differences"] = {name: _pair(found) for name, found in against.differences.items()}
        report["sentence"] = against.sentence()
    return report


def _one(result: Result) -> dict[str, Any]:
    scene = result.scene
    tables = result.mean_tables
    return {
        "policy": scene.policy_name,
        "policy_version": f"{scene.policy_version:016x}",
        "workload": scene.workload.name,
        "offered_load": _plain(result.summary()["load"].mean),
        "seed": result.seed,
        "replications": len(result.replications),
        "confidence": result.confidence,
        "tickets_per_s": result.tickets_per_s,
        "summary": {name: _pair(found) for name, found in result.summary().items()},
        "interval_s": INTERVAL_S,
        "queues": scene.queues,
        "groups": scene.groups,
        "by_interval": dict(zip(("arrived", "met", "counted", "wait_s"), tables["by_interval"].tolist(), strict=True)),
        "agent_hours": dict(zip(("paid", "there", "busy", "load"), tables["hours"].tolist(), strict=True)),
        "flow": tables["flow"].tolist(),
        "steps": tables["steps"].tolist(),
    }


def _pair(found: Estimate) -> dict[str, float | None]:
    return {"mean": _plain(found.mean), "half_width": _plain(found.half_width)}


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None
