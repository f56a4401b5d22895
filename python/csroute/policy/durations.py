"""Durations: whole milliseconds, written in the unit that reads best, added and compared exactly.

>>> VIP = seconds(60)
>>> ANGRY = VIP + seconds(30)
>>> ANGRY.ms, str(ANGRY), ANGRY > VIP, minutes(1.5) == seconds(90)
(90000, '1 min 30 s', True, True)
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

__all__ = ["Duration", "duration", "hours", "milliseconds", "minutes", "seconds"]

_UNITS = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1000, "s"), (1, "ms"))


@dataclass(frozen=True, order=True)
class Duration:
    """A signed number of milliseconds. Adds to durations, multiplies by whole numbers."""

    ms: int

    def __add__(self, other: Duration) -> Duration:
        return Duration(self.ms + other.ms)

    def __sub__(self, other: Duration) -> Duration:
        return Duration(self.ms - other.ms)

    def __mul__(self, times: int) -> Duration:
        return Duration(self.ms * times)

    __rmul__ = __mul__

    def __neg__(self) -> Duration:
        return Duration(-self.ms)

    def __str__(self) -> str:
        parts, rest = [], abs(self.ms)
        for size, unit in _UNITS:
            count, rest = divmod(rest, size)
            if count:
                parts.append(f"{count} {unit}")
        return ("-" if self.ms < 0 else "") + (" ".join(parts) or "0 s")


def _of(count: float, unit_ms: int) -> Duration:
    ms = Fraction(str(count)) * unit_ms  # by its decimal digits: seconds(0.1) is 100 ms exactly
    if ms.denominator != 1:
        raise ValueError(f"{count} × {unit_ms} ms is no whole number of milliseconds")
    return Duration(int(ms))


def milliseconds(count: int) -> Duration:
    """So many milliseconds."""
    return _of(count, 1)


def seconds(count: float) -> Duration:
    """So many seconds; ValueError unless that is a whole number of milliseconds."""
    return _of(count, 1000)


def minutes(count: float) -> Duration:
    """So many minutes; ValueError unless that is a whole number of milliseconds."""
    return _of(count, 60_000)


def hours(count: float) -> Duration:
    """So many hours; ValueError unless that is a whole number of milliseconds."""
    return _of(count, 3_600_000)


def duration(text: str) -> Duration:
    """As people write it: "60s", "1.5 min", "-250 ms". ValueError where it is none.

    >>> str(duration("1.5 min"))
    '1 min 30 s'
    """
    found = re.fullmatch(r"\s*(-?\d+(?:\.\d+)?)\s*([a-z]+)\s*", text)
    sizes = {unit: size for size, unit in _UNITS}
    if found is None or found[2] not in sizes:
        raise ValueError(f"{text!r} is no duration: write a number and {', '.join(sizes)}")
    return _of(float(found[1]) if "." in found[1] else int(found[1]), sizes[found[2]])
