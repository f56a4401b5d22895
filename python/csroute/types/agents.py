"""Agents, and the actions of their side. Documented field by field in `agent.proto`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from csroute.types.mirror import Mirror
from csroute.types.tickets import TicketState, TicketView
from csroute.v1 import agent_pb2 as pb

__all__ = [
    "Accept",
    "Action",
    "ActionResult",
    "AgentAction",
    "AgentPage",
    "AgentSpec",
    "AgentView",
    "Complete",
    "Decline",
    "EndWrapUp",
    "HeldWork",
    "Login",
    "Mark",
    "PauseClock",
    "Presence",
    "RenewLease",
    "Requirement",
    "ResumeClock",
    "SetPresence",
    "Transfer",
    "WorkOpening",
]


class Presence(IntEnum):
    """Whether an agent takes work."""

    UNSPECIFIED = 0
    AVAILABLE = 1
    AWAY = 2
    DRAINING = 3
    OFFLINE = 4


@dataclass(frozen=True, slots=True)
class AgentSpec(Mirror[pb.AgentSpec]):
    """What an agent is. `skills`: {skill: level 1..100; 0 means 1}. `capacity`: units, 0 means 100.

    `channels`: {channel: tickets at a time, 0 for the policy's limit}; empty: all that the policy lists.
    """

    id: str
    skills: Mapping[str, int] = field(default_factory=dict)
    capacity: int = 0
    channels: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AgentView(Mirror[pb.Agent]):
    """An agent, as a reader sees it. `used`: units held. `tickets`: those that hold them."""

    spec: AgentSpec
    presence: Presence
    reason: str
    session: str
    used: int
    tickets: tuple[str, ...]
    idle_since_us: int
    agent_sequence: int


@dataclass(frozen=True, slots=True)
class AgentPage(Mirror[pb.ListAgentsReply]):
    """A page of agents. `next_page_token` is empty on the last."""

    agents: tuple[AgentView, ...]
    next_page_token: str
    sequence: int


@dataclass(frozen=True, slots=True)
class ActionResult(Mirror[pb.ActionReply]):
    """The answer to an agent's action. `replayed`: the same was answered before. `state`: the ticket's, afterwards."""

    replayed: bool
    state: TicketState | None
    sequence: int


# --- actions: each names the ticket and the attempt, or the agent and its session -----------------------------------


@dataclass(frozen=True, slots=True)
class Login(Mirror[pb.LoginRequest]):
    """The agent belongs to this session now. Presence: available, away or draining."""

    session: str
    agent: str
    presence: Presence = Presence.AVAILABLE
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SetPresence(Mirror[pb.SetPresenceRequest]):
    """Whether the agent takes work, and why."""

    session: str
    agent: str
    presence: Presence
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Accept(Mirror[pb.AcceptRequest]):
    """The agent takes the offer. `context` goes to the ticket's side, at most 1 KiB."""

    ticket: str
    attempt: int
    context: bytes = b""


@dataclass(frozen=True, slots=True)
class Decline(Mirror[pb.DeclineRequest]):
    """The agent refuses the offer, and is excluded for a while."""

    ticket: str
    attempt: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Complete(Mirror[pb.CompleteRequest]):
    """The work is done. An empty outcome means "done"."""

    ticket: str
    attempt: int
    outcome: str = ""
    context: bytes = b""


@dataclass(frozen=True, slots=True)
class Requirement(Mirror[pb.Requirement]):
    """And-ed groups of which one skill each must be met, and skills that must not be: {skill: at least this level}."""

    needs: tuple[Mapping[str, int], ...] = ()
    none_of: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Transfer(Mirror[pb.TransferRequest]):
    """To exactly one of: an agent, a queue, a requirement."""

    ticket: str
    attempt: int
    agent: str = ""
    queue: str = ""
    requirement: Requirement | None = None


@dataclass(frozen=True, slots=True)
class Mark(Mirror[pb.MarkRequest]):
    """A moment came that the policy's clocks name: first_reply, refund_paid, …"""

    ticket: str
    attempt: int
    moment: str


@dataclass(frozen=True, slots=True)
class PauseClock(Mirror[pb.PauseClockRequest]):
    """The clock stands still, as while the customer is asked."""

    ticket: str
    clock: str


@dataclass(frozen=True, slots=True)
class ResumeClock(Mirror[pb.ResumeClockRequest]):
    """The clock runs again."""

    ticket: str
    clock: str


@dataclass(frozen=True, slots=True)
class EndWrapUp(Mirror[pb.EndWrapUpRequest]):
    """The agent has written it up and is free again."""

    ticket: str
    attempt: int


@dataclass(frozen=True, slots=True)
class RenewLease(Mirror[pb.RenewLeaseRequest]):
    """The session lives on."""

    session: str


Action = (
    Login
    | SetPresence
    | Accept
    | Decline
    | Complete
    | Transfer
    | Mark
    | PauseClock
    | ResumeClock
    | EndWrapUp
    | RenewLease
)


@dataclass(frozen=True, slots=True)
class AgentAction(Mirror[pb.AgentAction]):
    """One action in a batch or a Work stream; the result carries the tag back."""

    action: Action
    tag: int = 0


@dataclass(frozen=True, slots=True)
class HeldWork(Mirror[pb.HeldWork]):
    """A ticket that an agent holds, when a Work stream opens."""

    agent: str
    ticket: TicketView


@dataclass(frozen=True, slots=True)
class WorkOpening(Mirror[pb.WorkOpening]):
    """How a Work stream opens: the session's agents and what they hold; events after `sequence` follow."""

    agents: tuple[AgentView, ...]
    work: tuple[HeldWork, ...]
    sequence: int
