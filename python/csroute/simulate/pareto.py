"""What a search found, as one page: each try a point, those that nothing beats joined; then these in a table."""

from __future__ import annotations

from html import escape
from itertools import combinations
from typing import TYPE_CHECKING, Any

from csroute.simulate.html import STYLE, svg, table
from csroute.simulate.result import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from csroute.simulate.tune import Found

__all__ = ["pareto"]


def pareto(tries: Sequence[Found], objectives: Sequence[tuple[str, bool]], title: str) -> str:
    """The whole page; it loads nothing. With one objective: what each try reached, in turn."""
    best = sorted((one for one in tries if one.best), key=lambda one: one.reached[0], reverse=objectives[0][1])
    names = [name for name, _ in objectives]
    goals = ", ".join(f"{name} {'as high' if more else 'as low'} as can be" for name, more in objectives)
    said = f"{len(tries)} tries, for {goals}; {len(best)} that nothing beats."
    parts = [f"<h1>{escape(title)}</h1>", f"<p>{escape(said)}</p>"]
    for one, other in combinations(range(len(names)), 2):
        parts.append(svg(_plane, tries, (one, other), names))
    if len(names) == 1:
        parts.append(svg(_turn, tries, names[0]))
    rows = [[*map(str, one.parameters.values()), *map(shown, names, one.reached)] for one in best]
    parts.append(table([*best[0].parameters, *names] if best else names, rows))
    body = "\n".join(parts)
    return f"<!doctype html><meta charset=utf-8><title>{escape(title)}</title><style>{STYLE}</style>\n{body}\n"


def _plane(axes: Any, tries: Sequence[Found], places: tuple[int, int], names: Sequence[str]) -> None:  # noqa: ANN401
    x, y = places
    for chosen, colour, label in ((False, "#bbc", "beaten"), (True, "C3", "nothing beats them")):
        points = [(one.reached[x], one.reached[y]) for one in tries if one.best is chosen]
        axes.scatter([px for px, _ in points], [py for _, py in points], color=colour, label=label, s=18)
    front = sorted((one.reached[x], one.reached[y]) for one in tries if one.best)
    if len(names) == 2:
        axes.plot([px for px, _ in front], [py for _, py in front], color="C3", linewidth=1)
    for one in tries:
        if one.best and len(one.parameters) <= 2:
            text = ", ".join(str(value) for value in one.parameters.values())
            axes.annotate(text, (one.reached[x], one.reached[y]), fontsize=6, xytext=(3, 3), textcoords="offset points")
    axes.scatter(tries[0].reached[x], tries[0].reached[y], marker="*", s=90, color="C0", label="as the page stands")
    axes.set_xlabel(names[x])
    axes.set_ylabel(names[y])
    axes.legend(fontsize=7)


def _turn(axes: Any, tries: Sequence[Found], name: str) -> None:  # noqa: ANN401
    for chosen, mark, colour in ((False, ".", "#99a"), (True, "o", "C3")):
        points = [(place, one.reached[0]) for place, one in enumerate(tries, 1) if one.best is chosen]
        axes.plot([place for place, _ in points], [value for _, value in points], mark, color=colour)
    axes.set_xlabel("try")
    axes.set_ylabel(name)
