"""What happened, and why: one `Event` with the kind of its own. Documented field by field in `event.proto`.

>>> from csroute.v1 import event_pb2
>>> message = event_pb2.Event(sequence=7, ticket="t1", cancelled=event_pb2.Cancelled(reason="left"))
>>> match Event.from_wire(message):
...     case Event(ticket=ticket, kind=Cancelled(reason=reason)):
...         print(ticket, reason)
t1 left
"""

from dataclasses import dataclass
from enum import IntEnum

from csroute.types.agents import Presence
from csroute.types.mirror import Mirror, Unknown
from csroute.v1 import event_pb2 as pb

__all__ = [
    "AgentRemoved",
    "AgentSuperseded",
    "AgentUpserted",
    "AllDeclined",
    "Assigned",
    "Cancelled",
    "ClassCause",
    "Classified",
    "ClockBreached",
    "ClockPaused",
    "ClockResumed",
    "ClockStopped",
    "ClockWarned",
    "Closed",
    "Completed",
    "ConditionTurned",
    "Event",
    "EventBatch",
    "EventKind",
    "ExclusionEnded",
    "HoldEnded",
    "Marked",
    "MatchReason",
    "Measure",
    "NodeResumed",
    "Offered",
    "Overflowed",
    "PolicyInstalled",
    "PresenceCause",
    "PresenceChanged",
    "QueueCause",
    "Queued",
    "Resumed",
    "Scheduled",
    "SessionEnded",
    "SessionOpened",
    "StepTaken",
    "Suspended",
    "Transferred",
    "Updated",
]


class QueueCause(IntEnum):
    """Why a ticket waits (again)."""

    UNSPECIFIED = 0
    ARRIVED = 1
    DECLINED = 2
    EXPIRED = 3
    AGENT_LEFT = 4
    AGENT_LOST = 5
    TRANSFERRED = 6


class ClassCause(IntEnum):
    """Why a ticket's class changed."""

    UNSPECIFIED = 0
    UPDATED = 1
    STEP = 2
    MOVED = 3
    INSTALLED = 4


class Measure(IntEnum):
    """What a queue's condition measures: waiting tickets, or the oldest wait in ms."""

    UNSPECIFIED = 0
    LENGTH = 1
    OLDEST_WAIT = 2


class PresenceCause(IntEnum):
    """Why an agent's presence changed."""

    UNSPECIFIED = 0
    COMMAND = 1
    LEASE = 2
    EXPIRED_OFFER = 3
    CLOSED = 4
    REMOVED = 5


@dataclass(frozen=True, slots=True)
class MatchReason(Mirror[pb.MatchReason]):
    """Why this agent for this ticket: urgency = slope × (seniority + boost) + head start + fit, in µs × thousandths.

    `candidates`: how many agents could have taken it then; 0 for a supervisor's own choice.
    """

    step: int
    urgency_milli_us: int
    slope_milli: int
    seniority_us: int
    head_start_ms: int
    fit_ms: int
    boost_ms: int
    candidates: int
    preferred: bool
    supervisor: bool


@dataclass(frozen=True, slots=True)
class Scheduled(Mirror[pb.Scheduled]):
    """Waits for its not-before time."""

    not_before_us: int


@dataclass(frozen=True, slots=True)
class Queued(Mirror[pb.Queued]):
    """Waits (again)."""

    cause: QueueCause
    reason: str


@dataclass(frozen=True, slots=True)
class Classified(Mirror[pb.Classified]):
    """Its class changed."""

    cause: ClassCause


@dataclass(frozen=True, slots=True)
class Updated(Mirror[pb.Updated]):
    """Its attributes were updated."""

    revision: int


@dataclass(frozen=True, slots=True)
class StepTaken(Mirror[pb.StepTaken]):
    """A routing step was taken, the first is 1; `alert` names who is to be told."""

    step: int
    alert: str


@dataclass(frozen=True, slots=True)
class Offered(Mirror[pb.Offered]):
    """Held for an agent until `expires_us`."""

    expires_us: int
    reason: MatchReason
    context: bytes


@dataclass(frozen=True, slots=True)
class Assigned(Mirror[pb.Assigned]):
    """An agent has it. `reason` is None when an offer was accepted: Offered carried it."""

    reason: MatchReason | None
    context: bytes
    agent_context: bytes
    waited_ms: int


@dataclass(frozen=True, slots=True)
class Completed(Mirror[pb.Completed]):
    """The work is done; wrap-up ends at `wrap_up_until_us`, 0: there is none."""

    outcome: str
    wrap_up_until_us: int


@dataclass(frozen=True, slots=True)
class Closed(Mirror[pb.Closed]):
    """Ended after work."""

    outcome: str


@dataclass(frozen=True, slots=True)
class Cancelled(Mirror[pb.Cancelled]):
    """Ended before work."""

    reason: str


@dataclass(frozen=True, slots=True)
class Overflowed(Mirror[pb.Overflowed]):
    """Left for elsewhere."""

    to: str


@dataclass(frozen=True, slots=True)
class Suspended(Mirror[pb.Suspended]):
    """Its customer's connection is down; cancelled at `until_us`."""

    until_us: int


@dataclass(frozen=True, slots=True)
class Resumed(Mirror[pb.Resumed]):
    """Its customer is back."""


@dataclass(frozen=True, slots=True)
class Transferred(Mirror[pb.Transferred]):
    """To one of: an agent, a queue, a requirement."""

    agent: str
    queue: str
    requirement: bool


@dataclass(frozen=True, slots=True)
class Marked(Mirror[pb.Marked]):
    """A moment came."""

    moment: str


@dataclass(frozen=True, slots=True)
class ClockWarned(Mirror[pb.ClockWarned]):
    """A warning point was reached, the first is 0."""

    clock: str
    point: int


@dataclass(frozen=True, slots=True)
class ClockBreached(Mirror[pb.ClockBreached]):
    """The target was missed."""

    clock: str


@dataclass(frozen=True, slots=True)
class ClockStopped(Mirror[pb.ClockStopped]):
    """The clock's stop moment came."""

    clock: str
    elapsed_ms: int
    met: bool


@dataclass(frozen=True, slots=True)
class ClockPaused(Mirror[pb.ClockPaused]):
    """The clock stands still."""

    clock: str


@dataclass(frozen=True, slots=True)
class ClockResumed(Mirror[pb.ClockResumed]):
    """The clock runs again."""

    clock: str


@dataclass(frozen=True, slots=True)
class AllDeclined(Mirror[pb.AllDeclined]):
    """Everyone who could take it has declined: the declines are lifted."""


@dataclass(frozen=True, slots=True)
class ExclusionEnded(Mirror[pb.ExclusionEnded]):
    """A decline's exclusion ran out."""


@dataclass(frozen=True, slots=True)
class HoldEnded(Mirror[pb.HoldEnded]):
    """It waits for its preferred agent alone no longer."""


@dataclass(frozen=True, slots=True)
class AgentUpserted(Mirror[pb.AgentUpserted]):
    """A new agent, or a new spec."""


@dataclass(frozen=True, slots=True)
class AgentRemoved(Mirror[pb.AgentRemoved]):
    """The agent is not known any more."""


@dataclass(frozen=True, slots=True)
class PresenceChanged(Mirror[pb.PresenceChanged]):
    """The agent takes work, or takes none, and why."""

    presence: Presence
    reason: str
    cause: PresenceCause


@dataclass(frozen=True, slots=True)
class SessionOpened(Mirror[pb.SessionOpened]):
    """An agent gateway's session opened."""

    session: str
    lease_until_us: int


@dataclass(frozen=True, slots=True)
class SessionEnded(Mirror[pb.SessionEnded]):
    """Its lease ended, or it was closed."""

    session: str
    expired: bool


@dataclass(frozen=True, slots=True)
class AgentSuperseded(Mirror[pb.AgentSuperseded]):
    """The agent belongs to a newer session."""

    old_session: str
    new_session: str


@dataclass(frozen=True, slots=True)
class PolicyInstalled(Mirror[pb.PolicyInstalled]):
    """Another policy decides from now on."""

    name: str
    reclassified: int


@dataclass(frozen=True, slots=True)
class NodeResumed(Mirror[pb.NodeResumed]):
    """The node came back; leases and offers live at least the grace."""

    grace_ms: int


@dataclass(frozen=True, slots=True)
class ConditionTurned(Mirror[pb.ConditionTurned]):
    """A queue's condition is on, or off again. `reserve`: the one that it opens; `queues`: those measured."""

    reserve: str
    queues: tuple[str, ...]
    measure: Measure
    over: int
    until: int
    on: bool


EventKind = (
    Scheduled
    | Queued
    | Classified
    | Updated
    | StepTaken
    | Offered
    | Assigned
    | Completed
    | Closed
    | Cancelled
    | Overflowed
    | Suspended
    | Resumed
    | Transferred
    | Marked
    | ClockWarned
    | ClockBreached
    | ClockStopped
    | ClockPaused
    | ClockResumed
    | AllDeclined
    | ExclusionEnded
    | HoldEnded
    | AgentUpserted
    | AgentRemoved
    | PresenceChanged
    | SessionOpened
    | SessionEnded
    | AgentSuperseded
    | PolicyInstalled
    | NodeResumed
    | ConditionTurned
    | Unknown
)


@dataclass(frozen=True, slots=True)
class Event(Mirror[pb.Event]):
    """One event, whole in itself. `sequence` rises by one per tenant; `at_us`: Unix µs; empty text: concerns none."""

    sequence: int
    at_us: int
    policy_version: int
    ticket: str
    source: str
    queue: str
    ticket_class: int
    agent: str
    session: str
    attempt: int
    kind: EventKind


@dataclass(frozen=True, slots=True)
class EventBatch(Mirror[pb.WatchReply]):
    """Events in order. `sequence` is the resume token: everything up to here was seen."""

    events: tuple[Event, ...]
    sequence: int
