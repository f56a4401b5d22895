"""Which rules of a layer can apply at all, by trying every combination of the values that the layer tests.

Values that no test names behave alike, so one of them stands for all.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from itertools import product
from math import prod
from random import Random
from typing import TYPE_CHECKING

from csroute.policy.attributes import All, AnyHolds, Condition, Fact, Test
from csroute.policy.evaluate import holds
from csroute.policy.layers import Rule

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from csroute.policy.layers import Gives, Layer
    from csroute.policy.policy import Policy
    from csroute.policy.skills import Term

__all__ = ["Reach", "combinations", "depth", "lists", "reach", "terms", "tests"]

TRIES_MAX = 1_000_000
"""Combinations × rules looked at, a second or so; a layer with more is not tried."""
SAMPLE = 20_000
"""Combinations of several layers looked at."""


@dataclass
class Reach:
    """What trying a layer showed, rules by their place in it."""

    held: set[int] = field(default_factory=set)
    """Rules whose conditions can hold."""
    applied: set[int] = field(default_factory=set)
    """Rules that can apply."""
    before: dict[int, set[int]] = field(default_factory=dict)
    """For a rule: those above it that were first when it held too."""
    together: set[tuple[int, int]] = field(default_factory=set)
    """Pairs that can hold for one ticket."""


def tests(condition: Condition) -> Iterator[Test]:
    """Every test in a condition."""
    match condition:
        case Test():
            yield condition
        case All(parts) | AnyHolds(parts):
            for part in parts:
                yield from tests(part)


def lists(condition: Condition) -> Iterator[tuple[object, ...]]:
    """Every list in a condition: a test's values, what is joined."""
    match condition:
        case Test():
            yield condition.values
        case All(parts) | AnyHolds(parts):
            yield parts
            for part in parts:
                yield from lists(part)


def terms(gives: Gives) -> Iterator[Term]:
    """Every skill that a rule asks for, at any time."""
    needs = [gives.needs, *(step.needs for step in gives.steps), *(each.needs for each in gives.overlays)]
    for part in needs:
        for group in (*part.groups, part.none_of) if part is not None else ():
            yield from group


def depth(condition: Condition) -> int:
    """How deep a condition nests; a test alone: 1."""
    match condition:
        case All(parts) | AnyHolds(parts):
            return 1 + max(map(depth, parts), default=0)
    return 1


def _domain(fact: Fact[str], named: set[str]) -> list[str | None]:
    values: list[str | None] = [*sorted(named)]
    if not fact.values or set(fact.values) - named:
        values.append(next((value for value in fact.values if value not in named), "\0"))
    return values if fact.required and not fact.threshold_milli else [*values, None]


def combinations(policy: Policy, layers: Sequence[type[Layer]]) -> Iterator[dict[str, str]]:
    """Tickets' values, one of each kind that these layers tell apart; of too many, a sample that is always the same."""
    named: dict[Fact[str], set[str]] = {}
    for layer in layers:
        for rule in policy.rules(layer):
            for test in tests(rule.when) if isinstance(rule, Rule) else ():
                named.setdefault(test.fact, set()).update(test.values)
            for term in terms(rule):
                if term.fact is not None:
                    named.setdefault(term.fact, set()).update(term.fact.values)
    domains = {fact.name: _domain(fact, values) for fact, values in named.items()}
    whole = prod(map(len, domains.values()))
    random = Random(0)  # noqa: S311 - no secret
    drawn = ([random.choice(domain) for domain in domains.values()] for _ in range(SAMPLE))
    for values in product(*domains.values()) if whole <= SAMPLE else drawn:
        yield {name: value for name, value in zip(domains, values, strict=True) if value is not None}


def reach(policy: Policy, layer: type[Layer]) -> Reach | None:
    """Tries a layer; None if there are too many combinations."""
    rules = policy.rules(layer)
    awake = [(place, rule.when) for place, rule in enumerate(rules) if isinstance(rule, Rule) and not rule.dormant]
    return _tried(tuple(awake), layer._every)


@lru_cache(maxsize=256)
def _tried(awake: tuple[tuple[int, Condition], ...], every: bool) -> Reach | None:
    """Of the same rules the same: scenes change few layers."""
    named: dict[Fact[str], set[str]] = {}
    for _, condition in awake:
        for test in tests(condition):
            named.setdefault(test.fact, set()).update(test.values)
    domains = {fact.name: _domain(fact, values) for fact, values in named.items()}
    if prod(map(len, domains.values())) * len(awake) > TRIES_MAX:
        return None
    found = Reach()
    for values in product(*domains.values()):
        known = {name: value for name, value in zip(domains, values, strict=True) if value is not None}
        held = [at for at, condition in awake if holds(condition, known)]
        found.held.update(held)
        found.applied.update(held if every else held[:1])
        for later in held[1:]:
            found.before.setdefault(later, set()).add(held[0])
        if every:
            found.together.update((one, other) for one in held for other in held if one < other)
    return found
