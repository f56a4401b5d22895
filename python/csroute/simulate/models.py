"""Simple models in few lines: one class, one group; or tables of classes and groups, and who may serve whom.

>>> from csroute import simulate
>>> result = simulate.run(*simulate.queue(arrivals_per_s=0.05, handle_s=60.0, agents=4, hours=50.0), seed=1)
>>> abs(result.summary()["p_wait"].mean - 0.51) < 0.05  # Erlang C says 0.509
True
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from csroute.simulate.draws import Distribution, Exponential, Never
from csroute.simulate.roster import Roster, team
from csroute.simulate.workload import Kind, Workload
from csroute.v1 import policy_pb2 as pb

__all__ = ["CHANNEL", "Class", "Model", "network", "queue"]

Model: TypeAlias = tuple[bytes, Workload, Roster]
"""What `run` takes."""

CHANNEL = "phone"
_ORDERS = {
    "longest_idle": pb.AGENT_ORDER_LONGEST_IDLE,
    "round_robin": pb.AGENT_ORDER_ROUND_ROBIN,
    "spare_generalists": pb.AGENT_ORDER_SPARE_GENERALISTS,
}


@dataclass(frozen=True)
class Class:
    """Tickets alike. groups: who may serve them. target_s: if each class has one, the earliest deadline goes first."""

    arrivals_per_s: float
    handle: Distribution
    groups: Sequence[str]
    patience: Distribution = Never()  # noqa: RUF009 - a value
    head_start_s: float = 0.0
    slope: float = 1.0
    target_s: float | None = None


def queue(
    *, arrivals_per_s: float, handle_s: float, agents: int, patience_s: float | None = None, hours: float = 24.0
) -> Model:
    """One class, one group, everything exponential: `simulate.run(*queue(…))`."""
    patience = Never() if patience_s is None else Exponential(patience_s)
    only = Class(arrivals_per_s, Exponential(handle_s), ["agents"], patience)
    return network({"calls": only}, {"agents": agents}, hours=hours)


def network(
    classes: Mapping[str, Class], groups: Mapping[str, int], *, hours: float = 24.0, order: str = "longest_idle"
) -> Model:
    """Classes and groups by name, one ticket an agent at a time: policy, workload and roster.

    First come, first served, but for head starts, slopes and targets; `order` says which of several free agents it is.
    """
    tables = pb.CompiledPolicy(
        format=1,
        name="model",
        channels=[pb.ChannelTable(name=CHANNEL, cost=1, limit=1)],
        attributes=[pb.AttributeTable(name="class", required=True, values=list(classes))],
        clocks=[pb.ClockTable(name="answer", starts="arrival", stops="assignment", hard=True)],
        answer_target_ms=20_000,
    )
    rules = [_rule(name, one, order) for name, one in classes.items()]
    tables.layers.add(name="who", rules=[*rules, pb.RuleTable(name="rest", effects=pb.Effects())])
    kinds = [
        Kind(CHANNEL, {"class": name}, one.arrivals_per_s, one.handle, one.patience) for name, one in classes.items()
    ]
    rate = sum(one.arrivals_per_s for one in classes.values())
    workload = Workload("model", kinds, [(0.0, rate)], hours * 3600.0, segments=("class",))
    roster = Roster([])
    for group, size in groups.items():
        roster += team(size, group, {group: 1}, capacity=1)
    return tables.SerializeToString(deterministic=True), workload, roster


def _rule(name: str, one: Class, order: str) -> pb.RuleTable:
    needs = pb.NeedsTable(groups=[pb.NeedGroup(any_of=[pb.Need(skill=group, level=1) for group in one.groups])])
    effects = pb.Effects(
        needs=needs,
        head_start_ms=round(one.head_start_s * 1000),
        slope_milli=round(one.slope * 1000),
        order=[_ORDERS[order]],
    )
    if one.target_s is not None:
        target_ms = max(1, round(one.target_s * 1000))  # a clock runs for at least a millisecond
        effects.clocks.add(clock="answer", mode=pb.ClockUse.MODE_WITHIN, target_ms=target_ms)
        effects.by_deadline.CopyFrom(pb.ByDeadline(clock="answer", otherwise_ms=0))
    when = pb.Condition(test=pb.Test(attribute="class", op=pb.Test.OP_IN, values=[name]))
    return pb.RuleTable(name=name, when=when, effects=effects)
