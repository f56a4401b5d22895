"""What figures are told of: the policy's clocks and promises, the workload's kinds, the roster's groups."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from csroute.policy import version
from csroute.policy.durations import Duration
from csroute.simulate.setup import kinds_with_returns
from csroute.v1 import policy_pb2

if TYPE_CHECKING:
    import numpy.typing as npt

    from csroute.simulate.roster import Roster
    from csroute.simulate.workload import Kind, Workload

__all__ = ["Scene"]


@dataclass(frozen=True)
class Scene:
    """Everything that a run has in common with its replications."""

    policy_name: str
    policy_version: int
    workload: Workload
    roster: Roster
    kinds: list[Kind]
    clocks: list[str]
    answer_clocks: list[int]
    """Those that run from arrival to an answer, by place: the service level is by these, where a ticket has one."""
    targets: dict[str, str]
    """By clock: the policy's targets for it, in words."""
    answer_target_s: float
    short_abandon_s: float
    queues: list[str]
    """The first layer's rules, and "" for tickets that were refused or never ended."""
    groups: list[str]
    group_of_agent: npt.NDArray[np.int64]
    cuts: dict[str, tuple[list[str], npt.NDArray[np.int64]]]
    """By attribute, or "channel": its values, and which one each kind has. The last value is "" for none."""
    units: npt.NDArray[np.float64]
    """By kind: units of capacity a ticket holds, by its channel."""
    work_s: npt.NDArray[np.float64]
    """By kind: mean handle time, before anybody's pace."""

    @classmethod
    def of(cls, compiled: bytes, workload: Workload, roster: Roster, label: str = "") -> Scene:
        """Reads a compiled policy's tables; `label` in place of its name."""
        tables = policy_pb2.CompiledPolicy.FromString(compiled)
        kinds, _ = kinds_with_returns(workload)
        groups = roster.groups
        answers = {"assignment", "first_reply"}
        cuts = {"channel": _codes([kind.channel for kind in kinds])}
        for name in workload.segments:
            cuts[name] = _codes([kind.attributes.get(name, "") for kind in kinds])
        cost = {channel.name: channel.cost for channel in tables.channels}
        return cls(
            policy_name=label or tables.name,
            policy_version=version(compiled),
            workload=workload,
            roster=roster,
            kinds=kinds,
            clocks=[clock.name for clock in tables.clocks],
            answer_clocks=[
                place
                for place, clock in enumerate(tables.clocks)
                if clock.starts == "arrival" and clock.stops in answers
            ],
            targets=_targets(tables),
            answer_target_s=tables.answer_target_ms / 1000,
            short_abandon_s=tables.short_abandon_ms / 1000,
            queues=[*(rule.name for rule in tables.layers[0].rules), ""],
            groups=groups,
            group_of_agent=np.array([groups.index(agent.group) for agent in roster.agents], dtype=np.int64),
            cuts=cuts,
            units=np.array([cost.get(kind.channel, 0) for kind in kinds], dtype=np.float64),
            work_s=np.array([kind.handle.mean_s for kind in kinds], dtype=np.float64),
        )

    @property
    def capacity_unit_s(self) -> float:
        """Units × seconds that the roster offers in the workload's time, breaks taken off."""
        length = self.workload.length_s

        def inside(spans: object) -> float:
            return math.fsum(max(0.0, min(to, length) - max(start, 0.0)) for start, to in spans)  # type: ignore[attr-defined]

        return math.fsum(agent.capacity * (inside(agent.shifts) - inside(agent.breaks)) for agent in self.roster.agents)


def _targets(tables: policy_pb2.CompiledPolicy) -> dict[str, str]:
    found: dict[str, set[int]] = {clock.name: set() for clock in tables.clocks}
    for rule in [rule for layer in tables.layers for rule in layer.rules]:
        for use in rule.effects.clocks:
            found[use.clock].add(use.target_ms)
    for use in tables.defaults.clocks:
        found[use.clock].add(use.target_ms)
    return {name: " / ".join(str(Duration(ms)) for ms in sorted(each - {0})) for name, each in found.items()}


def _codes(values: list[str]) -> tuple[list[str], npt.NDArray[np.int64]]:
    names = list(dict.fromkeys(values))
    return names, np.array([names.index(value) for value in values], dtype=np.int64)
