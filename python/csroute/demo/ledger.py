"""Nothing is lost: what the clients know of each ticket, against what the server says of it.

>>> given = bytearray([5, 5, 2, REFUSED])              # a gateway's: the state that was answered, a byte a ticket
>>> done = bytearray([1, 1, 0, 0])                     # the desktops': how often the completion was acknowledged
>>> tally = reconcile({"g1": (given, done)}, {"g1-00000002": TicketState.WAITING})
>>> tally.submitted, tally.completed, tally.waiting, tally.lost, tally.problems
(3, 2, 1, 0, [])
>>> reconcile({"g1": (given, done)}, {}).lost          # the server knows nothing of it
1
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from csroute.demo.encode import ticket_id
from csroute.types import TicketState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from csroute.types import Stats

__all__ = ["REFUSED", "Tally", "compare", "open_ids", "reconcile", "settle"]

REFUSED: Final = 0xFF
"""A gateway's mark for a ticket that was refused; else it is the state that was answered."""
_WAITING: Final = (TicketState.SCHEDULED, TicketState.WAITING, TicketState.SUSPENDED)
_WITH_AGENTS: Final = (TicketState.OFFERED, TicketState.ACTIVE, TicketState.WRAPPING)
_SHOWN_MAX: Final = 5


@dataclass
class Tally:
    """What became of the tickets, by the clients' ledgers. `problems`: where two ledgers disagree, in words."""

    submitted: int = 0
    assigned: int = 0
    completed: int = 0
    cancelled: int = 0
    overflowed: int = 0
    waiting: int = 0
    with_agents: int = 0
    lost: int = 0
    problems: list[str] = field(default_factory=list)

    def count(self, state: TicketState) -> None:
        """Counts a ticket that is in this state."""
        if state in _WAITING:
            self.waiting += 1
        elif state in _WITH_AGENTS:
            self.with_agents += 1
        elif state == TicketState.CANCELLED:
            self.cancelled += 1
        elif state == TicketState.OVERFLOWED:
            self.overflowed += 1
        else:
            self.completed += 1


def open_ids(ledgers: Mapping[str, tuple[bytearray, bytearray]]) -> list[str]:
    """The tickets that were taken, and that nobody completed."""
    return [
        ticket_id(prefix, number)
        for prefix, (given, done) in ledgers.items()
        for number, state in enumerate(given)
        if state != REFUSED and not (number < len(done) and done[number])
    ]


def reconcile(ledgers: Mapping[str, tuple[bytearray, bytearray]], told: Mapping[str, TicketState]) -> Tally:
    """The tally of bulk ledgers. `told`: the server's word on the tickets that nobody completed."""
    tally = Tally()
    for prefix, (given, done) in ledgers.items():
        tally.submitted += len(given) - given.count(REFUSED)
        tally.completed += len(done) - done.count(0)
        if twice := sum(1 for times in done if times > 1):
            tally.problems.append(f"{twice} tickets of {prefix} were completed twice")
        if strangers := sum(1 for times in done[len(given) :] if times):
            tally.problems.append(f"{strangers} tickets of {prefix} were completed that it never submitted")
    tally.assigned = tally.completed
    for ticket in open_ids(ledgers):
        if (state := told.get(ticket)) is None:
            tally.lost += 1
        else:
            tally.count(state)
            tally.assigned += state in _WITH_AGENTS
    return tally


def settle(ledger: Mapping[str, TicketState], counts: Mapping[str, int], told: Mapping[str, TicketState]) -> Tally:
    """The tally of a ledger kept by events. `told`: the server's word on each ticket, taken a moment later."""
    tally = Tally(submitted=counts.get("submitted", 0), assigned=counts.get("assigned", 0))
    wrong: Counter[str] = Counter()
    for ticket, state in ledger.items():
        tally.count(state)
        if (said := told.get(ticket)) is None:
            tally.lost += 1
        elif state.ended and said != state:  # an open one may have gone on since
            wrong[f"{state.name.lower()} here, {said.name.lower()} there"] += 1
    if strangers := len(told.keys() - ledger.keys()):
        wrong["unknown here"] += strangers
    tally.problems += [f"{count} tickets are {what}" for what, count in wrong.most_common(_SHOWN_MAX)]
    if tally.completed != counts.get("completed", 0):
        tally.problems.append(
            f"{counts.get('completed', 0)} completions were heard of, {tally.completed} tickets ended so"
        )
    return tally


def compare(tally: Tally, stats: Stats) -> None:
    """Adds to the tally's problems where the server counted otherwise."""
    told = {
        "submitted": stats.submitted,
        "assigned": stats.assigned,
        "completed": stats.completed,
        "cancelled": stats.cancelled,
        "overflowed": stats.overflowed,
        "waiting": stats.scheduled + stats.waiting + stats.suspended,
        "with_agents": stats.offered + stats.active + stats.wrapping,
    }
    for name, count in told.items():
        if (ours := getattr(tally, name)) != count:
            tally.problems.append(f"{name}: {ours} by the clients' ledgers, {count} by the server")
