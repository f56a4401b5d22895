"""Every unary call of the wire, written once: `Client` answers, `AsyncClient` awaits the same.

A method says what it asks (`Ask`): the RPC, the request, how to read the reply. `both` makes of it a plain call in a
blocking class and a coroutine in an awaiting one:

    class Calls:
        @both
        def cancel(self, ticket: str, reason: str = "") -> Ask[TicketResult]: ...

    Client(…).cancel("t1")              # TicketResult
    await AsyncClient(…).cancel("t1")   # TicketResult

A single call that is refused raises the `csroute.errors.RejectedError` that fits. A batch returns one result an item,
in order; a refused item is its error, returned and not raised.
"""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Concatenate, Generic, NamedTuple, ParamSpec, TypeVar, cast, overload

from csroute.types import (
    Accept,
    Action,
    ActionResult,
    AgentAction,
    AgentPage,
    AgentSpec,
    Canary,
    Complete,
    Decline,
    EndWrapUp,
    Explanation,
    Guess,
    Installed,
    Live,
    Login,
    Mark,
    Mirror,
    PauseClock,
    Position,
    Presence,
    QueueExplanation,
    Requirement,
    ResumeClock,
    RouteResult,
    RuleTuning,
    SetPresence,
    Stats,
    TableSet,
    Ticket,
    TicketPage,
    TicketResult,
    TicketState,
    TicketView,
    Transfer,
    VersionPage,
    VersionTables,
    either,
)
from csroute.types.versions import (
    Change,
    Difference,
    apply_request,
    override_request,
    rollback_request,
    scene_request,
    table_request,
)
from csroute.v1 import admin_pb2, agent_pb2, canary_pb2, explain_pb2, live_pb2, stats_pb2, ticket_pb2, version_pb2

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from google.protobuf.message import Message

    from csroute.errors import RejectedError

__all__ = ["Ask", "Awaiting", "Blocking", "Calls", "batch_request", "batch_results", "both"]

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T", bound="Mirror[Any]")


class Ask(NamedTuple, Generic[R]):
    """One call: where to, with what, and what the reply's bytes mean. `wait_ms`: how long the reply may be held."""

    rpc: str
    request: Message
    read: Callable[[bytes], R]
    wait_ms: int = 0


class Blocking(ABC):
    """Answers a call when it returns."""

    @abstractmethod
    def _ask(self, ask: Ask[R]) -> R: ...


class Awaiting(ABC):
    """Answers a call when it is awaited."""

    @abstractmethod
    async def _ask(self, ask: Ask[R]) -> R: ...


class both(Generic[P, R]):  # noqa: N801 (a decorator)
    """Makes of a method that says what to ask one that asks it."""

    def __init__(self, method: Callable[Concatenate[Any, P], Ask[R]]) -> None:
        self._method = method
        self.__doc__ = method.__doc__

    def ask(self, *args: P.args, **kwargs: P.kwargs) -> Ask[R]:
        """What a call with these arguments asks."""
        return self._method(None, *args, **kwargs)

    @overload
    def __get__(self, instance: None, owner: type) -> both[P, R]: ...
    @overload
    def __get__(self, instance: Blocking, owner: type) -> Callable[P, R]: ...
    @overload
    def __get__(self, instance: Awaiting, owner: type) -> Callable[P, Coroutine[Any, Any, R]]: ...
    def __get__(self, instance: Any, owner: type) -> Any:
        """The call, bound."""
        if instance is None:
            return self

        @functools.wraps(self._method)
        def call(*args: P.args, **kwargs: P.kwargs) -> object:
            return instance._ask(self._method(instance, *args, **kwargs))

        return call


def _one(kind: type[T]) -> Callable[[bytes], T]:
    """Reads a reply that is one value."""
    return lambda reply: kind.from_wire(kind.WIRE.FromString(reply))


def _actions_results(reply: bytes) -> list[ActionResult | RejectedError]:
    return [either(result, ActionResult) for result in agent_pb2.ActionResults.FromString(reply).results]


def batch_request(tickets: Iterable[Ticket], tag: int = 0) -> ticket_pb2.RouteBatchRequest:
    """The message of a batch."""
    return ticket_pb2.RouteBatchRequest(tickets=[ticket.to_wire() for ticket in tickets], tag=tag)


def batch_results(reply: bytes) -> list[RouteResult | RejectedError]:
    """One result a ticket, in the order sent."""
    return [either(result, RouteResult) for result in ticket_pb2.RouteBatchReply.FromString(reply).results]


class Calls:
    """The unary calls of the services. All may be sent again without harm: they name ids, attempts, revisions."""

    # --- tickets: RoutingService ---

    @both
    def route(self, ticket: Ticket, *, wait_ms: int = 0) -> Ask[RouteResult]:
        """Submits a ticket. The reply comes at once, or is held up to `wait_ms` (at most 60,000) for an assignment."""
        request = ticket_pb2.RouteRequest(ticket=ticket.to_wire(), wait_ms=wait_ms)
        return Ask("RoutingService/Route", request, _one(RouteResult), wait_ms)

    @both
    def route_batch(self, tickets: Iterable[Ticket]) -> Ask[list[RouteResult | RejectedError]]:
        """Submits up to 4096 tickets: one result each, in order. No transaction."""
        return Ask("RoutingService/RouteBatch", batch_request(tickets), batch_results)

    @both
    def update(self, ticket: str, revision: int, attributes: Mapping[str, str | Guess]) -> Ask[TicketResult]:
        """Sets these attributes; an empty value removes one. Revisions rise; an old or equal one does nothing."""
        pairs = Ticket(ticket, "", attributes=attributes).to_wire().attributes
        request = ticket_pb2.UpdateRequest(id=ticket, revision=revision, attributes=pairs)
        return Ask("RoutingService/Update", request, _one(TicketResult))

    @both
    def cancel(self, ticket: str, reason: str = "") -> Ask[TicketResult]:
        """The customer left."""
        return Ask("RoutingService/Cancel", ticket_pb2.CancelRequest(id=ticket, reason=reason), _one(TicketResult))

    @both
    def suspend(self, ticket: str) -> Ask[TicketResult]:
        """The customer's connection dropped: the ticket keeps its place and is not offered."""
        return Ask("RoutingService/Suspend", ticket_pb2.SuspendRequest(id=ticket), _one(TicketResult))

    @both
    def resume(self, ticket: str) -> Ask[TicketResult]:
        """The customer is back."""
        return Ask("RoutingService/Resume", ticket_pb2.ResumeRequest(id=ticket), _one(TicketResult))

    @both
    def get_ticket(self, ticket: str) -> Ask[TicketView]:
        """A ticket, whole. NotFoundError once it is forgotten."""
        return Ask("RoutingService/GetTicket", ticket_pb2.GetTicketRequest(id=ticket), _one(TicketView))

    @both
    def list_tickets(
        self,
        *,
        states: Sequence[TicketState] = (),
        queue: str = "",
        source: str = "",
        agent: str = "",
        page_size: int = 0,
        page_token: str = "",
    ) -> Ask[TicketPage]:
        """A page of tickets that pass all filters given. It may be short; an empty token says that it is the last."""
        request = ticket_pb2.ListTicketsRequest(
            states=[ticket_pb2.TicketState.ValueType(state) for state in states],
            queue=queue,
            source=source,
            agent=agent,
            page_size=page_size,
            page_token=page_token,
        )
        return Ask("RoutingService/ListTickets", request, _one(TicketPage))

    @both
    def get_positions(self, ids: Iterable[str] = (), *, source: str = "") -> Ask[list[Position]]:
        """Places in line of up to 10,000 tickets, or of all that wait of a source. Unknown ids are left out."""
        request = ticket_pb2.GetPositionsRequest(ids=ids, source=source)
        return Ask("RoutingService/GetPositions", request, _positions)

    @both
    def explain(self, ticket: str) -> Ask[Explanation]:
        """Why a ticket is where it is."""
        return Ask("RoutingService/Explain", explain_pb2.ExplainRequest(ticket=ticket), _one(Explanation))

    @both
    def explain_queue(self, queue: str) -> Ask[QueueExplanation]:
        """What holds a queue up, and what would help."""
        request = explain_pb2.ExplainQueueRequest(queue=queue)
        return Ask("RoutingService/ExplainQueue", request, _one(QueueExplanation))

    # --- agents: AgentService ---

    @both
    def upsert_agents(self, agents: Iterable[AgentSpec]) -> Ask[list[ActionResult | RejectedError]]:
        """Makes, or changes, up to 4096 agents."""
        request = agent_pb2.UpsertAgentsRequest(agents=[agent.to_wire() for agent in agents])
        return Ask("AgentService/UpsertAgents", request, _actions_results)

    @both
    def remove_agents(self, ids: Iterable[str]) -> Ask[list[ActionResult | RejectedError]]:
        """Removes up to 4096 agents; their work goes back to waiting. One removed before is a NotFoundError."""
        return Ask("AgentService/RemoveAgents", agent_pb2.RemoveAgentsRequest(ids=ids), _actions_results)

    @both
    def list_agents(
        self,
        *,
        presences: Sequence[Presence] = (),
        skill: str = "",
        session: str = "",
        page_size: int = 0,
        page_token: str = "",
    ) -> Ask[AgentPage]:
        """A page of agents that pass all filters given."""
        request = agent_pb2.ListAgentsRequest(
            presences=[agent_pb2.Presence.ValueType(presence) for presence in presences],
            skill=skill,
            session=session,
            page_size=page_size,
            page_token=page_token,
        )
        return Ask("AgentService/ListAgents", request, _one(AgentPage))

    @both
    def open_session(self, session: str, *, lease_ms: int = 0) -> Ask[ActionResult]:
        """Opens an agent gateway's session; 0 means a lease of 30 s. `client.session(…)` also keeps it alive."""
        request = agent_pb2.OpenSessionRequest(session=session, lease_ms=lease_ms)
        return Ask("AgentService/OpenSession", request, _one(ActionResult))

    @both
    def renew_lease(self, session: str) -> Ask[ActionResult]:
        """The session lives on for another lease."""
        return Ask("AgentService/RenewLease", agent_pb2.RenewLeaseRequest(session=session), _one(ActionResult))

    @both
    def close_session(self, session: str) -> Ask[ActionResult]:
        """Ends a session: its agents are offline."""
        return Ask("AgentService/CloseSession", agent_pb2.CloseSessionRequest(session=session), _one(ActionResult))

    @both
    def login(
        self, session: str, agent: str, presence: Presence = Presence.AVAILABLE, reason: str = ""
    ) -> Ask[ActionResult]:
        """The agent belongs to this session now."""
        return _action("Login", Login(session, agent, presence, reason))

    @both
    def set_presence(self, session: str, agent: str, presence: Presence, reason: str = "") -> Ask[ActionResult]:
        """Whether the agent takes work, and why."""
        return _action("SetPresence", SetPresence(session, agent, presence, reason))

    @both
    def accept(self, ticket: str, attempt: int, context: bytes = b"") -> Ask[ActionResult]:
        """The agent takes the offer."""
        return _action("Accept", Accept(ticket, attempt, context))

    @both
    def decline(self, ticket: str, attempt: int, reason: str = "") -> Ask[ActionResult]:
        """The agent refuses the offer."""
        return _action("Decline", Decline(ticket, attempt, reason))

    @both
    def complete(self, ticket: str, attempt: int, outcome: str = "", context: bytes = b"") -> Ask[ActionResult]:
        """The work is done."""
        return _action("Complete", Complete(ticket, attempt, outcome, context))

    @both
    def transfer(
        self, ticket: str, attempt: int, *, agent: str = "", queue: str = "", requirement: Requirement | None = None
    ) -> Ask[ActionResult]:
        """Hands the ticket on: to exactly one of an agent, a queue, a requirement."""
        return _action("Transfer", Transfer(ticket, attempt, agent, queue, requirement))

    @both
    def mark(self, ticket: str, attempt: int, moment: str) -> Ask[ActionResult]:
        """A moment came that the policy's clocks name."""
        return _action("Mark", Mark(ticket, attempt, moment))

    @both
    def pause_clock(self, ticket: str, clock: str) -> Ask[ActionResult]:
        """The clock stands still, as while the customer is asked."""
        return _action("PauseClock", PauseClock(ticket, clock))

    @both
    def resume_clock(self, ticket: str, clock: str) -> Ask[ActionResult]:
        """The clock runs again."""
        return _action("ResumeClock", ResumeClock(ticket, clock))

    @both
    def end_wrap_up(self, ticket: str, attempt: int) -> Ask[ActionResult]:
        """The agent has written it up and is free again."""
        return _action("EndWrapUp", EndWrapUp(ticket, attempt))

    @both
    def act(self, actions: Iterable[Action]) -> Ask[list[ActionResult | RejectedError]]:
        """Up to 4096 actions of the agents' side: one result each, in order."""
        request = agent_pb2.ActRequest(actions=[AgentAction(action).to_wire() for action in actions])
        return Ask("AgentService/Act", request, _actions_results)

    # --- supervisors and operators: AdminService ---

    @both
    def assign(self, ticket: str, agent: str) -> Ask[ActionResult]:
        """A supervisor's own choice; capacity and the channel's limit still hold."""
        return Ask("AdminService/Assign", admin_pb2.AssignRequest(ticket=ticket, agent=agent), _one(ActionResult))

    @both
    def move(self, ticket: str, queue: str) -> Ask[ActionResult]:
        """To another queue; ages run on."""
        return Ask("AdminService/Move", admin_pb2.MoveRequest(ticket=ticket, queue=queue), _one(ActionResult))

    @both
    def stats(self, *, with_state_hash: bool = False) -> Ask[Stats]:
        """Figures of the tenant. `with_state_hash` stops the server while it reads everything; else the hash is 0."""
        request = stats_pb2.GetStatsRequest(with_state_hash=with_state_hash)
        return Ask("AdminService/GetStats", request, _one(Stats))

    @both
    def start_canary(
        self,
        policy: bytes,
        *,
        share: float = 0.1,
        margin: float = 0.02,
        error: float = 0.01,
        tickets_min: int = 100,
    ) -> Ask[ActionResult]:
        """Tries a policy on `share` of the tickets, by a hash of the customer, else of the ticket. Whoever waits stays.

        It is behind when its service level is below the policy's by more than `margin`, with an error of `error` over
        all looks, from `tickets_min` tickets of either side on; then `csroute serve` stops it. Any install ends it.
        """
        request = canary_pb2.CanaryRequest(
            policy=policy,
            share_milli=round(share * 1000),
            margin_milli=round(margin * 1000),
            error_milli=round(error * 1000),
            tickets_min=tickets_min,
        )
        return Ask("PolicyService/Canary", request, _one(ActionResult))

    @both
    def stop_canary(self, *, reclassify: bool = True) -> Ask[ActionResult]:
        """No more tickets for the canary; with `reclassify` those of its that wait go back to the policy."""
        request = canary_pb2.StopCanaryRequest(reclassify=reclassify)
        return Ask("PolicyService/StopCanary", request, _one(ActionResult))

    @both
    def canary(self) -> Ask[Canary]:
        """The canary that is on, and what came of both sides."""
        return Ask("PolicyService/GetCanary", canary_pb2.GetCanaryRequest(), _one(Canary))

    @both
    def live(self) -> Ask[Live]:
        """The live state as tables: what a controller steers by."""
        return Ask("AdminService/GetLive", live_pb2.GetLiveRequest(), _one(Live))

    @both
    def tune(self, rules: Iterable[RuleTuning], *, lapse_ms: int = 0, policy_version: int = 0) -> Ask[ActionResult]:
        """Moves these rules' figures, and no others', for so long (0: 10 s), whoever waits included; none: ends it.

        `policy_version`: what it was made for; ConflictError if another policy is installed by now. 0: any.
        """
        wire = [rule.to_wire() for rule in rules]
        request = live_pb2.TuneRequest(rules=wire, lapse_ms=lapse_ms, policy_version=policy_version)
        return Ask("AdminService/Tune", request, _one(ActionResult))

    @both
    def drain(self, on: bool = True) -> Ask[int]:
        """Takes no new tickets, or takes them again: how many tickets have not ended."""
        return Ask("AdminService/Drain", admin_pb2.DrainRequest(on=on), _open_tickets)

    # --- those who answer for the rules: PolicyService ---

    @both
    def apply(
        self,
        policy: bytes,
        *,
        source: str = "",
        label: str = "",
        why: str = "",
        expected: int | None = None,
        reclassify: bool = False,
        dry_run: bool = False,
    ) -> Ask[Installed]:
        """Installs compiled tables. ConflictError if another version than `expected` is in force."""
        request = apply_request(
            policy,
            source=source,
            label=label,
            why=why,
            expected=expected,
            reclassify=reclassify,
            dry_run=dry_run,
        )
        return Ask("PolicyService/Apply", request, _one(Installed))

    @both
    def versions(self, *, page_size: int = 0, page_token: str = "") -> Ask[VersionPage]:
        """The versions of the policy that are kept, newest first; overrides, scenes, and what follows by itself."""
        request = version_pb2.ListVersionsRequest(page_size=page_size, page_token=page_token)
        return Ask("PolicyService/List", request, _one(VersionPage))

    @both
    def version(self, number: int = 0) -> Ask[VersionTables]:
        """A version with its tables; 0: the one in force."""
        return Ask("PolicyService/Get", version_pb2.GetVersionRequest(number=number), _one(VersionTables))

    @both
    def diff(self, old: int, new: int = 0, *, policy: bytes = b"") -> Ask[list[Difference]]:
        """What differs between two versions (0: the one in force), or a version and compiled tables; at most 1000."""
        request = version_pb2.DiffRequest(to=new, policy=policy)
        setattr(request, "from", old)
        return Ask("PolicyService/Diff", request, _differences)

    @both
    def activate_scenes(
        self,
        scenes: Iterable[str],
        *,
        why: str = "",
        expected: int | None = None,
        reclassify: bool = False,
        dry_run: bool = False,
    ) -> Ask[Installed]:
        """These scenes are on from now on, and no others."""
        request = scene_request(scenes, why=why, expected=expected, reclassify=reclassify, dry_run=dry_run)
        return Ask("PolicyService/ActivateScene", request, _one(Installed))

    @both
    def rollback(
        self,
        number: int,
        *,
        why: str = "",
        expected: int | None = None,
        reclassify: bool = False,
        dry_run: bool = False,
    ) -> Ask[Installed]:
        """Returns to the tables and scenes of a kept version; that is a new version."""
        request = rollback_request(number, why=why, expected=expected, reclassify=reclassify, dry_run=dry_run)
        return Ask("PolicyService/Rollback", request, _one(Installed))

    @both
    def override(
        self,
        changes: Iterable[Change] = (),
        *,
        duration_ms: int = 0,
        undo: int = 0,
        why: str = "",
        expected: int | None = None,
        reclassify: bool = True,
        dry_run: bool = False,
    ) -> Ask[Installed]:
        """Changes something for a while (1 s to 7 days), or ends (`undo`) the override of this number."""
        request = override_request(
            changes,
            duration_ms=duration_ms,
            undo=undo,
            why=why,
            expected=expected,
            reclassify=reclassify,
            dry_run=dry_run,
        )
        return Ask("PolicyService/Override", request, _one(Installed))

    @both
    def set_table(
        self, table: str, facts: Mapping[str, str], *, replace: bool = False, reclassify: bool = False, why: str = ""
    ) -> Ask[TableSet]:
        """Fills a table of the hour's facts; an empty value takes a key away, `replace` all keys not named."""
        request = table_request(table, facts, replace=replace, reclassify=reclassify, why=why)
        return Ask("PolicyService/SetTable", request, _one(TableSet))


def _differences(reply: bytes) -> list[Difference]:
    return [Difference.from_wire(each) for each in version_pb2.DiffReply.FromString(reply).differences]


def _action(rpc: str, action: Action) -> Ask[ActionResult]:
    return Ask(f"AgentService/{rpc}", cast("Mirror[Any]", action).to_wire(), _one(ActionResult))


def _positions(reply: bytes) -> list[Position]:
    return [Position.from_wire(position) for position in ticket_pb2.GetPositionsReply.FromString(reply).positions]


def _open_tickets(reply: bytes) -> int:
    return admin_pb2.DrainReply.FromString(reply).open_tickets
