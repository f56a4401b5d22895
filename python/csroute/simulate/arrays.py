"""The records that go in and come out, as numpy's structured arrays. Times are µs since the simulation's start.

>>> ARRIVAL.itemsize, ROW.itemsize, OUTCOMES[2]
(32, 72, 'abandoned')
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["ARRIVAL", "OUTCOMES", "ROW", "Floats", "Ints", "Records", "arrivals"]

Records: TypeAlias = npt.NDArray[np.void]
Floats: TypeAlias = npt.NDArray[np.float64]
Ints: TypeAlias = npt.NDArray[np.int64]

ARRIVAL = np.dtype([("at_us", "<i8"), ("kind", "<u4"), ("customer", "<u4"), ("patience_us", "<i8"), ("work_us", "<i8")])
"""A ticket that comes: `kind` is a place in the workload's kinds; customer 0 is nobody known; −1 µs: to be drawn."""

ROW = np.dtype(
    [
        ("ticket", "<u8"),
        ("arrival_us", "<i8"),
        ("wait_us", "<i8"),
        ("handle_us", "<i8"),
        ("wrap_up_us", "<i8"),
        ("kind", "<u4"),
        ("class", "<u4"),
        ("agent", "<i4"),
        ("clocks_met", "<u4"),
        ("clocks_missed", "<u4"),
        ("queue", "<u2"),
        ("outcome", "u1"),
        ("contact", "u1"),
        ("step", "u1"),
        ("attempts", "u1"),
        ("declines", "u1"),
        ("missed", "u1"),
        ("transfers", "u1"),
        ("answered", "?"),
        ("spare", "<u2"),
    ]
)
"""What became of a ticket.

ticket: the arrival's number; contact: contacts of the customer before, 0 for the first. wait_us: until the first
answer; without one until it left or the simulation ended. agent: who answered first, a place in the roster, −1 nobody;
queue and class: places in the result's names; clocks: a bit each, in the policy's order; step: the last one taken.
"""

OUTCOMES = ("open", "done", "abandoned", "overflowed", "refused")
"""By `outcome`. open: it had not ended when the simulation did; refused: a bound of the policy was reached."""


def arrivals(at_us: npt.ArrayLike, kind: npt.ArrayLike = 0, **columns: npt.ArrayLike) -> Records:
    """A block of arrivals from columns; what is not given is drawn. `at_us` must not go back."""
    at = np.asarray(at_us, dtype=np.int64)
    block: np.ndarray[Any, np.dtype[np.void]] = np.zeros(len(at), ARRIVAL)
    block["at_us"], block["kind"] = at, kind
    block["patience_us"] = block["work_us"] = -1
    for name, values in columns.items():
        block[name] = values
    return block
