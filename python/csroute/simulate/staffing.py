"""The fewest agents that meet a target: Erlang A as the start, simulation as the judge.

>>> erlang_start(arrivals_per_s=0.5, handle_s=180.0, patience_s=120.0, answered=0.8, within_s=20.0)
87
>>> square_root(arrivals_per_s=0.5, handle_s=180.0, beta=0.5)
95
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from csroute.errors import ConfigError
from csroute.router import policy_bytes
from csroute.simulate.run import run

if TYPE_CHECKING:
    from csroute.router import PolicySource
    from csroute.simulate.arrays import Floats
    from csroute.simulate.estimate import Estimate
    from csroute.simulate.result import Result
    from csroute.simulate.roster import AgentPlan, Roster
    from csroute.simulate.workload import Workload

__all__ = ["Plan", "Staffing", "erlang_start", "fewest", "plan_day", "square_root"]

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
    """What was found: so many agents by group, and the figures they reach, those that have a target."""

    sizes: Mapping[str, int]
    reached: Mapping[str, Estimate]
    tried: int


SERVICE_LEVEL: Mapping[str, float] = {"service_level": 0.8}
"""Eight of ten in time, where nobody says otherwise."""


def fewest(
    policy: PolicySource,
    workload: Workload,
    roster_of: Callable[[Mapping[str, int]], Roster],
    start: Mapping[str, int],
    *,
    targets: Mapping[str, float] = SERVICE_LEVEL,
    seed: int = 1,
    replications: int = 5,
    warmup_s: float = 0.0,
    tries_max: int = 200,
) -> Staffing:
    """The fewest agents by group that meet every target, found by leaving out one where it hurts least.

    Args:
        policy: as `run` takes it.
        workload: what comes; take one interval's to staff an interval.
        roster_of: sizes by group → the roster.
        start: where to begin, from `erlang_start` or `square_root`. If it does not suffice, all groups grow first.
        targets: figures of `Result.summary()`, of which more is better, and the least they must reach.
        seed: as `run` takes it.
        replications: as `run` takes them; their mean is judged.
        warmup_s: as `run` takes it.
        tries_max: simulations, at most; past it the best so far is returned.

    Raises ConfigError where so many simulations have not found enough people.
    """
    tried: dict[tuple[int, ...], dict[str, Estimate]] = {}
    groups, compiled = list(start), policy_bytes(policy)

    def reached(sizes: tuple[int, ...]) -> dict[str, Estimate]:
        if sizes not in tried:
            people = roster_of(dict(zip(groups, sizes, strict=True)))
            result = run(
                compiled, workload, people, seed=seed, replications=replications, warmup_s=warmup_s, keep_rows=False
            )
            tried[sizes] = {name: _figure(result, name) for name in targets}
        return tried[sizes]

    def spare(sizes: tuple[int, ...]) -> float:
        """How far above its target the figure is that is nearest to it."""
        return min(reached(sizes)[name].mean - least for name, least in targets.items())

    sizes = tuple(start[group] for group in groups)
    while not spare(sizes) >= 0:
        if len(tried) >= tries_max:
            there = ", ".join(f"{name} {found.mean:.3f}" for name, found in reached(sizes).items())
            raise ConfigError(f"{there} with {dict(zip(groups, sizes, strict=True))}: not {dict(targets)}")
        sizes = tuple(math.ceil(size * 1.05 + 0.01) for size in sizes)
    step = max(1, max(sizes) // 16)
    while len(tried) < tries_max:
        fewer = [
            (*sizes[:place], size - step, *sizes[place + 1 :]) for place, size in enumerate(sizes) if size - step >= 0
        ]
        enough = [one for one in fewer if any(one) and spare(one) >= 0]
        if enough:
            sizes = max(enough, key=spare)
        elif step > 1:
            step //= 2
        else:
            break
    return Staffing(dict(zip(groups, sizes, strict=True)), reached(sizes), len(tried))


def _figure(result: Result, name: str) -> Estimate:
    summary = result.summary()
    if name not in summary:
        raise ConfigError(f"no figure {name}; there are {', '.join(sorted(summary))}")
    return summary[name]


# --- A day ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Plan:
    """Agents by interval and group, and what the whole day reaches with them."""

    interval_s: float
    sizes: Sequence[Mapping[str, int]]
    reached: Mapping[str, Estimate]
    tried: int
    roster: Roster

    @property
    def agent_hours(self) -> float:
        """Paid."""
        return sum(sum(sizes.values()) for sizes in self.sizes) * self.interval_s / 3600


def plan_day(
    policy: PolicySource,
    workload: Workload,
    roster: Roster,
    *,
    interval_s: float = 3600.0,
    targets: Mapping[str, float] = SERVICE_LEVEL,
    seed: int = 1,
    replications: int = 3,
    tries_max: int = 60,
    progress: Callable[[int, int], None] | None = None,
) -> Plan:
    """The fewest agents by group and interval, each interval by itself; then the day as a whole is played with them.

    What an interval leaves to the next is seen by the whole day alone: while that misses a target, all grow by 3 %.

    Args:
        policy: as `run` takes it.
        workload: the day.
        roster: what people are like: a group's agents in turn. Its sizes and shifts do not matter.
        interval_s: how long people stay at least.
        targets: as `fewest` takes them; each interval meets them, and the day.
        seed: as `run` takes it.
        replications: days played to judge, and stretches.
        tries_max: simulations an interval.
        progress: told of intervals done, and of all.
    """
    like = {group: [agent for agent in roster.agents if agent.group == group] for group in roster.groups}
    compiled, tried = policy_bytes(policy), 0
    count = math.ceil(workload.length_s / interval_s)
    sizes: list[dict[str, int]] = []
    for number in range(count):
        stretch = _stretch(workload, number * interval_s, interval_s)
        if stretch is None:
            sizes.append(dict.fromkeys(like, 0))
        else:
            found = fewest(
                compiled,
                stretch,
                lambda people: _people(roster, like, [people], 2 * interval_s),
                _start(stretch, like),
                targets=targets,
                seed=seed,
                replications=replications,
                warmup_s=interval_s,
                tries_max=tries_max,
            )
            tried += found.tried
            sizes.append(dict(found.sizes))
        if progress is not None:
            progress(number + 1, count)
    for _ in range(_ROUNDS):
        people = _people(roster, like, sizes, interval_s)
        day = run(compiled, workload, people, seed=seed, replications=replications, keep_rows=False)
        tried += 1
        reached = {name: _figure(day, name) for name in targets}
        if all(reached[name].mean >= least for name, least in targets.items()):
            return Plan(interval_s, sizes, reached, tried, people)
        sizes = [{group: math.ceil(size * 1.03) for group, size in one.items()} for one in sizes]
    raise ConfigError(f"the day does not reach {dict(targets)}, though its intervals do, with {_ROUNDS} times 3 % more")


_ROUNDS = 20


def _stretch(workload: Workload, start_s: float, interval_s: float) -> Workload | None:
    """The interval's mean rate, twice as long: the first half warms up. None: nobody comes."""
    expected = workload.expected_between(start_s, min(start_s + interval_s, workload.length_s))
    if not expected:
        return None
    rate = expected / (min(start_s + interval_s, workload.length_s) - start_s)
    kinds = workload.kinds
    if workload.recorded is not None:
        seen = np.bincount(workload.recorded["kind"], minlength=len(kinds))
        kinds = [replace(kind, share=float(share)) for kind, share in zip(kinds, seen, strict=True)]
    return replace(workload, kinds=kinds, curve=[(0.0, rate)], recorded=None, length_s=2 * interval_s)


def _start(stretch: Workload, like: Mapping[str, Sequence[AgentPlan]]) -> dict[str, int]:
    """The square-root rule for all, as if everybody did one thing at a time, shared out as the groups are."""
    shares = sum(kind.share for kind in stretch.kinds)
    handle_s = sum(kind.share * kind.handle.mean_s for kind in stretch.kinds) / shares
    needed = square_root(arrivals_per_s=stretch.curve[0][1], handle_s=handle_s)
    everybody = sum(map(len, like.values()))
    return {group: max(1, math.ceil(needed * len(people) / everybody)) for group, people in like.items()}


def _people(
    roster: Roster, like: Mapping[str, Sequence[AgentPlan]], sizes: Sequence[Mapping[str, int]], interval_s: float
) -> Roster:
    """The n-th of a group is there in the intervals that ask for more than n."""
    agents = []
    for group, people in like.items():
        for number in range(max((one[group] for one in sizes), default=0)):
            there = [place for place, one in enumerate(sizes) if one[group] > number]
            shifts: list[tuple[float, float]] = []
            for place in there:
                begins = place * interval_s
                if shifts and shifts[-1][1] == begins:
                    begins = shifts.pop()[0]
                shifts.append((begins, (place + 1) * interval_s))
            agents.append(replace(people[number % len(people)], id=f"{group}-{number}", shifts=shifts, breaks=()))
    return replace(roster, agents=agents)
