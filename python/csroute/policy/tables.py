"""The hour's facts: tables that change while the policy stands. Which SKU is in a crisis, which merchant is gold.

```python
class Hour(Tables):
    segment: Table[Literal["gold", "plain"]] = looked_up(Ticket.merchant, keys_max=10_000)   # merchant → segment
    crisis: Table[Literal["recall", "defect"]] = looked_up(Ticket.sku, keys_max=1000)        # SKU → what it is

Rule(Hour.segment.is_("gold"), …)
Rule(Hour.crisis.present(), …)
```

A table is filled by a command of its own, and read like an attribute: missing where the ticket has not the key's
attribute, or the table has not the key. It begins empty.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from inspect import get_annotations
from typing import Any, ClassVar, TypeVar, get_args, get_origin, get_type_hints

from csroute.policy.attributes import Attr, Condition, Detected, Fact

__all__ = ["Table", "Tables", "looked_up", "tables_of"]

T = TypeVar("T", bound=str)


class Table(Fact[T]):
    """What a key of the hour stands for."""

    by: Fact[str]
    keys_max: int

    def is_(self, *values: T) -> Condition:
        """The key is in the table, with one of these."""
        return self._test("in", values)

    def is_not(self, *values: T) -> Condition:
        """The key is in the table, with none of these."""
        return self._test("not_in", values)


@dataclass(frozen=True)
class _LookedUp:
    by: Fact[str]
    keys_max: int


def looked_up(by: Fact[Any], *, keys_max: int) -> Any:  # noqa: ANN401 - stands where a Table of any type does
    """A table by this attribute's values, of at most `keys_max` keys (1 to 1,000,000)."""
    if type(by) not in {Attr, Detected}:
        raise TypeError(f"a table is looked up by an attribute, like Ticket.merchant, not {by!r}")
    return _LookedUp(by, keys_max)


class Tables:
    """The base of a policy's tables. Subclass it once."""

    _tables: ClassVar[Mapping[str, Table[str]]] = {}

    def __init_subclass__(cls) -> None:
        tables = dict(cls._tables)
        hints = get_type_hints(cls)
        for name in get_annotations(cls):
            if not name.startswith("_"):
                tables[name] = _declare(cls, name, hints[name], cls.__dict__.get(name))
                setattr(cls, name, tables[name])
        cls._tables = tables


def _declare(owner: type[Tables], name: str, hint: object, default: object) -> Table[str]:
    if get_origin(hint) is not Table or not isinstance(default, _LookedUp):
        raise TypeError(f"{owner.__name__}.{name}: declare it as Table[…] = looked_up(Ticket.…, keys_max=…)")
    (values,) = get_args(hint)
    choices = get_args(values)
    if values is not str and not (choices and all(isinstance(value, str) and value for value in choices)):
        raise TypeError(f"{owner.__name__}.{name}: its values are str, or a Literal of texts, not {values!r}")
    table: Table[str] = Table()
    table.name, table.owner, table.by, table.keys_max = name, owner, default.by, default.keys_max
    table.required, table.threshold_milli, table.sticky, table.values = False, 0, False, tuple(map(str, choices))
    return table


def tables_of(tables: type[Tables] | None) -> Mapping[str, Table[str]]:
    """The declared tables by name, in order."""
    return {} if tables is None else tables._tables
