"""What a controller said, made whole numbers, or refused. Plain Python: nothing of a controller runs here.

>>> ranges = declared({"rules": [["Who.order", {"slope": [0.5, 4]}]]})
>>> tunings({"slope": [2.25]}, ranges)[0].slope_milli
2250
>>> tunings({"slope": [float("nan")]}, ranges)
Traceback (most recent call last):
    ...
csroute.tuning.NonsenseError: slope of Who.order is nan: a number from 0.5 to 4 is wanted
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from csroute.errors import CsrouteError
from csroute.types import RuleTuning

__all__ = ["LIMITS", "NonsenseError", "Ranges", "declared", "tunings"]

RULES_MAX: Final = 256
LIMITS: Final = {"head_start_s": (-604_800.0, 604_800.0), "slope": (0.0, 100.0), "fit": (0.0, 2.0)}
"""What the engine takes at all."""

Ranges = dict[str, dict[str, tuple[float, float]]]
"""By rule, by figure: lowest and highest."""


class NonsenseError(CsrouteError):
    """A controller declares or answers what cannot be."""


def declared(said: object) -> Ranges:
    """The ranges that a controller declares. Raises NonsenseError."""
    rules = said.get("rules") if isinstance(said, Mapping) else None
    if not isinstance(rules, list) or not 1 <= len(rules) <= RULES_MAX:
        raise NonsenseError(f"a controller declares ranges for 1 to {RULES_MAX} rules")
    ranges: Ranges = {}
    for rule, figures in rules:
        layer, _, name = str(rule).partition(".")
        if not layer or not name or rule in ranges:
            raise NonsenseError(f'{rule!r}: a rule is named "Layer.rule", once')
        ranges[rule] = {figure: _range(rule, figure, pair) for figure, pair in figures.items()}
    return ranges


def _range(rule: str, figure: str, pair: Any) -> tuple[float, float]:  # noqa: ANN401 (whatever JSON holds)
    if figure not in LIMITS:
        raise NonsenseError(f"{rule}: {figure!r} is none of {', '.join(LIMITS)}")
    low, high = LIMITS[figure]
    well = isinstance(pair, list) and len(pair) == 2 and all(isinstance(it, int | float) for it in pair)
    if not well or not low <= pair[0] <= pair[1] <= high:
        raise NonsenseError(f"{figure} of {rule}: a range within {low:g} to {high:g} is wanted, not {pair}")
    return float(pair[0]), float(pair[1])


def tunings(said: Mapping[str, Any], ranges: Ranges) -> list[RuleTuning]:
    """An answer as whole numbers, one tuning a rule. Raises NonsenseError for whatever is not within the ranges."""
    found: dict[str, dict[str, int]] = {rule: {} for rule in ranges}
    for figure in LIMITS:
        values = said.get(figure)
        if values is None:
            continue
        if not isinstance(values, list) or len(values) != len(ranges):
            shape = f"{len(values)} of them" if isinstance(values, list) else repr(values)
            raise NonsenseError(f"{figure}: {len(ranges)} numbers are wanted, one a rule, not {shape}")
        for (rule, figures), value in zip(ranges.items(), values, strict=True):
            if figure not in figures:
                continue
            low, high = figures[figure]
            number = isinstance(value, int | float) and math.isfinite(value)
            if not number or not low <= value <= high:
                wanted = f"a number from {low:g} to {high:g} is wanted"
                raise NonsenseError(f"{figure} of {rule} is {value}: {wanted}")
            found[rule][_FIELDS[figure]] = round(value * 1000)
    return [_tuning(rule, figures) for rule, figures in found.items() if figures]


def _tuning(rule: str, figures: Mapping[str, int]) -> RuleTuning:
    layer, _, name = rule.partition(".")
    return RuleTuning(layer, name, **figures)


_FIELDS: Final = {"head_start_s": "head_start_ms", "slope": "slope_milli", "fit": "fit_milli"}
