"""The fewest agents that meet a target: Erlang A as the start, simulation as the judge.

>>> erlang_start(arrivals_per_s=0.5, handle_s=180.0, patience_s=120.0, answered=0.8, within_s=20.0)
87
>>> square_root(arrivals_per_s=0.5, handle_s=180.0, beta=0.5)
95
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from csroute.errors import ConfigError
from csroute.simulate.run import run

if TYPE_CHECKING:
    from csroute.router import PolicySource
    from csroute.simulate.arrays import Floats
    from csroute.simulate.estimate import Estimate
    from csroute.simulate.roster import Roster
    from csroute.simulate.workload import Workload

__all__ = ["Staffing", "erlang_start", "fewest", "square_root"]

_STEPS = 500


def square_root(*, arrivals_per_s: float, handle_s: float, beta: float = 1.0) -> int:
    """Offered load + β √(offered load): the square-root rule."""
    load = arrivals_per_s * handle_s
    return math.ceil(load + beta * math.sqrt(load))


def erlang_start(*, arrivals_per_s: float, handle_s: float, patience_s: float, answered: float, within_s: float) -> int:
    """The fewest agents with whom, by Erlang A, this share of customers is answered within so many seconds."""
    agents = max(1, math.floor(arrivals_per_s * handle_s * 0.5))
    while _answered(arrivals_per_s, handle_s, patience_s, agents, within_s) < answered:
        agents += 1
    return agents


def _answered(rate: float, handle_s: float, patience_s: float, agents: int, within_s: float) -> float:
    """M/M/n+M: P(answered within t). Who finds k waiting before them is answered after k + 1 departures, if patient."""
    served, leaving = agents / handle_s, 1 / patience_s
    weight, weights = 1.0, [1.0]
    while len(weights) <= agents or weight > 1e-12 * max(weights):
        busy = min(len(weights), agents) / handle_s + max(0, len(weights) - agents) * leaving
        weight *= rate / busy
        weights.append(weight)
    total = math.fsum(weights)
    found = math.fsum(weights[:agents]) / total
    # a[k]: who finds k waiting before them is answered within the time left, by the equation backward in time.
    ahead = np.arange(len(weights) - agents)
    rates: Floats = np.asarray(served + ahead * leaving, np.float64)
    answers: Floats = np.zeros(len(ahead))
    step = within_s / _STEPS
    for _ in range(_STEPS):
        middle = answers + step / 2 * _slope(answers, rates, leaving)
        answers += step * _slope(middle, rates, leaving)
    return found + float(np.dot(weights[agents:], answers)) / total


def _slope(answers: Floats, rates: Floats, leaving: float) -> Floats:
    before = np.concatenate(([1.0], answers[:-1]))
    return rates * (before - answers) - leaving * answers


@dataclass(frozen=True)
class Staffing:
    """What was found: so many agents by group, and the figure they reach."""

    sizes: Mapping[str, int]
    reached: Estimate
    tried: int


def fewest(
    policy: PolicySource,
    workload: Workload,
    roster_of: Callable[[Mapping[str, int]], Roster],
    start: Mapping[str, int],
    *,
    figure: str = "service_level",
    at_least: float = 0.8,
    seed: int = 1,
    replications: int = 5,
    tries_max: int = 200,
) -> Staffing:
    """The fewest agents by group that meet `figure ≥ at_least`, found by leaving out one where it hurts least.

    Args:
        policy: as `run` takes it.
        workload: what comes; take one interval's to staff an interval.
        roster_of: sizes by group → the roster.
        start: where to begin, from `erlang_start` or `square_root`. If it does not suffice, all groups grow first.
        figure: a figure of `Result.summary()`, of which more is better.
        at_least: its target.
        seed: as `run` takes it.
        replications: as `run` takes them; their mean is judged.
        tries_max: simulations, at most; past it the best so far is returned.
    """
    tried: dict[tuple[int, ...], Estimate] = {}
    groups = list(start)

    def reached(sizes: tuple[int, ...]) -> Estimate:
        if sizes not in tried:
            people = roster_of(dict(zip(groups, sizes, strict=True)))
            result = run(policy, workload, people, seed=seed, replications=replications, keep_rows=False)
            tried[sizes] = result.summary()[figure]
        return tried[sizes]

    sizes = tuple(start[group] for group in groups)
    while reached(sizes).mean < at_least:
        if len(tried) >= tries_max:
            raise ConfigError(
                f"{figure} is {reached(sizes).mean:.3f} with {dict(zip(groups, sizes, strict=True))}: not {at_least}"
            )
        sizes = tuple(math.ceil(size * 1.05 + 0.01) for size in sizes)
    step = max(1, max(sizes) // 16)
    while len(tried) < tries_max:
        fewer = [
            (*sizes[:place], size - step, *sizes[place + 1 :]) for place, size in enumerate(sizes) if size - step >= 0
        ]
        enough = [one for one in fewer if any(one) and reached(one).mean >= at_least]
        if enough:
            sizes = max(enough, key=lambda one: reached(one).mean)
        elif step > 1:
            step //= 2
        else:
            break
    return Staffing(dict(zip(groups, sizes, strict=True)), reached(sizes), len(tried))
