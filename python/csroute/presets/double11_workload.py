"""The Double-11 workload: who works that night, who asks, how often and for how long. Plain data, and seeded streams.

```python
agents = roster(1.0)                           # 5,556 people present; roster(0.1): a tenth, in the same proportions
rate = arrivals_per_s(60, agents)              # 177 tickets/s a minute after midnight: 4.75 times what they can do
for attributes, channel, customer in tickets(seed=11):
    ...                                        # without end: take what you need
handle_s(random), patience_s(random)           # draws, in seconds
```

Shares come from published descriptions of such nights where there are any, and are assumptions elsewhere (each says
which). Arrivals are scaled to the people present: the daytime plateau (20 % of the peak) loads them to 95 %, so midnight
overloads them nearly fivefold: that is the night as it is, not a fault of the router.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

__all__ = ["CURVE", "GROUPS", "AgentSpec", "Group", "NewTicket", "arrival_share", "arrivals_per_s", "capacity_per_s", "handle_s",
           "patience_s", "roster", "tickets"]

CURVE = (
    (0, 1.00), (5 * 60, 0.60), (30 * 60, 0.30), (2 * 3600, 0.03), (7 * 3600, 0.12),
    (10 * 3600, 0.20), (18 * 3600, 0.25), (20 * 3600, 0.50), (22 * 3600, 0.35),
)  # fmt: skip
"""Arrivals as a share of the peak's rate, from each second of the day on (assumed; the plateau's fifth is published)."""

PLATEAU = 0.20
PLATEAU_LOAD = 0.95
PRESENT = 1 / 9
"""Of a group's heads: a third works for this centre, a third of those is there at a time (assumed)."""
HANDLE_MEAN_S = 6.2 * 60
HANDLE_SIGMA = 0.8
PATIENCE_MEAN_S = 25 * 60

CHANNELS = {"chat": 60, "phone": 25, "social": 10, "in_app": 4, "store": 1}  # published
CATEGORIES = {"order": 50, "logistics": 30, "payment": 15, "after_sales": 5}  # published
LANGUAGES = {"zh": 92, "dialect": 3, "en": 3, "other": 2}  # assumed
KINDS = {"enquiry": 97, "live": 2, "bad_review": 1}  # assumed
TOPICS = {
    "order": {"delivery_time": 22, "electronics": 6, "": 72},
    "logistics": {"delivery_time": 75, "complaint": 5, "": 20},
    "payment": {"refund": 20, "": 80},
    "after_sales": {"refund": 40, "quality": 25, "complaint": 15, "": 20},
}  # about 34 % delivery time is published; the rest assumed; "": no detector is sure
VIP, ANGRY, REPEAT, UNSURE = 0.05, 0.10, 0.38, 0.08
"""Shares of tickets: VIPs (assumed), angry ones (assumed), repeat contacts and intents below the threshold (published)."""


class AgentSpec(NamedTuple):
    """An agent as the wire wants it. Open channels: all of `channels`, at the policy's limits."""

    id: str
    group: str
    skills: tuple[tuple[str, int], ...]
    """(skill, level), each once."""
    capacity: int
    """Units."""
    channels: tuple[str, ...]


class NewTicket(NamedTuple):
    """A ticket as the wire wants it, but for its id. A guess below its threshold is left out: it counts as missing."""

    attributes: dict[str, str]
    """Shared between tickets: copy before changing."""
    channel: str
    customer: str


@dataclass(frozen=True)
class Group:
    """People of one kind."""

    name: str
    heads: int
    """Of 100,000."""
    skills: tuple[tuple[str, tuple[int, ...]], ...]
    """Everyone's, with the levels that heads have in turn."""
    seconds: tuple[str, ...]
    """Seven in ten have one of these besides, at level 1, in turn."""
    languages: tuple[str, ...]


TRANSLATION = ("translation", (1,))
"""A seat with machine translation: for those whose knowledge a foreign customer may need (assumed)."""

GROUPS = (
    Group("general", 12_000, (("order", (1, 2)), ("payment", (1, 2))), ("logistics", "after_sales"), ("zh",)),
    Group("logistics", 7_000, (("logistics", (1, 2)),), ("order",), ("zh", "dialect")),
    Group("after_sales", 8_000, (("after_sales", (2,)), TRANSLATION), ("order", "payment", "logistics"), ("zh",)),
    Group("technical", 5_000, (("technical", (2,)), TRANSLATION), ("order", "logistics"), ("zh",)),
    Group("complaints", 2_500, (("complaints", (3,)), TRANSLATION), ("after_sales",), ("zh",)),
    Group("vip", 2_000, (("vip", (3,)), TRANSLATION), ("order", "logistics"), ("zh", "en")),
    Group("cross_border", 2_000, (("cross_border", (2,)),), ("order", "logistics"), ("en", "other")),
    Group("live", 1_000, (("live", (2,)), TRANSLATION), ("order",), ("zh",)),
    Group("expert", 500, (("expert", (4,)), ("complaints", (4,)), TRANSLATION), ("technical",), ("zh",)),
    Group("reserve", 10_000, (("reserve", (1, 2)), TRANSLATION), ("order", "logistics", "payment"), ("zh",)),
)
"""Heads, levels and languages are assumed; that 70 % have several skills is published."""


def roster(scale: float = 1.0) -> list[AgentSpec]:
    """The people present, `scale` times the usual number, at least two a group (one with the phone, one without); always the same ones.

    Five heads in eight open the phone alone (one call takes all of their units), the others everything else.
    """
    agents = []
    for group in GROUPS:
        for head in range(max(2, round(group.heads * PRESENT * scale))):
            skills = {skill: levels[head // 8 % len(levels)] for skill, levels in group.skills}
            if head % 10 < 7:
                skills.setdefault(group.seconds[head // 80 % len(group.seconds)], 1)
            skills |= {f"lang[{language}]": 1 for language in group.languages}
            channels = ("phone",) if head * 5 % 8 < 5 else ("chat", "social", "in_app", "store")
            agents.append(AgentSpec(f"{group.name}-{head}", group.name, tuple(skills.items()), 100, channels))
    return agents


def capacity_per_s(agents: Sequence[AgentSpec]) -> float:
    """Tickets that these people can finish a second: one call or five written ones at a time."""
    return sum(1 if agent.channels == ("phone",) else 5 for agent in agents) / HANDLE_MEAN_S


def arrival_share(second_of_day: float) -> float:
    """Arrivals as a share of the peak's rate."""
    return CURVE[bisect_right(CURVE, (second_of_day % 86_400, math.inf)) - 1][1]


def arrivals_per_s(second_of_day: float, agents: Sequence[AgentSpec]) -> float:
    """Tickets a second that make the plateau load these people to 95 %."""
    return arrival_share(second_of_day) / PLATEAU * PLATEAU_LOAD * capacity_per_s(agents)


def handle_s(random: Random) -> float:
    """How long a ticket takes, in seconds: log-normal around 6.2 min (mean published, spread assumed)."""
    return random.lognormvariate(math.log(HANDLE_MEAN_S) - HANDLE_SIGMA**2 / 2, HANDLE_SIGMA)


def patience_s(random: Random) -> float:
    """How long a customer waits before leaving, in seconds: exponential, 25 min (so that 38 % leave by 12 min)."""
    return random.expovariate(1 / PATIENCE_MEAN_S)


def tickets(seed: int, *, kinds_max: int = 16_384, customers_max: int = 100_000) -> Iterator[NewTicket]:
    """Tickets without end, the same ones for the same seed; a few microseconds each after the first.

    Their attributes are drawn once, `kinds_max` of them, and then in turn; customers come back out of `customers_max`.
    """
    random = Random(seed)  # noqa: S311 - a workload, no secret
    kinds = [_kind(random) for _ in range(kinds_max)]
    fresh = 0
    while True:
        random.shuffle(kinds)
        for attributes, channel in kinds:
            if attributes["contact"] == "repeat" and fresh:
                customer = random.randrange(max(0, fresh - customers_max), fresh)
            else:
                customer, fresh = fresh, fresh + 1
            yield NewTicket(attributes, channel, f"c{customer}")


def _kind(random: Random) -> tuple[dict[str, str], str]:
    category = _draw(random, CATEGORIES)
    found = {
        "category": category if random.random() >= UNSURE else "",
        "topic": _draw(random, TOPICS[category]),
        "emotion": "angry" if random.random() < ANGRY else "neutral",
        "tier": "vip" if random.random() < VIP else "ordinary",
        "language": _draw(random, LANGUAGES),
        "contact": "repeat" if random.random() < REPEAT else "first",
        "kind": _draw(random, KINDS),
    }
    return {name: value for name, value in found.items() if value}, _draw(random, CHANNELS)


def _draw(random: Random, shares: dict[str, int]) -> str:
    return random.choices(list(shares), list(shares.values()))[0]
