"""Replay: the same decisions again, with their events, compared with the journal's hashes and with each snapshot."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from csroute import _csroute
from csroute.errors import JournalError, rejection
from csroute.journal.read import CHUNK_BYTES, method_names, refusing
from csroute.types import Event, Explanation
from csroute.v1 import agent_pb2, event_pb2, explain_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from os import PathLike

    from google.protobuf.message import Message

__all__ = ["Compared", "Heard", "Replayed", "Story", "agents_and_events", "heard", "replay", "story"]

TENANT_DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Compared:
    """A snapshot that was passed; `differences` between its state and the replayed one: none is well."""

    snapshot: str
    block: int
    differences: list[str]


@dataclass(slots=True)
class Replayed:
    """What a replay came to. `began`: the block of the snapshot it began with, 0: with the first block."""

    began: int = 0
    block: int = 0
    blocks: int = 0
    records: int = 0
    events: int = 0
    compared: list[Compared] = field(default_factory=list)
    states: list[tuple[str, int]] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    tail: str = ""

    @property
    def differs(self) -> bool:
        """Whether any snapshot's state is not the replayed one."""
        return any(compared.differences for compared in self.compared)


@dataclass(frozen=True, slots=True)
class Heard:
    """An event, and the record that raised it: a caller's request, or the node's own (advance, resume)."""

    block: int
    tenant: str
    kind: str
    caller: str
    method: str
    wire: event_pb2.Event

    @property
    def event(self) -> Event:
        """The event."""
        return Event.from_wire(self.wire)


@dataclass(frozen=True, slots=True)
class Story:
    """All that happened to a ticket. `now`: where it stood at the end; None: it was forgotten by then."""

    ticket: str
    tenant: str
    events: list[Heard]
    now: Explanation | None
    replayed: Replayed


def replay(
    data_dir: str | PathLike[str],
    *,
    since_us: int = 0,
    until_us: int | None = None,
    tell: Callable[[int, int], None] | None = None,
) -> Replayed:
    """Replays from the newest snapshot not after `since_us` (0: all there is). Raises JournalError."""
    done = Replayed()
    for _ in _run(_open(data_dir, since_us), done, until_us, tell):
        pass
    return done


def heard(
    data_dir: str | PathLike[str],
    *,
    since_us: int = 0,
    until_us: int | None = None,
    tenant: str = "",
    tell: Callable[[int, int], None] | None = None,
) -> Iterator[Heard]:
    """Every event from `since_us` on, in order. Raises JournalError."""
    for one in _run(_open(data_dir, since_us), Replayed(), until_us, tell, events=True, tenant=tenant or None):
        if one.wire.at_us >= since_us:
            yield one


def agents_and_events(
    data_dir: str | PathLike[str],
    *,
    since_us: int = 0,
    until_us: int | None = None,
    tenant: str = "",
    tell: Callable[[int, int], None] | None = None,
) -> tuple[int, list[agent_pb2.Agent], Iterator[event_pb2.Event]]:
    """The newest snapshot not after `since_us`: its block (0: none), its agents, and every event from there on.

    Raises JournalError, also while the events are read.
    """
    tenant, source = tenant or TENANT_DEFAULT, _open(data_dir, since_us)
    agents = list(_agents(source, tenant)) if source.began() else []
    told = _run(source, Replayed(), until_us, tell, events=True, tenant=tenant)
    return source.began(), agents, (one.wire for one in told)


def _agents(source: _csroute.Replay, tenant: str) -> Iterator[agent_pb2.Agent]:
    token = ""
    while True:
        request = agent_pb2.ListAgentsRequest(page_size=1000, page_token=token)
        reply = agent_pb2.ListAgentsReply.FromString(_asked(source, "ListAgents", tenant, request))
        yield from reply.agents
        if not (token := reply.next_page_token):
            return


def _asked(source: _csroute.Replay, method: str, tenant: str, request: Message) -> bytes:
    number = next(number for number, name in method_names().items() if name == method)
    return source.ask(number, tenant, request.SerializeToString())


def story(
    data_dir: str | PathLike[str],
    ticket: str,
    *,
    tenant: str = "",
    since_us: int = 0,
    until_us: int | None = None,
    tell: Callable[[int, int], None] | None = None,
) -> Story:
    """What became of a ticket, and why. Raises JournalError, also if nothing is known of it."""
    tenant = tenant or TENANT_DEFAULT
    source, done = _open(data_dir, since_us), Replayed()
    events = list(_run(source, done, until_us, tell, events=True, tenant=tenant, ticket=ticket))
    now = _explained(source, tenant, ticket)
    if not events and now is None:
        raise JournalError(
            f"{data_dir}: nothing happened to a ticket {ticket!r} of tenant {tenant!r} after block {done.began}, up to "
            f"block {done.block}: look at its id and tenant; what is older is only in a backup"
        )
    return Story(ticket, tenant, events, now, done)


def _open(data_dir: str | PathLike[str], since_us: int) -> _csroute.Replay:
    with refusing():
        return _csroute.Replay(data_dir, since_us=since_us)


def _run(
    source: _csroute.Replay,
    done: Replayed,
    until_us: int | None,
    tell: Callable[[int, int], None] | None,
    *,
    events: bool = False,
    tenant: str | None = None,
    ticket: str | None = None,
) -> Iterator[Heard]:
    names, ended = method_names(), False
    done.began, done.damaged = source.began(), source.damaged()
    while not ended:
        with refusing():
            blocks, records, raised, ended, found = source.step(
                CHUNK_BYTES, until_us=until_us, events=events, tenant=tenant, ticket=ticket
            )
            if tell is not None:
                tell(*source.progress())
        done.blocks += blocks
        done.records += records
        done.events += raised
        for block, whose, kind, caller, method, reply in found:
            (event,) = event_pb2.WatchReply.FromString(reply).events
            yield Heard(block, whose, kind, caller, names.get(method, str(method)), event)
    done.block, done.tail, done.states = source.block(), source.tail(), source.states()
    done.compared = [Compared(*one) for one in source.compared()]


def _explained(source: _csroute.Replay, tenant: str, ticket: str) -> Explanation | None:
    try:
        reply = _asked(source, "Explain", tenant, explain_pb2.ExplainRequest(ticket=ticket))
    except _csroute.Rejected as no:
        error = rejection(no.status)
        if error.name == "TICKET_UNKNOWN":
            return None
        raise error from None
    return Explanation.from_wire(explain_pb2.ExplainReply.FromString(reply))
