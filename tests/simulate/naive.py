"""A naive simulator of one group of agents: lists, no engine, nothing shared with csroute but the inputs' arrays.

At each moment the waiting ticket of the greatest urgency goes first, found by looking at all of them.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from typing import NamedTuple

Urgency = Callable[["Ticket", int], float]


class Ticket(NamedTuple):
    number: int
    at_us: int
    kind: int
    patience_us: int
    work_us: int


def play(tickets: Sequence[Ticket], agents: int, urgency: Urgency) -> dict[int, tuple[int, bool]]:
    """(wait, answered) by ticket, µs. `urgency(ticket, waited_us)`: ties go to whoever came first."""
    free, waiting = agents, list[Ticket]()
    ends: list[int] = []
    found: dict[int, tuple[int, bool]] = {}

    def leave_until(now: int) -> None:
        for ticket in list(waiting):
            if ticket.at_us + ticket.patience_us <= now:
                waiting.remove(ticket)
                found[ticket.number] = (ticket.patience_us, False)

    def start(ticket: Ticket, now: int) -> None:
        found[ticket.number] = (now - ticket.at_us, True)
        heapq.heappush(ends, now + ticket.work_us)

    def finish_until(now: int) -> None:
        nonlocal free
        while ends and ends[0] <= now:
            at = heapq.heappop(ends)
            leave_until(at)
            if waiting:
                best = max(waiting, key=lambda ticket: (urgency(ticket, at - ticket.at_us), -ticket.number))
                waiting.remove(best)
                start(best, at)
            else:
                free += 1

    for ticket in tickets:
        finish_until(ticket.at_us)
        leave_until(ticket.at_us)
        if free:
            free -= 1
            start(ticket, ticket.at_us)
        else:
            waiting.append(ticket)
    finish_until(2**62)
    return found
