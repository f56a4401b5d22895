"""How the dataclasses of `csroute.types` become protobuf messages and come back: one rule a kind of field.

A mirror is a frozen dataclass whose fields have the names of its message's fields. What the hint says is what happens:

| hint | on the wire |
|---|---|
| `str`, `int`, `bool`, `bytes` | itself |
| an IntEnum | the enum's number; a number that is not known here reads as UNSPECIFIED |
| another mirror; with `| None` | a message; absent is None |
| `tuple[X, ...]` | repeated |
| `Mapping[str, X]` | a list of named entries (`_ENTRIES`), or a map |
| a union of mirrors, the field named like a oneof | the oneof |

>>> from csroute.types import Ticket
>>> message = Ticket("t1", "chat", skills={"logistics": 2}).to_wire()
>>> message.skills[0].skill, message.skills[0].level
('logistics', 2)
>>> Ticket.from_wire(message).skills
{'logistics': 2}
>>> Ticket("t1", "chat", skills={"vip": -2}).to_wire()
Traceback (most recent call last):
    ...
csroute.errors.InvalidError: OUT_OF_RANGE (103) skills: Ticket.skills cannot be {'vip': -2}: Value out of range: -2
"""

# ruff: noqa: ANN401 (what a hint, a field or a descriptor is, only running tells)

import dataclasses
import functools
import types
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from operator import attrgetter
from typing import Any, ClassVar, Generic, NamedTuple, Self, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from google.protobuf.message import Message

from csroute.errors import InvalidError, RejectedError, rejection
from csroute.v1 import agent_pb2, ticket_pb2

__all__ = ["Guess", "Mirror", "Unknown", "either"]

M = TypeVar("M", bound=Message)
T = TypeVar("T", bound="Mirror[Any]")


@dataclass(frozen=True, slots=True)
class Guess:
    """What a detector says: a value, and how sure it is (0..1; thousandths count)."""

    value: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Unknown:
    """A member of a union that this version does not know."""


class Mirror(Generic[M]):
    """The base of the dataclasses that stand for one message each: `class Ticket(Mirror[ticket_pb2.NewTicket])`."""

    __slots__ = ()
    WIRE: ClassVar[type[Message]]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        (cls.WIRE,) = get_args(cls.__dict__["__orig_bases__"][0])

    def to_wire(self) -> M:
        """The message. Raises InvalidError, naming the field, for a value that the wire cannot carry."""
        values: dict[str, Any] = {}
        for field in _plan(cast("Hashable", type(self))):
            value = getattr(self, field.name)
            if field.put is None:
                values[field.name] = value
                continue
            try:
                field.put(values, value)
            except (AttributeError, TypeError, ValueError) as error:
                raise _invalid(self, field.name, error) from None
        try:
            return cast("M", self.WIRE(**values))
        except (TypeError, ValueError) as error:
            raise self._culprit(values, error) from None

    @classmethod
    def from_wire(cls, message: M) -> Self:
        """The dataclass."""
        return cls(*[field.get(message) for field in _plan(cast("Hashable", cls))])

    def _culprit(self, values: dict[str, Any], error: Exception) -> InvalidError:
        """Which field it was: the message takes them all at once, and does not say."""
        for name, value in values.items():
            try:
                self.WIRE(**{name: value})
            except (TypeError, ValueError) as its_own:
                return _invalid(self, name, its_own)
        return _invalid(self, "", error)


def either(result: ticket_pb2.RouteResult | agent_pb2.ActionResult, reply: type[T]) -> T | RejectedError:
    """One item's own result in a batch: the reply, or its rejection (returned, not raised)."""
    return rejection(result.rejection) if result.HasField("rejection") else reply.from_wire(result.reply)


def _invalid(mirror: object, name: str, error: Exception) -> InvalidError:
    at = f"{type(mirror).__name__}.{name}"
    value = repr(getattr(mirror, name, None))
    shown = value if len(value) <= 80 else value[:80] + "…"  # errors are bounded too
    code, name_of = (103, "OUT_OF_RANGE") if isinstance(error, ValueError) else (100, "MALFORMED")
    return InvalidError(f"{at} cannot be {shown}: {error}", code=code, name=name_of, grpc_code=3, subject=name)


# --- lists of named entries, which are mappings here -----------------------------------------------------------------


class _Entries(NamedTuple):
    put: Callable[[str, Any], Message]
    get: Callable[[Any], tuple[str, Any]]


def _attribute(name: str, value: "str | Guess") -> ticket_pb2.Attribute:
    if isinstance(value, Guess):
        return ticket_pb2.Attribute(name=name, value=value.value, confidence_milli=round(value.confidence * 1000))
    return ticket_pb2.Attribute(name=name, value=value)


def _attribute_back(entry: ticket_pb2.Attribute) -> tuple[str, str | Guess]:
    sure = not entry.HasField("confidence_milli")
    return entry.name, entry.value if sure else Guess(entry.value, entry.confidence_milli / 1000)


_ENTRIES: dict[str, _Entries] = {
    "Attribute": _Entries(_attribute, _attribute_back),
    "SkillLevel": _Entries(lambda k, v: ticket_pb2.SkillLevel(skill=k, level=v), lambda e: (e.skill, e.level)),
    "AgentChannel": _Entries(lambda k, v: agent_pb2.AgentChannel(channel=k, limit=v), lambda e: (e.channel, e.limit)),
    "ClockDue": _Entries(lambda k, v: ticket_pb2.ClockDue(clock=k, due_us=v), lambda e: (e.clock, e.due_us)),
}

# --- the plan of a class: made once, from its hints and its message's descriptor -------------------------------------


class _Field(NamedTuple):
    name: str
    put: Callable[[dict[str, Any], Any], None] | None  # None: as it is
    get: Callable[[Any], Any]


@functools.cache
def _plan(cls: Hashable) -> tuple[_Field, ...]:
    mirror: Any = cls
    hints = get_type_hints(mirror)
    return tuple(_field(mirror.WIRE, f.name, hints[f.name]) for f in dataclasses.fields(mirror))


def _field(wire: type[Message], name: str, hint: Any) -> _Field:
    if name in wire.DESCRIPTOR.oneofs_by_name:
        return _oneof(wire, name, hint)
    descriptor = wire.DESCRIPTOR.fields_by_name[name]
    optional = type(None) in get_args(hint)
    if optional:
        (hint,) = (arg for arg in get_args(hint) if arg is not type(None))
    out, back = _converters(hint, descriptor)
    if out is back is _same and not optional and not descriptor.containing_oneof:
        return _Field(name, None, attrgetter(name))

    def put(values: dict[str, Any], value: Any) -> None:
        if value is not None:
            values[name] = out(value)

    def put_member(values: dict[str, Any], value: Any) -> None:
        if value:  # an empty member of a oneof would be chosen all the same
            values[name] = out(value)

    def get(message: Message) -> Any:
        return back(getattr(message, name))

    def get_message(message: Message) -> Any:
        return back(getattr(message, name)) if message.HasField(name) else None

    def get_number(message: Message) -> Any:
        return back(getattr(message, name)) or None

    reader = get if not optional else get_message if descriptor.has_presence else get_number
    return _Field(name, put_member if descriptor.containing_oneof and not optional else put, reader)


def _oneof(wire: type[Message], name: str, hint: Any) -> _Field:
    members = {m.WIRE.DESCRIPTOR.full_name: m for m in get_args(hint) if m is not Unknown}
    fields: Any = wire.DESCRIPTOR.oneofs_by_name[name].fields
    by_name = {field.name: members[field.message_type.full_name] for field in fields}
    by_type = {mirror: field for field, mirror in by_name.items()}

    def put(values: dict[str, Any], value: Any) -> None:
        if type(value) not in by_type:
            raise TypeError(f"one of {', '.join(sorted(m.__name__ for m in by_type))} is wanted")
        values[by_type[type(value)]] = value.to_wire()

    def get(message: Message) -> Any:
        which = message.WhichOneof(name)
        return by_name[which].from_wire(getattr(message, which)) if which else Unknown()

    return _Field(name, put, get)


_Converters = tuple[Callable[[Any], Any], Callable[[Any], Any]]


def _same(value: Any) -> Any:
    return value


def _converters(hint: Any, descriptor: Any) -> _Converters:
    """To the wire, and back."""
    origin = get_origin(hint)
    if origin is tuple:
        out, back = _converters(get_args(hint)[0], descriptor)
        return lambda many: [out(one) for one in many], lambda many: tuple([back(one) for one in many])
    if origin is Mapping:
        return _mapping(descriptor)
    if origin in (Union, types.UnionType) or not isinstance(hint, type):
        raise TypeError(f"{descriptor.full_name}: no rule for {hint}")
    if issubclass(hint, IntEnum):
        known = {int(member): member for member in hint}
        return _same, lambda number: known.get(number, known[0])
    if issubclass(hint, Mirror):
        return lambda mirror: mirror.to_wire(), hint.from_wire
    return _same, _same


def _mapping(descriptor: Any) -> _Converters:
    message = descriptor.message_type
    if message.GetOptions().map_entry:
        return dict, dict
    if message.name == "AnyOf":  # {skill: level}, one group
        entry = _ENTRIES["SkillLevel"]
        return (
            lambda group: ticket_pb2.AnyOf(skills=[entry.put(*item) for item in group.items()]),  # type: ignore[misc]
            lambda group: dict(map(entry.get, group.skills)),
        )
    entry = _ENTRIES[message.name]
    return lambda named: [entry.put(*item) for item in named.items()], lambda entries: dict(map(entry.get, entries))
