"""The controllers that are shipped do what their papers say; arrays are what they are documented to be."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

import numpy as np
import pytest

from csroute import AgentSpec, Router, Ticket
from csroute.controllers import (
    FixedQueueRatio,
    GeneralisedCMu,
    InProcess,
    NonsenseError,
    Range,
    State,
    Steering,
    controller,
    late,
    power,
    quadratic,
)
from csroute.policy import seconds
from csroute.tuning import declared, tunings
from csroute.types import Assigned
from tests.controllers.desk import Who, policy

HANDLE_S = {"pay": 40.0, "ask": 120.0}
COSTS = {"pay": power(1.0, 3.0), "ask": quadratic(6.0)}
TOTALS: dict[str, Callable[[float], float]] = {"pay": lambda w: w**3 / 3, "ask": lambda w: 6 * w**2 / 2}


def staffed(agents: int) -> Router:
    router = Router(policy, clock="virtual")
    router.open_session("desk", lease_ms=3_600_000)
    router.upsert_agents([AgentSpec(f"a{at}", skills={"general": 1}) for at in range(agents)])
    for at in range(agents):
        router.login("desk", f"a{at}")
    return router


def waits(seed: int, steer: bool, *, agents: int = 8, minutes: int = 50) -> list[tuple[str, float]]:
    """Kind and wait of each ticket of an hour at 98 % load; the same customers, steered or not."""
    chance = random.Random(seed)
    load = 0.98 * agents / (0.5 * HANDLE_S["pay"] + 0.5 * HANDLE_S["ask"])
    router = staffed(agents)
    names = {f"Who.{kind}": kind for kind in HANDLE_S}
    cmu = GeneralisedCMu(
        {name: COSTS[kind] for name, kind in names.items()}, {name: HANDLE_S[kind] for name, kind in names.items()}
    )
    controlled = InProcess(router, cmu.controller())
    start = router.now_us
    handle: dict[str, float] = {}
    ends: list[tuple[int, str]] = []
    seen, found = 0, list[tuple[str, float]]()
    next_us = start
    for second in range(1, minutes * 60):
        until = start + second * 1_000_000
        while next_us < until:
            kind = "pay" if chance.random() < 0.5 else "ask"
            ticket = f"{kind}{len(handle)}"
            handle[ticket] = chance.expovariate(1 / HANDLE_S[kind])
            router.advance(to=max(next_us, router.now_us))
            router.route(Ticket(ticket, "chat", attributes={"kind": kind}))
            next_us += int(1e6 * chance.expovariate(load))
        router.advance(to=max(until, router.now_us))
        for ticket in [ticket for at, ticket in ends if at <= until]:
            router.complete(ticket, attempt=1)
        ends = [end for end in ends if end[0] > until]
        for event in router.events(seen):
            seen = event.sequence
            if isinstance(event.kind, Assigned) and event.kind.reason is not None:
                ends.append((event.at_us + int(1e6 * handle[event.ticket]), event.ticket))
                found.append((event.ticket[:3], event.kind.reason.seniority_us / 1e6))
        if steer:
            controlled.step()
    return found


def cost(of: list[tuple[str, float]]) -> float:
    return sum(TOTALS[kind](wait) for kind, wait in of) / len(of)


def test_generalised_cmu_lowers_the_cost_that_it_is_to_lower() -> None:
    plain, steered = zip(*((cost(waits(seed, False)), cost(waits(seed, True))) for seed in range(3)), strict=True)
    assert sum(steered) < 0.85 * sum(plain), (plain, steered)


def state(router: Router, declares: Mapping[object, Range]) -> State:
    seen: list[State] = []

    @controller(declares)
    def look(state: State) -> Steering | None:
        seen.append(state)
        return None

    InProcess(router, look).step()
    return seen[0]


def crowded() -> Router:
    router = staffed(1)
    for at in range(9):
        router.route(Ticket(f"t{at}", "chat", attributes={"kind": "pay" if at % 3 == 0 else "ask"}))
        router.advance(seconds(1))
    return router


def test_the_state_is_what_it_is_documented_to_be() -> None:
    seen = state(crowded(), {Who.ask: Range(slope=(1, 2)), "Who.pay": Range(), "Who.gone": Range(fit=(0, 1))})
    assert seen.rules == ("Who.ask", "Who.pay", "Who.gone")
    assert seen.queues == ("pay", "ask")
    assert seen.lines["waiting"].tolist() == [2, 6]
    assert seen.applies.tolist() == [[False, True, False], [True, False, False]]
    assert seen.waiting().tolist() == [6, 2, 0]
    assert seen.oldest_wait_s().tolist() == [8, 6, 0]
    assert seen.profiles[["agents", "available", "free"]].tolist() == [(1, 1, 0)]
    assert seen.serves.tolist() == [[True], [True]]
    assert seen.low["slope"][0] == 1
    assert np.isnan(seen.low["slope"][1:]).all()


def test_arrivals_are_those_of_the_period() -> None:
    router = crowded()
    counts: list[list[int]] = []

    @controller({Who.pay: Range(slope=(1, 2))})
    def look(state: State) -> None:
        counts.append(state.lines["arrived"].tolist())

    steps = InProcess(router, look)
    steps.step()
    for at in range(4):
        router.route(Ticket(f"n{at}", "chat", attributes={"kind": "ask"}))
    steps.step()
    steps.step()
    assert counts == [[0, 0], [0, 4], [0, 0]]


def test_generalised_cmu_is_the_tangent_of_its_index() -> None:
    router = crowded()
    cmu = GeneralisedCMu({Who.pay: power(1, 3), Who.ask: late(2, 100)}, {Who.pay: 10, Who.ask: 20}, scale=1)
    pay, ask = InProcess(router, cmu.controller()).step()
    # pay waits 6 s: μC′ = 6² ÷ 10, μC″ = 2·6 ÷ 10; ask is not late yet.
    assert (pay.slope_milli, pay.head_start_ms) == (1200, round(1000 * (3.6 - 1.2 * 6)))
    assert (ask.slope_milli, ask.head_start_ms) == (0, 0)


def test_a_fixed_queue_ratio_serves_the_queue_above_its_share() -> None:
    router = crowded()  # pay 2, ask 6
    steps = InProcess(router, FixedQueueRatio({Who.pay: 1, Who.ask: 1}).controller())
    steps.step()
    router.complete("t0", attempt=1)
    assert [it.ticket for it in router.events() if isinstance(it.kind, Assigned)] == ["t0", "t1"]
    steps = InProcess(router, FixedQueueRatio({Who.pay: 1, Who.ask: 9}).controller())
    steps.step()
    router.complete("t1", attempt=1)
    assert router.get_ticket("t3").agent == "a0", "pay is above a tenth of the backlog"


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"rules": []}, "1 to 256 rules"),
        ({"rules": [["pay", {}]]}, "Layer.rule"),
        ({"rules": [["Who.pay", {"speed": [0, 1]}]]}, "speed"),
        ({"rules": [["Who.pay", {"slope": [2, 1]}]]}, "slope of Who.pay"),
        ({"rules": [["Who.pay", {"head_start_s": [0, 1e9]}]]}, "head_start_s of Who.pay"),
        ({"rules": [["Who.pay", {"fit": [0, float("nan")]}]]}, "fit of Who.pay"),
    ],
)
def test_what_a_controller_may_not_declare(said: object, words: str) -> None:
    with pytest.raises(NonsenseError, match=words):
        declared(said)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ([1.0], "2 numbers are wanted"),
        ([[1.0], [1.0]], "slope of Who.pay"),
        ([1.0, float("inf")], "slope of Who.ask is inf"),
        ([1.0, "2"], "slope of Who.ask is 2"),
        (1.0, "one a rule, not 1.0"),
    ],
)
def test_what_a_controller_may_not_answer(said: object, words: str) -> None:
    ranges = declared({"rules": [["Who.pay", {"slope": [0, 2]}], ["Who.ask", {"slope": [0, 2]}]]})
    with pytest.raises(NonsenseError, match=words):
        tunings({"slope": said}, ranges)
