"""Classification: a compiled policy, and the classes that tickets fall into (DESIGN.md §3).

>>> Needs(groups=((Entry("a", 2), Entry("b", 1)),)).met_by({"b": 1})
True
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass, field
from typing import TypeVar

from csroute.policy.switch import resolved
from csroute.v1 import policy_pb2 as pb

__all__ = [
    "Applied",
    "Condition",
    "Entry",
    "Needs",
    "Policy",
    "Replace",
    "Requirement",
    "Step",
    "Target",
    "TicketClass",
    "naturally",
]

# For each layer the indexes of the rules that apply.
Applied = tuple[tuple[int, ...], ...]
LEAST_LOADED, LONGEST_IDLE, BEST_LEVEL, SPARE_GENERALISTS, ROUND_ROBIN = range(1, 6)
DEFAULT_LIMITS = {
    "waiting_max": 2_000_000,
    "classes_max": 20_000,
    "agents_max": 200_000,
    "sessions_max": 10_000,
    "closed_max": 2_000_000,
    "closed_keep_ms": 300_000,
    "owner_max": 1_000_000,
}
T = TypeVar("T")


@dataclass(frozen=True, order=True)
class Entry:
    """A skill at this level or above."""

    skill: str
    level: int

    def met_by(self, skills: Mapping[str, int]) -> bool:
        return skills.get(self.skill, 0) >= self.level


@dataclass(frozen=True)
class Needs:
    """And-ed any-of groups, and none-of. A group without entries is never met."""

    groups: tuple[tuple[Entry, ...], ...] = ()
    none_of: tuple[Entry, ...] = ()

    def met_by(self, skills: Mapping[str, int]) -> bool:
        every_group = all(any(entry.met_by(skills) for entry in group) for group in self.groups)
        return every_group and not any(entry.met_by(skills) for entry in self.none_of)

    def level_of(self, skills: Mapping[str, int]) -> int:
        """The levels that `best_level` adds up."""
        total = 0
        for group in self.groups:
            met = [skills[entry.skill] for entry in group if entry.met_by(skills)]
            total += max(met, default=0)
        return total

    def __add__(self, other: Needs) -> Needs:
        return Needs(self.groups + other.groups, self.none_of + other.none_of)


@dataclass(frozen=True, order=True)
class Condition:
    """What makes a queue's condition: equal ones are one, whichever classes and versions have it.

    It measures the queues named; if none is, the classes that name the reserve.
    """

    reserve: str
    queues: tuple[str, ...]
    measure: int
    over: int
    until: int

    def measures(self, ticket_class: TicketClass) -> bool:
        """Whether it measures the tickets of this class."""
        return ticket_class.queue in self.queues if self.queues else self.reserve in ticket_class.reserves


Requirement = Needs | None
# From the rules that apply naturally to those of a moved ticket.
Replace = Callable[[Applied], Applied]


@dataclass(frozen=True)
class Step:
    """A routing step of a class."""

    layer: int
    age_ms: int | None
    clock: str
    share_milli: int
    needs: Needs | None
    boost_ms: int
    alert: str
    overflow_to: str
    move_to: str


@dataclass(frozen=True)
class Target:
    """A clock of a class."""

    target_ms: int
    warnings_ms: tuple[int, ...]


@dataclass(eq=False)
class TicketClass:
    """Everything that routing reads of a ticket but its own history."""

    policy: Policy
    applied: Applied
    channel: str
    own: Needs
    requirement: Requirement
    key: tuple[object, ...] = ()
    number: int = 0
    # By layer; the defaults' own layer is the last.
    layer_needs: list[Needs] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    clocks: dict[str, Target] = field(default_factory=dict)
    fits: list[tuple[Entry, int]] = field(default_factory=list)
    head_start_ms: int = 0
    slope_milli: int = 1000
    order: list[int] = field(default_factory=lambda: [LEAST_LOADED, LONGEST_IDLE])
    hold_ms: int = 0
    transfer_hold_ms: int = 0
    affinity_needs: Needs | None = None
    ttl_ms: int = 0
    away_on_expiry: bool = False
    cost: int = 1
    wrap_up_ms: int = 0
    decline_exclude_ms: int = 60_000
    skip_unstaffed: bool = False
    # Needs that replace a layer's while a condition is on; reserves named; every reserve, its skill, what opens it.
    overlays: list[tuple[int, Condition, Needs]] = field(default_factory=list)
    reserves: set[str] = field(default_factory=set)
    kept: list[tuple[str, Entry, Condition]] = field(default_factory=list)
    owner_keep_ms: int = 0

    @property
    def conditions(self) -> list[Condition]:
        """Those that it depends on."""
        return [each for _, each, _ in self.overlays] + [each for _, _, each in self.kept]

    @property
    def queue(self) -> str:
        return self.policy.table.layers[0].rules[self.applied[0][0]].name

    def needs_at(self, taken: set[int], on: Set[Condition]) -> Needs:
        """The requirement in force when these steps were taken, and these conditions are on."""
        total = Needs()
        for layer, stated in enumerate(self.layer_needs):
            needs = stated
            for index, step in enumerate(self.steps):
                if index in taken and step.layer == layer and step.needs is not None:
                    needs = step.needs
            for place, condition, overlay in self.overlays:
                if place == layer and condition in on:
                    needs = overlay
            total += needs
        return total + self.own + self.reserved(on)

    def reserved(self, on: Set[Condition]) -> Needs:
        """What reserves keep from it."""
        return Needs(
            (), tuple(skill for name, skill, opens in self.kept if name not in self.reserves or opens not in on)
        )

    def boost_ms(self, taken: set[int]) -> int:
        """Of the last listed step taken in each layer, added up."""
        last = {self.steps[index].layer: self.steps[index].boost_ms for index in sorted(taken)}
        return sum(last.values())

    def fit_ms(self, skills: Mapping[str, int]) -> int:
        return sum(fit for entry, fit in self.fits if entry.met_by(skills))


class Policy:
    """A compiled policy, read as it stands."""

    def __init__(self, data: bytes) -> None:
        self.table = resolved(pb.CompiledPolicy.FromString(data))
        self.version = int.from_bytes(hashlib.sha256(data).digest()[:8], "big")
        self.attributes = {each.name: each for each in self.table.attributes}
        self.channels = {each.name: each for each in self.table.channels}
        self.clocks = {each.name: each for each in self.table.clocks}
        self.queues = [rule.name for rule in self.table.layers[0].rules]
        self.moments = {moment for each in self.table.clocks for moment in (each.starts, each.stops)}
        limits = self.table.limits
        self.limits = {name: getattr(limits, name) or default for name, default in DEFAULT_LIMITS.items()}

    def facts(
        self,
        channel: str,
        customer: str,
        attributes: Mapping[str, tuple[str, int]],
        hour: Mapping[str, Mapping[str, str]] | None = None,
    ) -> dict[str, str]:
        """What tests and families read; what is missing is not there. `hour`: what its tables say."""
        facts = {"channel": channel, "customer": customer}
        for name, (value, confidence) in attributes.items():
            if name in self.attributes and confidence >= self.attributes[name].threshold_milli:
                facts[name] = value
        found = {name: value for name, value in facts.items() if value}
        said = {
            each.name: (hour or {}).get(each.name, {}).get(found.get(each.attribute, "")) for each in self.table.tables
        }
        return {**found, **{name: value for name, value in said.items() if value}}

    def capped(
        self, attribute: str, channel: str, customer: str, attributes: Mapping[str, tuple[str, int]]
    ) -> str | None:
        """The value that a ticket counts with for the cap by this attribute, if the policy has one."""
        if all(cap.attribute != attribute for cap in self.table.caps):
            return None
        return self.facts(channel, customer, attributes).get(attribute)

    def natural(self, facts: Mapping[str, str]) -> Applied:
        """The rules that apply, layer by layer."""
        applied = []
        for layer in self.table.layers:
            awake = [(i, rule) for i, rule in enumerate(layer.rules) if rule.HasField("when") and not rule.dormant]
            hits = [i for i, rule in awake if _holds(rule.when, facts)]
            otherwise = [len(layer.rules) - 1]
            applied.append(tuple(hits or otherwise) if layer.every else tuple((hits or otherwise)[:1]))
        return tuple(applied)

    def queue_of(self, facts: Mapping[str, str]) -> pb.RuleTable:
        """The first layer's rule that applies."""
        return self.table.layers[0].rules[self.natural(facts)[0][0]]

    def replacing(self, layer: int, rule: str) -> Replace:
        """The same rules with one layer's replaced by this one."""
        index = [each.name for each in self.table.layers[layer].rules].index(rule)
        return lambda applied: (*applied[:layer], (index,), *applied[layer + 1 :])

    def make_class(
        self, applied: Applied, facts: Mapping[str, str], channel: str, own: Iterable[Entry], requirement: Requirement
    ) -> TicketClass:
        """The class of a ticket with these facts to which these rules apply; not numbered yet."""
        table, defaults = self.table, self.table.defaults
        rules = [(layer, table.layers[layer].rules[i].effects) for layer, hit in enumerate(applied) for i in hit]
        effects = [each for _, each in rules]
        own = tuple(sorted(set(own)))
        made = TicketClass(self, applied, channel, Needs(tuple((entry,) for entry in own)), requirement)
        members: dict[tuple[str, str], str] = {}

        def entry(need: pb.Need) -> Entry | None:
            if not need.attribute:
                return Entry(need.skill, need.level or 1)
            value = facts.get(need.attribute, "")
            members[need.skill, need.attribute] = value
            return Entry(f"{need.skill}[{value}]", need.level or 1) if value else None

        def needs(given: pb.NeedsTable) -> Needs:
            groups = tuple(tuple(e for e in map(entry, group.any_of) if e) for group in given.groups)
            return Needs(groups, tuple(e for e in map(entry, given.none_of) if e))

        def step(layer: int, given: pb.StepTable) -> Step:
            own_needs = needs(given.needs) if given.HasField("needs") else None
            age_ms = None if given.clock else given.age_ms
            return Step(
                layer, age_ms, given.clock, given.share_milli,
                own_needs, given.boost_ms, given.alert, given.overflow_to, given.move_to,
            )  # fmt: skip

        def fill(name: str) -> list[pb.Effects]:
            """The applied rules that give a field; the defaults if none does."""
            return [each for each in effects if _gives(each, name)] or [defaults] * _gives(defaults, name)

        def first(name: str, otherwise: T) -> T:
            given = fill(name)
            return getattr(given[0], name) if given else otherwise

        made.layer_needs = [Needs() for _ in range(len(table.layers) + 1)]
        for layer, each in rules:
            if each.HasField("needs"):
                made.layer_needs[layer] += needs(each.needs)
            made.steps += [step(layer, given) for given in each.steps]
        if requirement is not None:
            made.layer_needs[0] = requirement
        if fill("needs") == [defaults]:
            made.layer_needs[-1] = needs(defaults.needs)
        if fill("steps") == [defaults]:
            made.steps = [step(len(table.layers), given) for given in defaults.steps]

        made.overlays = [
            (layer, _condition(each.when, made), needs(each.needs)) for layer, e in rules for each in e.overlays
        ]
        if fill("overlays") == [defaults]:
            made.overlays = [(len(table.layers), _condition(e.when, made), needs(e.needs)) for e in defaults.overlays]
        made.reserves = {name for each in fill("reserves") for name in each.reserves}
        for kept in table.reserves:
            keeps = Entry(kept.skill.skill, kept.skill.level or 1)
            made.kept.append((kept.name, keeps, _condition(kept.open, made, kept.name)))

        uses = [use for each in fill("clocks") for use in each.clocks]
        for name in self.clocks:
            made.clocks.update(_combined([use for use in uses if use.clock == name]))
        made.head_start_ms = sum(each.head_start_ms for each in fill("head_start_ms"))
        for each in fill("by_deadline"):
            if each.by_deadline.clock in made.clocks:
                made.head_start_ms += each.by_deadline.otherwise_ms - made.clocks[each.by_deadline.clock].target_ms
        for fit in [fit for each in fill("fits") for fit in each.fits]:
            skill = entry(fit.skill)
            made.fits += [(skill, fit.fit_ms)] if skill else []
        made.slope_milli = first("slope_milli", 1000)
        made.order = list(first("order", made.order))
        affinity = first("affinity", pb.AffinityTable())
        made.hold_ms, made.transfer_hold_ms = affinity.hold_ms, affinity.transfer_hold_ms
        made.affinity_needs = needs(affinity.needs) if affinity.HasField("needs") else None
        made.owner_keep_ms = affinity.owner_keep_ms
        offer = first("offer", pb.OfferTable())
        made.ttl_ms, made.away_on_expiry = offer.ttl_ms, offer.away_on_expiry
        made.cost = first("cost", self.channels[channel].cost)
        made.wrap_up_ms = first("wrap_up_ms", 0)
        made.decline_exclude_ms = first("decline_exclude_ms", 60_000)
        made.skip_unstaffed = first("skip_unstaffed", False)
        made.key = (self.version, applied, channel, tuple(sorted(members.items())), own, requirement)
        return made


def naturally(applied: Applied) -> Applied:
    """Nothing is replaced."""
    return applied


def _condition(given: pb.QueueCondition, ticket_class: TicketClass, reserve: str = "") -> Condition:
    queues = tuple(sorted(set(given.of))) if given.of or reserve else (ticket_class.queue,)
    return Condition(reserve, queues, given.measure, given.over, given.until)


def _holds(condition: pb.Condition, facts: Mapping[str, str]) -> bool:
    node = condition.WhichOneof("node")
    if node == "all":
        return all(_holds(each, facts) for each in condition.all.conditions)
    if node == "any":
        return any(_holds(each, facts) for each in condition.any.conditions)
    test, value = condition.test, facts.get(condition.test.attribute)
    if test.op == pb.Test.OP_MISSING or value is None:
        return test.op == pb.Test.OP_MISSING and value is None
    if test.op == pb.Test.OP_PRESENT:
        return True
    return (value in test.values) == (test.op == pb.Test.OP_IN)


def _gives(effects: pb.Effects, name: str) -> bool:
    """A list gives something if it is not empty, a number without presence if it is not 0, others if they are set."""
    return any(each.name == name for each, _ in effects.ListFields())


def _combined(uses: list[pb.ClockUse]) -> dict[str, Target]:
    """One clock over all layers: off, else the first exactly, else the shortest within."""
    exactly = [use for use in uses if use.mode == pb.ClockUse.MODE_EXACTLY]
    within = [use for use in uses if use.mode == pb.ClockUse.MODE_WITHIN]
    if not uses or any(use.mode == pb.ClockUse.MODE_OFF for use in uses):
        return {}
    winner = exactly[0] if exactly else min(within, key=lambda use: use.target_ms)
    return {winner.clock: Target(winner.target_ms, tuple(winner.warnings_ms))}
