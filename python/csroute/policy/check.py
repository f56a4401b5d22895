"""What is wrong with a policy, beyond types: where, what, and what would be right.

`check(policy)` looks at everything at once: names and bounds, each rule, each layer, the layers together, scenes;
and, where nothing else is wrong, what may not be meant (`doubts.py`), the roster, and the cases. What it lets pass,
the engine takes.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from csroute.policy import limits as at
from csroute.policy.attributes import facts_of
from csroute.policy.cases import check_cases
from csroute.policy.declared import check_declared
from csroute.policy.doubts import check_doubts
from csroute.policy.durations import Duration
from csroute.policy.layers import Gives, Otherwise, rules_of
from csroute.policy.policy import Finding
from csroute.policy.reach import reach, tests
from csroute.policy.roster import check_roster
from csroute.policy.rules import check_gives
from csroute.policy.skills import Family, skills_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from csroute.policy.attributes import Attributes
    from csroute.policy.clocks import Clock
    from csroute.policy.layers import Layer
    from csroute.policy.policy import AgentLike, Policy

__all__ = ["check"]

SINGLE = ("slope", "order", "affinity", "offer", "cost", "wrap_up", "decline_exclude", "skip_unstaffed")
"""What comes from one layer."""
UINT32_MAX = 2**32 - 1


def check(
    policy: Policy, *, roster: Iterable[AgentLike] = (), traffic: Iterable[Attributes] = (), applying: bool = False
) -> list[Finding]:
    """Everything wrong or doubtful, in the order of the page; see `Policy.check`."""
    found = [*_declared(policy), *check_declared(policy), *_layers(policy)]
    if any(not finding.warning for finding in found):
        return found
    found += [*check_doubts(policy), *_scenes(policy), *check_roster(policy, list(roster), list(traffic))]
    if applying and not policy.cases:
        right = f"say at least one thing that must hold: {policy.name}.case(…).gets(…)"
        found.append(Finding(policy.origin, "cases", f"there are none, and a policy that is applied has some: {right}"))
    return [*found, *check_cases(policy)]


def _scenes(policy: Policy) -> Iterator[Finding]:
    """What is wrong or doubtful while a scene is on, and is not in the calm."""
    calm = policy.under()
    known = {(finding.subject, finding.message) for finding in (*_layers(calm), *check_doubts(calm))}
    for scene in policy.declared_scenes():
        on = policy.under(scene)
        found = list(_layers(on))
        if all(finding.warning for finding in found):
            found += check_doubts(on)
        for finding in found:
            if (finding.subject, finding.message) not in known:
                yield replace(finding, subject=f"scene {scene.name}: {finding.subject}")


def _text(what: str, text: str, bytes_max: int) -> Iterator[str]:
    size = len(text.encode())
    if not 1 <= size <= bytes_max:
        yield f"{what} {text!r} has {size} bytes: give it 1 to {bytes_max}"


def _between(what: str, value: Duration, low_ms: int, high_ms: int) -> Iterator[str]:
    if not low_ms <= value.ms <= high_ms:
        yield f"{what} is {value}: give {Duration(low_ms)} to {Duration(high_ms)}"


# --- What a policy declares -------------------------------------------------------------------------------------------


def _declared(policy: Policy) -> Iterator[Finding]:
    origin = policy.origin
    for subject, messages in (
        ("name", _text("the policy's name", policy.name, at.NAME_BYTES_MAX)),
        ("attributes", _attributes(policy)),
        ("channels", _channels(policy)),
        ("skills", _skills(policy)),
        ("limits", _limits(policy)),
        ("lost_grace", _between("it", policy.lost_grace, 0, at.DURATION_MS_MAX)),
        ("suspend", _between("it", policy.suspend, 0, at.DURATION_MS_MAX)),
        ("short_abandon", _between("it", policy.short_abandon, 0, at.DURATION_MS_MAX)),
        ("answer_target", _between("it", policy.answer_target, 0, at.DURATION_MS_MAX)),
    ):
        yield from (Finding(origin, subject, message) for message in messages)
    clocks = policy.declared_clocks()
    if len(clocks) > at.CLOCKS_MAX:
        yield Finding(origin, "clocks", f"there are {len(clocks)}: at most {at.CLOCKS_MAX}")
    for clock in clocks:
        subject = f"clock {clock.name}"
        texts = {"its name": clock.name, "starts": clock.starts, "stops": clock.stops}
        for what, text in texts.items():
            yield from (Finding(clock.origin, subject, message) for message in _text(what, text, at.NAME_BYTES_MAX))
        if clock.starts in (clock.stops, "completion") or clock.stops == "arrival":
            wrong = f"it starts at {clock.starts} and stops at {clock.stops}, so it never runs"
            yield Finding(clock.origin, subject, f"{wrong}: let it stop at a later moment")


def _attributes(policy: Policy) -> Iterator[str]:
    facts = facts_of(policy.attributes)
    if len(facts) > at.POLICY_ATTRIBUTES_MAX:
        yield f"there are {len(facts)}: at most {at.POLICY_ATTRIBUTES_MAX}"
    for fact in facts.values():
        yield from _text(f"{fact!r}'s name", fact.name, at.NAME_BYTES_MAX)
        if len(fact.values) > at.VALUES_MAX:
            yield f"{fact!r} has {len(fact.values)} values: at most {at.VALUES_MAX}, or any (str)"
        for value in fact.values:
            yield from _text(f"{fact!r}'s value", value, at.VALUE_BYTES_MAX)
    name = policy.attributes.__name__
    channel = facts.get("channel")
    if channel is None or not (channel.values and channel.required):
        yield f"{name} must say its channel: declare `channel: Attr[Literal[…]]`, without a default"
    customer = facts.get("customer")
    if customer is not None and (customer.values or customer.required or customer.threshold_milli):
        yield f"{customer!r} is the ticket's own field: declare `customer: Attr[str] = optional()`"


def _channels(policy: Policy) -> Iterator[str]:
    channel = facts_of(policy.attributes).get("channel")
    declared = set(channel.values if channel else ())
    if len(policy.channels) > at.CHANNELS_MAX:
        yield f"there are {len(policy.channels)}: at most {at.CHANNELS_MAX}"
    for name in sorted(declared - policy.channels.keys()):
        yield f"{channel!r} can be {name!r}, which is not here: give it a Channel(cost=…, limit=…)"
    for name in sorted(policy.channels.keys() - declared if declared else ()):
        yield f"{name!r} is no value of {channel!r}: add it there, or remove it here"
    for name, given in policy.channels.items():
        yield from _text("the name", name, at.NAME_BYTES_MAX)
        for what, value in (("cost", given.cost), ("limit", given.limit)):
            if not 1 <= value <= at.UNITS_MAX:
                yield f"{name}'s {what} is {value}: give 1 to {at.UNITS_MAX}"


def _skills(policy: Policy) -> Iterator[str]:
    for name, skill in skills_of(policy.skills).items():
        if isinstance(skill, Family) and not skill.keys and not 1 <= skill.keys_max <= at.FAMILY_KEYS_MAX:
            yield f"{name} may have {skill.keys_max} members: give keys_max=1 to {at.FAMILY_KEYS_MAX}"
        whole = [f"{name}[{key}]" for key in skill.keys] if isinstance(skill, Family) else [name]
        for text in whole:
            yield from _text("the skill", text, at.NAME_BYTES_MAX)


def _limits(policy: Policy) -> Iterator[str]:
    for name, value in vars(policy.limits).items():
        if isinstance(value, int) and not 1 <= value <= UINT32_MAX:
            yield f"{name} is {value}: give 1 to {UINT32_MAX}, or leave it out for the engine's own"
    if policy.limits.closed_keep is not None:
        yield from _between("closed_keep", policy.limits.closed_keep, 1, at.DURATION_MS_MAX)


# --- Layers -----------------------------------------------------------------------------------------------------------


def _layers(policy: Policy) -> Iterator[Finding]:
    layers = policy.layers
    if not 1 <= len(layers) <= at.LAYERS_MAX:
        yield Finding(policy.origin, "layers", f"there are {len(layers)}: give 1 to {at.LAYERS_MAX}")
        return
    for name, count in Counter(layer.__name__ for layer in layers).items():
        if count > 1:
            yield Finding(policy.origin, "layers", f"{name} is there {count} times: give each layer its own name")
    if layers[0]._every:
        wrong = "the first layer's rules are the queues, and a ticket stands in one"
        yield Finding(layers[0]._origin, layers[0].__name__, f"{wrong}: leave out every=True, or put another first")
    everything = [policy.otherwise, *(rule for layer in layers for rule in policy.rules(layer))]
    targeted = {use.clock for gives in everything for use in gives.clocks if use.mode != "off"}
    for layer in layers:
        yield from _shape(layer)
        for rule in policy.rules(layer):
            yield from check_gives(policy, rule, layer, targeted)
        yield from _reached(policy, layer)
    yield from check_gives(policy, policy.otherwise, None, targeted)
    yield from _one_layer_each(policy)
    yield from _sums(policy)


def _shape(layer: type[Layer]) -> Iterator[Finding]:
    rules = rules_of(layer)
    if len(rules) > at.RULES_MAX:
        yield Finding(layer._origin, layer.__name__, f"it has {len(rules)} rules: at most {at.RULES_MAX}")
    others = [place for place, rule in enumerate(rules) if isinstance(rule, Otherwise)]
    if not others:
        right = "end it with `name = Otherwise()`, for tickets that no rule holds for"
        yield Finding(layer._origin, layer.__name__, f"it has no Otherwise: {right}")
        return
    for rule in rules[others[0] + 1 :]:
        wrong = f"{rules[others[0]]}, an Otherwise, always holds and stands above"
        yield Finding(rule.origin, str(rule), f"it is never reached: {wrong}: put Otherwise last, once")
    for rule in rules:
        named = _text("the name", rule.name, at.NAME_BYTES_MAX)
        yield from (Finding(rule.origin, str(rule), message) for message in named)


def _moved_to(policy: Policy, layer: type[Layer]) -> set[Gives]:
    targets = (step.target() for rule in policy.rules(layer) for step in rule.steps)
    return {policy.now(target) for target in targets if target is not None}


def _reached(policy: Policy, layer: type[Layer]) -> Iterator[Finding]:
    tried = reach(policy, layer)
    rules = policy.rules(layer)
    if tried is None:
        wrong = "its values and rules combine in too many ways to try which rules are reached"
        yield Finding(layer._origin, layer.__name__, f"{wrong}: split it where it can be", warning=True)
        return
    moved_to = _moved_to(policy, layer)
    woken = {change.rule for scene in policy.active for change in scene.changes if change.wakes}
    for place, rule in enumerate(rules):
        if policy.active and rules_of(layer)[place] not in woken:
            continue  # what a scene's rule stands before is meant
        if isinstance(rule, Otherwise) or rule.dormant or place in tried.applied or rule in moved_to:
            continue
        if place in tried.held:
            above = ", ".join(str(rules[first]) for first in sorted(tried.before[place]))
            yield Finding(
                rule.origin, str(rule), f"it never applies: where it holds, {above} does, above it: move it up"
            )
        elif any(True for _ in tests(rule.when)):
            yield Finding(rule.origin, f"{rule}: when", "no ticket meets it: its tests exclude each other")
    for first, second in sorted(tried.together):
        for name in SINGLE:
            if _gives(rules[first], name) and _gives(rules[second], name):
                wrong = f"{rules[first]} gives {name} too, and both can hold; then the first alone counts"
                yield Finding(rules[second].origin, f"{rules[second]}: {name}", wrong, warning=True)
        for clock in sorted(_overridden(rules[first]) & _overridden(rules[second]), key=lambda clock: clock.name):
            wrong = f"{rules[first]} sets {clock.name} with exactly() or off() too, and both can hold"
            yield Finding(rules[second].origin, f"{rules[second]}: clocks", f"{wrong}: say it in one of them")


def _overridden(gives: Gives) -> set[Clock]:
    return {use.clock for use in gives.clocks if use.mode != "within"}


def _gives(gives: Gives, name: str) -> bool:
    value: Any = getattr(gives, name)
    return value is not None and value != ()


# --- Layers together --------------------------------------------------------------------------------------------------


def _one_layer_each(policy: Policy) -> Iterator[Finding]:
    for name in SINGLE:
        owner: Gives | None = None
        for layer in policy.layers:
            first = next((rule for rule in policy.rules(layer) if _gives(rule, name)), None)
            if owner and first:
                wrong = f"{owner.layer} gives {name} too ({owner}), and one layer's alone would count"
                yield Finding(first.origin, f"{first}: {name}", f"{wrong}: keep {name} in one layer")
            owner = owner or first
    for clock in policy.declared_clocks():
        owner = None
        for layer in policy.layers:
            first = next((rule for rule in policy.rules(layer) if clock in _overridden(rule)), None)
            if owner and first:
                wrong = f"{owner} sets {clock.name} with exactly() or off() too"
                yield Finding(first.origin, f"{first}: clocks", f"{wrong}: keep those for a clock in one layer")
            owner = owner or first


def _sums(policy: Policy) -> Iterator[Finding]:
    """The most that one ticket can get of what layers add up: of an every=True layer all rules, else the largest."""
    for name, what, most in (
        ("steps", lambda rule: len(rule.steps), at.CLASS_STEPS_MAX),
        ("overlays", lambda rule: len(rule.overlays), at.OVERLAYS_MAX),
        ("needs", lambda rule: len(rule.needs.groups) if rule.needs is not None else 0, at.GROUPS_MAX),
        ("head_start", _head_start_most, at.HEAD_START_MS_MAX),
        ("fits", lambda rule: sum(abs(fit.ahead.ms) for fit in rule.fits), at.HEAD_START_MS_MAX),
        ("boost", _boost_most, at.BOOST_MS_MAX),
    ):
        total = what(policy.otherwise)
        for layer in policy.layers:
            sizes = [what(rule) for rule in policy.rules(layer)]
            total += sum(sizes) if layer._every else max(sizes, default=0)
        if total > most:
            counted = name in {"steps", "needs", "overlays"}
            shown = (total, most) if counted else (Duration(total), Duration(most))
            wrong = f"one ticket can get {shown[0]} of {name}, all layers together"
            yield Finding(policy.origin, "layers", f"{wrong}: at most {shown[1]}")


def _head_start_most(gives: Gives) -> int:
    match gives.head_start:
        case None:
            return 0
        case Duration(ms):
            return abs(ms)
        case by_deadline:
            return max(by_deadline.otherwise.ms, at.DURATION_MS_MAX)


def _boost_most(gives: Gives) -> int:
    return max((abs(step.boost.ms) for step in gives.steps if step.boost is not None), default=0)
