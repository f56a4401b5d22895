"""A workload, a roster and a seed as the core reads them: one JSON text, tables that refer to each other by place."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from csroute.v1 import policy_pb2

if TYPE_CHECKING:
    from csroute.simulate.draws import Distribution
    from csroute.simulate.roster import AgentPlan, Roster
    from csroute.simulate.workload import Kind, Workload

__all__ = ["INTERVAL_S", "forgetful", "kinds_with_returns", "setup_json"]

INTERVAL_S = 900.0
_MICROS = 1_000_000
_FOREVER_S = 1e9
_YEAR_MS = 31_536_000_000


class _Table:
    """Distributions, each once."""

    def __init__(self) -> None:
        self.rows: list[Any] = []
        self._places: dict[Distribution, int] = {}

    def place(self, distribution: Distribution) -> int:
        if distribution not in self._places:
            self._places[distribution] = len(self.rows)
            self.rows.append(distribution.wire())
        return self._places[distribution]


def forgetful(policy: bytes) -> bytes:
    """The same policy, but few ended tickets are remembered: no decision reads them, and memory stays near."""
    tables = policy_pb2.CompiledPolicy.FromString(policy)
    tables.limits.closed_max, tables.limits.closed_keep_ms = 1024, _YEAR_MS
    return tables.SerializeToString(deterministic=True)


def kinds_with_returns(workload: Workload) -> tuple[list[Kind], list[int]]:
    """The workload's kinds, then those that customers return as; and for each as which one they return."""
    kinds = list(workload.kinds)
    returns = list(range(len(kinds)))
    for place, kind in enumerate(workload.kinds):
        if kind.again and kind.again.attributes:
            returns[place] = len(kinds)
            returns.append(len(kinds))
            kinds.append(replace(kind, attributes={**kind.attributes, **kind.again.attributes}))
    return kinds, returns


def setup_json(workload: Workload, roster: Roster, *, seed: int, end_s: float, trace: bool = False) -> str:
    """What `_csroute.Simulation` is told. `end_s`: hours are counted by interval until then."""
    table = _Table()
    kinds, returns = kinds_with_returns(workload)
    categories = list(dict.fromkeys(kind.category for kind in kinds))
    groups = {group: place for place, group in enumerate(roster.groups)}
    conducts: dict[str, int] = {}
    rows: list[dict[str, Any]] = []
    paces: list[list[float]] = []
    agents = []
    for agent in roster.agents:
        row = _conduct(agent, table)
        pace = [roster.pace(agent, category) for category in categories]
        key = json.dumps([row, pace])
        if key not in conducts:
            conducts[key] = len(rows)
            rows.append(row)
            paces.append(pace)
        agents.append(_agent(agent, groups[agent.group], conducts[key]))
    setup = {
        "seed": seed,
        "start_us": round(workload.start.timestamp() * _MICROS),
        "interval_us": round(INTERVAL_S * _MICROS),
        "intervals": max(1, -(-round(end_s * _MICROS) // round(INTERVAL_S * _MICROS))),
        "kinds": [
            _kind(kind, categories.index(kind.category), back, table) for kind, back in zip(kinds, returns, strict=True)
        ],
        "groups": len(groups),
        "conducts": rows,
        "agents": agents,
        "pace": [[pace[category] for pace in paces] for category in range(len(categories))],
        "distributions": table.rows,
        "trace": trace,
    }
    return json.dumps(setup)


def _kind(kind: Kind, category: int, back: int, table: _Table) -> dict[str, Any]:
    row: dict[str, Any] = {
        "channel": kind.channel,
        "attributes": [
            (name, value, round(1000 * kind.confidence.get(name, 1.0))) for name, value in kind.attributes.items()
        ],
        "skills": list(kind.skills.items()),
        "category": category,
        "work": table.place(kind.handle),
        "patience": table.place(kind.patience),
        "transfer": kind.transfer,
        "transfer_to": kind.transfer_to,
        "marks": [(moment, table.place(after)) for moment, after in kind.marks.items()],
        "again_kind": back,
    }
    if kind.again:
        row |= {
            "again": kind.again.answered,
            "again_abandoned": kind.again.abandoned,
            "again_after": table.place(kind.again.after),
            "again_same_agent": kind.again.same_agent,
        }
    return row


def _conduct(agent: AgentPlan, table: _Table) -> dict[str, Any]:
    conduct = agent.conduct
    return {
        "answer": None if conduct.answer is None else table.place(conduct.answer),
        "decline": conduct.decline,
        "miss": conduct.miss,
        "wrap_up": None if conduct.wrap_up is None else table.place(conduct.wrap_up),
        "back_after_us": round(conduct.back_after_s * _MICROS),
    }


def _agent(agent: AgentPlan, group: int, conduct: int) -> dict[str, Any]:
    return {
        "id": agent.id,
        "skills": list(agent.skills.items()),
        "capacity": agent.capacity,
        "channels": list(agent.channels.items()),
        "group": group,
        "conduct": conduct,
        "shifts": [_span(span) for span in agent.shifts],
        "breaks": [_span(span) for span in agent.breaks],
    }


def _span(span: tuple[float, float]) -> tuple[int, int]:
    return round(span[0] * _MICROS), round(min(span[1], _FOREVER_S) * _MICROS)
