"""The same node in process, without a server: for tests and notebooks.

`Router` has every command of the routing, agent, admin and policy services, takes and gives what `csroute.types` has,
and raises the errors of `csroute.errors`. Its clock is real, or virtual: then time stands still until `advance`.

>>> from typing import Literal
>>> from csroute.policy import Attr, Attributes, Channel, Layer, Otherwise, Policy, Rule, Skill, Skills
>>> from csroute.policy import minutes, optional, seconds
>>> from csroute.types import AgentSpec, Ticket
>>> class Facts(Attributes):
...     channel: Attr[Literal["chat"]]
...     tier: Attr[Literal["vip"]] = optional()
>>> class S(Skills):
...     general: Skill
>>> class Who(Layer):
...     vip = Rule(Facts.tier.is_("vip"), needs=S.general, head_start=minutes(1), why="VIPs were promised a minute")
...     everyone = Otherwise(needs=S.general)
>>> policy = Policy("hello", attributes=Facts, skills=S, layers=[Who], channels={"chat": Channel(cost=100, limit=1)})

>>> router = Router(policy, clock="virtual")
>>> _ = router.open_session("desk", lease_ms=600_000)
>>> _ = router.upsert_agents([AgentSpec("anna", skills={"general": 3})])
>>> _ = router.login("desk", "anna")
>>> router.route(Ticket("t1", channel="chat")).agent
'anna'
>>> router.route(Ticket("t2", channel="chat")).state.name
'WAITING'
>>> _ = router.advance(seconds(30))
>>> router.route(Ticket("t3", channel="chat", attributes={"tier": "vip"})).state.name
'WAITING'
>>> _ = router.complete("t1", attempt=1)
>>> router.get_ticket("t3").agent, router.get_ticket("t2").agent
('anna', '')
>>> [type(event.kind).__name__ for event in router.events() if event.ticket == "t3"]
['Queued', 'Assigned']
"""

import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal, TypeVar

from google.protobuf.message import Message

from csroute import _csroute, types
from csroute.errors import ConfigError, RejectedError, rejection
from csroute.policy import Duration, Policy, load, preset
from csroute.steered import Steered
from csroute.types import ActionResult, AgentView, Explanation, Position, RouteResult, Stats, TicketResult, TicketView
from csroute.types.versions import apply_request, override_request, rollback_request, scene_request, table_request
from csroute.v1 import (
    admin_pb2,
    agent_pb2,
    event_pb2,
    explain_pb2,
    policy_pb2,
    stats_pb2,
    ticket_pb2,
    version_pb2,
)

__all__ = ["PolicySource", "Router", "policy_bytes"]

PolicySource = Policy | bytes | str | Path
"""A policy, its compiled bytes, the path of either's file (`*.py`: a policy in Python), or a preset's name."""

_TENANT = "default"
_CALLER = "router"
_TIMERS_MAX = 100_000
"""Timers fired by one call into the core; `advance` calls until none is left."""
_PAGE = 1000
_EVENTS_PAGE = 4096
_SINGLES_DAY = datetime(2024, 11, 10, 16, tzinfo=UTC)
"""Where a virtual clock starts unless told otherwise: 11 November 2024, 00:00 in China."""

R = TypeVar("R", bound=Message)


def policy_bytes(source: PolicySource) -> bytes:
    """A policy's compiled bytes. Raises PolicyError for a wrong policy, ConfigError where nothing can be read."""
    if isinstance(source, Policy):
        return source.compile()
    if isinstance(source, bytes):
        return source
    path = Path(source)
    if path.suffix == ".py":
        return load(path).compile()
    if isinstance(source, str) and source.isidentifier() and not path.exists():
        return preset(source).compile()
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"policy {source}: {error.strerror}; give a policy's .py, or a compiled policy's file"
        ) from None


class Router(Steered):
    """One tenant's router, in process. Not for several threads at a time.

    Args:
        policy: installed at once; None: nothing is routed (NO_POLICY) until `install`.
        clock: "real", or "virtual": time stands still until `advance`.
        start: where a virtual clock starts: a datetime, or Unix µs.

    Every command raises a `RejectedError` when the router says no; a batch holds its items' rejections instead.
    """

    def __init__(
        self,
        policy: PolicySource | None = None,
        *,
        clock: Literal["real", "virtual"] = "real",
        start: datetime | int = _SINGLES_DAY,
    ) -> None:
        if clock not in ("real", "virtual"):
            raise ValueError(f'clock is "real" or "virtual", not {clock!r}')
        self._core = _csroute.Core()
        self._methods = {path.rsplit("/", 1)[1]: number for number, path, _ in _csroute.methods()}
        self._virtual = clock == "virtual"
        self._follows = False
        self._now_us = _unix_us(start) if self._virtual else time.time_ns() // 1000
        if policy is not None:
            self.install(policy)

    def __repr__(self) -> str:
        stats = self.stats()
        at = datetime.fromtimestamp(self._now_us / 1e6, UTC).isoformat(sep=" ", timespec="milliseconds")
        return (
            f"<Router {stats.policy_name or 'without a policy'}: {stats.waiting} waiting, {stats.active} active, {at}>"
        )

    # --- tickets ---------------------------------------------------------------------------------------------------

    def route(self, ticket: types.Ticket) -> RouteResult:
        """Submits a ticket. The same id again does nothing and says `replayed`; with other content: ConflictError."""
        request = ticket_pb2.RouteRequest(ticket=ticket.to_wire())
        return RouteResult.from_wire(self._call("Route", request, ticket_pb2.RouteReply))

    def route_batch(self, tickets: Iterable[types.Ticket]) -> list[RouteResult | RejectedError]:
        """Submits at most 4096 tickets, each by itself: one result or rejection a ticket, in order."""
        request = ticket_pb2.RouteBatchRequest(tickets=[ticket.to_wire() for ticket in tickets])
        reply = self._call("RouteBatch", request, ticket_pb2.RouteBatchReply)
        return [types.either(result, RouteResult) for result in reply.results]

    def update(self, ticket: str, revision: int, attributes: Mapping[str, str | types.Guess]) -> TicketResult:
        """Sets these attributes, keeps the others; an empty value removes one. An old revision does nothing."""
        wire = types.Ticket(ticket, "", attributes=attributes).to_wire().attributes
        return self._ticket("Update", ticket_pb2.UpdateRequest(id=ticket, revision=revision, attributes=wire))

    def cancel(self, ticket: str, reason: str = "") -> TicketResult:
        """The customer left."""
        return self._ticket("Cancel", ticket_pb2.CancelRequest(id=ticket, reason=reason))

    def suspend(self, ticket: str) -> TicketResult:
        """The customer's connection dropped: the ticket keeps its place, and is not offered."""
        return self._ticket("Suspend", ticket_pb2.SuspendRequest(id=ticket))

    def resume(self, ticket: str) -> TicketResult:
        """The customer is back."""
        return self._ticket("Resume", ticket_pb2.ResumeRequest(id=ticket))

    def get_ticket(self, ticket: str) -> TicketView:
        """A ticket as it is now."""
        return TicketView.from_wire(self._call("GetTicket", ticket_pb2.GetTicketRequest(id=ticket), ticket_pb2.Ticket))

    def list_tickets(
        self, states: Iterable[types.TicketState] = (), *, queue: str = "", source: str = "", agent: str = ""
    ) -> list[TicketView]:
        """All tickets that these filters leave; an empty filter leaves all."""
        wanted = [ticket_pb2.TicketState.ValueType(state) for state in states]

        def page(token: str) -> types.TicketPage:
            request = ticket_pb2.ListTicketsRequest(
                states=wanted, queue=queue, source=source, agent=agent, page_size=_PAGE, page_token=token
            )
            return types.TicketPage.from_wire(self._call("ListTickets", request, ticket_pb2.ListTicketsReply))

        return [ticket for reply in _pages(page) for ticket in reply.tickets]

    def get_positions(self, ids: Iterable[str] = (), *, source: str = "") -> list[Position]:
        """Places in line of these tickets (at most 10,000), or of a source's. Unknown ones are left out."""
        request = ticket_pb2.GetPositionsRequest(ids=list(ids), source=source)
        reply = self._call("GetPositions", request, ticket_pb2.GetPositionsReply)
        return [Position.from_wire(position) for position in reply.positions]

    def explain(self, ticket: str) -> Explanation:
        """Why a ticket is where it is. `print` it."""
        request = explain_pb2.ExplainRequest(ticket=ticket)
        return Explanation.from_wire(self._call("Explain", request, explain_pb2.ExplainReply))

    # --- agents ----------------------------------------------------------------------------------------------------

    def upsert_agents(self, agents: Iterable[types.AgentSpec]) -> list[ActionResult | RejectedError]:
        """Adds agents, or changes them: one result or rejection an agent, in order."""
        request = agent_pb2.UpsertAgentsRequest(agents=[agent.to_wire() for agent in agents])
        return self._actions("UpsertAgents", request)

    def remove_agents(self, ids: Iterable[str]) -> list[ActionResult | RejectedError]:
        """Removes agents; their offers and active tickets wait again."""
        return self._actions("RemoveAgents", agent_pb2.RemoveAgentsRequest(ids=list(ids)))

    def list_agents(
        self, presences: Iterable[types.Presence] = (), *, skill: str = "", session: str = ""
    ) -> list[AgentView]:
        """All agents that these filters leave; an empty filter leaves all."""
        wanted = [agent_pb2.Presence.ValueType(presence) for presence in presences]

        def page(token: str) -> types.AgentPage:
            request = agent_pb2.ListAgentsRequest(
                presences=wanted, skill=skill, session=session, page_size=_PAGE, page_token=token
            )
            return types.AgentPage.from_wire(self._call("ListAgents", request, agent_pb2.ListAgentsReply))

        return [agent for reply in _pages(page) for agent in reply.agents]

    def open_session(self, session: str, lease_ms: int = 0) -> ActionResult:
        """Opens an agent gateway's session, or renews it. 0: a lease of 30 s."""
        return self._action("OpenSession", agent_pb2.OpenSessionRequest(session=session, lease_ms=lease_ms))

    def renew_lease(self, session: str) -> ActionResult:
        """The session lives on."""
        return self._action("RenewLease", agent_pb2.RenewLeaseRequest(session=session))

    def close_session(self, session: str) -> ActionResult:
        """Ends the session: its agents are offline."""
        return self._action("CloseSession", agent_pb2.CloseSessionRequest(session=session))

    def login(
        self, session: str, agent: str, presence: types.Presence = types.Presence.AVAILABLE, reason: str = ""
    ) -> ActionResult:
        """The agent is there, in this session."""
        return self._action("Login", types.Login(session, agent, presence, reason).to_wire())

    def set_presence(self, session: str, agent: str, presence: types.Presence, reason: str = "") -> ActionResult:
        """The agent takes work, or takes none."""
        return self._action("SetPresence", types.SetPresence(session, agent, presence, reason).to_wire())

    def accept(self, ticket: str, attempt: int, context: bytes = b"") -> ActionResult:
        """The agent takes the offer."""
        return self._action("Accept", types.Accept(ticket, attempt, context).to_wire())

    def decline(self, ticket: str, attempt: int, reason: str = "") -> ActionResult:
        """The agent refuses the offer."""
        return self._action("Decline", types.Decline(ticket, attempt, reason).to_wire())

    def complete(self, ticket: str, attempt: int, outcome: str = "", context: bytes = b"") -> ActionResult:
        """The work is done; wrap-up begins, if the policy has one."""
        return self._action("Complete", types.Complete(ticket, attempt, outcome, context).to_wire())

    def transfer(
        self,
        ticket: str,
        attempt: int,
        *,
        agent: str = "",
        queue: str = "",
        requirement: types.Requirement | None = None,
    ) -> ActionResult:
        """Hands the ticket on, to exactly one of: an agent, a queue, a requirement."""
        return self._action("Transfer", types.Transfer(ticket, attempt, agent, queue, requirement).to_wire())

    def mark(self, ticket: str, attempt: int, moment: str) -> ActionResult:
        """A moment came that the policy's clocks name."""
        return self._action("Mark", types.Mark(ticket, attempt, moment).to_wire())

    def pause_clock(self, ticket: str, clock: str) -> ActionResult:
        """The clock stands still."""
        return self._action("PauseClock", types.PauseClock(ticket, clock).to_wire())

    def resume_clock(self, ticket: str, clock: str) -> ActionResult:
        """The clock runs again."""
        return self._action("ResumeClock", types.ResumeClock(ticket, clock).to_wire())

    def end_wrap_up(self, ticket: str, attempt: int) -> ActionResult:
        """The agent has written it up."""
        return self._action("EndWrapUp", types.EndWrapUp(ticket, attempt).to_wire())

    def act(self, actions: Iterable[types.Action]) -> list[ActionResult | RejectedError]:
        """At most 4096 actions, each by itself: one result or rejection an action, in order."""
        return self._actions("Act", agent_pb2.ActRequest(actions=[types.AgentAction(a).to_wire() for a in actions]))

    # --- supervisors and operators ---------------------------------------------------------------------------------

    def assign(self, ticket: str, agent: str) -> ActionResult:
        """A supervisor's own choice of agent: capacity and channel limit still hold."""
        return self._action("Assign", admin_pb2.AssignRequest(ticket=ticket, agent=agent))

    def move(self, ticket: str, queue: str) -> ActionResult:
        """A supervisor's own choice of queue: ages run on."""
        return self._action("Move", admin_pb2.MoveRequest(ticket=ticket, queue=queue))

    def drain(self, on: bool = True) -> int:
        """Takes no new tickets, or takes them again. Returns how many have not ended."""
        return self._call("Drain", admin_pb2.DrainRequest(on=on), admin_pb2.DrainReply).open_tickets

    def install(
        self,
        policy: PolicySource,
        *,
        reclassify: bool = False,
        later: Iterable[tuple[datetime | int, PolicySource]] = (),
    ) -> int:
        """Installs a policy; with `reclassify` tickets that wait are classified again. Returns its version.

        `later`: policies that follow by themselves, each with its time (a datetime, or Unix µs), rising, at most 8: how
        an override ends by itself. Another install drops those still to come.
        """
        request = policy_pb2.InstallPolicyRequest(policy=policy_bytes(policy), reclassify=reclassify)
        for at, source in later:
            request.later.add(at_us=_unix_us(at), policy=policy_bytes(source), reclassify=reclassify)
        return self._call("InstallPolicy", request, policy_pb2.InstallPolicyReply).policy_version

    # --- versions of the policy ------------------------------------------------------------------------------------

    def apply(
        self,
        policy: PolicySource,
        *,
        source: str = "",
        label: str = "",
        why: str = "",
        expected: int | None = None,
        reclassify: bool = False,
        dry_run: bool = False,
    ) -> types.Installed:
        """Installs a policy as a version, with its dates. ConflictError: another than `expected` is in force."""
        request = apply_request(
            policy_bytes(policy),
            source=source,
            label=label,
            why=why,
            expected=expected,
            reclassify=reclassify,
            dry_run=dry_run,
        )
        return self._installed("Apply", request)

    def versions(self, *, page_size: int = 0, page_token: str = "") -> types.VersionPage:
        """The versions kept, newest first; overrides, scenes, and what follows by itself."""
        request = version_pb2.ListVersionsRequest(page_size=page_size, page_token=page_token)
        return types.VersionPage.from_wire(self._call("List", request, version_pb2.ListVersionsReply))

    def version(self, number: int = 0) -> types.VersionTables:
        """A version with its tables; 0: the one in force."""
        request = version_pb2.GetVersionRequest(number=number)
        return types.VersionTables.from_wire(self._call("Get", request, version_pb2.GetVersionReply))

    def diff(self, old: int, new: int = 0, *, policy: PolicySource = b"") -> list[types.Difference]:
        """What differs between two versions (0: the one in force), or a version and a policy; at most 1000."""
        request = version_pb2.DiffRequest(to=new, policy=policy_bytes(policy))
        setattr(request, "from", old)
        reply = self._call("Diff", request, version_pb2.DiffReply)
        return [types.Difference.from_wire(each) for each in reply.differences]

    def activate_scenes(
        self,
        scenes: Iterable[str],
        *,
        why: str = "",
        expected: int | None = None,
        reclassify: bool = False,
        dry_run: bool = False,
    ) -> types.Installed:
        """These scenes are on from now on, and no others."""
        request = scene_request(scenes, why=why, expected=expected, reclassify=reclassify, dry_run=dry_run)
        return self._installed("ActivateScene", request)

    def rollback(
        self,
        number: int,
        *,
        why: str = "",
        expected: int | None = None,
        reclassify: bool = False,
        dry_run: bool = False,
    ) -> types.Installed:
        """Returns to the tables and scenes of a kept version; that is a new version."""
        request = rollback_request(number, why=why, expected=expected, reclassify=reclassify, dry_run=dry_run)
        return self._installed("Rollback", request)

    def override(
        self,
        changes: Iterable[types.Change] = (),
        *,
        duration: Duration | timedelta | int = 0,
        undo: int = 0,
        why: str = "",
        expected: int | None = None,
        reclassify: bool = True,
        dry_run: bool = False,
    ) -> types.Installed:
        """Changes something for a while (1 s to 7 days; an int is ms), or ends (`undo`) the override of this number."""
        request = override_request(
            changes,
            duration_ms=_ms(duration),
            undo=undo,
            why=why,
            expected=expected,
            reclassify=reclassify,
            dry_run=dry_run,
        )
        return self._installed("Override", request)

    def set_table(
        self, table: str, facts: Mapping[str, str], *, replace: bool = False, reclassify: bool = False, why: str = ""
    ) -> types.TableSet:
        """Fills a table of the hour's facts; an empty value takes a key away, `replace` all keys not named."""
        request = table_request(table, facts, replace=replace, reclassify=reclassify, why=why)
        reply = self._call("SetTable", request, version_pb2.SetTableReply)
        reply.reclassified += self._reclassify()
        reply.left = 0
        return types.TableSet.from_wire(reply)

    def _installed(self, name: str, request: Message) -> types.Installed:
        reply = self._call(name, request, version_pb2.InstallReply)
        self._follows = self._follows or bool(reply.planned)
        reply.version.reclassified += self._reclassify()
        reply.left = 0
        return types.Installed.from_wire(reply)

    def _reclassify(self) -> int:
        """A server does this between calls, a few ms at a time; here nobody else waits."""
        number, changed = self._methods["Reclassify"], 0
        while True:
            try:
                data = self._core.call(number, _TENANT, _CALLER, b"", self._now_us)
            except _csroute.Rejected as no:
                raise rejection(no.status) from None
            reply = policy_pb2.ReclassifyReply.FromString(data)
            changed += reply.reclassified
            if not reply.left:
                return changed

    # --- figures -------------------------------------------------------------------------------------------------

    def stats(self, *, with_state_hash: bool = False) -> Stats:
        """Figures: what is there now, and counters since start. The hash is 0 unless asked for: it reads everything."""
        request = stats_pb2.GetStatsRequest(with_state_hash=with_state_hash)
        return Stats.from_wire(self._call("GetStats", request, stats_pb2.GetStatsReply))

    # --- time, events, state ---------------------------------------------------------------------------------------

    @property
    def now_us(self) -> int:
        """The router's time, Unix µs."""
        if not self._virtual:
            self._now_us = max(self._now_us, time.time_ns() // 1000)
        return self._now_us

    @property
    def next_due_us(self) -> int | None:
        """No timer is due before this, Unix µs; None: nothing will happen by itself."""
        return self._core.next_due_us(_TENANT)

    def advance(self, by: Duration | timedelta | int | None = None, *, to: datetime | int | None = None) -> int:
        """Lets a virtual clock run on, firing every timer at its due time. Returns how many fired.

        Args:
            by: a duration of the policy language, a timedelta, or ms.
            to: a datetime, or Unix µs.
        """
        if (by is None) == (to is None):
            raise ValueError("advance by a duration, or to a time: exactly one")
        if not self._virtual:
            raise ValueError("a real clock advances by itself")
        until = self._now_us + 1000 * _ms(by) if by is not None else _unix_us(to if to is not None else 0)
        return self._advance(until)

    def resume_node(self, grace_ms: int) -> None:
        """The node came back from a stop: leases and offers live at least the grace from now; what is due fires."""
        try:
            self._core.resume(_TENANT, self.now_us, grace_ms)
        except _csroute.Rejected as no:
            raise rejection(no.status) from None

    def events(self, since: int = 0) -> list[types.Event]:
        """All events after this sequence that are still held (the newest 262,144). An older one: SEQUENCE_GONE."""
        self._catch_up()
        found: list[types.Event] = []
        while True:
            try:
                data = self._core.events(_TENANT, since, _EVENTS_PAGE)
            except _csroute.Rejected as no:
                raise rejection(no.status) from None
            batch = types.EventBatch.from_wire(event_pb2.WatchReply.FromString(data))
            found += batch.events
            if not batch.events:
                return found
            since = batch.events[-1].sequence

    @property
    def state_hash(self) -> int:
        """Equal states have equal hashes."""
        return self._core.state_hash(_TENANT)

    def snapshot(self) -> bytes:
        """The whole state, and the time."""
        return self.now_us.to_bytes(8, "little") + self._core.snapshot(_TENANT)

    def restore(self, snapshot: bytes) -> None:
        """Puts a snapshot's state in place of this one: the same hash, the same future."""
        try:
            self._core.restore(_TENANT, snapshot[8:])
        except _csroute.Rejected as no:
            raise rejection(no.status) from None
        self._now_us = int.from_bytes(snapshot[:8], "little")

    # --- one way in ------------------------------------------------------------------------------------------------

    def _call(self, name: str, request: Message, reply: type[R]) -> R:
        self._catch_up()
        try:
            data = self._core.call(self._methods[name], _TENANT, _CALLER, request.SerializeToString(), self._now_us)
        except _csroute.Rejected as no:
            raise rejection(no.status) from None
        return reply.FromString(data)

    def _ticket(self, name: str, request: Message) -> TicketResult:
        return TicketResult.from_wire(self._call(name, request, ticket_pb2.TicketReply))

    def _action(self, name: str, request: Message) -> ActionResult:
        return ActionResult.from_wire(self._call(name, request, agent_pb2.ActionReply))

    def _actions(self, name: str, request: Message) -> list[ActionResult | RejectedError]:
        reply = self._call(name, request, agent_pb2.ActionResults)
        return [types.either(result, ActionResult) for result in reply.results]

    def _catch_up(self) -> None:
        """A real clock went on since the last call: what came due fires first, for readers too."""
        if not self._virtual:
            self._advance(self.now_us)

    def _advance(self, until_us: int) -> int:
        fired, done = 0, False
        while not done:
            try:
                some, done = self._core.advance(_TENANT, until_us, _TIMERS_MAX)
            except _csroute.Rejected as no:
                raise rejection(no.status) from None
            fired += some
        self._now_us = until_us
        if self._follows and fired:
            self._reclassify()
        return fired


P = TypeVar("P", types.TicketPage, types.AgentPage)


def _pages(page: Callable[[str], P]) -> Iterable[P]:
    token = ""
    while True:
        reply = page(token)
        yield reply
        token = reply.next_page_token
        if not token:
            return


def _unix_us(at: datetime | int) -> int:
    if isinstance(at, int):
        return at
    if at.tzinfo is None:
        raise ValueError(f"{at} names no time zone")
    return (at - datetime.fromtimestamp(0, UTC)) // timedelta(microseconds=1)


def _ms(by: Duration | timedelta | int) -> int:
    if isinstance(by, Duration):
        return by.ms
    return by if isinstance(by, int) else by // timedelta(milliseconds=1)
