"""A controller on a `Router`, for tests, notebooks and simulations: one period a call, in this process."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from csroute.controllers.child import answered, declaration
from csroute.controllers.state import Controller, Memory
from csroute.tuning import Ranges, declared, tunings

if TYPE_CHECKING:
    from csroute.router import Router
    from csroute.types import RuleTuning

__all__ = ["InProcess"]


@dataclass(slots=True)
class InProcess:
    """The same state, checks and journaled command as beside a server; what goes wrong is raised."""

    router: Router
    controller: Controller
    _ranges: Ranges = field(init=False)
    _memory: Memory = field(init=False)

    def __post_init__(self) -> None:
        self._ranges = declared(declaration(self.controller))
        self._memory = Memory(self.controller)

    def step(self) -> list[RuleTuning]:
        """One period: what is tuned now. Raises NonsenseError for an answer that cannot be."""
        live = self.router.live().to_wire()
        found = tunings(answered(self.controller, self._memory, live), self._ranges)
        lapse_ms = max(1000, round(3000 * self.controller.period_s))
        self.router.tune(found, lapse_ms=lapse_ms, policy_version=live.policy_version)
        return found
