"""Two controllers from the literature.

from csroute.controllers import GeneralisedCMu, Range, controller, quadratic

costs = {Who.payment: quadratic(4.0), Who.order: quadratic(1.0)}
night = GeneralisedCMu(costs, handle_s={Who.payment: 240, Who.order: 360}).controller()

csroute serve --controller night.py:night
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from csroute.controllers.state import Controller, Range, State, Steering

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["FixedQueueRatio", "GeneralisedCMu", "late", "power", "quadratic"]

Marginal = Callable[[float], float]
"""C′(w): what one more second costs a ticket that has waited w seconds. Never falls: the cost is convex."""

_STEP_S = 0.5
"""Slopes of marginal costs are taken over so much on either side."""


def quadratic(weight: float) -> Marginal:
    """C(w) = weight·w²/2: each second costs more than the one before it."""
    return lambda wait_s: weight * wait_s


def power(weight: float, exponent: float) -> Marginal:
    """C(w) = weight·w^exponent/exponent, exponent ≥ 1. At 1 the cost is linear: the classical cμ rule."""
    return lambda wait_s: weight * wait_s ** (exponent - 1)


def late(weight: float, due_s: float) -> Marginal:
    """C(w) = weight·max(0, w − due)²/2: nothing until it is due."""
    return lambda wait_s: weight * max(0.0, wait_s - due_s)


@dataclass(frozen=True, slots=True)
class GeneralisedCMu:
    """Serve the rule with the greatest μₖ·C′ₖ(wₖ), wₖ the wait of the first in its line, μₖ = 1 ÷ mean handle time.

    J. A. van Mieghem, "Dynamic scheduling with convex delay costs: the generalized c|mu rule", Annals of Applied
    Probability 5(3), 1995, 809–833; with many servers of several skills: A. Mandelbaum and A. L. Stolyar, "Scheduling
    flexible servers with convex delay costs", Operations Research 52(6), 2004, 836–855. Both show that it is optimal
    in heavy traffic for convex costs.

    Within a period the index is followed by its tangent at wₖ: slope = μₖ·C″ₖ(wₖ), head start = μₖ·C′ₖ(wₖ) − slope·wₖ,
    both times `scale`, since urgency is told in seconds waited. With quadratic costs the tangent is the index itself.

    Args:
        costs: the marginal cost C′ of each rule, of the first layer usually.
        handle_s: its mean handle time, s.
        scale: seconds of urgency that one μ·C′ is worth. None: so that the mean index at a minute's wait is a minute.
        slope, head_start_s: the ranges declared.
    """

    costs: Mapping[object, Marginal]
    handle_s: Mapping[object, float]
    scale: float | None = None
    slope: tuple[float, float] = (0.0, 100.0)
    head_start_s: tuple[float, float] = (-3600.0, 3600.0)

    def controller(self, *, period_s: float = 1.0) -> Controller:
        """The controller."""
        ranges = {rule: Range(slope=self.slope, head_start_s=self.head_start_s) for rule in self.costs}
        rates = [1 / self.handle_s[rule] for rule in self.costs]
        marginals = list(self.costs.values())

        def index(at_s: list[float]) -> NDArray[np.float64]:
            each = [rate * cost(wait) for rate, cost, wait in zip(rates, marginals, at_s, strict=True)]
            return np.array(each, np.float64)

        minute = float(index([60.0] * len(marginals)).mean())
        scale = self.scale if self.scale is not None else 60.0 / minute if minute else 1.0

        def steer(state: State) -> Steering:
            waits = state.oldest_wait_s()
            before = np.maximum(waits - _STEP_S, 0.0)
            after = waits + _STEP_S
            rise = (index(after.tolist()) - index(before.tolist())) / (after - before)
            slope = state.clip("slope", scale * rise)
            head_start = state.clip("head_start_s", scale * index(waits.tolist()) - slope * waits)
            return Steering(head_start_s=head_start, slope=slope)

        return Controller(steer, ranges, period_s)


@dataclass(frozen=True, slots=True)
class FixedQueueRatio:
    """Serve the queue that is furthest above its share: the greatest Qₖ − pₖ·Q, Q = ΣQₖ. So queues keep to shares pₖ.

    I. Gurvich and W. Whitt, "Queue-and-idleness-ratio controls in many-server service systems", Mathematics of
    Operations Research 34(2), 2009, 363–396; and "Service-level differentiation in many-server service systems via
    queue-ratio routing", Operations Research 58(2), 2010, 316–328: with waits aimed at wₖ, pₖ ∝ λₖ·wₖ.

    A head start takes the place of the wait of the first in line: −wₖ + span·(Qₖ − pₖ·Q) ÷ max(Q, 1). It moves once a
    period, so between two looks the order within it is that of arrival.

    Args:
        shares: pₖ of each rule, of the first layer usually; they are scaled to sum 1.
        span_s: what the whole backlog in one queue is worth, s.
        head_start_s: the range declared.
    """

    shares: Mapping[object, float]
    span_s: float = 600.0
    head_start_s: tuple[float, float] = (-7200.0, 7200.0)

    def controller(self, *, period_s: float = 1.0) -> Controller:
        """The controller."""
        ranges = {rule: Range(head_start_s=self.head_start_s) for rule in self.shares}
        shares = np.array(list(self.shares.values()), np.float64)
        shares = shares / shares.sum()

        def steer(state: State) -> Steering:
            waiting = state.waiting()
            above = (waiting - shares * waiting.sum()) / max(waiting.sum(), 1.0)
            return Steering(head_start_s=state.clip("head_start_s", self.span_s * above - state.oldest_wait_s()))

        return Controller(steer, ranges, period_s)
