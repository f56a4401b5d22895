"""A policy read naively: what a ticket gets, straight from the rules. For cases, and for tests of the engine.

```python
found = classify(policy, Ticket(channel="chat", tier="vip"))
found.path, found.head_start_ms            # "general/vip@chat", 60000
wait(policy, ticket, seconds(30)).needs    # what it asks after half a minute in line
```

With scenes: `classify(policy.under(Scenes.failure), ticket)`. Nothing here is shared with the tables that the engine
gets, so that one can prove the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from csroute.policy.attributes import All, AnyHolds, Condition, Test, present_values
from csroute.policy.conditions import QueueCondition
from csroute.policy.durations import Duration
from csroute.policy.layers import After, AgentOrder, At, Gives, Rule
from csroute.policy.numbers import milli
from csroute.policy.skills import Needs, Term
from csroute.policy.urgency import ByDeadline

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence, Set

    from csroute.policy.attributes import Attributes
    from csroute.policy.clocks import ClockUse
    from csroute.policy.layers import Affinity, AutoAccept, Layer, Offer, Otherwise, Step
    from csroute.policy.policy import Hour, Policy

__all__ = [
    "Class",
    "ClockTarget",
    "Requirement",
    "Waiting",
    "applies",
    "classify",
    "holds",
    "resolve",
    "values_of",
    "wait",
]

T = TypeVar("T")
SENIORITY_US_MAX = 1 << 43

SkillAt = tuple[str, int]
"""A skill's name on the wire, and its level."""


@dataclass(frozen=True)
class Requirement:
    """And-ed groups of which each has to be met by one entry, and none-of skills."""

    groups: tuple[tuple[SkillAt, ...], ...] = ()
    none_of: tuple[SkillAt, ...] = ()

    def __add__(self, other: Requirement) -> Requirement:
        return Requirement(self.groups + other.groups, self.none_of + other.none_of)

    def __str__(self) -> str:
        def named(entry: SkillAt) -> str:
            return f"{entry[0]}>={entry[1]}" if entry[1] > 1 else entry[0]

        groups = [" | ".join(map(named, group)) or "nobody" for group in self.groups]
        return " & ".join([*groups, *(f"~{named(entry)}" for entry in self.none_of)])

    def met_by(self, skills: Mapping[str, int]) -> bool:
        """Whether an agent with these levels meets it."""

        def has(entry: SkillAt) -> bool:
            return skills.get(entry[0], 0) >= entry[1]

        return all(any(map(has, group)) for group in self.groups) and not any(map(has, self.none_of))


@dataclass(frozen=True)
class ClockTarget:
    """A clock of a class."""

    name: str
    starts: str
    target_ms: int
    warnings_ms: tuple[int, ...]


@dataclass(frozen=True)
class Class:
    """All that rules give to a ticket."""

    path: str
    queue: str
    rules: tuple[Rule | Otherwise, ...]
    needs: tuple[Requirement, ...]
    """A part a layer, and the defaults'."""
    steps: tuple[tuple[int, Step], ...]
    """With the part that each changes."""
    clocks: tuple[ClockTarget, ...]
    head_start_ms: int
    slope_milli: int
    order: tuple[AgentOrder, ...]
    affinity: Affinity | None
    offer: Offer | AutoAccept | None
    cost: int
    wrap_up_ms: int
    decline_exclude_ms: int | None
    fits: tuple[tuple[SkillAt, int], ...]
    skip_unstaffed: bool
    overlays: tuple[tuple[int, QueueCondition, Requirement], ...]
    """Needs while a queue is too full, with the part that each replaces."""
    reserves: tuple[str, ...]
    """Those that may be released to it."""
    kept: tuple[tuple[str, SkillAt], ...]
    """Every reserve of the policy, and the skill of the agents that it keeps."""
    waiting_max: int | None
    values: Mapping[str, str]
    """The ticket's, as rules see them."""

    def kept_from(self, released: Set[str]) -> Requirement:
        """What reserves keep from it, while these are released."""
        free = {name for name in self.reserves if name in released}
        return Requirement((), tuple(skill for name, skill in self.kept if name not in free))


@dataclass(frozen=True)
class Waiting:
    """A ticket that has been in line for some time, and met nobody."""

    found: Class
    waited_ms: int
    taken: frozenset[int] = frozenset()
    """Steps taken, by their place in the class, from 0."""
    alerts: tuple[str, ...] = ()
    overflow: str = ""
    """Where it left for; empty: it still waits."""
    full: Set[QueueCondition] = frozenset()
    """Conditions that hold."""
    released: Set[str] = frozenset()
    """Reserves that are released."""

    @property
    def step(self) -> int:
        """The last listed step taken, from 1; 0: none."""
        return max(self.taken, default=-1) + 1

    @property
    def boost_ms(self) -> int:
        """Seniority that the steps taken add: of each layer's, the last listed's."""
        last = {self.found.steps[at][0]: self.found.steps[at][1] for at in sorted(self.taken)}
        return sum(step.boost.ms for step in last.values() if step.boost is not None)

    @property
    def seniority_us(self) -> int:
        """Time waited, with the boost."""
        return min(self.waited_ms * 1000, SENIORITY_US_MAX) + self.boost_ms * 1000

    @property
    def urgency_milli_us(self) -> int:
        """Its urgency for an agent without fit, in µs × thousandths."""
        return self.found.slope_milli * self.seniority_us + self.found.head_start_ms * 1_000_000

    @property
    def needs(self) -> Requirement:
        """The requirement in force."""
        parts = list(self.found.needs)
        for at in sorted(self.taken):
            part, step = self.found.steps[at]
            if step.needs is not None:
                parts[part] = resolve(step.needs, self.found.values)
        for part, condition, needs in self.found.overlays:
            if condition in self.full:
                parts[part] = needs
        return sum(parts, Requirement()) + self.found.kept_from(self.released)


def holds(condition: Condition, values: Mapping[str, str]) -> bool:
    """Whether a condition holds for a ticket's values. A missing one satisfies no test but `missing`."""
    match condition:
        case All(conditions):
            return all(holds(part, values) for part in conditions)
        case AnyHolds(conditions):
            return any(holds(part, values) for part in conditions)
        case Test(fact, op, named):
            value = values.get(fact.name)
            return {
                "in": value is not None and value in named,
                "not_in": value is not None and value not in named,
                "present": value is not None,
                "missing": value is None,
            }[op]
    raise TypeError(f"no condition of the policy language: {condition!r}")


def values_of(policy: Policy, ticket: Attributes, hour: Hour | None = None) -> dict[str, str]:
    """What rules see of a ticket: its values, and what the hour's tables say of them."""
    values = present_values(ticket)
    looked = {name: (hour or {}).get(table, {}) for name, table in policy.declared_tables().items()}
    found = {name: looked[name].get(values.get(table.by.name, "")) for name, table in policy.declared_tables().items()}
    return values | {name: value for name, value in found.items() if value is not None}


def applies(policy: Policy, layer: type[Layer], values: Mapping[str, str]) -> tuple[Rule | Otherwise, ...]:
    """The rules of a layer that apply to a ticket's values."""
    *rules, otherwise = policy.rules(layer)
    held = [rule for rule in rules if isinstance(rule, Rule) and not rule.dormant and holds(rule.when, values)]
    return tuple(held if layer._every else held[:1]) or (otherwise,)


def classify(
    policy: Policy,
    ticket: Attributes | Mapping[str, str],
    moved: Mapping[str, Rule | Otherwise] | None = None,
    *,
    hour: Hour | None = None,
) -> Class:
    """What a ticket, or one with these values, gets.

    Args:
        policy: with the scenes that are on.
        ticket: itself, or what rules see of it.
        moved: rules that replace their layer's, by layer.
        hour: what the tables hold.
    """
    values = ticket if isinstance(ticket, Mapping) else values_of(policy, ticket, hour)
    by_layer = [
        (policy.now(moved[layer.__name__]),) if moved and layer.__name__ in moved else applies(policy, layer, values)
        for layer in policy.layers
    ]
    rules = tuple(rule for applied in by_layer for rule in applied)
    defaults = policy.otherwise

    def first(read: Callable[[Gives], T | None]) -> T | None:
        return next((found for rule in (*rules, defaults) if (found := read(rule)) is not None), None)

    def those_with(has: Callable[[Gives], object]) -> Sequence[Gives]:
        return rules if any(map(has, rules)) else (defaults,)

    needs = [_all(rule.needs for rule in applied) for applied in by_layer]
    given = any(rule.needs is not None for rule in rules)
    parts = tuple(resolve(part, values) for part in (*needs, _all([None if given else defaults.needs])))
    steps = [(part, step) for part, applied in enumerate(by_layer) for rule in applied for step in rule.steps]
    clocks = _clocks(policy, [use for rule in those_with(lambda rule: rule.clocks) for use in rule.clocks])
    slope = first(lambda rule: rule.slope)
    cost = first(lambda rule: rule.cost)
    wrap_up = first(lambda rule: rule.wrap_up)
    decline_exclude = first(lambda rule: rule.decline_exclude)
    return Class(
        path=_path(policy, by_layer, values),
        queue=by_layer[0][0].name,
        rules=rules,
        needs=parts,
        steps=tuple(steps) or tuple((len(by_layer), step) for step in defaults.steps),
        clocks=clocks,
        head_start_ms=sum(map(_fixed_ms, those_with(_fixed_ms)))
        + sum(_by_deadline_ms(rule, clocks) for rule in those_with(_by_deadline)),
        slope_milli=1000 if slope is None else milli(slope, "slope", 0, 100_000),
        order=tuple(first(lambda rule: rule.order or None) or ("least_loaded", "longest_idle")),
        affinity=first(lambda rule: rule.affinity),
        offer=next((rule.offer for rule in (*rules, defaults) if rule.offer is not None), None),
        cost=policy.channels[values["channel"]].cost if cost is None else cost,
        wrap_up_ms=0 if wrap_up is None else wrap_up.ms,
        decline_exclude_ms=None if decline_exclude is None else decline_exclude.ms,
        fits=tuple(
            (_skill_at(fit.skill.groups[0][0], values), fit.ahead.ms)
            for rule in those_with(lambda rule: rule.fits)
            for fit in rule.fits
            if _known(fit.skill.groups[0][0], values)
        ),
        skip_unstaffed=bool(first(lambda rule: rule.skip_unstaffed)),
        overlays=tuple(
            (part, each.condition, resolve(each.needs, values))
            for part, applied in enumerate(by_layer)
            for rule in applied
            for each in rule.overlays
        )
        or tuple((len(by_layer), each.condition, resolve(each.needs, values)) for each in defaults.overlays),
        reserves=tuple(
            dict.fromkeys(each.name for rule in those_with(lambda rule: rule.reserves) for each in rule.reserves)
        ),
        kept=tuple((each.name, _skill_at(each.skill.groups[0][0], values)) for each in policy.declared_reserves()),
        waiting_max=first(lambda rule: rule.waiting_max),
        values=values,
    )


def wait(
    policy: Policy,
    ticket: Attributes,
    waited: Duration,
    *,
    hour: Hour | None = None,
    full: Set[QueueCondition] = frozenset(),
    released: Set[str] = frozenset(),
) -> Waiting:
    """The ticket after that time in line, undisturbed: steps taken, moves made.

    `hour`: what the tables hold; `full`: conditions that hold all the while; `released`: reserves that are.
    """
    state = Waiting(classify(policy, ticket, hour=hour), waited.ms, full=full, released=released)
    now_ms = 0
    while not state.overflow:
        untaken = [(at, index) for index, at in _due(state.found).items() if index not in state.taken]
        due = sorted((at, index) for at, index in untaken if at <= waited.ms)
        if not due:
            break
        due_ms, index = due[0]
        now_ms = max(now_ms, due_ms)
        part, step = state.found.steps[index]
        alerts = (*state.alerts, step.alert) if step.alert else state.alerts
        state = replace(state, taken=state.taken | {index}, alerts=alerts, overflow=step.overflow)
        if (target := step.target()) is not None:
            after = classify(policy, ticket, {policy.layers[part].__name__: target}, hour=hour)
            if after.rules != state.found.rules:
                state = _entered(replace(state, found=after, taken=frozenset()), _oldest_age(state), now_ms)
    return state


def _entered(state: Waiting, oldest_age_ms: int | None, now_ms: int) -> Waiting:
    """Entering a class late: age steps up to the oldest age taken, and clock points reached, count as taken."""
    taken = set()
    for index, due_ms in _due(state.found).items():
        aged = isinstance(state.found.steps[index][1], After)
        if (oldest_age_ms is not None and due_ms <= oldest_age_ms) if aged else due_ms <= now_ms:
            taken.add(index)
    return replace(state, taken=frozenset(taken))


def _oldest_age(state: Waiting) -> int | None:
    taken = (state.found.steps[index][1] for index in state.taken)
    return max((step.age.ms for step in taken if isinstance(step, After)), default=None)


def _due(found: Class) -> dict[int, int]:
    """When each step is due, in ms in line; those of clocks that do not start on arrival never are, here."""
    running = {clock.name: clock.target_ms for clock in found.clocks if clock.starts == "arrival"}
    due = {}
    for index, (_, step) in enumerate(found.steps):
        if isinstance(step, After):
            due[index] = step.age.ms
        elif isinstance(step, At) and step.clock.name in running:
            due[index] = -(-running[step.clock.name] * step.share_milli // 1000)  # rounded up
    return due


def _clocks(policy: Policy, uses: Sequence[ClockUse]) -> tuple[ClockTarget, ...]:
    """By clock: off, else the first `exactly`, else the first of the shortest `within`."""
    found = []
    for clock in policy.declared_clocks():
        mine = [use for use in uses if use.clock is clock]
        if not mine or any(use.mode == "off" for use in mine):
            continue
        exactly = [use for use in mine if use.mode == "exactly"]
        winner = exactly[0] if exactly else min(mine, key=lambda use: use.target)
        warnings = tuple(warning.ms for warning in winner.warnings)
        found.append(ClockTarget(clock.name, clock.starts, winner.target.ms, warnings))
    return tuple(found)


def _fixed_ms(gives: Gives) -> int:
    return gives.head_start.ms if isinstance(gives.head_start, Duration) else 0


def _by_deadline(gives: Gives) -> ByDeadline | None:
    return gives.head_start if isinstance(gives.head_start, ByDeadline) else None


def _by_deadline_ms(gives: Gives, clocks: Sequence[ClockTarget]) -> int:
    found = _by_deadline(gives)
    targets = {clock.name: clock.target_ms for clock in clocks}
    return found.otherwise.ms - targets[found.clock.name] if found and found.clock.name in targets else 0


def _all(needs: Iterable[Needs | None]) -> Needs:
    parts = [part for part in needs if part is not None]
    return Needs(sum((part.groups for part in parts), ()), sum((part.none_of for part in parts), ()))


def _known(term: Term, values: Mapping[str, str]) -> bool:
    return term.fact is None or term.fact.name in values


def _skill_at(term: Term, values: Mapping[str, str]) -> SkillAt:
    return (f"{term.skill}[{values[term.fact.name]}]" if term.fact else term.skill, term.level)


def resolve(needs: Needs, values: Mapping[str, str]) -> Requirement:
    """With the family members that the values name; an entry whose value is missing is left out."""

    def known(terms: Sequence[Term]) -> tuple[SkillAt, ...]:
        return tuple(_skill_at(term, values) for term in terms if _known(term, values))

    return Requirement(tuple(map(known, needs.groups)), known(needs.none_of))


def _path(policy: Policy, by_layer: Sequence[Sequence[Rule | Otherwise]], values: Mapping[str, str]) -> str:
    parts = []
    for place, (layer, applied) in enumerate(zip(policy.layers, by_layer, strict=True)):
        if place == 0 or list(applied) != [policy.rules(layer)[-1]]:
            parts.append("+".join(_named(rule, values) for rule in applied))
    return f"{'/'.join(parts)}@{values['channel']}"


def _named(rule: Rule | Otherwise, values: Mapping[str, str]) -> str:
    """The rule's name, with the values that pick family members in what it gives: `foreign[en]`."""
    needs = [rule.needs, *(step.needs for step in rule.steps), rule.affinity.needs if rule.affinity else None]
    terms = [term for part in needs if part is not None for term in (*sum(part.groups, ()), *part.none_of)]
    terms += [fit.skill.groups[0][0] for fit in rule.fits]
    terms += [term for each in rule.overlays for term in (*sum(each.needs.groups, ()), *each.needs.none_of)]
    picked = {values[term.fact.name]: None for term in terms if term.fact and term.fact.name in values}
    return f"{rule.name}[{','.join(picked)}]" if picked else rule.name
