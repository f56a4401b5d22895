"""The Double-11 day, and the people who work it; built from `csroute.presets.double11_workload`.

`double11`: arrivals scaled to the people, so that service levels mean something: the 10–18 h plateau loads those
present to 95 %, the peaks overload them. `double11-raw`: the arrivals as they are, a million a minute at the peak,
against half of all heads: the backlog grows whatever the router does; it measures the machine, not the service.

>>> from csroute.simulate.presets import double11, double11_roster
>>> day = double11()
>>> round(day.expected / 1e6, 2), len(double11_roster().agents)
(3.25, 16668)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import islice

from csroute.presets import double11_workload as night
from csroute.simulate.draws import Exponential, Fixed, LogNormal
from csroute.simulate.roster import AgentPlan, Conduct, Roster
from csroute.simulate.workload import Kind, Workload

__all__ = ["WORKLOADS", "double11", "double11_raw", "double11_roster"]

_KINDS = 16_384
CUSTOMERS_MAX = 100_000
"""Of so many customers one is back when a ticket is a repeat contact (as in `double11_workload.tickets`)."""
_DAY_S = 86_400.0
_SHIFTS = 3
RAW_PEAK_PER_MIN = 1_000_000
RAW_SCALE = 3.0
"""So many times the people of `double11`: 50,000 heads in three shifts."""
FIRST_REPLY_S = 10.0
ANSWER_S = 2.0
"""Mean seconds until an offer is answered, and from there to the first reply (assumed)."""


def double11(scale: float = 1.0) -> Workload:
    """The day, for `scale` times the usual people: `double11_roster(scale)`."""
    present = night.roster(scale)
    curve = [(float(start), night.arrivals_per_s(start, present)) for start, _ in night.CURVE]
    return Workload("double11", _kinds(), curve, _DAY_S, customers_max=CUSTOMERS_MAX)


def double11_raw(scale: float = 1.0) -> Workload:
    """The day as it is, 306 million tickets; `scale`: a part of it, for `double11_roster(3 × scale)`."""
    curve = [(float(start), share * RAW_PEAK_PER_MIN / 60 * scale) for start, share in night.CURVE]
    return Workload("double11-raw", _kinds(), curve, _DAY_S, customers_max=CUSTOMERS_MAX)


def double11_roster(scale: float = 1.0) -> Roster:
    """Three shifts of eight hours: a third is there at a time. No breaks: they would load the others more."""
    conduct = Conduct(answer=Exponential(ANSWER_S))
    length = _DAY_S / _SHIFTS
    agents = [
        AgentPlan(
            f"{agent.id}-{shift}",
            agent.group,
            dict(agent.skills),
            agent.capacity,
            dict.fromkeys(agent.channels, 0),
            [(shift * length, (shift + 1) * length)],
            conduct=conduct,
        )
        for shift in range(_SHIFTS)
        for agent in night.roster(scale)
    ]
    return Roster(agents)


def _kinds() -> list[Kind]:
    """What tickets say, each combination once, in the shares in which they come."""
    samples = islice(night.tickets(seed=11, kinds_max=_KINDS), _KINDS)
    shares = Counter((sample.channel, tuple(sample.attributes.items())) for sample in samples)
    plain = Kind(
        "",
        handle=LogNormal(night.HANDLE_MEAN_S, night.HANDLE_SIGMA),
        patience=Exponential(night.PATIENCE_MEAN_S),
        marks={"first_reply": Exponential(FIRST_REPLY_S)},
    )
    kinds = []
    for (channel, pairs), share in shares.items():
        attributes = dict(pairs)
        marks = {**plain.marks, "refund_paid": Fixed(_DAY_S)} if attributes.get("topic") == "refund" else plain.marks
        category = attributes.get("category", "")
        kinds.append(
            replace(
                plain,
                channel=channel,
                attributes=attributes,
                share=float(share),
                category=category,
                marks=marks,
                known=attributes.get("contact") == "repeat",
            )
        )
    return kinds


WORKLOADS: dict[str, tuple[Callable[[float], Workload], Callable[[float], Roster]]] = {
    "double11": (double11, double11_roster),
    "double11-raw": (double11_raw, lambda scale: double11_roster(scale * RAW_SCALE)),
}
"""By name: the workload and its people, both at a scale."""
