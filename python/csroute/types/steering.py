"""What holds a queue up, the live state as tables, and steering. Documented in `explain.proto` and `live.proto`.

>>> RuleTuning("Rank", "vip", head_start_ms=90_000).to_wire().HasField("slope_milli")
False
"""

from dataclasses import dataclass

from csroute.types.mirror import Mirror
from csroute.v1 import explain_pb2, live_pb2

__all__ = [
    "AgentCounts",
    "Live",
    "LiveLine",
    "LiveProfile",
    "LiveRequirement",
    "LiveRule",
    "QueueExplanation",
    "QueueInterval",
    "QueueLine",
    "QueueReserve",
    "RuleTuning",
]


@dataclass(frozen=True, slots=True)
class AgentCounts(Mirror[explain_pb2.AgentCounts]):
    """Logged-in agents, by what keeps them from tickets now: the first that holds, in this order."""

    skill: int
    reserve: int
    presence: int
    channel: int
    wrap_up: int
    channel_limit: int
    capacity: int
    free: int


@dataclass(frozen=True, slots=True)
class QueueLine(Mirror[explain_pb2.QueueLine]):
    """One class of a queue at one step. `held`: suspended, or for one agent. Times in ms."""

    ticket_class: int
    class_path: str
    step: int
    waiting: int
    held: int
    oldest_wait_ms: int
    needs: tuple[str, ...]
    none_of: tuple[str, ...]
    agents: AgentCounts


@dataclass(frozen=True, slots=True)
class QueueReserve(Mirror[explain_pb2.QueueReserve]):
    """A reserve, as it stands for a queue: `over`, `until` and `measured` are ms if `oldest_wait`, else tickets."""

    reserve: str
    skill: str
    level: int
    for_queue: bool
    open: bool
    oldest_wait: bool
    over: int
    until: int
    measured: int
    opens_at_us: int
    agents: int


@dataclass(frozen=True, slots=True)
class QueueInterval(Mirror[explain_pb2.QueueInterval]):
    """What went through a queue in an interval; Unix µs."""

    begins_us: int
    ends_us: int
    arrived: int
    answered: int
    completed: int
    abandoned: int
    overflowed: int


@dataclass(frozen=True, slots=True)
class QueueExplanation(Mirror[explain_pb2.ExplainQueueReply]):
    """What holds a queue up. Printed, it is the bottleneck in words, and what would help."""

    queue: str
    waiting: int
    held: int
    oldest_wait_ms: int
    lines: tuple[QueueLine, ...]
    lines_left: int
    agents: AgentCounts
    reserves: tuple[QueueReserve, ...]
    flow: tuple[QueueInterval, ...]
    expected_wait_ms: int
    clears_in_ms: int
    policy_version: int
    sequence: int
    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class LiveLine(Mirror[live_pb2.LiveLine]):
    """The waiting tickets of one class at one step; `rules` are places in `Live.rules`. Times in ms."""

    ticket_class: int
    queue: str
    channel: str
    step: int
    waiting: int
    held: int
    oldest_wait_ms: int
    arrived: int
    answered: int
    head_start_ms: int
    slope_milli: int
    boost_ms: int
    cost: int
    rules: tuple[int, ...]
    requirement: int


@dataclass(frozen=True, slots=True)
class LiveRule(Mirror[live_pb2.LiveRule]):
    """A rule's name."""

    layer: str
    rule: str


@dataclass(frozen=True, slots=True)
class LiveRequirement(Mirror[live_pb2.LiveRequirement]):
    """What lines ask: the numbers of the profiles that meet it."""

    number: int
    profiles: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class LiveProfile(Mirror[live_pb2.LiveProfile]):
    """Logged-in agents of one profile; `free`: available, with a free unit."""

    number: int
    agents: int
    available: int
    free: int
    units_used: int
    units_total: int


@dataclass(frozen=True, slots=True)
class Live(Mirror[live_pb2.GetLiveReply]):
    """The live state as tables: lines of the current policy, what they ask, profiles of agents."""

    rules: tuple[LiveRule, ...]
    lines: tuple[LiveLine, ...]
    requirements: tuple[LiveRequirement, ...]
    profiles: tuple[LiveProfile, ...]
    now_us: int
    policy_version: int
    tuned_until_us: int
    sequence: int


@dataclass(frozen=True, slots=True)
class RuleTuning(Mirror[live_pb2.RuleTuning]):
    """New figures of one rule; None: as the policy says. Head starts in ms, slopes and fit weights in thousandths."""

    layer: str
    rule: str
    head_start_ms: int | None = None
    slope_milli: int | None = None
    fit_milli: int | None = None
