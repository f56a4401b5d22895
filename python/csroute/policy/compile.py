"""From a policy to the engine's tables: a pure function. The same policy gives the same bytes on every machine.

The tables say what the policy says, one to one, in its order; there are no maps in them.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from csroute.policy.attributes import All, AnyHolds, Condition, Test, facts_of
from csroute.policy.durations import Duration
from csroute.policy.layers import After, At, AutoAccept, Gives, Layer, Offer, Rule, Step
from csroute.policy.limits import SLOPE_MILLI_MAX
from csroute.policy.numbers import milli
from csroute.policy.skills import Family, Needs, Term, skills_of
from csroute.policy.urgency import ByDeadline
from csroute.v1 import policy_pb2 as pb

if TYPE_CHECKING:
    from csroute.policy.clocks import Goal
    from csroute.policy.conditions import QueueCondition
    from csroute.policy.policy import Cap, Limits, Policy
    from csroute.policy.scenes import Scene

__all__ = ["compile_policy", "version"]

FORMAT = 1
TICKET_FIELDS = frozenset({"channel", "customer"})
"""Attributes that are fields of their own on the wire."""


def version(compiled: bytes) -> int:
    """A compiled policy's version: the first 8 bytes, big-endian, of its SHA-256. Written as 16 hex digits."""
    return int.from_bytes(hashlib.sha256(compiled).digest()[:8], "big")


def compile_policy(policy: Policy) -> bytes:
    """The bytes of a policy that `check` finds nothing wrong with."""
    base = policy.under()
    table = pb.CompiledPolicy(
        format=FORMAT,
        name=policy.name,
        attributes=[
            pb.AttributeTable(
                name=fact.name,
                threshold_milli=fact.threshold_milli,
                required=fact.required,
                values=fact.values,
                sticky=fact.sticky,
            )
            for fact in facts_of(policy.attributes).values()
            if fact.name not in TICKET_FIELDS
        ],
        channels=[pb.ChannelTable(name=name, cost=c.cost, limit=c.limit) for name, c in policy.channels.items()],
        clocks=[
            pb.ClockTable(name=c.name, starts=c.starts, stops=c.stops, hard=c.hard, unpausable=not c.pausable)
            for c in policy.declared_clocks()
        ],
        layers=[_layer(base, layer) for layer in policy.layers],
        defaults=_effects(base.otherwise),
        limits=_limits(policy.limits),
        lost_grace_ms=policy.lost_grace.ms,
        suspend_ms=policy.suspend.ms,
        short_abandon_ms=policy.short_abandon.ms,
        answer_target_ms=policy.answer_target.ms,
        skills=[
            f"{name}[*]" if isinstance(skill, Family) else name for name, skill in skills_of(policy.skills).items()
        ],
        tables=[
            pb.HourTable(name=table.name, attribute=table.by.name, values=table.values, keys_max=table.keys_max)
            for table in policy.declared_tables().values()
        ],
        families=[
            pb.OpenFamily(name=name, keys_max=skill.keys_max)
            for name, skill in skills_of(policy.skills).items()
            if isinstance(skill, Family) and skill.keys_max
        ],
        goals=map(_goal, policy.declared_goals()),
        reserves=[
            pb.ReserveTable(name=each.name, skill=_need(each.skill.groups[0][0]), open=_queue_condition(each.open))
            for each in policy.declared_reserves()
        ],
        scenes=map(_scene, policy.declared_scenes()),
        active_scenes=[scene.name for scene in policy.active],
        caps=map(_cap, policy.limits.caps),
        starts_us=_unix_us(policy.dates.starts),
        ends_us=_unix_us(policy.dates.ends),
        overtaken_max_ms=policy.fairness.overtaken_max.ms if policy.fairness else 0,
        cases=len(policy.cases),
    )
    return table.SerializeToString(deterministic=True)


def _limits(limits: Limits) -> pb.LimitsTable:
    return pb.LimitsTable(
        waiting_max=limits.waiting_max or 0,
        classes_max=limits.classes_max or 0,
        agents_max=limits.agents_max or 0,
        sessions_max=limits.sessions_max or 0,
        closed_max=limits.closed_max or 0,
        closed_keep_ms=_ms(limits.closed_keep) or 0,
        owner_max=limits.owner_max or 0,
    )


def _cap(cap: Cap) -> pb.CapTable:
    own = [pb.CapTable.Own(value=value, waiting_max=most) for value, most in sorted(cap.of.items())]
    return pb.CapTable(attribute=cap.by.name, waiting_max=cap.waiting_max, own=own)


def _goal(goal: Goal) -> pb.GoalTable:
    return pb.GoalTable(
        name=goal.name,
        clock=goal.clock.name,
        share_milli=0 if goal.share is None else milli(goal.share, "share", 1, 1000),
        within_ms=_ms(goal.within) or 0,
        mean_ms=_ms(goal.mean) or 0,
    )


def _scene(scene: Scene) -> pb.SceneTable:
    return pb.SceneTable(
        name=scene.name,
        why=scene.why,
        changes=[
            pb.ChangeTable(
                layer=change.rule.layer,
                rule=change.rule.name,
                fields=change.fields,
                effects=_effects(change.gives),
                wake=change.wakes,
            )
            for change in scene.changes
        ],
        starts_us=_unix_us(scene.dates.starts),
        ends_us=_unix_us(scene.dates.ends),
    )


def _unix_us(at: datetime | None) -> int:
    return 0 if at is None else (at - datetime.fromtimestamp(0, UTC)) // timedelta(microseconds=1)


def _layer(policy: Policy, layer: type[Layer]) -> pb.LayerTable:
    return pb.LayerTable(
        name=layer.__name__,
        every=layer._every,
        rules=[
            pb.RuleTable(
                name=rule.name,
                why=rule.why,
                effects=_effects(rule),
                when=_condition(rule.when) if isinstance(rule, Rule) else None,
                dormant=isinstance(rule, Rule) and rule.dormant,
            )
            for rule in policy.rules(layer)
        ],
    )


_OPS = {"in": pb.Test.OP_IN, "not_in": pb.Test.OP_NOT_IN, "present": pb.Test.OP_PRESENT, "missing": pb.Test.OP_MISSING}


def _condition(condition: Condition) -> pb.Condition:
    match condition:
        case Test():
            return pb.Condition(
                test=pb.Test(attribute=condition.fact.name, op=_OPS[condition.op], values=condition.values)
            )
        case All():
            return pb.Condition(all=pb.Condition.List(conditions=map(_condition, condition.conditions)))
        case AnyHolds():
            return pb.Condition(any=pb.Condition.List(conditions=map(_condition, condition.conditions)))
    raise TypeError(f"no condition of the policy language: {condition!r}")


def _need(term: Term) -> pb.Need:
    return pb.Need(skill=term.skill, level=term.level, attribute=term.fact.name if term.fact else "")


def _needs(needs: Needs | None) -> pb.NeedsTable | None:
    if needs is None:
        return None
    return pb.NeedsTable(
        groups=[pb.NeedGroup(any_of=map(_need, group)) for group in needs.groups], none_of=map(_need, needs.none_of)
    )


_MEASURES = {"length": pb.QueueCondition.MEASURE_LENGTH, "oldest_wait": pb.QueueCondition.MEASURE_OLDEST_WAIT}


def _queue_condition(condition: QueueCondition) -> pb.QueueCondition:
    return pb.QueueCondition(
        measure=_MEASURES[condition.measure],
        over=condition.over,
        until=condition.until,
        of=[rule.name for rule in condition.queues()],
    )


def _step(step: Step) -> pb.StepTable:
    target = step.target()
    return pb.StepTable(
        age_ms=step.age.ms if isinstance(step, After) else 0,
        clock=step.clock.name if isinstance(step, At) else "",
        share_milli=step.share_milli if isinstance(step, At) else 0,
        needs=_needs(step.needs),
        boost_ms=_ms(step.boost) or 0,
        alert=step.alert,
        overflow_to=step.overflow,
        move_to=target.name if target else "",
    )


_MODES = {"within": pb.ClockUse.MODE_WITHIN, "exactly": pb.ClockUse.MODE_EXACTLY, "off": pb.ClockUse.MODE_OFF}
_ORDERS = {
    "least_loaded": pb.AGENT_ORDER_LEAST_LOADED,
    "longest_idle": pb.AGENT_ORDER_LONGEST_IDLE,
    "best_level": pb.AGENT_ORDER_BEST_LEVEL,
    "spare_generalists": pb.AGENT_ORDER_SPARE_GENERALISTS,
    "round_robin": pb.AGENT_ORDER_ROUND_ROBIN,
}


def _effects(gives: Gives) -> pb.Effects:
    head, affinity, offer = gives.head_start, gives.affinity, gives.offer
    return pb.Effects(
        needs=_needs(gives.needs),
        head_start_ms=head.ms if isinstance(head, Duration) else 0,
        by_deadline=pb.ByDeadline(clock=head.clock.name, otherwise_ms=head.otherwise.ms)
        if isinstance(head, ByDeadline)
        else None,
        slope_milli=None if gives.slope is None else milli(gives.slope, "slope", 0, SLOPE_MILLI_MAX),
        steps=map(_step, gives.steps),
        clocks=[
            pb.ClockUse(
                clock=use.clock.name,
                mode=_MODES[use.mode],
                target_ms=use.target.ms,
                warnings_ms=[warning.ms for warning in use.warnings],
            )
            for use in gives.clocks
        ],
        order=[_ORDERS[order] for order in gives.order],
        affinity=None
        if affinity is None
        else pb.AffinityTable(
            hold_ms=affinity.hold.ms,
            transfer_hold_ms=(affinity.hold if affinity.transfer_hold is None else affinity.transfer_hold).ms,
            needs=_needs(affinity.needs),
            owner_keep_ms=_ms(affinity.owner) or 0,
        ),
        offer=None if offer is None else _offer(offer),
        cost=gives.cost,
        wrap_up_ms=_ms(gives.wrap_up),
        decline_exclude_ms=_ms(gives.decline_exclude),
        fits=[pb.FitTable(skill=_need(fit.skill.groups[0][0]), fit_ms=fit.ahead.ms) for fit in gives.fits],
        skip_unstaffed=gives.skip_unstaffed,
        overlays=[
            pb.OverlayTable(when=_queue_condition(each.condition), needs=_needs(each.needs)) for each in gives.overlays
        ],
        reserves=[each.name for each in gives.reserves],
        waiting_max=gives.waiting_max,
    )


def _offer(offer: Offer | AutoAccept) -> pb.OfferTable:
    if isinstance(offer, AutoAccept):
        return pb.OfferTable()
    return pb.OfferTable(ttl_ms=offer.ttl.ms, away_on_expiry=offer.away_on_expiry)


def _ms(duration: Duration | None) -> int | None:
    return None if duration is None else duration.ms
