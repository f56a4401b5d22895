"""What a candidate would have decided differently, for live tickets, without touching the live state.

Both policies, the one in force and the candidate, decide about the same ticket in a router of their own in this
process; what differs is counted, and some of it kept to look at:

    shadow = Shadow(in_force, candidate)
    shadow.compare(client.get_ticket("t1"), agent)

| kind | differs |
|---|---|
| refused | one policy takes the ticket, the other does not |
| queue, class | where it stands: the first layer's rule; all rules that apply |
| needs | what it asks of agents at first |
| urgency | head start or slope |
| clocks | which clocks it has, with which targets |
| who | the agent who has it may take it by one, not by the other, load aside |

What depends on the moment (load, conditions, steps taken, tunings) is left out: both begin with an empty house.
`follow` samples a server's tickets as they come, so many a second; what comes beyond is dropped, and counted.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Final

from csroute.errors import RejectedError
from csroute.router import Router
from csroute.types import AgentSpec, Ticket, TicketState, TicketView

if TYPE_CHECKING:
    from csroute.client import Client
    from csroute.router import PolicySource

__all__ = ["KINDS", "Comparison", "Decision", "Followed", "Shadow", "follow"]

KINDS: Final = ("refused", "queue", "class", "needs", "urgency", "clocks", "who")
_SAMPLES_MAX: Final = 20
_LEASE_MS: Final = 3_600_000
_PAUSE_MS: Final = 1000
"""Between two tickets, in the routers' own time: what ended is forgotten in the end."""
_SEEN: Final = (TicketState.WAITING, TicketState.OFFERED, TicketState.ACTIVE, TicketState.WRAPPING)


@dataclass(frozen=True, slots=True)
class Decision:
    """What one policy says of a ticket."""

    refused: str = ""
    queue: str = ""
    class_path: str = ""
    needs: tuple[str, ...] = ()
    none_of: tuple[str, ...] = ()
    head_start_ms: int = 0
    slope_milli: int = 0
    clocks: Mapping[str, int] = field(default_factory=dict)
    """By name: the target, ms."""
    able: bool | None = None
    """Whether the agent who has it may take it; None: nobody has."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A ticket by the policy in force and by the candidate; `kinds`: in what they differ."""

    ticket: str
    kinds: tuple[str, ...]
    now: Decision
    then: Decision


class _House:
    """A policy in a router of its own, with one ticket and one agent at a time."""

    def __init__(self, policy: PolicySource) -> None:
        self._router = Router(policy, clock="virtual")
        self._router.open_session("shadow", lease_ms=_LEASE_MS)
        self._numbers = count(1)

    def decide(self, seen: TicketView, agent: AgentSpec | None) -> Decision:
        router, ticket = self._router, f"shadow-{next(self._numbers)}"
        router.advance(_PAUSE_MS)
        router.renew_lease("shadow")
        # Its own skills are not in the view of a ticket.
        asked = Ticket(ticket, seen.channel, customer=seen.customer, attributes=seen.attributes)
        try:
            router.route(asked)
        except RejectedError as no:
            return Decision(refused=no.name)
        why = router.explain(ticket)
        able = self._able(ticket, agent) if agent is not None else None
        router.cancel(ticket)
        clocks = {clock.clock: clock.target_ms for clock in why.ticket.clocks}
        return Decision(
            "", why.ticket.queue, why.ticket.class_path, why.needs, why.none_of, why.head_start_ms, why.slope_milli,
            clocks, able,
        )  # fmt: skip

    def _able(self, ticket: str, agent: AgentSpec) -> bool | None:
        if any(isinstance(result, RejectedError) for result in self._router.upsert_agents([agent])):
            return None  # a channel that this policy has not got
        self._router.login("shadow", agent.id)
        took = self._router.get_ticket(ticket).agent == agent.id
        self._router.remove_agents([agent.id])
        return took


class Shadow:
    """Compares a candidate with the policy in force, ticket by ticket."""

    def __init__(self, in_force: PolicySource, candidate: PolicySource) -> None:
        self._now, self._then = _House(in_force), _House(candidate)
        self.compared = 0
        self.counts: Counter[str] = Counter()
        """Tickets that differ, by kind."""
        self.differing = 0
        self.samples: list[Comparison] = []
        """The first that differ, in each kind a few: at most 20 in all."""
        self._sampled: Counter[tuple[str, ...]] = Counter()

    def compare(self, seen: TicketView, agent: AgentSpec | None = None) -> Comparison:
        """One ticket, and the agent who has it, if somebody does."""
        now, then = self._now.decide(seen, agent), self._then.decide(seen, agent)
        differs = {
            "refused": now.refused != then.refused,
            "queue": now.queue != then.queue,
            "class": now.class_path != then.class_path,
            "needs": (now.needs, now.none_of) != (then.needs, then.none_of),
            "urgency": (now.head_start_ms, now.slope_milli) != (then.head_start_ms, then.slope_milli),
            "clocks": now.clocks != then.clocks,
            "who": now.able != then.able,
        }
        kinds = ("refused",) if differs["refused"] else tuple(kind for kind in KINDS if differs[kind])
        found = Comparison(seen.id, kinds, now, then)
        self.compared += 1
        self.differing += bool(kinds)
        self.counts.update(kinds)
        self._sampled[kinds] += 1
        if kinds and self._sampled[kinds] <= max(_SAMPLES_MAX // len(self._sampled), 1):
            self.samples = [*self.samples, found][:_SAMPLES_MAX]
        return found


@dataclass(slots=True)
class Followed:
    """How far a following is."""

    taken: int = 0
    dropped: int = 0


def follow(
    client: Client, shadow: Shadow, *, seconds: float, per_second: int = 50, every_s: float = 1.0
) -> Iterator[Followed]:
    """Compares tickets as they come to a server for so long; tells how far it is at each look.

    A look asks for at most `per_second × every_s` of the newest tickets: older ones that nobody looked at are dropped.
    """
    agents = _agents(client)
    followed, over_s = Followed(), time.monotonic() + seconds
    batch = max(1, min(1000, round(per_second * every_s)))
    last = client.stats().submitted
    while time.monotonic() < over_s:
        yield followed
        time.sleep(max(0.0, min(every_s, over_s - time.monotonic())))
        newest = client.stats().submitted
        # A page's token is the number of the submission that it goes on from.
        after = max(last, newest - batch)
        followed.dropped += after - last
        last = newest
        if after == newest:
            continue
        for seen in client.list_tickets(states=_SEEN, page_size=batch, page_token=str(after) if after else "").tickets:
            if seen.ticket_sequence > newest:
                continue  # it came meanwhile: the next look has it
            if seen.agent and seen.agent not in agents:
                agents = _agents(client)
            shadow.compare(seen, agents.get(seen.agent))
            followed.taken += 1
    yield followed


def _agents(client: Client) -> dict[str, AgentSpec]:
    found: dict[str, AgentSpec] = {}
    token = ""
    while True:
        page = client.list_agents(page_size=1000, page_token=token)
        found |= {agent.spec.id: agent.spec for agent in page.agents}
        token = page.next_page_token
        if not token:
            return found
