"""Closed forms and Markov chains that simulations are held against. Rates are per second."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable
from typing import TypeVar

import numpy as np

S = TypeVar("S", bound=Hashable)


def erlang_c(load: float, agents: int) -> float:
    """The probability to wait in M/M/n; `load` in erlangs."""
    blocked = 1.0
    for number in range(1, agents + 1):
        blocked = load * blocked / (number + load * blocked)
    return blocked / (1 - load / agents * (1 - blocked))


def erlang_a(rate: float, handle_s: float, agents: int, patience_s: float) -> dict[str, float]:
    """M/M/n+M by its birth and death rates: probability to wait and to abandon, mean wait of all, mean queue."""
    served, leaving = 1 / handle_s, 1 / patience_s
    weights = [1.0]
    while weights[-1] > 1e-16 * max(weights) or len(weights) <= agents + 1:
        number = len(weights)
        weights.append(weights[-1] * rate / (min(number, agents) * served + max(0, number - agents) * leaving))
    states = np.array(weights) / math.fsum(weights)
    queue = float(sum(share * max(0, number - agents) for number, share in enumerate(states)))
    return {
        "p_wait": float(states[agents:].sum()),
        "abandoned": leaving * queue / rate,
        "wait_s": queue / rate,
        "queue_length": queue,
    }


def priority(rates: tuple[float, float], handle_s: float, agents: int) -> tuple[float, float]:
    """Mean waits of two classes, non-preemptive M/M/n with one service rate (Kella, Yechiali 1985)."""
    load = sum(rates) * handle_s
    base = erlang_c(load, agents) * handle_s / agents
    first = rates[0] * handle_s / agents
    return base / (1 - first), base / ((1 - first) * (1 - load / agents))


def stationary(start: S, rates: Callable[[S], Iterable[tuple[S, float]]], states_max: int = 2_000) -> dict[S, float]:
    """A Markov chain's stationary distribution, found from its transition rates by walking out from a state."""
    number: dict[S, int] = {start: 0}
    moves: list[tuple[int, int, float]] = []
    todo = [start]
    while todo:
        state = todo.pop()
        for other, rate in rates(state):
            if other not in number:
                assert len(number) < states_max
                number[other] = len(number)
                todo.append(other)
            moves.append((number[state], number[other], rate))
    size = len(number)
    matrix = np.zeros((size, size))
    for source, target, rate in moves:
        matrix[target, source] += rate
        matrix[source, source] -= rate
    matrix[-1] = 1.0
    right = np.zeros(size)
    right[-1] = 1.0
    shares = np.linalg.solve(matrix, right)
    return dict(zip(number, shares.tolist(), strict=True))
