"""A journal as a workload: yesterday's arrivals, and the people as they were, to be played under another policy.

    workload, roster = from_journal("data", since_us=parse_time("2026-11-11T00:00"), handle="as-recorded")
    simulate.run("other.py", workload, roster)

The journal is replayed, so what each ticket met is known, not guessed at. What cannot be seen in it is said in the
workload's `notes`, and estimated:

- A customer who left shows how long that one's patience was; of one who was answered it is only known that it was
  longer. So patience is drawn, once and for every policy the same, from what the product-limit estimator leaves beyond
  the wait that was seen (`survival`), by channel where enough left, else over all.
- Handle times are those that happened, all of an attempt and its transfers together; or they are drawn anew, from those
  of the same channel and queue (`handle="resampled"`). Who was never worked on, or still was at the end, gets a draw.
- A shift lasts from login until draining or offline; away is a break, unless a missed offer caused it. Agents whose
  skills changed go home, and come as somebody else. What agents do with offers, and how long they write up, is what all
  did, on the average.

Not seen: tickets that were waiting already at the beginning, changes to attributes, exclusions, preferred agents, and
requests that were refused.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from csroute.errors import ConfigError
from csroute.journal.read import records
from csroute.journal.replay import TENANT_DEFAULT, agents_and_events
from csroute.journal.when import clock
from csroute.simulate.arrays import Floats, arrivals
from csroute.simulate.people import People
from csroute.simulate.survival import Survival
from csroute.simulate.workload import Kind, Workload
from csroute.v1 import agent_pb2, event_pb2, ticket_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from os import PathLike

    import numpy.typing as npt

    from csroute.simulate.roster import Roster

__all__ = ["HANDLE", "from_journal"]

HANDLE = ("as-recorded", "resampled")

KINDS_MAX = 200_000
"""Kinds of tickets that a journal may show: an attribute that is another one each time is none to route by."""
LEFT_MIN = 30
"""A channel's patience is its own where so many left, a queue's handle time where so many were done; else all count."""
_SURE = 50
"""Confidences are rounded down to so many thousandths, so that kinds stay few."""


class _What(NamedTuple):
    """What a submission says, that a policy may read."""

    channel: str
    attributes: tuple[tuple[str, str, int], ...]
    """(name, value, confidence in thousandths)."""
    skills: tuple[tuple[str, int], ...]


@dataclass(slots=True)
class _Ticket:
    """What was seen of one. Times are Unix µs; 0: not seen."""

    arrival: int
    what: int
    customer: int
    queue: str
    answered: int = 0
    began: int = 0
    offered: int = 0
    wrapping: int = 0
    work: int = 0
    done: bool = False
    left: int = 0
    """The customer left before an answer."""
    ended: int = 0


@dataclass
class _Seen:
    """A stretch of the journal."""

    people: People
    whats: dict[_What, int] = field(default_factory=dict)
    customers: dict[str, int] = field(default_factory=dict)
    sent: dict[str, tuple[int, int]] = field(default_factory=dict)
    """By ticket: places among `whats`, and of the customer."""
    tickets: list[_Ticket] = field(default_factory=list)
    open: dict[str, _Ticket] = field(default_factory=dict)
    unknown: int = 0
    marks: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))


def from_journal(
    data_dir: str | PathLike[str],
    *,
    since_us: int = 0,
    until_us: int | None = None,
    tenant: str = "",
    handle: str = "as-recorded",
    attributes: Collection[str] | None = None,
    segments: Sequence[str] = ("tier",),
    seed: int = 1,
    tell: Callable[[int, int], None] | None = None,
) -> tuple[Workload, Roster]:
    """The tickets that arrived from `since_us` until `until_us`, and who worked then.

    Args:
        data_dir: a node's data folder, or a backup of one.
        since_us: Unix µs; 0: from the beginning.
        until_us: None: to the end.
        tenant: whose; empty: the server's default.
        handle: the times that happened, or drawn anew.
        attributes: those that a policy may read; None: all.
        segments: attributes that figures are split by.
        seed: of what is drawn where the journal shows no end.
        tell: told of the bytes replayed, and of all.

    Raises JournalError, and ConfigError where nothing arrived, nothing was done, or tickets are of too many kinds.
    """
    if handle not in HANDLE:
        raise ConfigError(f"handle {handle!r}: it is {' or '.join(HANDLE)}")
    tenant = tenant or TENANT_DEFAULT
    seen = _Seen(People())
    began, agents, events = agents_and_events(data_dir, since_us=since_us, until_us=until_us, tenant=tenant, tell=tell)
    seen.people.begin(agents)
    for record in records(data_dir, from_block=began + 1 if began else 0, until_us=until_us, tenant=tenant):
        if record.method in _SENT:
            _SENT[record.method](seen, record.message(), record.now_us, attributes)
            if len(seen.whats) > KINDS_MAX:
                raise ConfigError(
                    f"{data_dir}: tickets are of more than {KINDS_MAX:,} kinds; name the attributes that policies read"
                )
    start = last = since_us
    for event in events:
        start, last = start or event.at_us, max(last, event.at_us)
        seen.people.hear(event)
        if event.ticket and event.at_us >= since_us:
            _hear(seen, event)
    last = until_us or last
    stretch = f"{clock(start)} to {clock(last)}"
    if not any(ticket.done for ticket in seen.tickets):
        came = f"{len(seen.tickets):,} tickets of tenant {tenant!r} arrived from {stretch}"
        raise ConfigError(f"{data_dir}: {came}, and none of them was done: there is nothing to play")
    notes = [f"{len(seen.tickets):,} tickets of the journal {data_dir}, {stretch}."]
    if seen.unknown:
        notes.append(f"{seen.unknown:,} more had been submitted before, or waited already: they are left out.")
    block, kinds, told = _played(seen, (start, last), handle, seed)
    workload = Workload(
        "journal",
        kinds,
        length_s=max(1.0, (last - start) / 1e6),
        start=datetime.fromtimestamp(start / 1e6, UTC),
        recorded=block,
        segments=segments,
        notes=[*notes, *told],
    )
    return workload, seen.people.roster(start, last)


# --- What was sent ----------------------------------------------------------------------------------------------------


def _routed(seen: _Seen, message: Any, _: int, attributes: Collection[str] | None) -> None:  # noqa: ANN401
    for ticket in message.tickets if isinstance(message, ticket_pb2.RouteBatchRequest) else [message.ticket]:
        what = seen.whats.setdefault(_what(ticket, attributes), len(seen.whats))
        customer = seen.customers.setdefault(ticket.customer, len(seen.customers) + 1) if ticket.customer else 0
        seen.sent[ticket.id] = (what, customer)


def _staffed(seen: _Seen, message: agent_pb2.UpsertAgentsRequest, now_us: int, _: object) -> None:
    for spec in message.agents:
        seen.people.specs[spec.id, now_us] = spec


_SENT: dict[str, Callable[..., None]] = {
    "Route": _routed,
    "RouteBatch": _routed,
    "RouteStream": _routed,
    "UpsertAgents": _staffed,
}


def _what(ticket: ticket_pb2.NewTicket, attributes: Collection[str] | None) -> _What:
    told = [
        (one.name, one.value, one.confidence_milli // _SURE * _SURE if one.HasField("confidence_milli") else 1000)
        for one in ticket.attributes
        if attributes is None or one.name in attributes
    ]
    return _What(ticket.channel, tuple(told), tuple((one.skill, one.level or 1) for one in ticket.skills))


# --- What came of it --------------------------------------------------------------------------------------------------


def _hear(seen: _Seen, event: event_pb2.Event) -> None:
    kind = event.WhichOneof("kind")
    if kind == "queued" and event.queued.cause == event_pb2.QUEUE_CAUSE_ARRIVED:
        if event.ticket not in seen.sent:
            seen.unknown += 1
            return
        seen.open[event.ticket] = ticket = _Ticket(event.at_us, *seen.sent[event.ticket], event.queue)
        seen.tickets.append(ticket)
    elif kind in _ACTS and (found := seen.open.get(event.ticket)) is not None:
        _ACTS[kind](seen, found, event)


def _offered(seen: _Seen, ticket: _Ticket, event: event_pb2.Event) -> None:
    ticket.offered = event.at_us
    seen.people.offers += 1


def _queued(seen: _Seen, ticket: _Ticket, event: event_pb2.Event) -> None:
    seen.people.declined += event.queued.cause == event_pb2.QUEUE_CAUSE_DECLINED
    seen.people.missed += event.queued.cause == event_pb2.QUEUE_CAUSE_EXPIRED
    ticket.offered = 0
    _pause(ticket, event.at_us)


def _assigned(seen: _Seen, ticket: _Ticket, event: event_pb2.Event) -> None:
    if ticket.offered:
        seen.people.answers.append((event.at_us - ticket.offered) / 1e6)
    ticket.began = event.at_us
    ticket.answered = ticket.answered or event.at_us


def _completed(_: _Seen, ticket: _Ticket, event: event_pb2.Event) -> None:
    _pause(ticket, event.at_us)
    ticket.done, ticket.wrapping = True, event.at_us


def _closed(seen: _Seen, ticket: _Ticket, event: event_pb2.Event) -> None:
    if event.at_us > ticket.wrapping:
        seen.people.wrap_ups.append((event.at_us - ticket.wrapping) / 1e6)
    _ended(seen, ticket, event)


def _cancelled(seen: _Seen, ticket: _Ticket, event: event_pb2.Event) -> None:
    ticket.left = 0 if ticket.answered else event.at_us
    _ended(seen, ticket, event)


def _ended(seen: _Seen, ticket: _Ticket, event: event_pb2.Event) -> None:
    ticket.ended = event.at_us
    del seen.open[event.ticket]


def _marked(seen: _Seen, ticket: _Ticket, event: event_pb2.Event) -> None:
    seen.marks[event.marked.moment].append((event.at_us - ticket.answered) / 1e6)


def _pause(ticket: _Ticket, at_us: int) -> None:
    if ticket.began:
        ticket.work += at_us - ticket.began
        ticket.began = 0


_ACTS: dict[str, Callable[[_Seen, _Ticket, event_pb2.Event], None]] = {
    "offered": _offered,
    "queued": _queued,
    "assigned": _assigned,
    "completed": _completed,
    "closed": _closed,
    "cancelled": _cancelled,
    "overflowed": _ended,
    "marked": _marked,
}


# --- What is played ---------------------------------------------------------------------------------------------------


def _played(seen: _Seen, stretch: tuple[int, int], handle: str, seed: int) -> tuple[Any, list[Kind], list[str]]:
    """The arrivals, their kinds, and what a reader must know of them."""
    (start, last), random, notes = stretch, np.random.default_rng(seed), list[str]()
    tickets, whats = seen.tickets, list(seen.whats)
    channels = np.array([whats[one.what].channel for one in tickets])
    queues = np.array([f"{whats[one.what].channel}/{one.queue}" for one in tickets])
    waited = np.array([(one.left or one.answered or one.ended or last) - one.arrival for one in tickets]) / 1e6
    left = np.array([one.left > 0 for one in tickets])
    work = np.array([one.work + (last - one.began if one.began else 0) for one in tickets]) / 1e6
    done = np.array([one.done for one in tickets])
    worked = done | (work > 0)
    patience = _survivals(channels, waited, left)
    handling = _survivals(queues[worked], work[worked], done[worked])

    longer = _beyond(patience, channels, waited, random)
    patience_s = np.where(left, waited, longer)
    notes.append(
        f"Patience: {int(left.sum()):,} left; of the others it is only known that it was longer: the rest is drawn "
        "(product-limit estimator, by channel)."
        if left.any()
        else "Patience: nobody left, so nobody does."
    )
    if handle == "as-recorded":
        unfinished = worked & ~done
        work_s = np.where(done, work, np.where(unfinished, _beyond(handling, queues, work, random), -1.0))
        drawn = int((~done).sum())
        rest = f"; {drawn:,} had none, or were not finished, and have one drawn" if drawn else ""
        notes.append(f"Handle times as recorded{rest}.")
    else:
        work_s = np.full(len(tickets), -1.0)
        notes.append(f"Handle times resampled, by channel and queue, from {int(done.sum()):,} that were seen.")
    marks = {moment: _all(values) for moment, values in seen.marks.items()}
    number: dict[tuple[int, str], int] = {}
    codes = [number.setdefault((one.what, queue), len(number)) for one, queue in zip(tickets, queues, strict=True)]
    kinds = [
        Kind(
            whats[what].channel,
            {name: value for name, value, _ in whats[what].attributes},
            handle=_of(handling, queue).distribution(),
            patience=_of(patience, whats[what].channel).distribution(),
            skills=dict(whats[what].skills),
            marks=marks,
            confidence={name: sure / 1000 for name, _, sure in whats[what].attributes if sure < 1000},
        )
        for what, queue in number
    ]
    block = arrivals(
        [one.arrival - start for one in tickets],
        codes,
        customer=[one.customer for one in tickets],
        patience_us=_micros(patience_s),
        work_us=_micros(work_s),
    )
    return block[np.argsort(block["at_us"], kind="stable")], kinds, notes


_Survivals: TypeAlias = dict[str, Survival]
"""By channel, or queue; "" is all."""


def _survivals(cut: npt.NDArray[np.str_], durations: Floats, ended: npt.NDArray[np.bool_]) -> _Survivals:
    found = {"": Survival(durations, ended)}
    for value in np.unique(cut):
        mine = cut == value
        if ended[mine].sum() >= LEFT_MIN:
            found[str(value)] = Survival(durations[mine], ended[mine])
    return found


def _of(survivals: _Survivals, value: str) -> Survival:
    return survivals.get(value, survivals[""])


def _beyond(survivals: _Survivals, cut: npt.NDArray[np.str_], seen: Floats, random: np.random.Generator) -> Floats:
    """Durations, each longer than what was seen of it."""
    shares, found = 1.0 - random.random(len(seen)), np.empty(len(seen))
    for value in np.unique(cut):
        mine = cut == value
        found[mine] = _of(survivals, str(value)).at(shares[mine], seen[mine])
    return found


def _all(values: list[float]) -> Any:  # noqa: ANN401 (a distribution)
    return Survival(np.array(values), np.ones(len(values), np.bool_)).distribution()


def _micros(seconds: Floats) -> npt.NDArray[np.int64]:
    """−1, drawn by the kind, for what is not known or has no end."""
    known = np.isfinite(seconds) & (seconds >= 0)
    return np.where(known, np.round(np.where(known, seconds, 0.0) * 1e6), -1).astype(np.int64)
