"""`csroute override`: what is said on the command line, as changes.

>>> changes_of("vip", ["head_start=+120s"])
[ShiftHeadStart(rule='vip', head_start_ms=120000, relative=True)]
>>> changes_of("Who.logistics", ["step.1.age=0s", "step.1.boost=30s"])
[ShiftStep(rule='Who.logistics', step=1, age_ms=0, boost_ms=30000)]
>>> changes_of("spare", ["reserve=released"]), duration_ms("15m")
([ShiftReserve(reserve='spare', released=True)], 900000)
>>> changes_of("logistics", ["may=order", "level=2"])
[ShiftSkill(group='logistics', may='order', level=2)]
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction

from csroute.errors import ConfigError
from csroute.policy.words import ago
from csroute.types import Change, ShiftHeadStart, ShiftReserve, ShiftSkill, ShiftStep

__all__ = ["changes_of", "duration_ms", "said"]

_UNITS = {"ms": 1, "s": 1000, "m": 60_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}
_RIGHT = (
    "write head_start=+120s (a sign adds), step.2.age=10s, step.2.boost=30s, reserve=released or reserve=kept, "
    "or may=SKILL with level=N"
)


def duration_ms(text: str) -> int:
    """A duration like 90s, 1.5m, -2h, in whole ms. ConfigError for whatever else."""
    found = re.fullmatch(r"([+-]?)(\d+(?:\.\d+)?)(ms|s|min|m|h|d)", text.strip())
    if found is None:
        raise ConfigError(f"{text!r} is no duration: write 90s, 15m, 2h or 500ms")
    sign, number, unit = found.groups()
    ms = Fraction(number) * _UNITS[unit]
    if ms.denominator != 1:
        raise ConfigError(f"{text!r} is no whole number of milliseconds")
    return -int(ms) if sign == "-" else int(ms)


def _number(name: str, text: str) -> int:
    if not text.isdecimal():
        raise ConfigError(f"{name}={text!r}: give a whole number")
    return int(text)


def _released(text: str) -> bool:
    if text not in ("released", "kept"):
        raise ConfigError(f"reserve={text!r}: write reserve=released, or reserve=kept")
    return text == "released"


def changes_of(target: str, settings: Sequence[str]) -> list[Change]:
    """What NAME=VALUE say of a rule, a layer, a reserve or a skill. ConfigError says what is wrong."""
    given: dict[str, str] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals or not value or name in given:
            raise ConfigError(f"{setting!r}: {_RIGHT}, each once")
        given[name] = value
    found: list[Change] = []
    if (value := given.pop("head_start", "")) != "":
        found.append(ShiftHeadStart(target, duration_ms(value), relative=value[0] in "+-"))
    if (value := given.pop("reserve", "")) != "":
        found.append(ShiftReserve(target, _released(value)))
    if (value := given.pop("may", "")) != "":
        found.append(ShiftSkill(target, value, _number("level", given.pop("level", "1"))))
    steps: dict[int, dict[str, int]] = {}
    for name in [name for name in given if re.fullmatch(r"step\.[1-9]\d*\.(age|boost)", name)]:
        _, place, field = name.split(".")
        steps.setdefault(int(place), {})[f"{field}_ms"] = duration_ms(given.pop(name))
    found += [
        ShiftStep(target, place, step.get("age_ms"), step.get("boost_ms")) for place, step in sorted(steps.items())
    ]
    if given or not found:
        raise ConfigError(f"{' '.join(given) or 'nothing is changed'}: {_RIGHT}")
    return found


def _head_start(it: ShiftHeadStart) -> str:
    sign = "= " if not it.relative else "+" if it.head_start_ms >= 0 else ""
    return f"{it.rule}: head start {sign}{ago(it.head_start_ms)}"


def _step(it: ShiftStep) -> str:
    age = "" if it.age_ms is None else f" after {ago(it.age_ms)}"
    boost = "" if it.boost_ms is None else f" boost {ago(it.boost_ms)}"
    return f"{it.rule}: step {it.step}{age}{boost}"


def said(change: object) -> str:
    """A change, for a person."""
    match change:
        case ShiftHeadStart():
            return _head_start(change)
        case ShiftStep():
            return _step(change)
        case ShiftReserve():
            return f"{change.reserve}: {'released' if change.released else 'kept'}"
        case ShiftSkill():
            return f"{change.group} (level {change.level} up) may take what needs {change.may}"
    return "a change that this version does not know"
