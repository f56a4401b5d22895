"""Whole thousandths: what ratios become, so that no order depends on a rounding."""

from __future__ import annotations

from fractions import Fraction

__all__ = ["milli"]


def milli(value: float, what: str, low: int, high: int) -> int:
    """`value` in thousandths. ValueError unless it is a whole number of them from `low` to `high`.

    >>> milli(0.85, "at", 1, 1000)
    850
    """
    thousandths = Fraction(str(value)) * 1000  # by its decimal digits
    if thousandths.denominator != 1 or not low <= thousandths <= high:
        raise ValueError(f"{what} is {low / 1000:g} to {high / 1000:g} in steps of 0.001, not {value}")
    return int(thousandths)
