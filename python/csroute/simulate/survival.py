"""Durations of which some were cut short: who was answered would have waited for longer, nobody saw how long.

The product-limit estimator (Kaplan, Meier 1958; for callers' patience Brown et al. 2005, JASA 100). Beyond the longest
duration seen to its end the rate is the mean one: ends seen ÷ time watched.

>>> import numpy as np
>>> found = Survival(np.array([10.0, 20.0, 30.0, 40.0]), np.array([True, False, True, True]))
>>> found.at(np.array([0.9, 0.5, 0.2])).tolist()    # of all; a quarter ends at 10, then half of those left at 30
[10.0, 30.0, 40.0]
>>> found.at(np.array([0.9]), beyond=np.array([25.0])).tolist()
[30.0]
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from csroute.simulate.draws import Distribution, Empirical, Never

if TYPE_CHECKING:
    import numpy.typing as npt

    from csroute.simulate.arrays import Floats

__all__ = ["Survival"]

_POINTS = 1000


@dataclass(frozen=True)
class Survival:
    """durations: as long as each was watched; ended: whether its end was seen."""

    durations: Floats
    ended: npt.NDArray[np.bool_]
    _times: Floats = field(init=False, repr=False)
    _left: Floats = field(init=False, repr=False)
    """The share that lasts longer than each of `_times`."""

    def __post_init__(self) -> None:
        times, ends = np.unique(self.durations[self.ended], return_counts=True)
        watched = len(self.durations) - np.searchsorted(np.sort(self.durations), times, side="left")
        object.__setattr__(self, "_times", times)
        object.__setattr__(self, "_left", np.cumprod(1.0 - ends / watched))

    @property
    def ends(self) -> int:
        """How many were seen to their end."""
        return int(self.ended.sum())

    def at(self, left: Floats, beyond: Floats | float = 0.0) -> Floats:
        """What this share outlasts, of those that last longer than `beyond`; infinite if no end was seen."""
        if not self.ends:
            return np.full(len(left), np.inf)
        place = np.searchsorted(self._times, beyond, side="right")
        already = np.where(place > 0, self._left[np.maximum(place - 1, 0)], 1.0)
        wanted = left * already
        # The first time at which no more than `wanted` is left.
        number = np.searchsorted(-self._left, -wanted, side="left")
        seen = self._times[np.minimum(number, len(self._times) - 1)]
        last, mean = self._left[-1], self.durations.sum() / self.ends
        over = np.maximum(self._times[-1], beyond)
        with np.errstate(divide="ignore", invalid="ignore"):
            tail = over + mean * np.log(np.minimum(last, already) / wanted)
        return np.asarray(np.where(wanted < last, tail, np.maximum(seen, beyond)), np.float64)

    def distribution(self) -> Distribution:
        """Of all, by a thousand values, each as likely."""
        if not self.ends:
            return Never()
        shares = (np.arange(_POINTS) + 0.5) / _POINTS
        return Empirical(tuple(self.at(1.0 - shares).tolist()))
