"""A run as a person reads it in a terminal, and as JSON. `html` makes the page with charts."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from csroute.simulate.setup import INTERVAL_S
from csroute.simulate.sheets import sheets

if TYPE_CHECKING:
    from csroute.simulate.compare import Comparison
    from csroute.simulate.estimate import Estimate
    from csroute.simulate.result import Result
    from csroute.simulate.sheets import Sheet

__all__ = ["rendered", "to_json"]


WIDE = 120


def rendered(result: Result, against: Comparison | None = None, *, width: int = WIDE) -> RenderableType:
    """The report for a terminal so many columns wide."""
    scene = result.scene
    head = f"{scene.policy_name} ({scene.policy_version:016x}) on {scene.workload.name}, seed {result.seed}"
    runs = f"{len(result.replications)} replication(s), {result.tickets_per_s:,.0f} tickets/s"
    parts: list[RenderableType] = [Text(head, style="bold"), Text(result.load_line()), Text(runs, style="dim")]
    parts += [Text(note) for note in scene.workload.notes]
    parts += [_table(sheet, narrow=width < WIDE) for sheet in sheets(result, against)]
    if against is not None:
        parts.append(Text(against.sentence(), style="bold"))
    return Group(*parts)


def _table(sheet: Sheet, *, narrow: bool) -> Table:
    table = Table(title=sheet.title, title_justify="left", title_style="bold", box=None, padding=(0, 1))
    places = [place for place, name in enumerate(sheet.head) if not (narrow and name in sheet.minor)]
    for place in places:
        name = sheet.head[place]
        wordy = place == 0 or name in _WORDY
        least = min(12, max(len(text) for text in [name, *(row[0] for row in sheet.rows)])) if place == 0 else None
        table.add_column(
            name, justify="left" if wordy else "right", overflow="fold", no_wrap=not wordy, min_width=least
        )
    for row in sheet.rows:
        table.add_row(*(row[place] for place in places))
    return table


_WORDY = {"by", "targets"}


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
        "notes": list(scene.workload.notes),
        "offered_load": _plain(result.summary()["load"].mean),
        "seed": result.seed,
        "replications": len(result.replications),
        "confidence": result.confidence,
        "tickets_per_s": result.tickets_per_s,
        "summary": {name: _pair(found) for name, found in result.summary().items()},
        "targets": scene.targets,
        "classes": result.classes,
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
