"""What a run found: figures with intervals, and the rows.

`result.summary()["asa_s"]` is an `Estimate`; its names are `figures` in `csroute.simulate.tally`. In a notebook a
result shows its table.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from csroute.simulate.estimate import Estimate, estimate
from csroute.simulate.tally import CLASS_COUNTS, figures

if TYPE_CHECKING:
    from pathlib import Path

    from csroute.simulate.arrays import Floats, Records
    from csroute.simulate.scene import Scene
    from csroute.simulate.tally import Tally

__all__ = ["SHOWN", "Replication", "Result", "shown"]

SHOWN: Final = {
    "load": ("offered load ÷ capacity", "%"),
    "service_level": ("service level", "%"),
    "asa_s": ("mean speed of answer", "s"),
    "wait_p90_s": ("wait, 90 % of those answered", "s"),
    "wait_max_s": ("longest wait", "s"),
    "p_wait": ("waited at all", "%"),
    "abandoned": ("abandoned", "%"),
    "abandoned_short": ("abandoned at once (not counted)", "%"),
    "overflowed": ("overflowed", "%"),
    "refused": ("refused", "%"),
    "stepped": ("took a step", "%"),
    "reserve": ("answered by the reserve", "%"),
    "worst_queue_service_level": ("service level, worst queue", "%"),
    "occupancy": ("occupancy", "%"),
    "utilisation": ("units in use", "%"),
    "handle_s": ("handle time", "s"),
    "queue_length": ("tickets waiting, mean", ""),
    "agent_hours": ("agent hours", "h"),
    "tickets": ("tickets", ""),
}
"""Figures that a summary opens with: words, and unit; shares are told in percent."""


def shown(name: str, value: float) -> str:
    """A figure as a person reads it."""
    if math.isnan(value):
        return "–"
    unit = SHOWN.get(name.split("[", maxsplit=1)[0], ("", "%" if name.startswith("clock.") else ""))[1]
    if unit == "%":
        return f"{100 * value:.1f} %"
    digits = 0 if abs(value) >= 1000 or name.startswith("tickets") else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f} {unit}".rstrip()


@dataclass(frozen=True)
class Replication:
    """One run. hours_s: paid, there, busy, load × group × interval, seconds, warm-up cut off."""

    seed: int
    tickets: int
    seconds: float
    setup_seconds: float
    tallies: list[Tally]
    """One, or a batch each."""
    hours_s: Floats
    rows: Records
    """By ticket and contact, warm-up included; empty if they were not kept."""
    queue_names: list[str]
    class_paths: list[str]

    @property
    def tally(self) -> Tally:
        """The first batch; of a run that was not cut into batches, all."""
        return self.tallies[0]


@dataclass(frozen=True)
class Result:
    """What a run found."""

    scene: Scene = field(repr=False)
    replications: list[Replication] = field(repr=False)
    seed: int
    warmup_s: float
    confidence: float

    @property
    def rows(self) -> Records:
        """All rows kept, of every replication in turn; see `arrays.ROW`."""
        return np.concatenate([replication.rows for replication in self.replications])

    @cached_property
    def mean_tables(self) -> dict[str, Floats]:
        """`Tally`'s by_interval, flow and steps, and hours (h), means over the replications."""
        tallies = [tally for one in self.replications for tally in one.tallies]
        tables = {name: [getattr(tally, name) for tally in tallies] for name in ("by_interval", "flow", "steps")}
        tables["hours"] = [one.hours_s / 3600 for one in self.replications]
        return {name: np.asarray(np.sum(parts, axis=0)) / len(self.replications) for name, parts in tables.items()}

    @cached_property
    def classes(self) -> dict[str, dict[str, float]]:
        """`CLASS_COUNTS` by a class's path, means over the replications; those with most tickets first."""
        found: dict[str, Floats] = {}
        for one in self.replications:
            for tally in one.tallies:
                for number in np.flatnonzero(tally.by_class[0]):
                    path = one.class_paths[number] if number < len(one.class_paths) else ""
                    found[path] = found.get(path, 0.0) + tally.by_class[:, number] / len(self.replications)
        ordered = sorted(found.items(), key=lambda pair: (-pair[1][0], pair[0]))
        return {path: dict(zip(CLASS_COUNTS, counts.tolist(), strict=True)) for path, counts in ordered}

    @cached_property
    def samples(self) -> list[dict[str, float]]:
        """The figures of each replication, or of each batch."""
        found = []
        for replication in self.replications:
            parts = len(replication.tallies)
            length = (self.scene.workload.length_s - self.warmup_s) / parts
            hours = np.array_split(replication.hours_s, parts, axis=2) if parts > 1 else [replication.hours_s]
            for tally, part in zip(replication.tallies, hours, strict=True):
                one = figures(tally, part, length)
                share = length / self.scene.workload.length_s
                capacity = self.scene.capacity_unit_s * share
                for total in ("tickets", "agent_hours"):
                    one[total] *= parts
                found.append({"load": tally.work_unit_s / capacity if capacity else math.inf, **one})
        return found

    def summary(self) -> dict[str, Estimate]:
        """Every figure: its mean and half its confidence interval."""
        return self._summary

    @cached_property
    def _summary(self) -> dict[str, Estimate]:
        names = dict.fromkeys(name for sample in self.samples for name in sample)
        return {
            name: estimate([sample.get(name, math.nan) for sample in self.samples], self.confidence) for name in names
        }

    @property
    def tickets_per_s(self) -> float:
        """Simulated tickets a second, figures included."""
        return sum(one.tickets for one in self.replications) / sum(one.seconds for one in self.replications)

    def load_line(self) -> str:
        """What every report opens with: offered load ÷ capacity."""
        load = self.summary()["load"].mean
        verdict = "the backlog grows, whatever the router does" if load > 1 else "there are people enough, on the whole"
        return f"Offered load ÷ capacity: {100 * load:.0f} %: {verdict}."

    def table(self) -> list[tuple[str, str, str]]:
        """(what, mean, ± half width) of the figures that a summary opens with."""
        summary = self.summary()
        return [
            (words, shown(name, summary[name].mean), _width(name, summary[name].half_width))
            for name, (words, _) in SHOWN.items()
        ]

    def __str__(self) -> str:
        title = f"{self.scene.policy_name} on {self.scene.workload.name}, seed {self.seed}"
        lines = [f"{what:34} {mean:>12} {width}" for what, mean, width in self.table()]
        return "\n".join([title, self.load_line(), *self.scene.workload.notes, *lines])

    def _repr_html_(self) -> str:
        from csroute.simulate.html import notebook  # noqa: PLC0415 (it imports this)

        return notebook(self)

    def to_arrow(self) -> Any:  # noqa: ANN401 (pyarrow has no types of its own)
        """The rows as a pyarrow table, with names where rows have numbers."""
        from csroute.simulate.tables import rows_to_arrow  # noqa: PLC0415 (an extra: csroute[parquet])

        return rows_to_arrow(self)

    def to_pandas(self) -> Any:  # noqa: ANN401 (pandas is the caller's)
        """The rows as a pandas frame; needs pandas besides pyarrow."""
        return self.to_arrow().to_pandas()

    def to_parquet(self, path: str | Path) -> None:
        """Writes `to_arrow()` to a file."""
        from csroute.simulate.tables import write_parquet  # noqa: PLC0415 (an extra: csroute[parquet])

        write_parquet(self.to_arrow(), path)


def _width(name: str, value: float) -> str:
    return "" if math.isnan(value) else f"± {shown(name, value)}"
