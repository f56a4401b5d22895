"""The Double-11 preset and its workload: what they say is what was asked for."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from random import Random
from statistics import mean
from typing import Any

import pytest

from csroute.policy import Policy, guess, hours, preset, seconds
from csroute.policy.attributes import facts_of
from csroute.policy.evaluate import classify, wait
from csroute.policy.layers import rules_of
from csroute.policy.skills import Family, skills_of
from csroute.presets import double11_workload as workload
from csroute.presets.double11 import Clocks, S, Ticket, Who, Work, policy

TICKETS = list(islice(workload.tickets(11), 20_000))
ROSTER = workload.roster()


def ticket(channel: Any = "chat", **given: Any) -> Ticket:
    return Ticket(channel=channel, **({"language": "zh"} | given))


def test_nothing_is_wrong_or_doubtful() -> None:
    assert policy.check() == []


def test_every_rule_says_why() -> None:
    silent = {str(rule) for layer in policy.layers for rule in rules_of(layer) if not rule.why}
    assert silent == {"Speak.native", "Rank.ordinary"}


# Business rules, one line each: a ticket, and the rules of which it gets at least these.
RULES = {
    "R1 type": (ticket(category="logistics"), {"Who.logistics", "Promise.logistics"}),
    "R1 unsure": (ticket(category=guess("logistics", 0.5)), {"Who.general", "Promise.ordinary"}),
    "R2 type and priority": (ticket(category="payment", tier="vip"), {"Who.vip", "Rank.vip", "Promise.vip"}),
    "R3 emotion": (ticket(emotion="angry"), {"Rank.angry"}),
    "R3 unsure": (ticket(emotion=guess("angry", 0.79)), {"Rank.ordinary"}),
    "R4 VIP": (ticket(tier="vip"), {"Who.vip", "Rank.vip"}),
    "R6 complaint": (ticket(topic="complaint"), {"Who.complaint", "Rank.complaint"}),
    "R7 quality": (ticket(topic="quality"), {"Who.quality"}),
    "R13 live": (ticket(kind="live"), {"Who.live"}),
    "R15 certified": (ticket(topic="electronics"), {"Who.electronics"}),
    "R17 follow-up": (ticket(kind="follow_up"), {"Who.follow_up", "Promise.follow_up", "Rank.call_back"}),
    "R17 bad review": (ticket(kind="bad_review"), {"Who.bad_review", "Promise.bad_review"}),
    "R18 language": (ticket(language="en"), {"Who.foreign", "Speak.foreign"}),
    "R18 dialect": (ticket(language="dialect"), {"Who.general", "Speak.dialect"}),
    "R22 again": (ticket(contact="repeat"), {"Rank.repeat", "Work.again"}),
}


@pytest.mark.parametrize("rule", RULES)
def test_business_rules(rule: str) -> None:
    asked, gets = RULES[rule]
    assert gets <= {str(applied) for applied in classify(policy, asked).rules}


def test_r5_warns_and_then_reaches_others() -> None:
    def met(waited: int, *released: str) -> bool:
        return wait(policy, ticket(tier="vip"), seconds(waited), released={*released}).needs.met_by({"reserve": 1})

    assert wait(policy, ticket(tier="vip"), seconds(48)).alerts == ("vip desk",)
    assert met(48, "emergency")
    assert not met(47, "emergency")
    assert not met(48)  # R14: kept until released


def test_r14_the_reserve_is_released_when_somebody_has_waited() -> None:
    def opens(given: Policy) -> str:
        return str(given.declared_reserves()[0].open)

    assert opens(policy) == "oldest wait from 2 min until 10 s"
    assert opens(preset("double11", release="60s")) == "oldest wait from 1 min until 10 s"
    naming = {rule.name for rule in rules_of(Who) if rule.reserves}
    assert naming >= {"live", "vip", "logistics", "payment", "general"}
    assert not naming & {"electronics", "complaint", "follow_up"}


def test_r9_whoever_answers_first_is_remembered() -> None:
    for rule in rules_of(Work):
        assert rule.affinity is not None
        assert rule.affinity.owner == hours(24)


def test_r15_stays_with_the_certified() -> None:
    assert not wait(policy, ticket(topic="electronics"), seconds(10_000)).needs.met_by(
        {"technical": 1, "order": 4, "reserve": 2}
    )


def test_r18_falls_back_to_translation() -> None:
    translator = {"translation": 1, "lang[zh]": 1}
    assert not wait(policy, ticket(language="other"), seconds(59)).needs.met_by(translator)
    assert wait(policy, ticket(language="other"), seconds(60)).needs.met_by(translator)


def test_r20_nobody_is_overtaken_by_more_than_four_minutes() -> None:
    starts = [classify(policy, Ticket(channel=t.channel, **t.attributes)).head_start_ms for t in TICKETS[:5000]]  # type: ignore[arg-type]
    assert max(starts) <= 240_000


@pytest.mark.parametrize(
    ("asked", "targets_s"),
    [
        (ticket(), {"legal": 180, "response": 180, "resolution": 10_800}),
        (ticket(tier="vip"), {"legal": 180, "response": 60, "resolution": 10_800}),
        (ticket(category="logistics"), {"legal": 180, "response": 60, "resolution": 10_800}),
        (ticket(topic="complaint"), {"legal": 180, "response": 60, "resolution": 86_400}),
        (ticket(category="after_sales"), {"legal": 180, "response": 180, "resolution": 28_800}),
        (ticket(topic="refund"), {"legal": 180, "response": 180, "resolution": 28_800, "refund": 86_400}),
        (ticket(kind="bad_review"), {"response": 172_800}),
        (ticket(kind="follow_up"), {"resolution": 604_800}),
    ],
)
def test_promises(asked: Ticket, targets_s: dict[str, int]) -> None:
    assert {clock.name: clock.target_ms // 1000 for clock in classify(policy, asked).clocks} == targets_s
    assert Clocks.legal.hard


# --- The workload -----------------------------------------------------------------------------------------------------


def test_the_roster_has_the_people_of_the_night() -> None:
    assert len(ROSTER) == sum(round(group.heads / 9) for group in workload.GROUPS) == 5556
    calls = [agent for agent in ROSTER if agent.channels == ("phone",)]
    assert len(calls) / len(ROSTER) == pytest.approx(5 / 8, abs=0.002)
    assert len({agent.id for agent in ROSTER}) == len(ROSTER)
    base = {group.name: len(group.skills) + len(group.languages) for group in workload.GROUPS}
    several = [agent for agent in ROSTER if len(agent.skills) > base[agent.group]]
    assert len(several) / len(ROSTER) == pytest.approx(0.7, abs=0.005)
    assert workload.roster() == ROSTER


def test_the_roster_speaks_the_policys_words() -> None:
    names = {
        f"{n}[{key}]" if isinstance(skill, Family) else n
        for n, skill in skills_of(S).items()
        for key in getattr(skill, "keys", "x")
    }
    used = {skill for agent in ROSTER for skill, _ in agent.skills}
    assert used == names
    assert {channel for agent in ROSTER for channel in agent.channels} == set(policy.channels)
    small = workload.roster(0.001)
    assert {agent.group for agent in small} == {group.name for group in workload.GROUPS}
    assert {skill for agent in small for skill, _ in agent.skills} >= {"vip", "live", "lang[other]"}


def test_every_class_met_can_be_served_in_the_end() -> None:
    profiles = {(frozenset(agent.skills), agent.channels) for agent in ROSTER}
    asked = {(t.channel, *sorted(t.attributes.items())) for t in TICKETS[:4000]}
    for channel, *attributes in asked:
        needs = wait(policy, Ticket(channel=channel, **dict(attributes)), seconds(600)).needs  # type: ignore[arg-type]
        assert any(channel in open_ and needs.met_by(dict(skills)) for skills, open_ in profiles), (channel, attributes)


def test_the_tickets_have_the_shares_of_the_night() -> None:
    count = Counter[object](t.channel for t in TICKETS)
    for t in TICKETS:
        count.update(t.attributes.items())
    shares = {key: number / len(TICKETS) for key, number in count.items()}
    expected = {
        "chat": 0.60, "phone": 0.25, "social": 0.10, "in_app": 0.04, "store": 0.01,
        ("category", "order"): 0.46, ("category", "logistics"): 0.276, ("topic", "delivery_time"): 0.34,
        ("language", "zh"): 0.92, ("language", "dialect"): 0.03, ("tier", "vip"): 0.05,
        ("emotion", "angry"): 0.10, ("contact", "repeat"): 0.38,
    }  # fmt: skip
    assert {key: shares[key] for key in expected} == pytest.approx(expected, abs=0.012)


def test_the_tickets_are_the_policys_and_come_again() -> None:
    facts = facts_of(Ticket)
    for t in TICKETS:
        assert all(value in facts[name].values for name, value in t.attributes.items())
    assert list(islice(workload.tickets(11), 1000)) == TICKETS[:1000]
    assert list(islice(workload.tickets(12), 1000)) != TICKETS[:1000]
    again = [t for t in TICKETS if t.attributes["contact"] == "repeat"]
    assert len({t.customer for t in TICKETS}) == pytest.approx(len(TICKETS) - len(again), abs=2)


def test_the_plateau_loads_the_people_to_95_percent() -> None:
    capacity = workload.capacity_per_s(ROSTER)
    assert workload.arrivals_per_s(12 * 3600, ROSTER) / capacity == pytest.approx(0.95)
    assert workload.arrivals_per_s(60, ROSTER) / capacity == pytest.approx(4.75)
    assert [workload.arrival_share(s) for s in (0, 299.9, 300, 86_399, 86_400)] == [1.0, 1.0, 0.6, 0.35, 1.0]


def test_work_and_patience() -> None:
    random = Random(1)
    assert mean(workload.handle_s(random) for _ in range(50_000)) == pytest.approx(6.2 * 60, rel=0.03)
    patience = [workload.patience_s(random) for _ in range(50_000)]
    assert sum(p < 12 * 60 for p in patience) / len(patience) == pytest.approx(0.38, abs=0.01)
