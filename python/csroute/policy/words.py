"""Compiled tables in words that a manager reads: conditions, requirements, what a rule gives.

>>> from google.protobuf import text_format
>>> needs = text_format.Parse("groups { any_of { skill: 'vip' } any_of { skill: 'order' level: 2 } }", pb.NeedsTable())
>>> of_needs(needs)
'vip or order (level 2 up)'
"""

from __future__ import annotations

from collections.abc import Iterator

from csroute.policy.durations import Duration
from csroute.v1 import policy_pb2 as pb

__all__ = ["ago", "at_of", "of_condition", "of_effects", "of_needs", "of_queue_condition", "of_step"]

_ORDERS = {
    pb.AGENT_ORDER_LEAST_LOADED: "least loaded",
    pb.AGENT_ORDER_LONGEST_IDLE: "longest idle",
    pb.AGENT_ORDER_BEST_LEVEL: "best level",
    pb.AGENT_ORDER_SPARE_GENERALISTS: "fewest skills",
    pb.AGENT_ORDER_ROUND_ROBIN: "in turn",
}


def ago(duration_ms: int) -> str:
    """A duration in the unit that reads best."""
    return str(Duration(duration_ms))


def of_condition(condition: pb.Condition) -> str:
    """What a rule asks of a ticket."""
    match condition.WhichOneof("node"):
        case "all":
            return " and ".join(_inside(each) for each in condition.all.conditions) or "every ticket"
        case "any":
            return " or ".join(of_condition(each) for each in condition.any.conditions) or "no ticket by itself"
    test = condition.test
    name, values = test.attribute.replace("_", " "), " or ".join(value.replace("_", " ") for value in test.values)
    return {
        pb.Test.OP_IN: f"{name} is {values}",
        pb.Test.OP_NOT_IN: f"{name} is known, and not {values}",
        pb.Test.OP_PRESENT: f"{name} is known",
        pb.Test.OP_MISSING: f"{name} is not known",
    }.get(test.op, "?")


def _inside(condition: pb.Condition) -> str:
    said = of_condition(condition)
    return f"({said})" if condition.WhichOneof("node") == "any" else said


def of_needs(needs: pb.NeedsTable) -> str:
    """Who may take a ticket."""
    groups = [" or ".join(map(_need, group.any_of)) for group in needs.groups]
    joined = " and ".join(f"({group})" if len(groups) > 1 and " or " in group else group for group in groups)
    none_of = " or ".join(map(_need, needs.none_of))
    return ", ".join(part for part in (joined or "anyone", f"nobody with {none_of}" if none_of else "") if part)


def _need(need: pb.Need) -> str:
    name = need.skill.replace("_", " ")
    if need.attribute:
        name = f"{name} of the ticket's {need.attribute.replace('_', ' ')}"
    return f"{name} (level {need.level} up)" if need.level > 1 else name


def of_queue_condition(condition: pb.QueueCondition) -> str:
    """When a queue counts as too full."""
    length = condition.measure == pb.QueueCondition.MEASURE_LENGTH
    over, until = (
        (f"{condition.over:,} wait", f"{condition.until:,}")
        if length
        else (f"somebody has waited {ago(condition.over)}", ago(condition.until))
    )
    where = f" in {' or '.join(condition.of)}" if condition.of else ""
    return f"from when {over}{where}, until {until}"


def of_step(step: pb.StepTable) -> str:
    """What a step does, without its moment."""
    parts = [
        of_needs(step.needs) if step.HasField("needs") else "",
        f"{ago(step.boost_ms)} ahead" if step.boost_ms > 0 else f"{ago(-step.boost_ms)} back" if step.boost_ms else "",
        f"tell {step.alert}" if step.alert else "",
        f"leave for {step.overflow_to}" if step.overflow_to else "",
        f"move to {step.move_to}" if step.move_to else "",
    ]
    return "; ".join(part for part in parts if part)


def at_of(step: pb.StepTable) -> str:
    """A step's moment."""
    return f"at {step.share_milli / 10:g} % of {step.clock}" if step.clock else f"after {ago(step.age_ms)}"


def of_effects(effects: pb.Effects) -> Iterator[tuple[str, str]]:
    """What a rule gives: a word, and what it comes to."""
    if effects.HasField("needs"):
        yield "who", of_needs(effects.needs)
    for step in effects.steps:
        yield at_of(step), of_step(step)
    for overlay in effects.overlays:
        yield of_queue_condition(overlay.when), of_needs(overlay.needs)
    if effects.reserves:
        yield "reserves", ", ".join(effects.reserves)
    if effects.HasField("waiting_max"):
        yield "at most", f"{effects.waiting_max:,} waiting"
    yield from _urgency(effects)
    for use in effects.clocks:
        yield f"clock {use.clock}", _clock(use)
    yield from _handing_over(effects)


def _urgency(effects: pb.Effects) -> Iterator[tuple[str, str]]:
    if effects.head_start_ms:
        side = "ahead" if effects.head_start_ms > 0 else "back"
        yield "place in line", f"{ago(abs(effects.head_start_ms))} {side}"
    if effects.HasField("by_deadline"):
        by = effects.by_deadline
        yield "place in line", f"by the deadline of {by.clock} (as if others had {ago(by.otherwise_ms)})"
    if effects.HasField("slope_milli"):
        yield "each minute counts", f"{effects.slope_milli / 1000:g} min"
    for fit in effects.fits:
        yield "fits", f"{_need(fit.skill)}: {ago(fit.fit_ms)} ahead"


def _clock(use: pb.ClockUse) -> str:
    if use.mode == pb.ClockUse.MODE_OFF:
        return "off"
    warned = f", warned at {', '.join(map(ago, use.warnings_ms))}" if use.warnings_ms else ""
    exactly = "exactly " if use.mode == pb.ClockUse.MODE_EXACTLY else "within "
    return f"{exactly}{ago(use.target_ms)}{warned}"


def _handing_over(effects: pb.Effects) -> Iterator[tuple[str, str]]:
    if effects.order:
        yield "of several free", ", then ".join(_ORDERS[order] for order in effects.order)
    if effects.HasField("affinity"):
        affinity = effects.affinity
        parts = [f"waited for {ago(affinity.hold_ms)}"]
        if affinity.transfer_hold_ms != affinity.hold_ms:
            parts.append(f"after a transfer {ago(affinity.transfer_hold_ms)}")
        if affinity.HasField("needs"):
            parts.append(f"needs only {of_needs(affinity.needs)}")
        if affinity.owner_keep_ms:
            parts.append(f"remembered for {ago(affinity.owner_keep_ms)}")
        yield "the same agent", ", ".join(parts)
    if effects.HasField("offer"):
        offer = effects.offer
        expired = "then the agent is set away" if offer.away_on_expiry else "then the next"
        yield "offer", f"{ago(offer.ttl_ms)} to accept, {expired}" if offer.ttl_ms else "assigned at once"
    if effects.HasField("cost"):
        yield "costs", f"{effects.cost} units"
    if effects.HasField("wrap_up_ms"):
        yield "wrap-up", ago(effects.wrap_up_ms)
    if effects.HasField("decline_exclude_ms"):
        yield "declined", f"not asked again for {ago(effects.decline_exclude_ms)}"
    if effects.skip_unstaffed:
        yield "steps", "those that nobody logged in meets are passed over"
