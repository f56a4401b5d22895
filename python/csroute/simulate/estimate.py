"""A mean and how sure of it one may be.

>>> estimate([1.0, 2.0, 3.0, 4.0])
Estimate(mean=2.5, half_width=2.054)
>>> round(student_t(0.95, 9), 3), round(student_t(0.999, 19), 3)
(2.262, 3.883)
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

__all__ = ["Estimate", "estimate", "student_t"]


class Estimate(NamedTuple):
    """A mean ± half its confidence interval; NaN: one run of something that does not settle tells no interval."""

    mean: float
    half_width: float

    def __repr__(self) -> str:
        return f"Estimate(mean={self.mean:.6g}, half_width={self.half_width:.4g})"

    def holds(self, value: float) -> bool:
        """Whether the value lies in the interval."""
        return abs(value - self.mean) <= self.half_width


def estimate(values: Sequence[float], confidence: float = 0.95) -> Estimate:
    """Of independent values, by Student's t. Values that are NaN (nothing was there to measure) are left out."""
    known = [value for value in values if not math.isnan(value)]
    if not known:
        return Estimate(math.nan, math.nan)
    mean = math.fsum(known) / len(known)
    if len(known) < 2:
        return Estimate(mean, math.nan)
    return Estimate(mean, student_t(confidence, len(known) - 1) * statistics.stdev(known) / math.sqrt(len(known)))


@cache
def student_t(confidence: float, freedom: int) -> float:
    """The t beyond which, on either side together, lies 1 − confidence."""
    # P(|T| < t) is an integral over the angle atan(t/√ν) of cos^(ν−1): smooth and bounded, so Simpson's rule will do.
    scale = math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)) * 2 / math.sqrt(math.pi)

    def within(angle: float) -> float:
        steps = 1000
        step = angle / steps
        inner = math.fsum((4 if i % 2 else 2) * math.cos(i * step) ** (freedom - 1) for i in range(1, steps))
        return scale * step / 3 * (1 + inner + math.cos(angle) ** (freedom - 1))

    low, high = 0.0, math.pi / 2
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if within(middle) < confidence else (low, middle)
    return math.sqrt(freedom) * math.tan(low)
