"""Parameters: the numbers of a policy that simulations may vary. Their values stand in the page, as ever.

```python
RELEASE = parameter("release", seconds(120), low=seconds(20), high=seconds(300))

class Reserves:
    spare = Reserve(S.spare, open=oldest_wait(over=RELEASE, until=seconds(10)))
```

`RELEASE` is a duration like any other: 120 s, unless the file is read with another one: `load(path, release="60 s")`,
`csroute simulate mine.py --set release=60s`, or a try of `csroute tune`. Outside such a reading nothing is remembered:
importing a policy registers nothing.

>>> parameter("release", Duration(120_000), low=Duration(20_000), high=Duration(300_000)).ms
120000
>>> with reading({"release": "60 s"}) as found:
...     parameter("release", Duration(120_000), low=Duration(20_000), high=Duration(300_000)).ms
60000
>>> found["release"].high.ms
300000
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar, overload

from csroute.policy.durations import Duration, duration

__all__ = ["Parameter", "Value", "Values", "parameter", "reading"]

Value: TypeAlias = Duration | int | float | str
Values: TypeAlias = Mapping[str, Value]
"""By name; a number or a duration may be a text, as people write it."""
N = TypeVar("N", int, float, Duration)


@dataclass(frozen=True)
class Parameter:
    """What was declared. Either a range with its step (None: any), or the values `among` which one is chosen."""

    name: str
    default: Any
    low: Any = None
    high: Any = None
    step: Any = None
    among: Sequence[str] = ()

    def read(self, given: Value) -> Any:  # noqa: ANN401 - a value of the default's type
        """A value given for it, checked. Raises ValueError."""
        if self.among:
            if given not in self.among:
                raise ValueError(f"parameter {self.name} is {given!r}: choose among {', '.join(self.among)}")
            return given
        value = self._number(given)
        if not self.low <= value <= self.high:
            raise ValueError(f"parameter {self.name} is {value}: it goes from {self.low} to {self.high}")
        return value

    def _number(self, given: Value) -> Any:  # noqa: ANN401
        if isinstance(given, type(self.default)) and not isinstance(given, bool):
            return given
        try:
            if isinstance(self.default, Duration):
                return duration(str(given))
            return type(self.default)(given)
        except (TypeError, ValueError):
            like = "60s, 1.5min" if isinstance(self.default, Duration) else str(self.default)
            raise ValueError(
                f"parameter {self.name}: {given!r} is no {type(self.default).__name__}; write {like}"
            ) from None


@dataclass
class _Reading:
    given: Values
    found: dict[str, Parameter] = field(default_factory=dict)


_READING: ContextVar[_Reading | None] = ContextVar("reading", default=None)


@overload
def parameter(name: str, default: N, *, low: N, high: N, step: N | None = None) -> N: ...
@overload
def parameter(name: str, default: str, *, among: Sequence[str]) -> str: ...


def parameter(
    name: str, default: Any, *, low: Any = None, high: Any = None, step: Any = None, among: Sequence[str] = ()
) -> Any:
    """The parameter's value: the default, unless this page is read with another one.

    Args:
        name: unique in the page.
        default: a duration, a whole number or another number; with `among` a text.
        low: the least value that makes sense,
        high: and the greatest.
        step: a search tries whole steps from `low`; None: 1 s for durations, 1 for whole numbers, else any number.
        among: the texts it may be, in place of a range.

    Raises ValueError where the default, or what is given, is not in range, or a name comes twice.
    """
    if step is None and not among:
        step = Duration(1000) if isinstance(default, Duration) else 1 if isinstance(default, int) else None
    declared = Parameter(name, default, low, high, step, tuple(among))
    declared.read(default)
    now = _READING.get()
    if now is None:
        return default
    if name in now.found:
        raise ValueError(f"two parameters are called {name}")
    now.found[name] = declared
    return declared.read(now.given.get(name, default))


@contextmanager
def reading(given: Values) -> Iterator[dict[str, Parameter]]:
    """While a page is read: its parameters have these values; yields those that it declares, in order.

    Raises ValueError at the end if a name was given that the page does not declare.
    """
    now = _Reading(given)
    token = _READING.set(now)
    try:
        yield now.found
    finally:
        _READING.reset(token)
    if unknown := [name for name in given if name not in now.found]:
        known = ", ".join(now.found) or "none"
        raise ValueError(f"there is no parameter {', '.join(unknown)}; declared: {known}")
