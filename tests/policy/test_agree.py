"""The compiled tables against a naive reading of the same policy: whatever is said with queues, reserves and scenes too.

The tables are read by the oracle, which knows nothing of the language; the policy by `csroute.policy.evaluate`.
"""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from csroute.policy import *
from csroute.policy.attributes import guesses_of
from csroute.policy.compile import compile_policy
from csroute.policy.evaluate import Class, Requirement, Waiting, classify
from csroute.policy.layers import After, Offer
from tests.oracle import policy as oracle
from tests.policy.test_engine import MOMENTS_S, QUEUE_CONDITIONS, Ticket, policies, tickets

ORDERS = ["least_loaded", "longest_idle", "best_level", "spare_generalists", "round_robin"]
SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]


def class_of(tables: oracle.Policy, ticket: Ticket) -> oracle.TicketClass:
    values = {name: (each.value, each.confidence_milli) for name, each in guesses_of(ticket).items()}
    own = {name: value for name, value in values.items() if name not in {"channel", "customer"}}
    facts = tables.facts(values["channel"][0], values.get("customer", ("", 0))[0], own)
    return tables.make_class(tables.natural(facts), facts, values["channel"][0], (), None)


def plain(needs: oracle.Needs | Requirement) -> tuple[Any, Any]:
    """A requirement, whoever says it. None-of is and-ed, in no order."""
    if isinstance(needs, Requirement):
        return needs.groups, set(needs.none_of)
    groups = tuple(tuple((entry.skill, entry.level) for entry in group) for group in needs.groups)
    return groups, {(entry.skill, entry.level) for entry in needs.none_of}


def agree(tables: oracle.Policy, theirs: oracle.TicketClass, mine: Class) -> None:
    named = [tables.table.layers[layer].rules[at].name for layer, hit in enumerate(theirs.applied) for at in hit]
    assert [rule.name for rule in mine.rules] == named
    assert (mine.queue, mine.head_start_ms, mine.slope_milli) == (
        theirs.queue,
        theirs.head_start_ms,
        theirs.slope_milli,
    )
    clocks = {clock.name: (clock.target_ms, clock.warnings_ms) for clock in mine.clocks}
    assert clocks == {name: (target.target_ms, target.warnings_ms) for name, target in theirs.clocks.items()}
    assert [ORDERS.index(order) + 1 for order in mine.order] == theirs.order
    assert (mine.cost, mine.wrap_up_ms) == (theirs.cost, theirs.wrap_up_ms)
    assert mine.fits == tuple(((entry.skill, entry.level), fit_ms) for entry, fit_ms in theirs.fits)
    assert theirs.ttl_ms == (mine.offer.ttl.ms if isinstance(mine.offer, Offer) else 0)
    assert set(mine.reserves) == theirs.reserves
    assert [step.age_ms for step in theirs.steps] == [
        step.age.ms if isinstance(step, After) else None for _, step in mine.steps
    ]


@settings(max_examples=150, deadline=None, suppress_health_check=SLOW)
@given(policies(fuller=True), st.lists(tickets(), min_size=1, max_size=3), st.data())
def test_tables_and_policy_agree(policy: Policy, asked: list[Ticket], data: st.DataObject) -> None:
    scenes = data.draw(st.lists(st.sampled_from(policy.declared_scenes()), unique=True), label="scenes")
    now = policy.under(*scenes)
    tables = oracle.Policy(compile_policy(now))
    full = data.draw(st.sets(st.sampled_from(QUEUE_CONDITIONS)), label="full")
    released = data.draw(st.sets(st.sampled_from(["spare", "elite"])), label="released")
    for ticket in asked:
        mine, theirs = classify(now, ticket), class_of(tables, ticket)
        agree(tables, theirs, mine)
        on = {
            condition
            for condition, said in zip((each for _, each, _ in theirs.overlays), mine.overlays, strict=True)
            if said[1] in full
        } | {condition for name, _, condition in theirs.kept if name in released}
        for moment_s in MOMENTS_S:
            taken = {
                at
                for at, (_, step) in enumerate(mine.steps)
                if isinstance(step, After) and step.age.ms <= moment_s * 1000
            }
            waiting = Waiting(mine, int(moment_s * 1000), frozenset(taken), full=full, released=released)
            assert plain(waiting.needs) == plain(theirs.needs_at(taken, on))
            assert waiting.boost_ms == theirs.boost_ms(taken)
