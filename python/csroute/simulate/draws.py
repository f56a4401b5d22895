"""Distributions of durations, in seconds.

>>> Exponential(60.0).mean_s, Weibull(60.0, shape=2.0).mean_s, Never().mean_s
(60.0, 60.0, inf)
>>> round(LogNormal(372.0, sigma=0.8).wire()["log_normal"]["mean_us"])
372000000
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from csroute.errors import ConfigError

__all__ = ["Distribution", "Empirical", "Exponential", "Fixed", "LogNormal", "Never", "Weibull", "distribution"]

_US = 1e6


@dataclass(frozen=True)
class Fixed:
    """Always the same."""

    mean_s: float

    def wire(self) -> dict[str, Any]:
        """As the core reads it."""
        return {"fixed": {"value_us": self.mean_s * _US}}


@dataclass(frozen=True)
class Exponential:
    """Without memory."""

    mean_s: float

    def wire(self) -> dict[str, Any]:
        """As the core reads it."""
        return {"exponential": {"mean_us": self.mean_s * _US}}


@dataclass(frozen=True)
class LogNormal:
    """By its own mean; `sigma` is the logarithm's standard deviation."""

    mean_s: float
    sigma: float

    def wire(self) -> dict[str, Any]:
        """As the core reads it."""
        return {"log_normal": {"mean_us": self.mean_s * _US, "sigma": self.sigma}}


@dataclass(frozen=True)
class Weibull:
    """By its own mean; `shape` above 1: who waited long leaves sooner."""

    mean_s: float
    shape: float

    def wire(self) -> dict[str, Any]:
        """As the core reads it."""
        scale = self.mean_s * _US / math.gamma(1 + 1 / self.shape)
        return {"weibull": {"scale_us": scale, "shape": self.shape}}


@dataclass(frozen=True)
class Empirical:
    """One of these values, each as likely."""

    values_s: tuple[float, ...]

    @property
    def mean_s(self) -> float:
        """Their mean."""
        return math.fsum(self.values_s) / len(self.values_s)

    def wire(self) -> dict[str, Any]:
        """As the core reads it."""
        return {"empirical": {"values_us": [value * _US for value in self.values_s]}}


@dataclass(frozen=True)
class Never:
    """It never ends: nobody leaves."""

    @property
    def mean_s(self) -> float:
        """Without end."""
        return math.inf

    def wire(self) -> Any:  # noqa: ANN401 (a word, where the others are tables)
        """As the core reads it."""
        return "never"


Distribution: TypeAlias = Fixed | Exponential | LogNormal | Weibull | Empirical | Never

_NAMES: Mapping[str, Callable[..., Distribution]] = {
    "fixed": Fixed,
    "exponential": Exponential,
    "log_normal": LogNormal,
    "weibull": Weibull,
}


def distribution(value: object, where: str) -> Distribution:
    """From a file: seconds, a list of them, "never", or `{exponential = 60}`, `{log_normal = [372, 0.8]}`."""
    match value:
        case bool():
            pass
        case int() | float():
            return Fixed(float(value))
        case "never":
            return Never()
        case Sequence() if not isinstance(value, str) and value and all(_number(one) for one in value):
            return Empirical(tuple(float(one) for one in value))
        case Mapping() if len(value) == 1:
            ((name, numbers),) = value.items()
            given = numbers if isinstance(numbers, list) else [numbers]
            if name in _NAMES and all(_number(one) for one in given):
                try:
                    return _NAMES[name](*map(float, given))
                except TypeError:
                    pass
        case _:
            pass
    raise ConfigError(
        f'{where}: {value!r} is no duration; write seconds, a list of them, "never", {{exponential = 60}}, '
        "{log_normal = [372, 0.8]}, {weibull = [60, 1.5]} or {fixed = 60}"
    )


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
