"""What the demo is going to play: its options, its two halves, and the load that each puts on its people.

>>> plan = plan_night(seconds=15.0)
>>> plan.window_s, plan.compression
(900.0, 60.0)
>>> plan_night(seconds=3.0).window_s, plan_night(seconds=90.0).compression  # shorter: less of it; longer: slower
(180.0, 10.0)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from google.protobuf.descriptor import FieldDescriptor

from csroute.presets import double11_workload as workload
from csroute.types import AgentSpec, Ticket
from csroute.v1 import policy_pb2

if TYPE_CHECKING:
    from google.protobuf.message import Message

__all__ = ["Night", "Options", "Throughput", "agents_of", "compressed", "new_ticket", "plan_night", "plan_throughput"]

NIGHT_S: Final = 15 * 60.0
"""00:00–00:15: five minutes at the peak, ten at six tenths of it."""
COMPRESSION_MAX: Final = 60.0
_NIGHT_SHARE: Final = 0.6
"""Of the seconds played: the second half's."""
_NOT_COMPRESSED: Final = {"closed_keep_ms"}  # how long the server remembers is no part of the night


@dataclass(frozen=True)
class Options:
    """What may be chosen. `seconds`: both halves together. `rate_per_min`: tickets offered in the first half."""

    seconds: float = 25.0
    seed: int = 11
    rate_per_min: int = 2_000_000
    batch: int = 256
    gateways: int = 2
    desktops: int = 2
    night_scale: float = 0.05

    @property
    def night_seconds(self) -> float:
        """The second half's share: all 15 minutes at 60 times the speed, if there is time for it."""
        return self.seconds * _NIGHT_SHARE


@dataclass(frozen=True)
class Throughput:
    """The first half: tickets are completed at once."""

    seconds: float
    rate_per_min: int
    batch: int
    agents: int
    places: int
    """Tickets that all agents can hold at a time."""
    turnaround_s: float
    """How long a ticket is held here, at most, if the desktops keep up: an assumption, for the line below alone."""

    @property
    def load(self) -> float:
        """Offered load ÷ capacity."""
        return self.rate_per_min / 60 * self.turnaround_s / self.places


@dataclass(frozen=True)
class Night:
    """The second half: the night, so many times faster than life."""

    seconds: float
    window_s: float
    compression: float
    scale: float
    agents: int
    places: int
    capacity_per_min: float
    """Tickets that the people present can finish, a minute of the night."""
    offered: tuple[tuple[float, float], ...]
    """(from second, tickets a minute of the night)."""

    @property
    def load(self) -> float:
        """Offered load ÷ capacity, over the window."""
        ends = [start for start, _ in self.offered[1:]] + [self.window_s]
        arrivals = sum(rate * (end - start) for (start, rate), end in zip(self.offered, ends, strict=True))
        return arrivals / (self.capacity_per_min * self.window_s)


def plan_throughput(options: Options) -> Throughput:
    """The first half of these options."""
    people = workload.roster()
    return Throughput(
        seconds=options.seconds - options.night_seconds,
        rate_per_min=options.rate_per_min,
        batch=options.batch,
        agents=len(people),
        places=_places(people),
        turnaround_s=0.02,
    )


def plan_night(seconds: float, scale: float = 0.05) -> Night:
    """The night in so many seconds: all of it if they suffice, never faster than `COMPRESSION_MAX`."""
    window_s = min(NIGHT_S, seconds * COMPRESSION_MAX)
    people = workload.roster(scale)
    starts = [start for start, _ in workload.CURVE if start < window_s]
    return Night(
        seconds=seconds,
        window_s=window_s,
        compression=window_s / seconds,
        scale=scale,
        agents=len(people),
        places=_places(people),
        capacity_per_min=60 * workload.capacity_per_s(people),
        offered=tuple((start, 60 * workload.arrivals_per_s(start, people)) for start in starts),
    )


def agents_of(scale: float, part: int = 0, parts: int = 1) -> list[AgentSpec]:
    """One desktop's share of the people present."""
    return [
        AgentSpec(agent.id, dict(agent.skills), agent.capacity, dict.fromkeys(agent.channels, 0))
        for agent in workload.roster(scale)[part::parts]
    ]


def new_ticket(sample: workload.NewTicket, source: str, ticket: str = "") -> Ticket:
    """A ticket of the workload, as a gateway submits it."""
    return Ticket(ticket, sample.channel, sample.customer, source, dict(sample.attributes))


def compressed(policy: bytes, factor: float) -> bytes:
    """The same policy in a life `factor` times faster: every duration divided, so that each decision stays the same.

    Urgency is a sum of durations too: head starts, boosts and fits shrink with the waits they are measured against.
    """
    tables = policy_pb2.CompiledPolicy.FromString(policy)
    _divide(tables, factor)
    return tables.SerializeToString(deterministic=True)


def _divide(message: Message, factor: float) -> None:
    for field, value in message.ListFields():
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            for inner in value if _repeated(field) else (value,):
                _divide(inner, factor)
        elif field.name.endswith("_ms") and field.name not in _NOT_COMPRESSED:
            if _repeated(field):
                value[:] = [_shorter(one, factor) for one in value]
            else:
                setattr(message, field.name, _shorter(value, factor))


def _repeated(field: Any) -> bool:  # noqa: ANN401 (a FieldDescriptor: its stubs differ between versions)
    return bool(field.is_repeated)


def _shorter(duration_ms: int, factor: float) -> int:
    """In whole ms; no duration vanishes."""
    sign = -1 if duration_ms < 0 else 1
    return sign * max(1, round(abs(duration_ms) / factor)) if duration_ms else 0


def _places(people: list[workload.AgentSpec]) -> int:
    return round(workload.capacity_per_s(people) * workload.HANDLE_MEAN_S)
