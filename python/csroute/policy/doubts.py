"""What may not be meant: everything that works, and is probably not what its author wants.

Guards that a missing value evades, slopes that let tickets wait without end, steps that relax nothing, values that are
always overridden, targets that contradict each other, reserves that others can use up, unfairness past a promise.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations as pairs_of
from typing import TYPE_CHECKING, Any

from csroute.policy.durations import Duration
from csroute.policy.evaluate import applies
from csroute.policy.layers import At, Gives, Rule
from csroute.policy.numbers import milli
from csroute.policy.policy import Finding
from csroute.policy.reach import combinations, tests
from csroute.policy.rules import covers
from csroute.policy.urgency import ByDeadline

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from csroute.policy.clocks import Clock, ClockUse
    from csroute.policy.conditions import Reserve
    from csroute.policy.layers import Layer
    from csroute.policy.policy import Policy

__all__ = ["check_doubts"]

SUMMED = ("needs", "head_start", "steps", "clocks", "fits", "overlays", "reserves")
"""What several layers may give; the defaults' counts only where none does."""


def check_doubts(policy: Policy) -> Iterator[Finding]:
    """Everything doubtful in a sound policy; and what breaks its own promise of fairness, which is wrong."""
    rules = [rule for layer in policy.layers for rule in policy.rules(layer)]
    for name in SUMMED:
        owner = next((rule for rule in rules if _gives(rule, name)), None)
        if owner and _gives(policy.otherwise, name):
            wrong = f"only tickets get them to which no rule gives any, and {owner} does"
            right = "put what everyone gets into a layer of its own, as its Otherwise"
            yield Finding(policy.otherwise.origin, f"defaults: {name}", f"{wrong}: {right}", warning=True)
    for layer in policy.layers[1:]:
        yield from _guards(policy, layer)
    for gives in (*rules, policy.otherwise):
        yield from _steps(gives)
    yield from _slopes(policy)
    yield from _overridden(policy)
    yield from _contradictions(policy)
    yield from _eaten(policy)
    yield from _asked_for(policy)
    yield from _fairness(policy)


def _gives(gives: Gives, name: str) -> bool:
    value: Any = getattr(gives, name)
    return value is not None and value != ()


def _guards(policy: Policy, layer: type[Layer]) -> Iterator[Finding]:
    """Needs that are and-ed to a queue's, and are not asked where the attribute behind them is missing."""
    rules = [rule for rule in policy.rules(layer) if isinstance(rule, Rule)]
    settled = {test.fact for rule in rules for test in tests(rule.when) if test.op == "missing"}
    for rule in rules:
        facts = dict.fromkeys(test.fact for test in tests(rule.when) if test.op != "missing")
        for fact in facts if rule.needs is not None else ():
            if not (fact.required and not fact.threshold_milli) and fact not in settled:
                wrong = f"it is not asked where {fact!r} is missing"
                right = f"say what holds then, by a rule with {fact!r}.missing()"
                yield Finding(rule.origin, f"{rule}: needs", f"{wrong}: {right}", warning=True)


def _steps(gives: Gives) -> Iterator[Finding]:
    in_force = gives.needs
    for place, step in enumerate(gives.steps):
        where = f"{gives}: steps[{place}]"
        if step.needs is not None:
            if in_force is not None and covers(in_force, step.needs):
                wrong = f"it relaxes nothing: whoever meets {step.needs} met {in_force} before"
                yield Finding(gives.origin, f"{where}: needs", f"{wrong}: widen it, or leave it out", warning=True)
            in_force = step.needs
        if isinstance(step, At) and step.clock.starts in {"assignment", "completion"}:
            wrong = f"{step.clock.name} starts at {step.clock.starts}, and steps are taken by tickets that wait"
            right = "take a clock that starts on arrival, or an age"
            yield Finding(gives.origin, where, f"{wrong}: {right}", warning=True)
    for place, each in enumerate(gives.overlays):
        if gives.needs is not None and each.needs != gives.needs and covers(gives.needs, each.needs):
            wrong = f"it relaxes nothing: whoever meets {each.needs} meets {gives.needs}"
            found = f"{gives}: overlays[{place}]: needs"
            yield Finding(gives.origin, found, f"{wrong}: widen it, or leave it out", warning=True)


def _slopes(policy: Policy) -> Iterator[Finding]:
    layers = policy.layers
    owner = next((layer for layer in layers if any(_gives(rule, "slope") for rule in policy.rules(layer))), None)
    if owner is None:
        return
    slopes = _slopes_of(policy, owner)
    steepest = max(slopes, key=lambda rule: slopes[rule])
    if len(set(slopes.values())) > 1:
        wrong = "slopes differ between tickets, so that in overload the flatter ones can wait without end"
        right = "head starts bound how long anyone is overtaken"
        yield Finding(steepest.origin, f"{steepest}: slope", f"{wrong}: {right}", warning=True)


def _slopes_of(policy: Policy, layer: type[Layer]) -> dict[Gives, float]:
    usual = 1 if policy.otherwise.slope is None else policy.otherwise.slope
    return {rule: usual if rule.slope is None else rule.slope for rule in policy.rules(layer)}


def _overridden(policy: Policy) -> Iterator[Finding]:
    """Targets that another layer's rules always beat."""
    for layer in policy.layers:
        for rule in policy.rules(layer):
            for use in rule.clocks:
                if use.mode != "within":
                    continue
                for other in policy.layers:
                    if other is layer or not policy.rules(other):
                        continue
                    theirs = [next((u for u in r.clocks if u.clock is use.clock), None) for r in policy.rules(other)]
                    if all(u is not None and (u.mode != "within" or u.target < use.target) for u in theirs):
                        name = use.clock.name
                        wrong = (
                            f"{use.target} never counts: every rule of {other.__name__} sets {name} anew, or shorter"
                        )
                        yield Finding(rule.origin, f"{rule}: clocks: {name}", f"{wrong}: remove it", warning=True)
                        break


# --- Targets that contradict each other -------------------------------------------------------------------------------


def _contradictions(policy: Policy) -> Iterator[Finding]:
    """Two clocks of one ticket that run from and to the same moments, and differ."""
    layers = [layer for layer in policy.layers if any(rule.clocks for rule in policy.rules(layer))]
    told: set[tuple[Clock, Clock, Gives]] = set()
    for values in combinations(policy, layers) if layers else ():
        rules = [rule for layer in layers for rule in applies(policy, layer, values)]
        winners = _winners([(rule, use) for rule in rules for use in rule.clocks])
        for one, other in pairs_of(winners, 2):
            if (one.starts, one.stops) != (other.starts, other.stops) or one.hard == other.hard:
                continue
            hard, target = (one, other) if one.hard else (other, one)
            by, use = winners[target]
            cap = winners[hard][1]
            if use.target > cap.target and (hard, target, by) not in told:
                told.add((hard, target, by))
                wrong = f"{use.target} against {cap.target} of {hard.name} ({winners[hard][0]}), which is hard and wins"
                right = f"give {target.name} {cap.target} or less, or turn one of them off"
                yield Finding(by.origin, f"{by}: clocks: {target.name}", f"{wrong}: {right}", warning=True)
    goals = policy.declared_goals()
    for goal in goals:
        if goal.clock not in policy.declared_clocks():
            continue
        longest = max((u.target.ms for g in _everything(policy) for u in g.clocks if u.clock is goal.clock), default=0)
        most = goal.mean or goal.within
        if most is not None and longest and most.ms > longest:
            wrong = f"{goal} asks less than the clock's own targets do, at most {Duration(longest)}"
            yield Finding(
                goal.origin, f"goal {goal.name}", f"{wrong}: a goal is at most its clock's target", warning=True
            )


def _everything(policy: Policy) -> Sequence[Gives]:
    return [policy.otherwise, *(rule for layer in policy.layers for rule in policy.rules(layer))]


def _winners(uses: Sequence[tuple[Gives, ClockUse]]) -> dict[Clock, tuple[Gives, ClockUse]]:
    """Of each clock the use that counts; none of those that are off."""
    found: dict[Clock, tuple[Gives, ClockUse]] = {}
    for rule, use in uses:
        held = found.get(use.clock)
        if held is None or use.mode != "within" or (held[1].mode == "within" and use.target < held[1].target):
            found[use.clock] = (rule, use)
    return {clock: held for clock, held in found.items() if held[1].mode != "off"}


# --- Reserves ---------------------------------------------------------------------------------------------------------


def _eaten(policy: Policy) -> Iterator[Finding]:
    """Reserves that open for some queues, and are named by others, which may use them up."""
    first = policy.layers[0]
    for reserve in policy.declared_reserves():
        measured = {policy.now(queue) for queue in reserve.open.queues()}
        if not measured:
            continue
        others = [rule for rule in policy.rules(first) if reserve in rule.reserves and rule not in measured]
        others += [g for g in _everything(policy) if reserve in g.reserves and g not in policy.rules(first)]  # type: ignore[misc]
        for rule in others:
            opened = ", ".join(sorted(map(str, measured)))
            wrong = f"{reserve.name} opens for {opened}, and tickets of {rule} can use it up"
            right = f"take it from {rule}, or measure all that name it, without of="
            yield Finding(rule.origin, f"{rule}: reserves", f"{wrong}: {right}", warning=True)


def _asked_for(policy: Policy) -> Iterator[Finding]:
    """Rules that ask for the very agents that a reserve keeps from their tickets."""
    kept = {reserve.skill.groups[0][0].skill: reserve for reserve in policy.declared_reserves()}
    asking = {rule: only for rule in _everything(policy) if (only := _only_kept(rule, kept))}
    layers = [layer for layer in policy.layers if any(r.reserves or r in asking for r in policy.rules(layer))]
    told: set[tuple[Gives, str]] = set()
    for values in combinations(policy, layers) if asking else ():
        rules: list[Gives] = [rule for layer in layers for rule in applies(policy, layer, values)]
        named = [reserve for rule in rules for reserve in rule.reserves] or [*policy.otherwise.reserves]
        for rule in rules:
            for skill, reserve in asking.get(rule, {}).items():
                if reserve in named or (rule, reserve.name) in told:
                    continue
                told.add((rule, reserve.name))
                wrong = f"it asks for {skill}, which the reserve {reserve.name} keeps from its tickets"
                right = f"name the reserve, like reserves=[{reserve.name}], or ask for somebody else"
                yield Finding(rule.origin, f"{rule}: needs", f"{wrong}: {right}", warning=True)


def _only_kept(rule: Gives, kept: Mapping[str, Reserve]) -> dict[str, Reserve]:
    """The reserves, by skill, of which a group of needs asks for nobody else."""
    needs = [rule.needs, *(step.needs for step in rule.steps), *(each.needs for each in rule.overlays)]
    groups = [group for part in needs if part is not None for group in part.groups]
    return {
        group[0].skill: kept[group[0].skill]
        for group in groups
        if group[0].skill in kept and all(term.skill == group[0].skill for term in group)
    }


# --- Fairness ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Range:
    """The least and most of what is summed, and the rules that bring them."""

    low: int = 0
    high: int = 0
    behind: tuple[Gives, ...] = ()
    ahead: tuple[Gives, ...] = ()

    def __add__(self, other: _Range) -> _Range:
        return _Range(
            self.low + other.low, self.high + other.high, self.behind + other.behind, self.ahead + other.ahead
        )


def _fairness(policy: Policy) -> Iterator[Finding]:
    if policy.fairness is None:
        return
    slopes = {1.0}
    for layer in policy.layers:
        if any(_gives(rule, "slope") for rule in policy.rules(layer)):
            slopes = {float(slope) for slope in _slopes_of(policy, layer).values()}
            break
    promised = policy.fairness.overtaken_max
    if len(slopes) > 1 or 0 in slopes:
        wrong = "slopes differ, or are 0, so that nothing bounds how long a ticket is overtaken"
        yield Finding(policy.origin, "fairness", f"{wrong}: give all tickets one slope over 0")
        return
    relative = sum((_layer_range(policy, layer) for layer in policy.layers), _Range())
    most = 1000 * (relative.high - relative.low) // milli(slopes.pop(), "slope", 1, 100_000)
    most += sum(_boosts(policy, layer) for layer in policy.layers)
    if most > promised.ms:
        ahead, behind = (" + ".join(map(str, who)) or "a plain ticket" for who in (relative.ahead, relative.behind))
        wrong = f"{ahead} can go before {behind} that came {Duration(most)} earlier; promised is {promised} at most"
        yield Finding(policy.origin, "fairness", f"{wrong}: lower head starts, fits and boosts, or promise less")


def _layer_range(policy: Policy, layer: type[Layer]) -> _Range:
    awake = [rule for rule in policy.rules(layer) if not (isinstance(rule, Rule) and rule.dormant)]
    spans = [(*_span(policy, layer, rule), rule) for rule in awake]
    if not spans:
        return _Range()
    if layer._every:
        ahead, behind = [span for span in spans if span[1] > 0], [span for span in spans if span[0] < 0]
        return _Range(
            sum(span[0] for span in behind),
            sum(span[1] for span in ahead),
            tuple(span[2] for span in behind),
            tuple(span[2] for span in ahead),
        )
    low, high = min(spans, key=lambda span: span[0]), max(spans, key=lambda span: span[1])
    return _Range(low[0], high[1], (low[2],) if low[0] else (), (high[2],) if high[1] else ())


def _span(policy: Policy, layer: type[Layer], gives: Gives) -> tuple[int, int]:
    """The least and most that a rule puts a ticket ahead, in ms."""
    fits = [fit.ahead.ms for fit in gives.fits]
    low, high = sum(fit for fit in fits if fit < 0), sum(fit for fit in fits if fit > 0)
    match gives.head_start:
        case Duration(ms):
            return low + ms, high + ms
        case ByDeadline(clock, otherwise):
            with_it = [
                rule for other in policy.layers if other is not layer or layer._every for rule in policy.rules(other)
            ]
            uses = [use for each in (*with_it, gives, policy.otherwise) for use in each.clocks if use.clock is clock]
            mine = [use.target for use in gives.clocks if use.clock is clock and use.mode != "off"]
            if mine:  # others only shorten it, but for those that set it anew
                uses = [use for use in uses if use.mode == "exactly" or use.target <= mine[0]]
            heads = [otherwise.ms - use.target.ms for use in uses if use.mode != "off"]
            return low + min([0, *heads]), high + max([0, *heads])
    return low, high


def _boosts(policy: Policy, layer: type[Layer]) -> int:
    spans = []
    for rule in policy.rules(layer):
        boosts = [0, *(step.boost.ms for step in rule.steps if step.boost is not None)]
        spans.append((min(boosts), max(boosts)))
    if layer._every:
        return sum(high - low for low, high in spans)
    return max((high for _, high in spans), default=0) - min((low for low, _ in spans), default=0)
