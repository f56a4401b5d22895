"""What a report tells, as tables of words: once, for a terminal and for a page."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from csroute.simulate.result import SHOWN, shown

if TYPE_CHECKING:
    from csroute.simulate.compare import Comparison
    from csroute.simulate.estimate import Estimate
    from csroute.simulate.result import Result

__all__ = ["Sheet", "sheets"]

_COLUMNS: Final = {
    "tickets": "tickets",
    "service_level": "in time",
    "asa_s": "mean wait",
    "wait_p90_s": "p90",
    "wait_max_s": "longest",
    "abandoned": "left",
    "abandoned_short": "at once",
    "overflowed": "overflow",
    "stepped": "a step",
    "reserve": "reserve",
}
_MINOR: Final = ("wait_max_s", "abandoned_short", "overflowed", "stepped")
_CLASSES = 15
_GROUPS = 3


@dataclass(frozen=True)
class Sheet:
    """A table; its first column are names, the others are for comparing."""

    title: str
    head: list[str]
    rows: list[list[str]]
    minor: frozenset[str] = frozenset()
    """Columns that a narrow terminal leaves out."""


def sheets(result: Result, against: Comparison | None = None) -> list[Sheet]:
    """All of them, in the order in which they are read."""
    parts = [_all(result, against), *(_cut(result, cut, against) for cut in ("queue", *result.scene.cuts))]
    parts += [_promises(result), _fairness(result), _classes(result), _people(result), _flow(result), _steps(result)]
    return [sheet for sheet in parts if sheet.rows]


def _all(result: Result, against: Comparison | None) -> Sheet:
    summary = result.summary()
    head = ["", result.scene.policy_name]
    if against is not None:
        head += [f"against {against.other.scene.policy_name}", "difference"]
    rows = []
    for name, (words, _) in SHOWN.items():
        row = [words, _sure(name, summary[name])]
        if against is not None:
            row += [_sure(name, against.other.summary()[name]), _sure(name, against.differences[name], sign=True)]
        rows.append(row)
    return Sheet("All tickets", head, rows)


def _cut(result: Result, cut: str, against: Comparison | None) -> Sheet:
    """The main figures by queue, channel or an attribute's values; with a comparison what changed in two of them."""
    summary = result.summary()
    changed = ["service_level", "abandoned"] if against is not None else []
    rows = []
    for value in result.replications[0].tally.cuts[cut]:
        suffix = f"[{cut}={value}]"
        if f"tickets{suffix}" not in summary:
            continue
        row = [value or "(none)", *(shown(name, summary[name + suffix].mean) for name in _COLUMNS)]
        if against is not None:
            row += [
                _sure(name, against.differences[name + suffix], sign=True).removesuffix(" points")
                if name + suffix in against.differences
                else "–"
                for name in changed
            ]
        rows.append(row)
    head = [cut, *_COLUMNS.values(), *(f"Δ {_COLUMNS[name]}" for name in changed)]
    return Sheet(f"By {cut}", head, rows, frozenset({"Δ left", *(_COLUMNS[name] for name in _MINOR)}))


def _promises(result: Result) -> Sheet:
    summary, scene = result.summary(), result.scene
    segments = [
        (cut, value) for cut, (values, _) in scene.cuts.items() if cut != "channel" for value in values if value
    ]
    rows = []
    for place, clock in enumerate(scene.clocks):
        name = f"clock.{clock}"
        missed = sum(
            float(one.tallies[0].clocks()[1][place, 0])
            if len(one.tallies) == 1
            else math.fsum(float(tally.clocks()[1][place, 0]) for tally in one.tallies)
            for one in result.replications
        )
        met = [
            shown(name, summary[each].mean) if each in summary else "–"
            for each in (name, *(f"{name}[{cut}={value}]" for cut, value in segments))
        ]
        rows.append([clock, scene.targets[clock] or "–", *met, f"{missed / len(result.replications):,.0f}"])
    head = ["clock", "targets", "in time", *(value for _, value in segments), "deadlines missed"]
    return Sheet("Promises", head, rows)


def _fairness(result: Result) -> Sheet:
    """Who is served worst, and each value of the first segment against the others."""
    summary = result.summary()
    rows = []
    for cut in ("queue", *result.scene.cuts):
        levels = {
            value: summary[f"service_level[{cut}={value}]"].mean
            for value in result.replications[0].tally.cuts[cut]
            if value and f"service_level[{cut}={value}]" in summary
        }
        known = {value: level for value, level in levels.items() if not math.isnan(level)}
        if len(known) > 1:
            worst, best = min(known, key=lambda value: known[value]), max(known, key=lambda value: known[value])
            waits = [summary[f"asa_s[{cut}={value}]"].mean for value in (worst, best)]
            times = f"{waits[0] / waits[1]:.1f}" if waits[1] > 0 else "–"
            levels_said = [f"{value}: {shown('service_level', known[value])}" for value in (worst, best)]
            rows.append([cut, *levels_said, f"{100 * (known[best] - known[worst]):.1f} points", f"{times} times"])
    return Sheet("Fairness", ["", "worst served", "best served", "gap", "the wait"], rows)


def _classes(result: Result) -> Sheet:
    rows = []
    for path, count in list(result.classes.items())[:_CLASSES]:
        level = count["met"] / count["counted"] if count["counted"] else math.nan
        wait = count["answer_s"] / count["answered"] if count["answered"] else math.nan
        left = count["abandoned"] / count["arrived"]
        figures = [("service_level", level), ("asa_s", wait), ("abandoned", left)]
        rows.append([path or "(none)", shown("tickets", count["arrived"]), *(shown(*figure) for figure in figures)])
    title = f"The largest classes, of {len(result.classes):,}"
    return Sheet(title, ["class", "tickets", "in time", "mean wait", "left"], rows)


def _people(result: Result) -> Sheet:
    summary, flow, scene = result.summary(), result.mean_tables["flow"], result.scene
    hours = result.mean_tables["hours"].sum(axis=2)
    rows = []
    for place, group in enumerate(scene.groups):
        there = hours[1, place]
        rows.append([
            group,
            f"{int((scene.group_of_agent == place).sum()):,}",
            shown("agent_hours", hours[0, place]),
            shown("occupancy", summary[f"occupancy[group={group}]"].mean),
            shown("utilisation", hours[3, place] / there if there else math.nan),
            shown("tickets", flow[:, place].sum()),
        ])  # fmt: skip
    return Sheet("People", ["group", "agents", "hours", "occupancy", "units in use", "answered"], rows)


def _flow(result: Result) -> Sheet:
    flow, scene = result.mean_tables["flow"], result.scene
    rows = []
    for place, queue in enumerate(scene.queues[:-1]):
        total = flow[place].sum()
        if total:
            first = np.argsort(-flow[place], kind="stable")
            told = [group for group in first[:_GROUPS] if flow[place, group] >= total / 200]
            named = [f"{scene.groups[group]} {100 * flow[place, group] / total:.0f} %" for group in told]
            rest = total - flow[place, told].sum()
            others = [f"others {100 * rest / total:.0f} %"] if rest >= total / 200 else []
            rows.append([queue, shown("tickets", total), ", ".join([*named, *others])])
    return Sheet("Who answered what", ["queue", "answered", "by"], rows)


def _steps(result: Result) -> Sheet:
    steps = result.mean_tables["steps"]
    last = int(np.flatnonzero(steps)[-1]) if steps.any() else 0
    rows = [[str(step or "none"), shown("tickets", steps[step]), f"{100 * steps[step] / steps.sum():.1f} %"]
            for step in range(last + 1)] if last else []  # fmt: skip
    return Sheet("The last step taken", ["step", "tickets", "share"], rows)


def _sure(name: str, found: Estimate, *, sign: bool = False) -> str:
    if sign and SHOWN.get(name.split("[", maxsplit=1)[0], ("", ""))[1] == "%" and not math.isnan(found.mean):
        width = "" if math.isnan(found.half_width) else f" ± {100 * found.half_width:.1f}"
        return f"{100 * found.mean:+.1f}{width} points"
    text = ("+" if sign and found.mean > 0 else "") + shown(name, found.mean)
    return text if math.isnan(found.half_width) else f"{text} ± {shown(name, found.half_width)}"
