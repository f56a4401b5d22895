"""What a policy costs: check, compile, classify and install, with 10,000 classes, and its size in bytes.

    pytest benches/test_policy.py -s --benchmark-only

Wide: 100 queues × 100 ranks, 200 rules that make 10,000 classes. Long: 10,000 queues, a rule each. Both are met one by
one. Left out: the night's own policy has some 3,000 classes in use, of which 100 hold most tickets.
"""

from __future__ import annotations

from functools import partial
from itertools import product
from types import new_class
from typing import TYPE_CHECKING, Any, Literal

import pytest

from csroute import Router, Ticket
from csroute.policy import (
    After,
    At,
    Attr,
    Attributes,
    Channel,
    Clock,
    Layer,
    Otherwise,
    Policy,
    Rule,
    Skill,
    Skills,
    change,
    minutes,
    optional,
    seconds,
)
from csroute.policy.compile import compile_policy
from csroute.policy.evaluate import classify
from csroute.presets import double11

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

SIDE = 100


class Facts(Attributes):
    channel: Attr[Literal["chat"]]
    queue: Attr[str] = optional()
    rank: Attr[str] = optional()


class S(Skills):
    general: Skill


class Clocks:
    legal = Clock(starts="arrival", stops="first_reply", hard=True)


def layer(name: str, fact: Any, count: int = SIDE, **gives: Any) -> type[Layer]:
    rules: dict[str, Any] = {f"r{n}": Rule(fact.is_(f"v{n}"), why="one of many", **gives) for n in range(count)}
    return new_class(name, (Layer,), {}, partial(_fill, rules | {"rest": Otherwise()}))


def _fill(rules: dict[str, Any], body: dict[str, Any]) -> None:
    body.update(rules)


def policy_of(queue_count: int, rank_count: int) -> Policy:
    steps = [After(seconds(20), needs=S.general), At(Clocks.legal, 0.8, alert="lead")]
    queues = layer("Who", Facts.queue, queue_count, needs=S.general.at_least(2), steps=steps)
    ranks = layer("Rank", Facts.rank, rank_count, head_start=seconds(30))
    law = new_class("Law", (Layer,), {}, partial(_fill, {"all": Otherwise(clocks=[Clocks.legal.within(minutes(3))])}))
    return Policy(
        "wide",
        attributes=Facts,
        skills=S,
        clocks=Clocks,
        layers=[queues, ranks, law],
        channels={"chat": Channel(cost=20, limit=5)},
    )


WIDE, LONG = policy_of(SIDE, SIDE), policy_of(SIDE * SIDE, 1)
POLICIES = {"wide": WIDE, "long": LONG, "double11": double11.policy}


@pytest.mark.parametrize("name", POLICIES)
def test_compile(benchmark: BenchmarkFixture, name: str) -> None:
    """From the language to bytes, checks left out."""
    pedantic: Any = benchmark.pedantic
    compiled = pedantic(compile_policy, (POLICIES[name],), rounds=5)
    rules = sum(len(POLICIES[name].rules(layer)) for layer in POLICIES[name].layers)
    print(f"\n{name}: {rules:,} rules, {len(compiled):,} bytes")


@pytest.mark.parametrize("policy", [WIDE, double11.policy], ids=["wide", "double11"])
def test_check(benchmark: BenchmarkFixture, policy: Policy) -> None:
    assert benchmark(policy.check) == []


def test_classify_in_python(benchmark: BenchmarkFixture) -> None:
    """The naive reading that cases are tried by; the engine's tables do it in a microsecond."""
    ticket = Facts(channel="chat", queue="v50", rank="v50")
    assert benchmark(classify, WIDE, ticket).queue == "r50"


def test_meet_10_000_classes(benchmark: BenchmarkFixture) -> None:
    """One ticket of each class submitted to a router that knows none of them: each is compiled as it is met."""
    compiled = WIDE.compile()
    tickets = [
        Ticket(f"t{one}-{other}", "chat", attributes={"queue": f"v{one}", "rank": f"v{other}"})
        for one, other in product(range(SIDE), repeat=2)
    ]

    def fresh() -> tuple[tuple[Router], dict[str, Any]]:
        return (Router(compiled, clock="virtual"),), {}

    def submit(router: Router) -> int:
        for start in range(0, len(tickets), 4096):
            router.route_batch(tickets[start : start + 4096])
        return router.stats().classes

    pedantic: Any = benchmark.pedantic
    classes = pedantic(submit, setup=fresh, rounds=3)
    assert classes == SIDE * SIDE


@pytest.mark.parametrize("name", ["wide", "long"])
def test_install(benchmark: BenchmarkFixture, name: str) -> None:
    """Tables read, checked and indexed by the engine, with nobody waiting: twice a round."""
    policy = POLICIES[name]
    compiled = compile_policy(policy)
    other = compile_policy(policy.but(change(policy.rules(policy.layers[0])[0], cost=5), name="other"))
    router = Router(compiled, clock="virtual")
    benchmark(lambda: (router.install(other), router.install(compiled)))
