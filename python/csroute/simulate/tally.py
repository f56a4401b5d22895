"""Counts: rows in, as many as there are; figures out. One function for a batch, a day in memory, a day that streams by.

A row is counted once, in the cell of its queue, channel and segments; every figure by one of them is a sum over the
others. Waits are counted in bins 1 % wide, so quantiles are true to 1 %; means and maxima are exact.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from csroute.simulate.setup import INTERVAL_S

if TYPE_CHECKING:
    from collections.abc import Sequence

    from csroute.simulate.arrays import Floats, Ints, Records
    from csroute.simulate.scene import Scene

__all__ = ["CLASS_COUNTS", "COUNTS", "Tally", "figures"]

COUNTS: Final = (
    "arrived", "answered", "waited", "met", "abandoned", "short", "overflowed", "refused", "open", "returns",
    "attempts", "declines", "missed", "transfers", "stepped", "reserve", "wait_s", "answer_s", "handle_s", "wrap_up_s",
)  # fmt: skip
"""met: answered in time; short: abandoned too soon to count; answer_s: waits of the answered; stepped: took a step."""
CLASS_COUNTS: Final = ("arrived", "met", "counted", "answered", "answer_s", "abandoned")
_BIN: Final = math.log(1.01)
_BINS: Final = 2547  # 1 ms .. 10^8 s, and one for less
_STEPS: Final = 33


class Tally:
    """Additive counts of rows."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.cuts: dict[str, list[str]] = {"queue": scene.queues, **{name: cut[0] for name, cut in scene.cuts.items()}}
        self._shape = tuple(len(values) for values in self.cuts.values())
        cells, clocks = math.prod(self._shape), len(scene.clocks)
        self._cells = cells
        self._counts = np.zeros((len(COUNTS), cells))
        self._waits = np.zeros((_BINS, cells))
        self._longest = np.zeros(cells)
        self._clocks = np.zeros((2, clocks, cells))
        intervals = math.ceil(scene.workload.length_s / INTERVAL_S)
        self.by_interval = np.zeros((4, len(scene.queues), intervals))
        """arrived, met, counted, wait (s), by queue and interval of arrival."""
        self.flow = np.zeros((len(scene.queues), len(scene.groups)))
        """Answered, by queue and the group that answered."""
        self.steps = np.zeros(_STEPS)
        self.by_class = np.zeros((len(CLASS_COUNTS), 0))
        """`CLASS_COUNTS` by the engine's number of the class."""
        self.work_unit_s = 0.0
        """What arrived, in units × seconds of mean handle time, first contacts alone."""
        self._kind_cell = sum(
            codes * math.prod(self._shape[place + 2 :]) for place, (_, codes) in enumerate(scene.cuts.values())
        )

    def add(self, rows: Records, queue_names: list[str]) -> None:
        """Counts these rows, whose queues are places in `queue_names`."""
        scene = self.scene
        places = {name: number for number, name in enumerate(scene.queues)}
        number = np.array([*(places.get(name, places[""]) for name in queue_names), places[""]], dtype=np.int64)
        queue = number[np.minimum(rows["queue"], len(queue_names))]
        cell = queue * math.prod(self._shape[1:]) + np.asarray(self._kind_cell)[rows["kind"]]
        answered, outcome = rows["answered"], rows["outcome"]
        wait = rows["wait_us"] / 1e6
        abandoned = (outcome == 2) & ~answered
        group = np.where(rows["agent"] >= 0, scene.group_of_agent[rows["agent"]], -1)
        reserves = [number for number, name in enumerate(scene.groups) if name in scene.roster.reserves]
        met = self._met(rows, wait)
        short = abandoned & (wait < scene.short_abandon_s)
        columns = {
            "answered": answered,
            "waited": rows["wait_us"] > 0,
            "met": met,
            "abandoned": abandoned,
            "short": short,
            "overflowed": outcome == 3,
            "refused": outcome == 4,
            "open": outcome == 0,
            "returns": rows["contact"] > 0,
            "stepped": rows["step"] > 0,
            "reserve": np.isin(group, reserves),
            "wait_s": wait,
            "answer_s": wait * answered,
            "handle_s": rows["handle_us"] / 1e6,
            "wrap_up_s": rows["wrap_up_us"] / 1e6,
        }
        own = rows.dtype.names or ()
        self._counts[0] += np.bincount(cell, minlength=self._cells)
        for place, name in enumerate(COUNTS[1:], 1):
            self._counts[place] += np.bincount(
                cell, columns.get(name, rows[name] if name in own else None), self._cells
            )
        bins = np.clip(np.log(np.maximum(wait, 1e-6) * 1000) / _BIN + 1, 0, _BINS - 1).astype(np.int64)
        waits = np.bincount((bins * self._cells + cell)[answered], minlength=_BINS * self._cells)
        self._waits += waits.reshape(_BINS, self._cells)
        np.maximum.at(self._longest, cell, wait)
        for clock in range(len(scene.clocks)):
            for side, bits in enumerate(("clocks_met", "clocks_missed")):
                hit = cell[(rows[bits] >> clock) & 1 == 1]
                self._clocks[side, clock] += np.bincount(hit, minlength=self._cells)
        counted = answered | (abandoned & ~short) | (outcome == 3)
        self._by_interval(rows, queue, met, counted, wait)
        self._by_class(rows["class"], (None, met, counted, answered, wait * answered, abandoned & ~short))
        by_group = np.bincount((queue * len(scene.groups) + group)[group >= 0], minlength=self.flow.size)
        self.flow += by_group.reshape(self.flow.shape)
        self.steps += np.bincount(np.minimum(rows["step"], _STEPS - 1), minlength=_STEPS)
        first = rows["kind"][rows["contact"] == 0]
        self.work_unit_s += float(np.sum((scene.units * scene.work_s)[first]))

    def _met(self, rows: Records, wait: Floats) -> Floats:
        mask = np.uint32(sum(1 << clock for clock in self.scene.answer_clocks))
        has = (rows["clocks_met"] | rows["clocks_missed"]) & mask != 0
        by_clock = rows["clocks_missed"] & mask == 0
        return np.asarray(rows["answered"] & np.where(has, by_clock, wait <= self.scene.answer_target_s), np.float64)

    def _by_interval(self, rows: Records, queue: Ints, met: Floats, counted: Floats, wait: Floats) -> None:
        intervals = self.by_interval.shape[2]
        interval = np.minimum((rows["arrival_us"] / (INTERVAL_S * 1e6)).astype(np.int64), intervals - 1)
        place = queue * intervals + interval
        cells = len(self.scene.queues) * intervals
        for number, weights in enumerate((None, met, counted, wait)):
            self.by_interval[number] += np.bincount(place, weights, cells).reshape(-1, intervals)

    def _by_class(self, number: Ints, columns: Sequence[Floats | None]) -> None:
        size = max(self.by_class.shape[1], int(number.max()) + 1)
        self.by_class = np.pad(self.by_class, ((0, 0), (0, size - self.by_class.shape[1])))
        for place, weights in enumerate(columns):
            self.by_class[place] += np.bincount(number, weights, size)

    def total(self, name: str) -> float:
        """One of `COUNTS`, over all."""
        return float(self._counts[COUNTS.index(name)].sum())

    def counts(self, cut: str = "") -> Floats:
        """`COUNTS` by the values of a cut; without one, a single column."""
        return self._along(self._counts, cut)

    def clocks(self, cut: str = "") -> Floats:
        """(met, missed) × clock × values of the cut."""
        return self._along(self._clocks, cut)

    def quantile_s(self, share: float, cut: str = "") -> Floats:
        """The wait of this share of those answered, by the values of a cut."""
        below = np.cumsum(self._along(self._waits, cut), axis=0)
        bins = np.sum(below < share * below[-1], axis=0)
        seconds: Floats = np.where(bins == 0, 0.0, np.exp((bins - 0.5) * _BIN) / 1000)
        return np.where(below[-1] > 0, seconds, np.nan)

    def longest_s(self, cut: str = "") -> Floats:
        """The longest wait, by the values of a cut."""
        table = self._longest.reshape(self._shape)
        return np.asarray(table.max(axis=self._others(cut))).reshape(-1)

    def _others(self, cut: str) -> tuple[int, ...]:
        return tuple(place for place, name in enumerate(self.cuts) if name != cut)

    def _along(self, table: Floats, cut: str) -> Floats:
        leading = table.shape[:-1]
        whole = table.reshape(*leading, *self._shape)
        axes = tuple(len(leading) + place for place in self._others(cut))
        values = len(self.cuts[cut]) if cut else 1
        return np.asarray(whole.sum(axis=axes)).reshape(*leading, values)


def figures(tally: Tally, hours_s: Floats, length_s: float) -> dict[str, float]:
    """All figures of a stretch of `length_s` seconds: by name; by a cut's value as `asa_s[tier=vip]`."""
    found: dict[str, float] = {}
    paid, there, busy, load = hours_s.sum(axis=(1, 2))
    arrived = tally.total("arrived")
    found["tickets"] = arrived
    found["agent_hours"] = paid / 3600
    found["occupancy"] = _ratio(busy, there)
    found["utilisation"] = _ratio(load, there)
    found["queue_length"] = tally.total("wait_s") / length_s
    for group, name in enumerate(tally.scene.groups):
        found[f"occupancy[group={name}]"] = _ratio(hours_s[2, group].sum(), hours_s[1, group].sum())
    for cut, values in {"": [""], **tally.cuts}.items():
        _by(tally, cut, values, found)
    levels = [found[f"service_level[queue={queue}]"] for queue in tally.scene.queues if queue]
    known = [level for level in levels if not math.isnan(level)]
    found["worst_queue_service_level"] = min(known, default=math.nan)
    return found


def _by(tally: Tally, cut: str, values: list[str], found: dict[str, float]) -> None:
    count = dict(zip(COUNTS, tally.counts(cut), strict=True))
    counted = count["answered"] + count["abandoned"] + count["overflowed"] - count["short"]
    met, missed = tally.clocks(cut)
    columns = {
        "service_level": (count["met"], counted),
        "asa_s": (count["answer_s"], count["answered"]),
        "wait_s": (count["wait_s"], count["arrived"]),
        "p_wait": (count["waited"], count["arrived"]),
        "abandoned": (count["abandoned"] - count["short"], count["arrived"]),
        "abandoned_short": (count["short"], count["arrived"]),
        "overflowed": (count["overflowed"], count["arrived"]),
        "refused": (count["refused"], count["arrived"]),
        "open": (count["open"], count["arrived"]),
        "returns": (count["returns"], count["arrived"]),
        "handle_s": (count["handle_s"], count["answered"]),
        "wrap_up_s": (count["wrap_up_s"], count["answered"]),
        "offers": (count["attempts"], count["answered"]),
        "declines": (count["declines"], count["attempts"]),
        "missed": (count["missed"], count["attempts"]),
        "transfers": (count["transfers"], count["answered"]),
        "stepped": (count["stepped"], count["arrived"]),
        "reserve": (count["reserve"], count["answered"]),
        **{
            f"clock.{clock}": (met[place], met[place] + missed[place]) for place, clock in enumerate(tally.scene.clocks)
        },
    }
    columns_whole = {"wait_p50_s": 0.5, "wait_p90_s": 0.9}
    for place, value in enumerate(values):
        if cut and not count["arrived"][place]:
            if cut == "queue" and value:
                found[f"service_level[queue={value}]"] = math.nan
            continue
        suffix = f"[{cut}={value}]" if cut else ""
        if cut:
            found[f"tickets{suffix}"] = float(count["arrived"][place])
        for name, (over, under) in columns.items():
            found[name + suffix] = _ratio(over[place], under[place])
        for name, share in columns_whole.items():
            found[name + suffix] = float(tally.quantile_s(share, cut)[place])
        found[f"wait_max_s{suffix}"] = float(tally.longest_s(cut)[place])


def _ratio(over: float, under: float) -> float:
    return float(over) / float(under) if under else math.nan
