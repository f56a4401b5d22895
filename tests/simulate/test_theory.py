"""Simulated figures against closed forms and exact Markov chains: 99.9 % intervals, fixed seeds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest

from csroute import simulate
from csroute.simulate import Class, Exponential, Result
from tests.simulate.theory import erlang_a, erlang_c, priority, stationary

HANDLE = 60.0


def settled(model: simulate.Model, seed: int = 5) -> Result:
    """A tenth is warm-up; the batches are far longer than the queue remembers."""
    return simulate.run(*model, seed=seed, warmup_s=model[1].length_s / 10, confidence=0.999)


@pytest.mark.parametrize(("agents", "busy"), [(1, 0.7), (5, 0.8), (20, 0.9), (100, 0.9)])
def test_erlang_c(agents: int, busy: float) -> None:
    rate = busy * agents / HANDLE
    found = settled(
        simulate.queue(arrivals_per_s=rate, handle_s=HANDLE, agents=agents, hours=200_000 / rate / 3600)
    ).summary()
    waits = erlang_c(busy * agents, agents)
    spare = (agents - busy * agents) / HANDLE
    assert found["p_wait"].holds(waits)
    assert found["asa_s"].holds(waits / spare)
    assert found["service_level"].holds(1 - waits * np.exp(-spare * 20.0))
    assert found["occupancy"].holds(busy)
    assert found["handle_s"].holds(HANDLE)
    assert found["abandoned"].mean == 0.0


@pytest.mark.parametrize(("agents", "busy", "patience"), [(1, 1.5, 60.0), (10, 1.0, 120.0), (50, 1.2, 300.0)])
def test_erlang_a(agents: int, busy: float, patience: float) -> None:
    rate = busy * agents / HANDLE
    model = simulate.queue(
        arrivals_per_s=rate, handle_s=HANDLE, agents=agents, patience_s=patience, hours=200_000 / rate / 3600
    )
    result = settled(model)
    found, theory = result.summary(), erlang_a(rate, HANDLE, agents, patience)
    for name in ("p_wait", "wait_s", "queue_length"):
        assert found[name].holds(theory[name]), name
    leaving = simulate.estimate([one["abandoned"] + one["abandoned_short"] for one in result.samples], 0.999)
    assert leaving.holds(theory["abandoned"])
    # θ × mean queue = abandonments a second, in the run itself.
    balance = [
        (one["abandoned"] + one["abandoned_short"]) * rate - one["queue_length"] / patience for one in result.samples
    ]
    assert simulate.estimate(balance, 0.999).holds(0.0)


def test_two_classes_with_strict_priority() -> None:
    rates, agents = (0.06, 0.09), 10
    classes = {
        "first": Class(rates[0], Exponential(HANDLE), ["all"], target_s=0.0),
        "second": Class(rates[1], Exponential(HANDLE), ["all"], target_s=1e6),  # 10⁹ ms
    }
    found = settled(simulate.network(classes, {"all": agents}, hours=150_000 / sum(rates) / 3600)).summary()
    first, second = priority(rates, HANDLE, agents)
    assert found["wait_s[class=first]"].holds(first)
    assert found["wait_s[class=second]"].holds(second)


def test_head_starts_and_targets_say_the_same() -> None:
    def rows(target_s: float | None = None, head_start_s: float = 0.0) -> bytes:
        one = Class(0.08, Exponential(HANDLE), ["all"])
        classes = {
            "first": replace(one, target_s=target_s, head_start_s=head_start_s),
            "second": replace(one, target_s=None if target_s is None else 90.0),
        }
        return bytes(
            simulate.run(*simulate.network(classes, {"all": 10}, hours=50.0), seed=3).rows["wait_us"].tobytes()
        )

    assert rows(target_s=30.0) == rows(head_start_s=60.0) != rows(head_start_s=61.0)


def test_equal_targets_are_first_come_first_served() -> None:
    def waits(target_s: float | None) -> list[int]:
        classes = {name: Class(0.05, Exponential(HANDLE), ["all"], target_s=target_s) for name in ("a", "b", "c")}
        result = simulate.run(*simulate.network(classes, {"all": 10}, hours=50.0), seed=8)
        return [int(wait) for wait in result.rows["wait_us"]]

    assert waits(45.0) == waits(None) == waits(7.0)


State = tuple[tuple[str, ...], tuple[str, ...]]
"""The free agents, longest idle first, and the waiting classes, oldest first; everybody else is busy."""


def chain(
    rates: dict[str, float], skills: dict[str, tuple[str, ...]], served: float, left: float, waiting_max: int
) -> tuple[dict[str, float], dict[str, float]]:
    """FCFS-ALIS, exactly: (busy share by agent, probability to wait by class).

    The service rate is one for all, customers leave at rate `left`, and so few wait that `waiting_max` is never felt.
    """

    def moves(state: State) -> Iterable[tuple[State, float]]:
        idle, waiting = state
        for one, rate in rates.items():
            able = [agent for agent in idle if one in skills[agent]]
            if able:
                yield (tuple(agent for agent in idle if agent != able[0]), waiting), rate
            elif len(waiting) < waiting_max:
                yield (idle, (*waiting, one)), rate
        for agent, known in skills.items():
            if agent not in idle:
                fits = [place for place, one in enumerate(waiting) if one in known]
                if fits:
                    yield (idle, waiting[: fits[0]] + waiting[fits[0] + 1 :]), served
                else:
                    yield ((*idle, agent), waiting), served
        for place in range(len(waiting)):
            yield (idle, waiting[:place] + waiting[place + 1 :]), left

    start: State = (tuple(skills), ())
    shares = stationary(start, moves)
    assert sum(share for (_, waiting), share in shares.items() if len(waiting) == waiting_max) < 1e-4
    busy = {agent: sum(share for (idle, _), share in shares.items() if agent not in idle) for agent in skills}
    waits = {
        one: sum(share for (idle, _), share in shares.items() if not any(one in skills[agent] for agent in idle))
        for one in rates
    }
    return busy, waits


DESIGNS: dict[str, tuple[dict[str, float], dict[str, tuple[str, ...]]]] = {
    "N": ({"x": 0.010, "y": 0.012}, {"both": ("x", "y"), "only": ("y",)}),
    "W": ({"x": 0.010, "y": 0.012, "z": 0.008}, {"left": ("x", "y"), "right": ("y", "z")}),
}


@pytest.mark.parametrize("design", DESIGNS)
def test_fcfs_alis_is_the_exact_markov_chain(design: str) -> None:
    rates, skills = DESIGNS[design]
    patience = 15.0
    busy, waits = chain(rates, skills, 1 / HANDLE, 1 / patience, waiting_max=6)
    classes = {
        one: Class(
            rate, Exponential(HANDLE), [agent for agent in skills if one in skills[agent]], Exponential(patience)
        )
        for one, rate in rates.items()
    }
    found = settled(simulate.network(classes, dict.fromkeys(skills, 1), hours=1500.0)).summary()
    for agent, share in busy.items():
        assert found[f"occupancy[group={agent}]"].holds(share), agent
    for one, share in waits.items():
        assert found[f"p_wait[class={one}]"].holds(share), one
