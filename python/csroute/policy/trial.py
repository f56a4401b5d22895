"""One ticket, tried: which rules fire, which class, whom it is for, step by step, played on the router itself.

```python
for moment in trial(policy, Ticket(channel="chat", tier="vip"), roster, until=minutes(5)):
    print(moment.at_ms, moment.said, moment.able, moment.first)
```

The ticket waits beside agents who are all away. At every moment at which something happens, a twin of the router lets
all of them come back at once, and tells who gets the ticket and of how many: the engine's own answer, no guess at it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from csroute.policy.attributes import guesses_of
from csroute.policy.durations import Duration, minutes
from csroute.types import (
    AgentSpec,
    Assigned,
    ClockBreached,
    ClockWarned,
    Guess,
    HoldEnded,
    Login,
    Offered,
    Overflowed,
    Presence,
    Queued,
    SetPresence,
    StepTaken,
    Ticket,
)

if TYPE_CHECKING:
    from csroute.policy.attributes import Attributes
    from csroute.policy.policy import Policy
    from csroute.router import Router
    from csroute.types import Event, Explanation

__all__ = ["Moment", "Trial", "as_sent", "trial"]

_ID = "trial"
_DESK = "trial-desk"
_LEASE_MS = 3_600_000
_STEPS_MAX = 200
_BATCH = 4096


@dataclass(frozen=True)
class Moment:
    """What happens to the ticket at one time, and whom it is for from then on."""

    at_ms: int
    said: tuple[str, ...]
    needs: str
    able: int
    """Of the roster, if all were free; 0 once it has left."""
    first: str
    """The one who would get it."""
    urgency_ms: int


@dataclass(frozen=True)
class Trial:
    """What a ticket gets, and what becomes of it while nobody is free."""

    explanation: Explanation
    moments: tuple[Moment, ...]
    outcome: str


def as_sent(ticket: Attributes, name: str = _ID) -> Ticket:
    """A case's ticket as a gateway sends it."""
    found = {key: value for key, value in guesses_of(ticket).items() if key not in {"channel", "customer"}}
    attributes = {
        key: value.value if value.confidence_milli == 1000 else Guess(value.value, value.confidence_milli / 1000)
        for key, value in found.items()
    }
    own = guesses_of(ticket)
    customer = own["customer"].value if "customer" in own else ""
    return Ticket(name, own["channel"].value, customer=customer, attributes=attributes)


def trial(
    policy: Policy,
    ticket: Attributes,
    roster: Sequence[AgentSpec] = (),
    *,
    until: Duration = minutes(10),  # noqa: B008 - a value
) -> Trial:
    """Plays a ticket that meets nobody, up to `until`. PolicyError for a policy that is wrong."""
    from csroute.router import Router  # noqa: PLC0415 - it reads policies

    router, twin = (Router(policy, clock="virtual") for _ in range(2))
    for batch in batched(roster):
        router.upsert_agents(batch)
    router.open_session(_DESK, lease_ms=_LEASE_MS)
    for batch in batched(roster):
        router.act(Login(_DESK, agent.id, Presence.AWAY) for agent in batch)
    start_us, seen = router.now_us, 0
    end_us = start_us + until.ms * 1000
    router.route(as_sent(ticket))
    explanation = router.explain(_ID)
    moments: list[Moment] = []
    while len(moments) < _STEPS_MAX:
        events = [event for event in router.events(seen) if event.ticket == _ID]
        seen = max([seen, *(event.sequence for event in events)])
        said = tuple(text for event in events if (text := _said(event)))
        at_ms = (router.now_us - start_us) // 1000
        state = router.get_ticket(_ID).state
        if said:
            moments.append(_moment(router, twin, at_ms, said, roster))
        due_us = router.next_due_us
        if state.ended or due_us is None or due_us > end_us:
            break
        router.advance(to=max(due_us, router.now_us + 1000))
        router.renew_lease(_DESK)
    view = router.get_ticket(_ID)
    left = f"leaves for {view.outcome}" if view.state.ended else f"still waits after {until}"
    return Trial(explanation, _merged(moments), left)


def _moment(router: Router, twin: Router, at_ms: int, said: tuple[str, ...], roster: Sequence[AgentSpec]) -> Moment:
    if router.get_ticket(_ID).state.ended:
        return Moment(at_ms, said, "", 0, "", 0)
    why = router.explain(_ID)
    needs = " and ".join(f"({group})" if " | " in group and len(why.needs) > 1 else group for group in why.needs)
    needs += f", none of {', '.join(why.none_of)}" if why.none_of else ""
    able, first = _who(router, twin, roster)
    return Moment(at_ms, said, needs or "anyone", able, first, why.urgency_milli_us // 1_000_000)


def _who(router: Router, twin: Router, roster: Sequence[AgentSpec]) -> tuple[int, str]:
    """Whom the ticket would go to, were all agents free now: everyone comes back but the ticket is held by none."""
    if not roster:
        return 0, ""
    twin.restore(router.snapshot())
    twin.suspend(_ID)
    for batch in batched(roster):
        twin.act(SetPresence(_DESK, agent.id, Presence.AVAILABLE) for agent in batch)
    before = twin.stats().sequence
    twin.resume(_ID)
    for event in twin.events(before):
        if isinstance(event.kind, Offered | Assigned) and event.ticket == _ID and event.kind.reason is not None:
            return event.kind.reason.candidates, event.agent
    return 0, ""


def _said(event: Event) -> str:
    match event.kind:
        case Queued():
            return "waits"
        case StepTaken(step, alert):
            return f"step {step}" + (f", {alert} is told" if alert else "")
        case ClockWarned(clock=clock):
            return f"{clock} warns"
        case ClockBreached(clock=clock):
            return f"{clock} is breached"
        case HoldEnded():
            return "no longer waits for its preferred agent"
        case Overflowed(to=to):
            return f"leaves for {to}"
    return ""


def batched(roster: Sequence[AgentSpec]) -> Iterator[Sequence[AgentSpec]]:
    """A roster in batches that one command takes."""
    for start in range(0, len(roster), _BATCH):
        yield roster[start : start + _BATCH]


def _merged(moments: Sequence[Moment]) -> tuple[Moment, ...]:
    """Moments of one time as one, with the last's state."""
    found: list[Moment] = []
    for moment in moments:
        if found and found[-1].at_ms == moment.at_ms:
            moment = replace(moment, said=(*found.pop().said, *moment.said))  # noqa: PLW2901
        found.append(moment)
    return tuple(found)
