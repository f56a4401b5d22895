"""Whether a canary is behind: a test that may be looked at again and again, from counts alone.

    fate = judged(client.canary())      # Fate.WAIT, FINE or BEHIND

The figure is the service level: answered in time ÷ (answered + abandoned + overflowed − short abandons). Of its two
sides the interval of the difference is Newcombe's, made of Wilson's bounds, which hold for small counts and for shares
near 0 and 1 (E. B. Wilson, JASA 22, 1927, 209–212; R. G. Newcombe, "Interval estimation for the difference between
independent proportions", Statistics in Medicine 17, 1998, 873–890, method 10). The canary is behind when even the upper
bound of its difference is below −margin.

A test that is repeated finds something at last; so it is made only when the smaller side has `tickets_min`, twice that,
four times, …, and the k-th time (from 1) with an error of `error ÷ (k·(k+1))`: all looks together err by `error` at
most (Bonferroni; the sum over k is 1). Whoever asks between two looks hears what the last one said.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from statistics import NormalDist
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from csroute.types import Canary, CanarySide

__all__ = ["Fate", "Judge", "Verdict", "upper_bound", "wilson"]


class Fate(Enum):
    """What a look says."""

    WAIT = "too few tickets to tell"
    FINE = "not behind, as far as can be told"
    BEHIND = "behind by more than the margin"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A look: how often was looked, both service levels, and what the difference is below with the error left."""

    fate: Fate
    look: int
    stable: float
    canary: float
    upper: float

    def __str__(self) -> str:
        if self.fate is Fate.WAIT:
            return str(self.fate.value)
        levels = f"service level {self.canary:.1%}, the policy's {self.stable:.1%}"
        return f"{self.fate.value}: {levels}; the difference is below {self.upper:+.1%} (look {self.look})"


_NONE = Verdict(Fate.WAIT, 0, 1.0, 1.0, 1.0)


def wilson(met: int, of: int, z: float) -> tuple[float, float]:
    """Wilson's bounds of a share.

    >>> [round(bound, 3) for bound in wilson(81, 263, 1.959964)]
    [0.255, 0.366]
    """
    share, square = met / of, z * z
    middle = share + square / (2 * of)
    reach = z * math.sqrt(share * (1 - share) / of + square / (4 * of * of))
    return (middle - reach) / (1 + square / of), (middle + reach) / (1 + square / of)


def upper_bound(canary: tuple[int, int], stable: tuple[int, int], error: float) -> float:
    """The upper bound of the canary's share less the stable one's; each is (met, of), of > 0.

    >>> round(upper_bound((56, 70), (48, 80), 0.025), 4)  # Newcombe's own example (a), his table II
    0.3339
    """
    z = NormalDist().inv_cdf(1 - error)
    ours, theirs = canary[0] / canary[1], stable[0] / stable[1]
    up, down = wilson(*canary, z)[1], wilson(*stable, z)[0]
    return ours - theirs + math.sqrt((up - ours) ** 2 + (theirs - down) ** 2)


def _counted(side: CanarySide) -> tuple[int, int]:
    return side.met, side.answered + side.abandoned + side.overflowed - side.short_abandoned


class Judge:
    """Looks at one canary as often as it is asked, and tests as often as it may."""

    def __init__(self) -> None:
        self._since_us = 0
        self._last = _NONE

    def judged(self, seen: Canary) -> Verdict:
        """What can be said by now. Another canary begins anew."""
        if seen.since_us != self._since_us:
            self._since_us, self._last = seen.since_us, _NONE
        if seen.stable is None or seen.canary is None:
            return self._last
        ours, theirs = _counted(seen.canary), _counted(seen.stable)
        fewer = min(ours[1], theirs[1])
        if fewer < seen.tickets_min:
            return self._last
        look = int(math.log2(fewer / seen.tickets_min)) + 1
        if look > self._last.look:
            upper = upper_bound(ours, theirs, seen.error_milli / 1000 / (look * (look + 1)))
            fate = Fate.BEHIND if upper < -seen.margin_milli / 1000 else Fate.FINE
            self._last = Verdict(fate, look, theirs[0] / theirs[1], ours[0] / ours[1], upper)
        return self._last
