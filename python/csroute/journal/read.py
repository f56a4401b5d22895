"""Records as they were taken in: who asked for what, when. See `rust_core/node/src/record.rs` for what each means."""

from __future__ import annotations

import contextlib
import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from google.protobuf import json_format, message_factory
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message

from csroute import _csroute
from csroute.errors import JournalError
from csroute.v1 import (
    admin_service_pb2,
    agent_pb2,
    agent_service_pb2,
    policy_pb2,
    policy_service_pb2,
    routing_service_pb2,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from os import PathLike

__all__ = ["Block", "Record", "Segment", "Snapshot", "blocks", "records", "refusing", "segments", "snapshots"]

CHUNK_BYTES = 1 << 20
"""Read between two tellings of how far it is."""

_SERVICES = (routing_service_pb2, agent_service_pb2, admin_service_pb2, policy_service_pb2)
_INTERNAL = {"InstallPolicy": policy_pb2.InstallPolicyRequest, "WorkAct": agent_pb2.WorkRequest}
_STAFF = {"UpsertAgents", "RemoveAgents"}
"""Of the agents' service: they say who may work, and at what."""


class Segment(NamedTuple):
    """A file of the journal."""

    name: str
    first: int
    semantics: int
    time_us: int
    bytes: int


class Snapshot(NamedTuple):
    """A snapshot's file; `wrong` says what is damaged, and is empty for a good one."""

    name: str
    block: int
    semantics: int
    time_us: int
    bytes: int
    wrong: str


class Block(NamedTuple):
    """A block, verified."""

    number: int
    segment: int
    offset: int
    bytes: int
    semantics: int
    time_us: int
    synced: int
    events_hash: int
    records: list[Record]


@dataclass(frozen=True, slots=True)
class Record:
    """One thing that the node took in. `value`: timers at most, grace in ms, or on (1) and off, as its kind has it."""

    block: int
    index: int
    kind: str
    tenant: str
    caller: str
    now_us: int
    method: str
    value: int
    request: bytes

    @property
    def is_admin(self) -> bool:
        """Whether it is an administrative act: a supervisor's, or on the policy, the staff, or taking new tickets."""
        return self.kind == "drain" or (self.kind == "write" and _is_admin(self.method))

    def message(self) -> Message | None:
        """The request; None if it has none, or none that this version knows."""
        kind = _requests().get(self.method)
        if kind is None:
            return None
        try:
            return kind.FromString(self.request)
        except DecodeError:
            return None

    def names(self, ticket: str) -> bool:
        """Whether the request names this ticket."""
        return ticket.encode() in self.request and (message := self.message()) is not None and _names(message, ticket)

    def to_dict(self) -> dict[str, Any]:
        """What it says, for JSON."""
        message = self.message()
        fields = {} if message is None else json_format.MessageToDict(message, preserving_proto_field_name=True)
        return {
            "block": self.block,
            "index": self.index,
            "kind": self.kind,
            "tenant": self.tenant,
            "caller": self.caller,
            "now_us": self.now_us,
            "method": self.method,
            "value": self.value,
            "request": fields,
        }


def _is_admin(method: str) -> bool:
    return method in _STAFF or "InstallPolicy" in method or method in _admin_methods()


@functools.cache
def _admin_methods() -> frozenset[str]:
    files = {"AdminService": admin_service_pb2, "PolicyService": policy_service_pb2}
    return frozenset(
        name for service, file in files.items() for name in file.DESCRIPTOR.services_by_name[service].methods_by_name
    )


@functools.cache
def _requests() -> dict[str, type[Message]]:
    found: dict[str, type[Message]] = dict(_INTERNAL)
    for module in _SERVICES:
        for service in module.DESCRIPTOR.services_by_name.values():
            for method in service.methods:
                found[method.name] = message_factory.GetMessageClass(method.input_type)
    return found


@functools.cache
def method_names() -> dict[int, str]:
    """Methods' names by number; 0 is none."""
    return {0: ""} | {number: path.rsplit("/", 1)[1] for number, path, _ in _csroute.methods()}


def _names(message: Message, ticket: str) -> bool:
    for field, value in message.ListFields():
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            inside = value if field.is_repeated else [value]
            # A map of scalars has none either.
            if any(isinstance(one, Message) and _names(one, ticket) for one in inside):
                return True
        elif field.name in ("id", "ticket") and value == ticket:
            return True
    return False


@contextlib.contextmanager
def refusing() -> Iterator[None]:
    """What the boundary raises as OSError is a JournalError."""
    try:
        yield
    except OSError as error:
        raise JournalError(str(error)) from None


def segments(data_dir: str | PathLike[str]) -> list[Segment]:
    """The segments, oldest first."""
    with refusing():
        return [Segment(*one) for one in _csroute.journal_segments(data_dir)]


def snapshots(data_dir: str | PathLike[str]) -> list[Snapshot]:
    """The snapshots, oldest first, each read to its end."""
    with refusing():
        return [Snapshot(*one) for one in _csroute.journal_snapshots(data_dir)]


def first_block(data_dir: str | PathLike[str], since_us: int) -> int:
    """A block at or before the first one of that time; 0: the oldest."""
    started = [segment.first for segment in segments(data_dir) if segment.time_us < since_us]
    return started[-1] if started else 0


def reader(data_dir: str | PathLike[str], from_block: int = 0) -> _csroute.JournalReader:
    """A reader at that block."""
    with refusing():
        return _csroute.JournalReader(data_dir, from_block=from_block)


def blocks(
    data_dir: str | PathLike[str],
    *,
    from_block: int = 0,
    since_us: int = 0,
    until_us: int | None = None,
    tell: Callable[[int, int], None] | None = None,
) -> Iterator[Block]:
    """Blocks in order, verified, whose newest record is of that time; `tell` is told of bytes read, and of all.

    Raises JournalError for damage, at the place where it is.
    """
    source = reader(data_dir, from_block or (first_block(data_dir, since_us) if since_us else 0))
    while True:
        with refusing():
            found = source.blocks(CHUNK_BYTES)
            if tell is not None:
                tell(*source.progress())
        if not found:
            return
        for block in decoded(found):
            if until_us is not None and block.time_us > until_us:
                return
            if block.time_us >= since_us:
                yield block


def decoded(found: list[Any]) -> Iterator[Block]:
    """Blocks of what the boundary gives."""
    names = method_names()
    for number, *head, inside in found:
        listed = [
            Record(number, index, kind, tenant, caller, now_us, names.get(method, str(method)), value, request)
            for index, (kind, tenant, caller, now_us, method, value, request) in enumerate(inside)
        ]
        yield Block(number, *cast("tuple[int, int, int, int, int, int, int]", tuple(head)), listed)


def records(
    data_dir: str | PathLike[str],
    *,
    from_block: int = 0,
    since_us: int = 0,
    until_us: int | None = None,
    tenant: str = "",
    caller: str = "",
    ticket: str = "",
    admin: bool = False,
    tell: Callable[[int, int], None] | None = None,
) -> Iterator[Record]:
    """Records in order: of a tenant, of a caller, that name a ticket, administrative ones; empty: any."""
    for block in blocks(data_dir, from_block=from_block, since_us=since_us, until_us=until_us, tell=tell):
        for record in block.records:
            if (
                (not tenant or record.tenant == tenant)
                and (not caller or record.caller == caller)
                and (not admin or record.is_admin)
                and (not ticket or record.names(ticket))
            ):
                yield record
