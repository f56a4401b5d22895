"""The work that csroute and its peers share: commands, the model that says who gets what, and csroute's policy for it.

>>> blocks = list(workload(World(agents=40, skills=10), waiting=100, blocks=4, size=8))
>>> [len(block.items) for block in blocks[-4:]], blocks[-1].kind
([8, 8, 8, 8], 'complete')
>>> all(len(block.matches) == 8 for block in blocks[-4:] if block.kind == "complete")  # those that wait are enough
True
"""

from __future__ import annotations

import heapq
import random
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

from csroute.v1 import policy_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Block", "Item", "Model", "World", "policy", "workload"]

START_US = 1_700_000_000_000_000
STEP_US = 10


@dataclass(frozen=True)
class World:
    """Agents, in order of their login, each with some skills; a class a skill, each with a target in ms.

    `places`: tickets that an agent holds at a time; the peers, and the model, do one.
    `closed_keep_ms`: how long csroute remembers a ticket that ended.
    """

    agents: int = 10_000
    skills: int = 100
    skills_an_agent: int = 5
    profiles: int = 300
    places: int = 1
    closed_keep_ms: int = 300_000
    seed: int = 7

    def skills_of(self) -> list[tuple[int, ...]]:
        """Each agent's skills."""
        rng = random.Random(self.seed)
        profiles = [tuple(sorted(rng.sample(range(self.skills), self.skills_an_agent))) for _ in range(self.profiles)]
        return [profiles[agent % self.profiles] for agent in range(self.agents)]

    def targets_ms(self) -> list[int]:
        """Each class's."""
        return [60_000 + number * 10_740_000 // self.skills for number in range(self.skills)]


class Item(NamedTuple):
    """A submit or a completion. `due_us`, `kind`: of a submit."""

    ticket: int
    kind: int
    due_us: int


class Block(NamedTuple):
    """Commands that are sent together, at one time, and who gets what by them: (ticket, agent)."""

    kind: Literal["submit", "complete"]
    now_us: int
    items: list[Item]
    matches: list[tuple[int, int]]


@dataclass
class Model:
    """The semantics, in pure Python: heaps of what waits, one a class, and of who is free, one a skill.

    It is also the peer "heapq": what the language costs.
    """

    world: World
    skills_of: list[tuple[int, ...]] = field(init=False)
    lines: list[list[tuple[int, int]]] = field(init=False)
    free: list[list[tuple[int, int]]] = field(init=False)
    """Heaps by skill: (free since, agent); those busy since are passed over."""

    def __post_init__(self) -> None:
        self.skills_of = self.world.skills_of()
        self.lines = [[] for _ in range(self.world.skills)]
        self.free = [[] for _ in range(self.world.skills)]
        self.freed = [0] * self.world.agents  # since when the agent is free; -1: busy
        self.holds: dict[int, int] = {}
        for agent in range(self.world.agents):
            self._free(agent, 0)

    def _free(self, agent: int, now_us: int) -> None:
        self.freed[agent] = now_us
        for skill in self.skills_of[agent]:
            heapq.heappush(self.free[skill], (now_us, agent))

    def submit(self, item: Item) -> int:
        """Who gets it; -1: it waits."""
        free, freed = self.free[item.kind], self.freed
        while free:
            since, agent = heapq.heappop(free)
            if freed[agent] == since:
                freed[agent] = -1
                self.holds[item.ticket] = agent
                return agent
        heapq.heappush(self.lines[item.kind], (item.due_us, item.ticket))
        return -1

    def complete(self, ticket: int, now_us: int) -> tuple[int, int]:
        """(the ticket that its agent gets, or -1; the agent)."""
        agent = self.holds.pop(ticket)
        line = min(
            (line for skill in self.skills_of[agent] if (line := self.lines[skill])),
            key=lambda line: line[0],
            default=None,
        )
        if line is None:
            self._free(agent, now_us)
            return -1, agent
        _, following = heapq.heappop(line)
        self.holds[following] = agent
        return following, agent


def workload(world: World, *, waiting: int, blocks: int, size: int, seed: int = 11) -> Iterator[Block]:
    """Blocks: first so many tickets that all agents are busy and `waiting` wait, then submits and completions in turn.

    Completed is what was assigned longest ago. With `waiting` 0 half of the agents are busy.
    """
    rng = random.Random(seed)
    model, targets = Model(world), world.targets_ms()
    now, ticket = START_US, 0
    active: deque[int] = deque()

    def submits(count: int) -> Block:
        nonlocal now, ticket
        now += STEP_US
        items, matches = [], []
        for _ in range(count):
            kind = rng.randrange(world.skills)
            item = Item(ticket, kind, now + targets[kind] * 1000)
            items.append(item)
            if (agent := model.submit(item)) >= 0:
                matches.append((ticket, agent))
                active.append(ticket)
            ticket += 1
        return Block("submit", now, items, matches)

    def completes(count: int) -> Block:
        nonlocal now
        now += STEP_US
        items, matches = [], []
        for _ in range(min(count, len(active))):
            done = active.popleft()
            items.append(Item(done, 0, 0))
            following, agent = model.complete(done, now)
            if following >= 0:
                matches.append((following, agent))
                active.append(following)
        return Block("complete", now, items, matches)

    wanted = world.agents // 2 if not waiting else 0
    while (len(active) < wanted) if wanted else (ticket - len(active) < waiting):
        yield submits(size)
    for _ in range(blocks // 2):
        yield submits(size)
        yield completes(size)


def policy(world: World) -> policy_pb2.CompiledPolicy:
    """csroute's tables for it: a class a skill, urgency by due time, one ticket at a time, the agent free longest."""
    tables = policy_pb2.CompiledPolicy(format=1, name="reduced")
    tables.attributes.add(name="kind")
    tables.channels.add(name="chat", cost=100 // world.places, limit=world.places)
    layer = tables.layers.add(name="what")
    for number, target_ms in enumerate(world.targets_ms()):
        rule = layer.rules.add(name=f"k{number}")
        rule.when.test.attribute, rule.when.test.op = "kind", policy_pb2.Test.Op.OP_IN
        rule.when.test.values.append(f"k{number}")
        rule.effects.head_start_ms = -target_ms
        rule.effects.needs.groups.add().any_of.add(skill=f"k{number}", level=1)
    layer.rules.add(name="rest")
    tables.defaults.order.append(policy_pb2.AgentOrder.AGENT_ORDER_LONGEST_IDLE)
    tables.limits.waiting_max = 5_000_000
    tables.limits.closed_keep_ms = world.closed_keep_ms
    tables.limits.classes_max = world.skills + 1
    return tables
