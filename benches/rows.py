"""A row of the table: what was measured, how often, against what, and by which command; the table, its JSON, its plot.

>>> row = Row("core", "M/s", [3.0, 1.0, 2.0], "a bare matcher", [0.5, 0.25, 0.4], "cargo bench")
>>> row.middle, row.ratio
(2.0, 0.4)
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from csroute.load.picture import svg

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["ROOT", "Row", "machine", "picture", "show", "write"]

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Row:
    """One figure. `figures`: a run each; `ratios`: to `against`, which was measured in the same runs."""

    what: str
    unit: str
    figures: list[float]
    against: str
    ratios: list[float]
    command: str
    note: str = ""
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def middle(self) -> float:
        """The median."""
        return statistics.median(self.figures)

    @property
    def ratio(self) -> float:
        """The median ratio; nan without one."""
        return statistics.median(self.ratios) if self.ratios else float("nan")

    def to_dict(self) -> dict[str, Any]:
        """For bench.json."""
        return {
            "what": self.what,
            "unit": self.unit,
            "min": min(self.figures),
            "median": self.middle,
            "max": max(self.figures),
            "runs": len(self.figures),
            "against": self.against,
            "ratio": self.ratio if self.ratios else None,
            "ratio_min": min(self.ratios, default=None),
            "ratio_max": max(self.ratios, default=None),
            "command": self.command,
            "note": self.note,
            **self.more,
        }


def machine() -> dict[str, Any]:
    """What a figure is of: the commit, the machine, and how busy it was."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")
    command = ["git", "describe", "--always", "--dirty"]
    described = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return {
        "commit": described.stdout.strip(),
        "cpu": model,
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_average": os.getloadavg(),
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def show(rows: Sequence[Row]) -> None:
    """The table."""
    table = Table(box=None, pad_edge=False, title_justify="left")
    for name in ("", "min", "median", "max", "", "ratio", "to"):
        table.add_column(name, justify="left" if name in ("", "to") else "right", overflow="fold")
    for row in rows:
        figures = [f"{value:,.4g}" for value in (min(row.figures), row.middle, max(row.figures))]
        ratio = f"{row.ratio:,.3g}" if row.ratios else ""
        table.add_row(row.what, *figures, row.unit, ratio, row.against)
    Console(width=160).print(table)


def write(rows: Sequence[Row], file: Path, seed: int, *, keep: bool = False) -> None:
    """bench.json, and a picture of the ratios beside it. `keep`: rows that are there, and not measured now, stay."""
    now = {"seed": seed, "machine": machine()}
    fresh = [{**row.to_dict(), **now} for row in rows]
    names = {(row["what"], row["against"]) for row in fresh}
    old = json.loads(file.read_text(encoding="utf-8"))["rows"] if keep and file.exists() else []
    told = [*(row for row in old if (row["what"], row["against"]) not in names), *fresh]
    file.write_text(json.dumps({"rows": told}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    file.with_suffix(".svg").write_text(picture(told), encoding="utf-8")


def picture(rows: Sequence[dict[str, Any]]) -> str:
    """Ratios, with their spread, on a logarithmic axis."""
    told = [row for row in rows if row["ratio"]][::-1]

    def draw(axes: Any) -> None:
        for place, row in enumerate(told):
            low, high = row["ratio"] - row["ratio_min"], row["ratio_max"] - row["ratio"]
            axes.errorbar(row["ratio"], place, xerr=[[low], [high]], fmt="o", color="C0", capsize=3)
        axes.set_yticks(range(len(told)), [f"{row['what']}\n÷ {row['against']}" for row in told], fontsize=7)
        axes.axvline(1, color="#999", linewidth=1)
        axes.set(xscale="log", xlabel="ratio: min, median, max of the runs")
        axes.grid(visible=True, axis="x", alpha=0.3)

    return svg(draw, size=(9, 1 + 0.45 * max(1, len(told))))
