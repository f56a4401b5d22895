"""What a ticket says of itself, declared once, so that editors complete and mypy refuses a wrong value.

```python
class Ticket(Attributes):
    channel: Attr[Literal["chat", "phone"]]                                # no default: always there
    category: Detected[Literal["order", "logistics"]] = detected(at=0.6)   # less sure counts as missing
    tier: Attr[Literal["vip", "ordinary"]] = optional()

angry_vip = Ticket.tier.is_("vip") & Ticket.category.is_not("order")       # conditions, for rules
someone = Ticket(channel="chat", category=guess("order", 0.7))             # a ticket, for cases
```

A missing value satisfies no test but `missing()`: neither `is_` nor `is_not`. `channel` and `customer` are the ticket's
own fields on the wire; declare them here like any other (`channel` always) to read them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from inspect import get_annotations
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Generic,
    Literal,
    NoReturn,
    TypeVar,
    get_args,
    get_origin,
    get_type_hints,
    overload,
)

from typing_extensions import dataclass_transform

from csroute.policy.numbers import milli

__all__ = [
    "All",
    "AnyHolds",
    "Attr",
    "Attributes",
    "Condition",
    "Detected",
    "Fact",
    "Guess",
    "Op",
    "Test",
    "detected",
    "facts_of",
    "guess",
    "guesses_of",
    "never",
    "optional",
    "present_values",
]

T = TypeVar("T", bound=str)
T_co = TypeVar("T_co", bound=str, covariant=True)
Op = Literal["in", "not_in", "present", "missing"]


class Condition:
    """What a rule asks of a ticket. Joined by `&` and `|`; `and`, `or`, `not` and `if` are refused."""

    def __and__(self, other: Condition) -> All:
        return All((*_parts(All, self), *_parts(All, other)))

    def __or__(self, other: Condition) -> AnyHolds:
        return AnyHolds((*_parts(AnyHolds, self), *_parts(AnyHolds, other)))

    if not TYPE_CHECKING:  # mypy's truthy-bool refuses `and` and `or` only where it sees no __bool__

        def __bool__(self) -> NoReturn:
            raise TypeError("a condition is not true or false by itself: join conditions with & and |, in parentheses")


@dataclass(frozen=True)
class Test(Condition):
    """A test of one attribute."""

    fact: Fact[str]
    op: Op
    values: tuple[str, ...] = ()


@dataclass(frozen=True)
class All(Condition):
    """Holds if all of these do."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True)
class AnyHolds(Condition):
    """Holds if any of these does."""

    conditions: tuple[Condition, ...]


def never() -> Condition:
    """Holds for no ticket: for a rule that is entered by a step's move, or a transfer, alone."""
    return AnyHolds(())


def _parts(kind: type[All] | type[AnyHolds], condition: Condition) -> tuple[Condition, ...]:
    if not isinstance(condition, Condition):
        raise TypeError(f"& and | join conditions, and this is none: {condition!r}")
    return condition.conditions if isinstance(condition, kind) else (condition,)


class Fact(Generic[T_co]):
    """One declared attribute, as the class has it: `Ticket.tier`."""

    name: str
    owner: type
    required: bool
    threshold_milli: int
    sticky: bool
    values: tuple[str, ...]
    """Those allowed; empty: any."""

    def __repr__(self) -> str:
        return f"{self.owner.__name__}.{self.name}"

    def present(self) -> Condition:
        """The ticket has it (a guess: surely enough)."""
        return Test(self, "present")

    def missing(self) -> Condition:
        """The ticket has it not, or the guess is too unsure."""
        return Test(self, "missing")

    def _test(self, op: Op, values: tuple[str, ...]) -> Condition:
        if not values:
            raise TypeError(f"{self!r}: a test needs at least one value")
        for value in values:
            self._accept(value)
        return Test(self, op, values)

    def _accept(self, value: object) -> str:
        if not isinstance(value, str):
            raise TypeError(f"{self!r} is text, not {value!r}")
        if self.values and value not in self.values:
            raise ValueError(f"{self!r} has no value {value!r}: it is one of {', '.join(self.values)}")
        return value


class Attr(Fact[T]):
    """A fact that the gateway knows. Without a default every ticket has it; with `= optional()` it may be missing."""

    @overload
    def __get__(self, ticket: None, owner: type[Any]) -> Attr[T]: ...
    @overload
    def __get__(self, ticket: Attributes, owner: type[Any]) -> T | None: ...
    def __get__(self, ticket: Attributes | None, owner: type[Any]) -> Attr[T] | T | None:
        return self if ticket is None else _value(ticket, self)

    def __set__(self, ticket: Attributes, value: T) -> None:
        raise AttributeError(f"{self!r}: a ticket of a case does not change; make another")

    def is_(self, *values: T) -> Condition:
        """It is one of these."""
        return self._test("in", values)

    def is_not(self, *values: T) -> Condition:
        """It is there, and none of these."""
        return self._test("not_in", values)


class Detected(Fact[T]):
    """A detector's guess; below the threshold of `= detected(at=…)` it counts as missing."""

    @overload
    def __get__(self, ticket: None, owner: type[Any]) -> Detected[T]: ...
    @overload
    def __get__(self, ticket: Attributes, owner: type[Any]) -> T | None: ...
    def __get__(self, ticket: Attributes | None, owner: type[Any]) -> Detected[T] | T | None:
        return self if ticket is None else _value(ticket, self)

    def __set__(self, ticket: Attributes, value: T | Guess[T]) -> None:
        raise AttributeError(f"{self!r}: a ticket of a case does not change; make another")

    def is_(self, *values: T) -> Condition:
        """The guess is sure enough, and one of these."""
        return self._test("in", values)

    def is_not(self, *values: T) -> Condition:
        """The guess is sure enough, and none of these."""
        return self._test("not_in", values)


@dataclass(frozen=True)
class Guess(Generic[T_co]):
    """A value with its confidence, in thousandths."""

    value: T_co
    confidence_milli: int

    def __str__(self) -> str:
        sure = self.confidence_milli == 1000
        return f"{self.value!r}" if sure else f"guess({self.value!r}, {self.confidence_milli / 1000})"


def guess(value: T, confidence: float) -> Guess[T]:
    """A detected value for a case, with its confidence, 0 to 1 in whole thousandths."""
    return Guess(value, milli(confidence, "confidence", 0, 1000))


@dataclass(frozen=True)
class _Optional:
    pass


@dataclass(frozen=True)
class _Detected:
    at_milli: int
    sticky: bool


def optional() -> Any:  # noqa: ANN401 - stands where an Attr of any type does
    """This fact may be missing."""
    return _Optional()


def detected(*, at: float, sticky: bool = False) -> Any:  # noqa: ANN401 - stands where a Detected of any type does
    """A guess less sure than `at` (over 0, at most 1, in whole thousandths) counts as missing.

    `sticky`: an update's guess below `at` keeps the value there was, so that a wavering detector moves no ticket.
    """
    return _Detected(milli(at, "at", 1, 1000), sticky)


@dataclass_transform(kw_only_default=True)
class Attributes:
    """The base of a policy's ticket. Subclass it once; an instance is a ticket for cases."""

    _facts: ClassVar[Mapping[str, Fact[str]]] = {}

    def __init_subclass__(cls) -> None:
        facts = dict(cls._facts)
        hints = get_type_hints(cls)
        for name in get_annotations(cls):
            if not name.startswith("_"):
                facts[name] = _declare(cls, name, hints[name], cls.__dict__.get(name))
                setattr(cls, name, facts[name])
        cls._facts = facts

    if not TYPE_CHECKING:  # type checkers read the fields

        def __init__(self, **given: str | Guess[str] | None) -> None:
            for name in given:
                if name not in self._facts:
                    raise TypeError(f"{type(self).__name__} has no {name!r}: it has {', '.join(self._facts)}")
            self._values = {}
            for name, fact in self._facts.items():
                value = given.get(name)
                if value is None:
                    if fact.required:
                        raise TypeError(f"{fact!r} must be given: a ticket always has it")
                    continue
                if isinstance(value, Guess) and not fact.threshold_milli:
                    raise TypeError(f"{fact!r} is a fact, not a guess: give the value alone")
                found = value if isinstance(value, Guess) else Guess(value, 1000)
                fact._accept(found.value)
                self._values[name] = found

        def __repr__(self) -> str:
            return f"{type(self).__name__}({', '.join(f'{name}={value}' for name, value in self._values.items())})"


def _declare(owner: type[Attributes], name: str, hint: object, default: object) -> Fact[str]:
    kind, where = get_origin(hint), f"{owner.__name__}.{name}"
    if kind not in {Attr, Detected}:
        raise TypeError(f"{where}: declare it as Attr[…] or Detected[…], not {hint!r}")
    if kind is Detected and not isinstance(default, _Detected):
        raise TypeError(f"{where}: a Detected needs its threshold: `= detected(at=0.6)`")
    if kind is Attr and not (default is None or isinstance(default, _Optional)):
        raise TypeError(f"{where}: an Attr has no default (always there) or `= optional()`")
    (values,) = get_args(hint)
    choices: tuple[object, ...] = get_args(values)
    if values is not str and not (choices and all(isinstance(value, str) and value for value in choices)):
        raise TypeError(f"{where}: its values are str, or a Literal of texts, not {values!r}")
    fact: Fact[str] = Detected() if kind is Detected else Attr()
    fact.name, fact.owner = name, owner
    fact.required = default is None
    fact.threshold_milli = default.at_milli if isinstance(default, _Detected) else 0
    fact.sticky = isinstance(default, _Detected) and default.sticky
    fact.values = tuple(str(value) for value in choices)
    return fact


def facts_of(attributes: type[Attributes]) -> Mapping[str, Fact[str]]:
    """The declared attributes by name, in order."""
    return attributes._facts


def guesses_of(ticket: Attributes) -> Mapping[str, Guess[str]]:
    """What a ticket was given, by name, with confidences: what goes over the wire."""
    values: Mapping[str, Guess[str]] = ticket.__dict__["_values"]
    return values


def present_values(ticket: Attributes) -> dict[str, str]:
    """What rules see of a ticket: its values by name, without guesses below their thresholds."""
    facts = facts_of(type(ticket))
    return {
        name: found.value
        for name, found in guesses_of(ticket).items()
        if found.confidence_milli >= facts[name].threshold_milli
    }


def _value(ticket: Attributes, fact: Fact[T]) -> T | None:
    value: Any = present_values(ticket).get(fact.name)
    return value  # type: ignore[no-any-return]
