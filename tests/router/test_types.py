"""The dataclasses mirror the wire: no field is forgotten, and what goes out comes back."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import csroute.types
from csroute.errors import InvalidError
from csroute.types import (
    Accept,
    AgentAction,
    AgentSpec,
    Event,
    Guess,
    Mirror,
    Offered,
    Presence,
    Requirement,
    SetPresence,
    Ticket,
    TicketState,
    Transfer,
    Unknown,
)
from csroute.v1 import agent_pb2, event_pb2, ticket_pb2

MIRRORS = [
    cls
    for name in csroute.types.__all__
    if isinstance(cls := getattr(csroute.types, name), type) and issubclass(cls, Mirror) and cls is not Mirror
]


@pytest.mark.parametrize("mirror", MIRRORS, ids=lambda mirror: mirror.__name__)
def test_every_field_of_the_message_is_there(mirror: Any) -> None:
    ours = {field.name for field in dataclasses.fields(mirror)}
    unions = {oneof.name for oneof in mirror.WIRE.DESCRIPTOR.oneofs if oneof.name in ours}
    theirs = {
        field.name
        for field in mirror.WIRE.DESCRIPTOR.fields
        if not (field.containing_oneof and field.containing_oneof.name in unions)
    }
    assert ours == theirs | unions


def test_every_kind_of_event_is_there() -> None:
    kinds: Any = event_pb2.Event.DESCRIPTOR.oneofs_by_name["kind"].fields
    for field in kinds:
        message = event_pb2.Event(sequence=1)
        getattr(message, field.name).SetInParent()
        kind = Event.from_wire(message).kind
        assert not isinstance(kind, Unknown)
        assert type(kind).__name__ == field.message_type.name


@pytest.mark.parametrize(
    ("mirror", "wire"),
    [(csroute.types.TicketState, ticket_pb2.TicketState), (csroute.types.Presence, agent_pb2.Presence)]
    + [
        (getattr(csroute.types, name), getattr(event_pb2, name))
        for name in ("QueueCause", "ClassCause", "PresenceCause")
    ],
)
def test_every_enum_value_is_there(mirror: Any, wire: Any) -> None:
    prefix = wire.keys()[0].removesuffix("UNSPECIFIED")
    assert {member.name: int(member) for member in mirror} == {k.removeprefix(prefix): v for k, v in wire.items()}


names = st.text(max_size=20)
tickets = st.builds(
    Ticket,
    id=names,
    channel=names,
    customer=names,
    attributes=st.dictionaries(names, names | st.builds(Guess, names, st.integers(0, 1000).map(lambda n: n / 1000))),
    skills=st.dictionaries(names, st.integers(1, 100)),
    excluded_agents=st.lists(names).map(tuple),
    not_before_us=st.integers(-(2**63), 2**63 - 1),
    context=st.binary(max_size=50),
)


@given(tickets)
def test_a_ticket_comes_back(ticket: Ticket) -> None:
    data = ticket.to_wire().SerializeToString()
    assert Ticket.from_wire(ticket_pb2.NewTicket.FromString(data)) == ticket


@pytest.mark.parametrize(
    "mirror",
    [
        AgentSpec("ann", skills={"bill": 3}, capacity=50, channels={"chat": 2}),
        AgentAction(Accept("t", 3, b"x"), tag=9),
        AgentAction(SetPresence("desk", "ann", Presence.AWAY, "lunch")),
        Transfer("t", 1, queue="vip"),
        Transfer("t", 1, requirement=Requirement(({"a": 1, "b": 2}, {"c": 3}), {"d": 4})),
    ],
    ids=lambda mirror: type(mirror).__name__,
)
def test_it_comes_back(mirror: Any) -> None:
    assert type(mirror).from_wire(type(mirror.to_wire()).FromString(mirror.to_wire().SerializeToString())) == mirror


@pytest.mark.parametrize(
    ("mirror", "subject", "name"),
    [
        (Ticket("t", "chat", skills={"a": -1}), "skills", "OUT_OF_RANGE"),
        (Ticket("t", "chat", not_before_us=2**64), "not_before_us", "OUT_OF_RANGE"),
        (Ticket("t", "chat", attributes={"mood": Guess("angry", float("nan"))}), "attributes", "OUT_OF_RANGE"),
        (Ticket("t", "chat", attributes={"mood": Guess("angry", -0.5)}), "attributes", "OUT_OF_RANGE"),
        (Ticket(7, "chat"), "id", "MALFORMED"),  # type: ignore[arg-type]
        (Ticket("t", "chat", customer="\ud800"), "customer", "OUT_OF_RANGE"),
        (Ticket("t", "chat", attributes=[1]), "attributes", "MALFORMED"),  # type: ignore[arg-type]
        (Accept("t", -1), "attempt", "OUT_OF_RANGE"),
        (AgentAction("accept"), "action", "MALFORMED"),  # type: ignore[arg-type]
    ],
)
def test_what_the_wire_cannot_carry_is_said_by_field(mirror: Any, subject: str, name: str) -> None:
    with pytest.raises(InvalidError) as refused:
        mirror.to_wire()
    assert (refused.value.subject, refused.value.name) == (subject, name)
    assert f"{type(mirror).__name__}.{subject}" in refused.value.message


def test_what_a_newer_server_says_is_read_as_unknown() -> None:
    assert TicketState(0).name == "UNSPECIFIED"
    reply = ticket_pb2.RouteReply.FromString(b"\x10\x63")  # state: 99
    assert csroute.types.RouteResult.from_wire(reply).state == TicketState.UNSPECIFIED
    assert isinstance(Event.from_wire(event_pb2.Event(sequence=1)).kind, Unknown)


def test_an_events_kind_can_be_matched() -> None:
    offered = event_pb2.Offered(expires_us=5, reason=event_pb2.MatchReason(candidates=3))
    match Event.from_wire(event_pb2.Event(ticket="t", agent="ann", attempt=2, offered=offered)):
        case Event(ticket="t", attempt=2, kind=Offered(expires_us=5, reason=reason)):
            assert reason.candidates == 3
        case event:
            raise AssertionError(event)
