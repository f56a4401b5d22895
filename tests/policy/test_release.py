"""Many agents at once: a reserve is released while many wait, and each match is the most urgent one there is."""

from __future__ import annotations

from random import Random
from typing import Literal

import pytest

from csroute import AgentSpec, Router
from csroute import Ticket as New
from csroute.policy import *
from csroute.types import Assigned


class Ticket(Attributes):
    channel: Attr[Literal["chat", "phone"]]
    tier: Attr[Literal["vip", "ordinary"]] = optional()
    topic: Attr[Literal["order", "parcel"]] = optional()


class S(Skills):
    order: Skill
    parcel: Skill
    spare: Skill


class Reserves:
    spare = Reserve(S.spare, open=oldest_wait(over=seconds(60), until=seconds(5)))


class Who(Layer):
    parcels = Rule(Ticket.topic.is_("parcel"), needs=S.parcel, reserves=[Reserves.spare])
    orders = Otherwise(needs=S.order, reserves=[Reserves.spare])


class Rank(Layer, every=True):
    vip = Rule(Ticket.tier.is_("vip"), head_start=seconds(17))
    ordinary = Otherwise()


policy = Policy(
    "release",
    attributes=Ticket,
    skills=S,
    layers=[Who, Rank],
    reserves=Reserves,
    channels={"chat": Channel(cost=50, limit=2), "phone": Channel(cost=100, limit=1)},
)
HEAD = {"vip": 17, "ordinary": 0}


@pytest.mark.parametrize("seed", range(8))
def test_a_release_takes_the_most_urgent_first(seed: int) -> None:
    random = Random(seed)
    router = Router(policy, clock="virtual")
    router.open_session("desk", 3_600_000)
    names = [f"a{number}" for number in range(9)]
    skills = [{"spare": 1, "order": 1, **({"parcel": 1} if number % 2 else {})} for number in range(9)]
    excluded = {f"t{number}": (random.choice(names),) for number in range(0, 40, 7)}
    preferred = {f"t{number}": random.choice(names) for number in range(3, 40, 11)}
    router.upsert_agents([AgentSpec(name, skills=own) for name, own in zip(names, skills, strict=True)])
    for name in names:
        router.login("desk", name)
    waiting: dict[str, tuple[int, str, str, str]] = {}
    for number in range(40):
        name, tier, topic = f"t{number}", random.choice(["vip", "ordinary"]), random.choice(["order", "parcel"])
        channel = random.choice(["chat", "phone"])
        asked = New(
            name,
            channel,
            attributes={"tier": tier, "topic": topic},
            excluded_agents=excluded.get(name, ()),
            preferred_agent=preferred.get(name, ""),
        )
        assert router.route(asked).agent == ""
        waiting[name] = (number, tier, topic, channel)
        router.advance(seconds(1))
    since = router.events()[-1].sequence
    router.advance(seconds(20))  # the first has waited for a minute
    assigned = [event for event in router.events(since) if isinstance(event.kind, Assigned)]
    free = dict.fromkeys(names, 100)
    knows = dict(zip(names, skills, strict=True))

    def able(ticket: str) -> list[str]:
        _, _, topic, channel = waiting[ticket]
        cost = 50 if channel == "chat" else 100
        found = [
            name
            for name in names
            if free[name] >= cost and topic in knows[name] and name not in excluded.get(ticket, ())
        ]
        mine = preferred.get(ticket, "")
        return [mine] if mine in found else found

    for event in assigned:
        takeable = [ticket for ticket in waiting if able(ticket)]
        best = max(takeable, key=lambda ticket: (HEAD[waiting[ticket][1]] - waiting[ticket][0], -waiting[ticket][0]))
        assert event.ticket == best
        assert event.agent in able(best)
        free[event.agent] -= 50 if waiting[best][3] == "chat" else 100
        del waiting[best]
    assert len(assigned) >= 9
    assert not any(able(ticket) for ticket in waiting)
