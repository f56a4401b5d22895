"""What is wrong with one rule: its condition, and each field of what it gives."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, get_args

from csroute.policy import limits as at
from csroute.policy.attributes import facts_of
from csroute.policy.durations import Duration
from csroute.policy.layers import After, AgentOrder, At, Offer, Rule
from csroute.policy.numbers import milli
from csroute.policy.policy import Finding
from csroute.policy.reach import depth, lists, tests
from csroute.policy.tables import Table
from csroute.policy.urgency import ByDeadline

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence, Set

    from csroute.policy.attributes import Fact
    from csroute.policy.clocks import Clock, ClockUse
    from csroute.policy.conditions import QueueCondition
    from csroute.policy.layers import Gives, Layer, Step
    from csroute.policy.policy import Policy
    from csroute.policy.skills import Needs, Term

    Targeted = Set[Clock]

__all__ = ["check_condition", "check_gives", "covers"]

NEEDS_GROUPS_MAX = 8
"""And-ed groups in one requirement; several layers' add up to more."""


def check_gives(policy: Policy, gives: Gives, layer: type[Layer] | None, targeted: Targeted) -> Iterator[Finding]:
    """Everything wrong with a rule, or with the defaults (no layer). `targeted`: clocks with a target somewhere."""
    for field, message in _problems(policy, gives, layer, targeted):
        yield Finding(gives.origin, f"{gives}: {field}", message)


def _problems(policy: Policy, gives: Gives, layer: type[Layer] | None, targeted: Targeted) -> Iterator[tuple[str, str]]:
    if isinstance(gives, Rule):
        yield from (("when", message) for message in _condition(policy, gives))
    if len(gives.why.encode()) > at.CONTEXT_BYTES_MAX:
        yield "why", f"it has {len(gives.why.encode())} bytes: at most {at.CONTEXT_BYTES_MAX}"
    yield from _needs(policy, "needs", gives.needs)
    yield from _urgency(policy, gives, targeted)
    yield from _steps(policy, gives, layer, targeted)
    yield from _clocks(policy, gives)
    yield from _handing_over(policy, gives)
    yield from _surge(policy, gives, layer)


def _duration(field: str, value: Duration | None, low_ms: int, high_ms: int) -> Iterator[tuple[str, str]]:
    if value is not None and not low_ms <= value.ms <= high_ms:
        yield field, f"it is {value}: give {Duration(low_ms)} to {Duration(high_ms)}"


def _foreign(policy: Policy, facts: Iterable[Fact[str]]) -> Iterator[str]:
    for fact in dict.fromkeys(facts):
        if isinstance(fact, Table):
            if policy.declared_tables().get(fact.name) is not fact:
                yield f"{fact!r} is none of the policy's tables: declare it in the class given as tables="
        elif facts_of(policy.attributes).get(fact.name) is not fact:
            yield f"{fact!r} is no attribute of {policy.attributes.__name__}, the policy's: use that"


def _condition(policy: Policy, rule: Rule) -> Iterator[str]:
    yield from _foreign(policy, (test.fact for test in tests(rule.when)))
    nested = depth(rule.when)
    if nested > at.CONDITION_DEPTH_MAX:
        yield f"it nests {nested} deep, at most {at.CONDITION_DEPTH_MAX}: write it flatter"
    widest = max(map(len, lists(rule.when)), default=0)
    if widest > at.VALUES_MAX:
        yield f"it lists {widest} values or conditions side by side: at most {at.VALUES_MAX}"


def _needs(policy: Policy, field: str, needs: Needs | None) -> Iterator[tuple[str, str]]:
    if needs is None:
        return
    if len(needs.groups) > NEEDS_GROUPS_MAX:
        yield field, f"it and-s {len(needs.groups)} groups: at most {NEEDS_GROUPS_MAX}"
    for group in (*needs.groups, needs.none_of):
        if len(group) > at.GROUP_SKILLS_MAX:
            yield field, f"one group has {len(group)} skills: at most {at.GROUP_SKILLS_MAX}"
    terms = [term for group in (*needs.groups, needs.none_of) for term in group]
    for term in terms:
        if not issubclass(policy.skills, term.owner):
            wrong = f"{term.owner.__name__}.{term.skill} is no skill of {policy.skills.__name__}, the policy's"
            yield field, f"{wrong}: use that"
    yield from ((field, message) for message in _foreign(policy, (term.fact for term in terms if term.fact)))


def _has_target(policy: Policy, field: str, clock: Clock, targeted: Targeted) -> Iterator[tuple[str, str]]:
    """A clock that a rule reads: it must be the policy's, and some rule must give it a target."""
    if clock not in policy.declared_clocks():
        yield field, f"clock {clock.name or clock!r} is none of the policy's: declare it in the class given as clocks="
    elif clock not in targeted:
        right = f"give it one, like clocks=[Clocks.{clock.name}.within(minutes(3))]"
        yield field, f"clock {clock.name} has no target anywhere: {right}"


def _urgency(policy: Policy, gives: Gives, targeted: Targeted) -> Iterator[tuple[str, str]]:
    head = gives.head_start
    if isinstance(head, ByDeadline):
        yield from _duration("head_start: otherwise", head.otherwise, 0, at.HEAD_START_MS_MAX // 2)
        yield from _has_target(policy, "head_start", head.clock, targeted)
    else:
        yield from _duration("head_start", head, -at.HEAD_START_MS_MAX, at.HEAD_START_MS_MAX)
    if gives.slope is not None:
        yield from _milli("slope", gives.slope, 0, at.SLOPE_MILLI_MAX)


def _milli(field: str, value: float, low: int, high: int) -> Iterator[tuple[str, str]]:
    try:
        milli(value, "it", low, high)
    except ValueError as error:
        yield field, str(error)


# --- Steps ------------------------------------------------------------------------------------------------------------


def _steps(policy: Policy, gives: Gives, layer: type[Layer] | None, targeted: Targeted) -> Iterator[tuple[str, str]]:
    in_force = gives.needs
    for place, step in enumerate(gives.steps):
        field = f"steps[{place}]"
        yield from _moment(policy, field, step, targeted)
        yield from _needs(policy, f"{field}: needs", step.needs)
        yield from _duration(f"{field}: boost", step.boost, -at.BOOST_MS_MAX, at.BOOST_MS_MAX)
        for what, text in (("alert", step.alert), ("overflow", step.overflow)):
            if len(text.encode()) > at.NAME_BYTES_MAX:
                yield f"{field}: {what}", f"it has {len(text.encode())} bytes: at most {at.NAME_BYTES_MAX}"
        if step.overflow and step.move is not None:
            yield field, "it overflows and moves: a ticket does one of both"
        elif not (step.alert or step.overflow) and (step.needs, step.boost, step.move) == (None, None, None):
            yield field, "it does nothing: give it needs, boost, alert, overflow or move"
        elif step.needs is not None and step.needs == in_force:
            yield f"{field}: needs", f"it asks for what is asked already, {step.needs}: leave it out"
        yield from ((f"{field}: move", message) for message in _move(policy, gives, step, layer))
        in_force = in_force if step.needs is None else step.needs
    aged = [(place, step) for place, step in enumerate(gives.steps) if isinstance(step, After)]
    for (_, one), (place, other) in pairwise(aged):
        if other.age <= one.age:
            wrong = f"its age, {other.age}, is not past the one before, {one.age}"
            yield f"steps[{place}]", f"{wrong}: list steps by age; of those taken, the last listed counts"
        elif one.overflow or one.move is not None:
            gone = "overflows" if one.overflow else "moves"
            yield f"steps[{place}]", f"it is never taken: the ticket {gone} at {one.age}: put it before, or remove it"


def _moment(policy: Policy, field: str, step: Step, targeted: Targeted) -> Iterator[tuple[str, str]]:
    if isinstance(step, After):
        yield from _duration(f"{field}: age", step.age, 0, at.DURATION_MS_MAX)
    elif isinstance(step, At):
        yield from _milli(f"{field}: share", step.share, 1, 1000)
        yield from _has_target(policy, field, step.clock, targeted)


def _move(policy: Policy, gives: Gives, step: Step, layer: type[Layer] | None) -> Iterator[str]:
    target = step.target()
    if target is None:
        return
    if layer is None or layer._every:
        yield "one rule takes another's place only where one applies: not in an every=True layer, nor in the defaults"
    elif policy.now(target) not in policy.rules(layer):
        yield f"{target} is no rule of {layer.__name__}: a step replaces its own layer's rule"
    else:
        path = _round(policy, gives, frozenset())
        if path:
            yield f"moves come round: {' → '.join(map(str, (gives, *path)))}: let one of them end it"


def _round(policy: Policy, gives: Gives, seen: frozenset[Gives]) -> tuple[Gives, ...]:
    """The moves from a rule back to it, if there are any; looks at each rule once."""
    paths: list[tuple[Gives, ...]] = [(gives,)]
    while paths:
        path = paths.pop(0)
        for named in (step.target() for step in path[-1].steps):
            target = None if named is None else policy.now(named)
            if target is gives:
                return (*path[1:], target)
            if target is not None and target not in seen:
                seen |= {target}
                paths.append((*path, target))
    return ()


# --- Clocks, and how work is handed over ------------------------------------------------------------------------------


def _clocks(policy: Policy, gives: Gives) -> Iterator[tuple[str, str]]:
    seen: set[Clock] = set()
    for use in gives.clocks:
        field = f"clocks: {use.clock.name}"
        if use.clock not in policy.declared_clocks():
            yield field, "it is none of the policy's: declare it in the class given as clocks="
        if use.clock in seen:
            yield field, "it is there twice: say one thing of it"
        seen.add(use.clock)
        if use.mode != "off":
            yield from _duration(field, use.target, 1, at.DURATION_MS_MAX)
            yield from ((field, message) for message in _warnings(use, use.warnings))


def _warnings(use: ClockUse, warnings: Sequence[Duration]) -> Iterator[str]:
    if len(warnings) > at.WARNINGS_MAX:
        yield f"it warns {len(warnings)} times: at most {at.WARNINGS_MAX}"
    for warning in warnings:
        if warning >= use.target:
            yield f"its warning at {warning} is not before its deadline, {use.target}: warn earlier"
        if warning.ms < 1:
            yield f"its warning at {warning} is not after its start: warn later"
    for one, other in pairwise(warnings):
        if other <= one:
            yield f"its warning at {other} does not come after the one at {one}: list them in order"


def _handing_over(policy: Policy, gives: Gives) -> Iterator[tuple[str, str]]:
    for order in gives.order:
        if order not in get_args(AgentOrder) or gives.order.count(order) > 1:
            yield "order", f"{order!r} is no agent order, or there twice: {', '.join(get_args(AgentOrder))}, each once"
    if gives.affinity is not None:
        yield from _duration("affinity: hold", gives.affinity.hold, 0, at.DURATION_MS_MAX)
        yield from _duration("affinity: transfer_hold", gives.affinity.transfer_hold, 0, at.DURATION_MS_MAX)
        yield from _duration("affinity: owner", gives.affinity.owner, 1, at.DURATION_MS_MAX)
        if gives.affinity.owner is not None and "customer" not in facts_of(policy.attributes):
            name = policy.attributes.__name__
            yield "affinity: owner", f"customers are remembered: declare `customer: Attr[str] = optional()` in {name}"
        yield from _needs(policy, "affinity: needs", gives.affinity.needs)
    if isinstance(gives.offer, Offer):
        yield from _duration("offer: ttl", gives.offer.ttl, 1, at.OFFER_TTL_MS_MAX)
    if gives.cost is not None and not 1 <= gives.cost <= at.UNITS_MAX:
        yield "cost", f"it is {gives.cost}: give 1 to {at.UNITS_MAX} units"
    yield from _duration("wrap_up", gives.wrap_up, 0, at.DURATION_MS_MAX)
    yield from _duration("decline_exclude", gives.decline_exclude, 1, at.DURATION_MS_MAX)
    if len(gives.fits) > at.FITS_MAX:
        yield "fits", f"there are {len(gives.fits)}: at most {at.FITS_MAX}"
    for place, fit in enumerate(gives.fits):
        yield from _needs(policy, f"fits[{place}]", fit.skill)
        yield from _duration(f"fits[{place}]", fit.ahead, -at.HEAD_START_MS_MAX, at.HEAD_START_MS_MAX)


# --- What depends on how full a queue is ------------------------------------------------------------------------------


def _surge(policy: Policy, gives: Gives, layer: type[Layer] | None) -> Iterator[tuple[str, str]]:
    for place, each in enumerate(gives.overlays):
        field = f"overlays[{place}]"
        yield from ((field, message) for message in check_condition(policy, each.condition))
        yield from _needs(policy, f"{field}: needs", each.needs)
        if gives.needs is not None and each.needs == gives.needs:
            yield f"{field}: needs", f"it asks for what is asked already, {each.needs}: leave it out"
    for reserve in gives.reserves:
        if reserve not in policy.declared_reserves():
            named = reserve.name or repr(reserve)
            yield "reserves", f"{named} is none of the policy's: declare it in the class given as reserves="
    if gives.waiting_max is not None:
        if layer is not policy.layers[0]:
            yield "waiting_max", "it bounds a queue, and only rules of the first layer are queues: state it there"
        elif not 1 <= gives.waiting_max <= at.WAITING_MAX:
            yield "waiting_max", f"it is {gives.waiting_max}: give 1 to {at.WAITING_MAX}"


def check_condition(policy: Policy, condition: QueueCondition) -> Iterator[str]:
    """What is wrong with a queue's condition."""
    most = at.WAITING_MAX if condition.measure == "length" else at.DURATION_MS_MAX
    over, until = (
        (condition.over, condition.until)
        if condition.measure == "length"
        else (Duration(condition.over), Duration(condition.until))
    )
    if condition.until >= condition.over:
        yield f"it is on from {over}, and off only at {until}: let `until` be less than `over`, so that it can end"
    elif condition.until < 0 or condition.over > most:
        bound = most if condition.measure == "length" else Duration(most)
        yield f"it is on from {over} until {until}: give 0 to {bound}"
    for queue in condition.queues():
        if policy.now(queue) not in policy.rules(policy.layers[0]):
            yield f"of: {queue} is no queue: name rules of {policy.layers[0].__name__}, the first layer"


def covers(wide: Needs, narrow: Needs) -> bool:
    """Whether all who meet `narrow` surely meet `wide`."""

    def allows(one: Sequence[Term], other: Sequence[Term]) -> bool:
        return all(any(_same(a, b) and a.level <= b.level for a in one) for b in other)

    groups = all(any(allows(mine, theirs) for theirs in narrow.groups) for mine in wide.groups)
    return groups and all(any(_same(a, b) and b.level <= a.level for b in narrow.none_of) for a in wide.none_of)


def _same(one: Term, other: Term) -> bool:
    return (one.skill, one.fact) == (other.skill, other.fact)
