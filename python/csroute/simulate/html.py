"""The report as one page: tables, and charts by matplotlib as SVG inside it. It loads nothing."""

from __future__ import annotations

import io
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from csroute.simulate.setup import INTERVAL_S
from csroute.simulate.sheets import sheets

if TYPE_CHECKING:
    from collections.abc import Callable

    from csroute.simulate.compare import Comparison
    from csroute.simulate.result import Result
    from csroute.simulate.sheets import Sheet

__all__ = ["STYLE", "notebook", "page", "svg", "table"]

STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem;color:#223}
table{border-collapse:collapse;margin:1rem 0}td,th{padding:.2rem .8rem;border-bottom:1px solid #dde;text-align:right}
td:first-child,th:first-child{text-align:left}svg{max-width:100%;height:auto}.load{font-size:1.2rem;font-weight:600}"""


def page(result: Result, against: Comparison | None = None) -> str:
    """The whole page."""
    scene = result.scene
    title = f"{scene.policy_name} on {scene.workload.name}"
    parts = [f"<h1>{escape(title)}</h1>", *_opening(result, against)]
    first, *rest = sheets(result, against)
    parts.append(_sheet(first))
    for heading, draw in _CHARTS.items():
        parts.append(f"<h2>{heading}</h2>{svg(draw, result)}")
    parts += map(_sheet, rest)
    facts = f"Policy {scene.policy_version:016x}, seed {result.seed}, {len(result.replications)} replication(s)."
    level = "Service level: met ÷ (answered + abandoned + overflowed − short abandons)"
    body = "\n".join([*parts, f"<p>{facts} {level}; an abandon is short before {scene.short_abandon_s:g} s.</p>"])
    return f"<!doctype html><meta charset=utf-8><title>{escape(title)}</title><style>{STYLE}</style>\n{body}\n"


def notebook(result: Result) -> str:
    """What a notebook shows of a result: the opening, all tickets, and by queue and segment."""
    scene = result.scene
    head = f"<b>{escape(f'{scene.policy_name} on {scene.workload.name}')}</b>, seed {result.seed}"
    shown = [sheet for sheet in sheets(result) if sheet.title == "All tickets" or sheet.title.startswith("By ")]
    folded = [f"<details><summary>{escape(sheet.title)}</summary>{_rows(sheet)}</details>" for sheet in shown[1:]]
    return "\n".join([head, *_opening(result, None), _rows(shown[0]), *folded])


def _opening(result: Result, against: Comparison | None) -> list[str]:
    said = [f"<p class=load>{escape(result.load_line())}</p>"]
    if against is not None:
        said.append(f"<p>{escape(against.sentence())}</p>")
    return said + [f"<p>{escape(note)}</p>" for note in result.scene.workload.notes]


def _sheet(sheet: Sheet) -> str:
    return f"<h2>{escape(sheet.title)}</h2>{_rows(sheet)}"


def _rows(sheet: Sheet) -> str:
    return table(sheet.head, sheet.rows)


def table(head: list[str], rows: list[list[str]]) -> str:
    """A table."""
    cells = "".join(f"<th>{escape(one)}</th>" for one in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(one)}</td>" for one in row) + "</tr>" for row in rows)
    return f"<table><tr>{cells}</tr>{body}</table>"


def svg(draw: Callable[..., None], *of: Any) -> str:  # noqa: ANN401 (what is drawn)
    """A chart: `draw(axes, *of)`."""
    import matplotlib as mpl  # noqa: PLC0415 (slow to load, and only pages need it)
    from matplotlib.figure import Figure  # noqa: PLC0415

    with mpl.rc_context({"svg.hashsalt": "csroute", "svg.fonttype": "none", "font.size": 9}):
        figure = Figure(figsize=(9, 3.6), layout="constrained")
        draw(figure.subplots(), *of)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def _hours(count: int) -> Any:  # noqa: ANN401 (numpy's)
    return np.arange(count) * INTERVAL_S / 3600


def _levels(axes: Any, result: Result) -> None:  # noqa: ANN401 (matplotlib's)
    _, met, counted, _ = result.mean_tables["by_interval"]
    asked = [place for place in range(len(counted) - 1) if counted[place].any()]
    with np.errstate(invalid="ignore", divide="ignore"):
        levels = np.where(counted > 0, met / counted, np.nan)[asked]
    extent = (0, levels.shape[1] * INTERVAL_S / 3600, len(levels) - 0.5, -0.5)
    image = axes.imshow(levels, aspect="auto", cmap="RdYlBu", vmin=0, vmax=1, extent=extent, interpolation="nearest")
    axes.set_yticks(range(len(levels)), [result.scene.queues[place] for place in asked])
    axes.set_xlabel("hour of arrival")
    axes.figure.colorbar(image, label="service level")


def _flow(axes: Any, result: Result) -> None:  # noqa: ANN401 (matplotlib's)
    flow = result.mean_tables["flow"]
    asked = [place for place in range(len(flow) - 1) if flow[place].any()]
    left = np.zeros(len(asked))
    for place, group in enumerate(result.scene.groups):
        axes.barh(range(len(asked)), flow[asked, place], left=left, label=group, color=f"C{place % 10}")
        left = left + flow[asked, place]
    axes.set_yticks(range(len(asked)), [result.scene.queues[place] for place in asked])
    axes.invert_yaxis()
    axes.set_xlabel("tickets answered")
    axes.legend(fontsize=7, ncols=2)


def _occupancy(axes: Any, result: Result) -> None:  # noqa: ANN401 (matplotlib's)
    hours = result.mean_tables["hours"]
    with np.errstate(invalid="ignore", divide="ignore"):
        busy = np.where(hours[1] > 0, hours[3] / hours[1], np.nan)
    for group, line in zip(result.scene.groups, busy, strict=True):
        axes.plot(_hours(len(line)), line, label=group, linewidth=1)
    axes.set_ylim(0, 1.02)
    axes.set_ylabel("units in use")
    axes.set_xlabel("hour")
    axes.legend(fontsize=7, ncols=2)


def _waits(axes: Any, result: Result) -> None:  # noqa: ANN401 (matplotlib's)
    total = result.mean_tables["by_interval"]
    arrived, waited = total[0].sum(axis=0), total[3].sum(axis=0)
    axes.bar(_hours(len(arrived)), arrived, width=INTERVAL_S / 3600, align="edge", color="#bcd")
    axes.set_ylabel("tickets")
    axes.set_xlabel("hour of arrival")
    line = axes.twinx()
    with np.errstate(invalid="ignore", divide="ignore"):
        line.plot(_hours(len(arrived)), waited / arrived, color="C3")
    line.set_ylabel("mean wait, s", color="C3")


_CHARTS: dict[str, Callable[[Any, Any], None]] = {
    "Service level by queue and time": _levels,
    "Arrivals and waits": _waits,
    "Who answers what": _flow,
    "How busy people are": _occupancy,
}
