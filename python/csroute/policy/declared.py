"""What is wrong with what a policy declares beside its rules: tables, reserves, scenes, goals, caps."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from csroute.policy import limits as at
from csroute.policy.attributes import facts_of
from csroute.policy.layers import rules_of
from csroute.policy.policy import Finding
from csroute.policy.rules import check_condition
from csroute.policy.tables import Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from csroute.policy.clocks import Clock, ClockUse
    from csroute.policy.layers import Gives
    from csroute.policy.policy import Policy
    from csroute.policy.scenes import Change, Scene

__all__ = ["check_declared"]


def check_declared(policy: Policy) -> Iterator[Finding]:
    """Everything wrong with them."""
    yield from _tables(policy)
    yield from _reserves(policy)
    yield from _scenes(policy)
    yield from _goals(policy)
    yield from _caps(policy)


def _bounded(policy: Policy, what: str, count: int, most: int) -> Iterator[Finding]:
    if count > most:
        yield Finding(policy.origin, what, f"there are {count}: at most {most}")


def _named(name: str) -> Iterator[str]:
    size = len(name.encode())
    if not 1 <= size <= at.NAME_BYTES_MAX:
        yield f"its name has {size} bytes: declare it in a class, by a name of 1 to {at.NAME_BYTES_MAX}"


def _tables(policy: Policy) -> Iterator[Finding]:
    tables = policy.declared_tables()
    yield from _bounded(policy, "tables", len(tables), at.TABLES_MAX)
    for name, table in tables.items():
        wrong = [*_named(name)]
        if facts_of(policy.attributes).get(table.by.name) is not table.by:
            wrong.append(f"it is looked up by {table.by!r}, no attribute of {policy.attributes.__name__}: use that")
        if name in facts_of(policy.attributes) or name in {"channel", "customer"}:
            wrong.append(f"{policy.attributes.__name__} has an attribute of that name: give it another")
        if not 1 <= table.keys_max <= at.TABLE_KEYS_MAX:
            wrong.append(f"keys_max is {table.keys_max}: give 1 to {at.TABLE_KEYS_MAX}")
        yield from (Finding(policy.origin, f"table {name}", message) for message in wrong)


def _reserves(policy: Policy) -> Iterator[Finding]:
    reserves = policy.declared_reserves()
    yield from _bounded(policy, "reserves", len(reserves), at.RESERVES_MAX)
    changes = [change.gives for scene in policy.declared_scenes() for change in scene.changes]
    everything = [policy.otherwise, *(rule for layer in policy.layers for rule in policy.rules(layer)), *changes]
    for reserve in reserves:
        wrong = [*_named(reserve.name), *check_condition(policy, reserve.open)]
        (term,) = reserve.skill.groups[0]
        if term.fact is not None or not issubclass(policy.skills, term.owner):
            wrong.append(f"its skill is {reserve.skill}: take one of {policy.skills.__name__}, whole")
        if not any(reserve in gives.reserves for gives in everything):
            right = f"name it, like reserves=[{reserve.name}], in a rule or in the defaults"
            wrong.append(f"it is never released: no rule names it, so that nobody ever gets these agents: {right}")
        yield from (Finding(reserve.origin, f"reserve {reserve.name}", message) for message in wrong)


# --- Scenes -----------------------------------------------------------------------------------------------------------


def _scenes(policy: Policy) -> Iterator[Finding]:
    scenes = policy.declared_scenes()
    yield from _bounded(policy, "scenes", len(scenes), at.SCENES_MAX)
    mine = {rule for layer in policy.layers for rule in rules_of(layer)} | {policy.defaults}
    woken = {change.rule for scene in scenes for change in scene.changes if change.wakes}
    for layer in policy.layers:
        for rule in rules_of(layer):
            if getattr(rule, "dormant", False) and rule not in woken:
                right = "wake it in a scene, or leave out dormant=True"
                yield Finding(rule.origin, str(rule), f"it is dormant, and no scene wakes it: {right}")
    for scene in scenes:
        for change in (*scene.changes,):
            if change.rule not in mine:
                wrong = f"it changes {change.rule}, which is no rule of {policy.name}"
                yield Finding(change.origin, f"scene {scene.name}", f"{wrong}: change one of its layers' rules")
            else:
                yield from _lengthened(policy, scene, change)
    for one, other in combinations(scenes, 2):
        for first in one.changes:
            for second in other.changes:
                both = [name for name in second.fields if name in first.fields]
                if first.rule is second.rule and both:
                    wrong = (
                        f"{one.name} changes {', '.join(both)} of {first.rule} too; while both are on, this one wins"
                    )
                    yield Finding(second.origin, f"scene {other.name}", wrong, warning=True)


def _lengthened(policy: Policy, scene: Scene, change: Change) -> Iterator[Finding]:
    """No scene lengthens a hard clock."""
    if change.wakes:
        layer = next(layer for layer in policy.layers if change.rule in rules_of(layer))
        rules = rules_of(layer)
        before = [rule for rule in rules[rules.index(change.rule) :] if rule is not change.rule]
        before = [] if layer._every else before
        after = _hard(change.rule)
    elif "clocks" in change.fields:
        before, after = [policy.now(change.rule)], _hard(change.gives)
    else:
        return
    for rule in before:
        for clock, use in _hard(rule).items():
            now = after.get(clock)
            if use.mode != "off" and (now is None or now.mode == "off" or now.target > use.target):
                said = (
                    "leaves it out"
                    if now is None
                    else "turns it off"
                    if now.mode == "off"
                    else f"makes it {now.target}"
                )
                wrong = f"{clock.name} is hard, {use.target} by {rule}, and the scene {said}"
                right = f"keep {clock.name} at {use.target} or less"
                yield Finding(change.origin, f"scene {scene.name}: {change.rule}: clocks", f"{wrong}: {right}")


def _hard(gives: Gives) -> dict[Clock, ClockUse]:
    return {use.clock: use for use in gives.clocks if use.clock.hard}


# --- Goals, caps ------------------------------------------------------------------------------------------------------


def _goals(policy: Policy) -> Iterator[Finding]:
    goals = policy.declared_goals()
    yield from _bounded(policy, "goals", len(goals), at.GOALS_MAX)
    for goal in goals:
        wrong = [*_named(goal.name)]
        if goal.clock not in policy.declared_clocks():
            wrong.append(f"clock {goal.clock.name or goal.clock!r} is none of the policy's: declare it beside the goal")
        most = goal.mean or goal.within
        if most is not None and not 1 <= most.ms <= at.DURATION_MS_MAX:
            wrong.append(f"it is {most}: give 1 ms to 365 d")
        yield from (Finding(goal.origin, f"goal {goal.name}", message) for message in wrong)


def _caps(policy: Policy) -> Iterator[Finding]:
    caps = policy.limits.caps
    yield from _bounded(policy, "limits: caps", len(caps), at.CAPS_MAX)
    for place, cap in enumerate(caps):
        wrong = []
        if isinstance(cap.by, Table) or facts_of(policy.attributes).get(cap.by.name) is not cap.by:
            wrong.append(f"it is by {cap.by!r}, no attribute of {policy.attributes.__name__}: use that")
        if any(other.by is cap.by for other in caps[:place]):
            wrong.append(f"there is one by {cap.by!r} already: say both in one")
        if len(cap.of) > at.VALUES_MAX:
            wrong.append(f"{len(cap.of)} values have a cap of their own: at most {at.VALUES_MAX}")
        for what, most in ((repr(cap.by), cap.waiting_max), *((repr(value), most) for value, most in cap.of.items())):
            if not 1 <= most <= at.WAITING_MAX:
                wrong.append(f"waiting_max of {what} is {most}: give 1 to {at.WAITING_MAX}")
        strange = cap.of.keys() - cap.by.values if cap.by.values else set()
        wrong += [
            f"{cap.by!r} is never {value!r}: it is one of {', '.join(cap.by.values)}" for value in sorted(strange)
        ]
        yield from (Finding(policy.origin, f"limits: caps[{place}]", message) for message in wrong)
