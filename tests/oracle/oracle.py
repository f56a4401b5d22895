"""The commands and the timers of the naive router (DESIGN.md §2 and §5).

>>> oracle = Oracle()
>>> oracle.call("OpenSession", agent_pb2.OpenSessionRequest(session="desk"), now_us=1_000_000).sequence
1
>>> oracle.call("RenewLease", agent_pb2.RenewLeaseRequest(session="other"), now_us=1_000_000)
Traceback (most recent call last):
tests.oracle.router.OracleRejection: SESSION_UNKNOWN
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from csroute.v1 import admin_pb2, agent_pb2, policy_pb2, routing_service_pb2, ticket_pb2  # noqa: F401
from csroute.v1 import event_pb2 as pb
from google.protobuf.message import Message

from .policy import Entry, Needs, Policy
from .router import (
    AGENT_LOST,
    BUILT_IN_MOMENTS,
    COMMAND,
    INSTALLED,
    MOVED,
    REMOVED,
    TRANSFERRED,
    UPDATED,
    OracleRejection,
    Router,
)
from .state import (
    ACTIVE,
    AVAILABLE,
    CANCELLED,
    CLOSED,
    HELD,
    OFFERED,
    OFFLINE,
    OPEN,
    OVERFLOWED,
    SCHEDULED,
    SUSPENDED,
    WAITING,
    WRAPPING,
    Agent,
    Clock,
    Session,
    Ticket,
    ceil_ms,
)

__all__ = ["Oracle"]

ENDED = (CLOSED, CANCELLED, OVERFLOWED)
# (due, kind, sequence, index), what happens then.
Timer = tuple[tuple[int, int, int, int], Callable[[], None]]
KINDS = range(12)
LEASE, LOST_AGENT, OFFER, WRAP_UP, ARRIVAL, SUSPENSION, EXCLUSION, HOLD, STEP, WARNING, BREACH, FORGETTING = KINDS
# An item's answer: whether it was replayed, and the ticket, if it is a ticket's.
Answer = tuple[bool, Ticket | None]
BATCHES = {"RouteBatch": "tickets", "UpsertAgents": "agents", "RemoveAgents": "ids", "Act": "actions"}


class Oracle(Router):
    """The naive, obviously right router."""

    # Time

    def call(self, method: str, request: Any, now_us: int) -> Any:
        """One command, by its RPC's name, at this time; OracleRejection."""
        self.check_shape(method, request)
        self.begin(now_us)
        if method in BATCHES:
            return self.batch(method, request)
        return self.one(method, request)

    def begin(self, now_us: int) -> None:
        if now_us < self.now_us:
            raise OracleRejection("TIME_BACKWARD")
        while self.fire_next(now_us):
            pass
        self.now_us = now_us

    def advance(self, until_us: int, timers_max: int) -> tuple[int, bool]:
        """Fires at most so many timers; how many it fired, and whether none is left."""
        if until_us < self.now_us:
            raise OracleRejection("TIME_BACKWARD")
        fired = 0
        while fired < timers_max and self.fire_next(until_us):
            fired += 1
        done = not any(timer[0][0] <= until_us for timer in self.timers())
        self.now_us = until_us if done else self.now_us
        return fired, done

    def resume(self, now_us: int, grace_ms: int) -> None:
        """The node came back after a stop."""
        if now_us < self.now_us:
            raise OracleRejection("TIME_BACKWARD")
        self.not_before_us = ceil_ms(now_us + grace_ms * 1000)
        for session in self.sessions.values():
            session.lease_until_us = max(session.lease_until_us, self.not_before_us)
        for ticket in self.tickets.values():
            if ticket.state == OFFERED:
                ticket.due_us = max(ticket.due_us, self.not_before_us)
        self.begin(now_us)
        self.not_before_us = 0
        self.raised(node_resumed=pb.NodeResumed(grace_ms=grace_ms))

    def next_due_us(self) -> int | None:
        return min((timer[0][0] for timer in self.timers()), default=None)

    def fire_next(self, until_us: int) -> bool:
        """Fires the first timer due, at its own due time, and settles."""
        due = sorted((timer for timer in self.timers() if timer[0][0] <= until_us), key=lambda timer: timer[0])
        if due:
            self.now_us = due[0][0][0]
            due[0][1]()
            self.settle()
        return bool(due)

    def timers(self) -> list[Timer]:
        """Every timer that is armed, found by looking at everything."""
        timers: list[Timer] = []

        def add(due_us: int | None, kind: int, sequence: int, index: int, fire: Callable[[], None]) -> None:
            if due_us is not None:
                timers.append(((due_us, kind, sequence, index), fire))

        for session in self.sessions.values():
            add(session.lease_until_us, LEASE, session.number, 0, lambda it=session: self.end_session(it, True))  # type: ignore[misc]
        for agent in self.agents.values():
            add(agent.lost_at_us, LOST_AGENT, agent.number, 0, lambda it=agent: self.lose_active(it))  # type: ignore[misc]
        for ticket in self.tickets.values():
            for due_us, kind, index, fire in self.ticket_timers(ticket):
                add(due_us, kind, ticket.sequence, index, fire)
        return timers

    def ticket_timers(self, ticket: Ticket) -> list[tuple[int, int, int, Callable[[], None]]]:
        timers: list[tuple[int, int, int, Callable[[], None]]] = []
        by_state: dict[int, tuple[int, Callable[[], None]]] = {
            SCHEDULED: (ARRIVAL, lambda: self.arrive(ticket)),
            SUSPENDED: (SUSPENSION, lambda: self.cancel(ticket, "suspended")),
            OFFERED: (OFFER, lambda: self.expire_offer(ticket)),
            WRAPPING: (WRAP_UP, lambda: self.close(ticket)),
        }
        if ticket.state in ENDED:
            return [(ticket.forget_us, FORGETTING, 0, lambda: self.forget(ticket))]
        if ticket.state in by_state:
            kind, fire = by_state[ticket.state]
            timers.append((ticket.due_us, kind, 0, fire))
        if ticket.declines:
            until_us = min(each.until_us for each in ticket.declines)
            timers.append((until_us, EXCLUSION, 0, lambda: self.fire_exclusions(ticket)))
        if ticket.hold_until_us is not None:
            timers.append((ticket.hold_until_us, HOLD, 0, lambda: self.fire_hold(ticket)))
        if ticket.state == WAITING:
            for due_us, step in self.untaken(ticket):
                timers.append((ceil_ms(due_us), STEP, step, lambda step=step: self.take_step(ticket, step)))  # type: ignore[misc]
        for place, (name, target) in enumerate(ticket.ticket_class.clocks.items()):
            clock = ticket.clocks.get(name, Clock())
            if clock.ticking:
                for point, warning_ms in enumerate(target.warnings_ms):
                    if point not in clock.warned:
                        due_us = ceil_ms(clock.at_us(warning_ms * 1000))
                        warn = lambda name=name, point=point: self.warn(ticket, name, point)  # type: ignore[misc]  # noqa: E731
                        timers.append((due_us, WARNING, place * 8 + point, warn))
                if not clock.breached:
                    breach = lambda name=name: self.breach(ticket, name)  # type: ignore[misc]  # noqa: E731
                    timers.append((self.breach_due_us(ticket, name), BREACH, place, breach))
        return timers

    def warn(self, ticket: Ticket, name: str, point: int) -> None:
        ticket.clocks[name].warned.add(point)
        self.raised(ticket, clock_warned=pb.ClockWarned(clock=name, point=point))

    # Commands and their replies

    def check_shape(self, method: str, request: Any) -> None:
        """What the wire refuses before any time passes, as far as random commands go."""
        if method == "Login" and request.presence == OFFLINE:
            raise OracleRejection("OUT_OF_RANGE")

    def one(self, method: str, request: Any) -> Any:
        if method == "Route":
            request = request.ticket
        elif method == "InstallPolicy":
            reclassified = self.install(request.policy, request.reclassify)
            self.settle()
            version = self.current_policy.version
            return policy_pb2.InstallPolicyReply(
                policy_version=version, reclassified=reclassified, sequence=len(self.events)
            )
        replayed, ticket = getattr(self, COMMANDS[method])(request)
        self.settle()
        if method == "Route":
            return self.route_reply(ticket, replayed)
        state: Any = ticket.state if ticket else 0
        if method in ("Update", "Cancel", "Suspend", "Resume"):
            return ticket_pb2.TicketReply(id=request.id, state=state, replayed=replayed, sequence=len(self.events))
        return agent_pb2.ActionReply(replayed=replayed, state=state, sequence=len(self.events))

    def batch(self, method: str, request: Any) -> Any:
        """Each item by itself; a rejection is a Status whose message is the code's name."""
        reply: Any = ticket_pb2.RouteBatchReply(tag=request.tag) if method == "RouteBatch" else agent_pb2.ActionResults()
        for item in getattr(request, BATCHES[method]):
            result = reply.results.add()
            name = {"RouteBatch": "Route", "UpsertAgents": "UpsertAgent", "RemoveAgents": "RemoveAgent"}.get(method, "")
            if method == "RouteBatch":
                item = routing_request(item)
            elif method == "Act":
                result.tag = item.tag
                kind = item.WhichOneof("action")
                name, item = "".join(word.capitalize() for word in kind.split("_")), getattr(item, kind)
            try:
                self.check_shape(name, item)
                result.reply.CopyFrom(self.one(name, item))
            except OracleRejection as rejection:
                result.rejection.message = rejection.code
        return reply

    def route_reply(self, ticket: Ticket, replayed: bool) -> ticket_pb2.RouteReply:
        reply = ticket_pb2.RouteReply(id=ticket.id, state=ticket.state, replayed=replayed, sequence=len(self.events))  # type: ignore[arg-type]
        reply.attempt, reply.agent_context = ticket.attempt, ticket.agent_context
        if ticket.state not in ENDED:
            reply.ticket_class = ticket.ticket_class.number
            for name in ticket.ticket_class.clocks:
                clock = ticket.clocks.get(name, Clock())
                if clock.started_us is not None and clock.stopped_us is None:
                    reply.deadlines.add(clock=name, due_us=self.breach_due_us(ticket, name) if clock.ticking else 0)
        if ticket.state in HELD and ticket.agent:
            reply.agent = ticket.agent.id
        if ticket.state in (SCHEDULED, OFFERED):
            reply.due_us = ticket.due_us
        if ticket.state in (WAITING, SUSPENDED):
            reply.place = self.place(ticket)
        reply.outcome = ticket.outcome if ticket.state in ENDED else ""
        return reply

    def place(self, ticket: Ticket) -> int:
        def line(each: Ticket) -> tuple[int, tuple[int, ...]]:
            return each.ticket_class.number, each.ticket_class.stage(each.taken)

        ahead = [
            each
            for each in self.tickets.values()
            if each.state == WAITING and line(each) == line(ticket)
            if (each.arrival_us, each.sequence) < (ticket.arrival_us, ticket.sequence)
        ]
        return len(ahead) + 1

    # Tickets

    def ticket(self, id: str) -> Ticket:
        if id not in self.tickets:
            raise OracleRejection("TICKET_UNKNOWN")
        return self.tickets[id]

    def submit(self, sent: ticket_pb2.NewTicket) -> Answer:
        known = self.tickets.get(sent.id)
        if known:
            if content(known.sent) != content(sent):
                raise OracleRejection("CONFLICT")
            return True, known
        policy = self.current_policy
        attributes = {each.name: (each.value, confidence(each)) for each in sent.attributes}
        if sent.channel not in policy.channels:
            raise OracleRejection("CHANNEL_UNKNOWN")
        check_required(policy, attributes)
        check_values(policy, attributes)
        before_agents = [each for each in self.tickets.values() if each.state in (SCHEDULED, WAITING, SUSPENDED)]
        if len(before_agents) >= policy.limits["waiting_max"]:
            raise OracleRejection("WAITING_FULL")
        own = [Entry(each.skill, each.level or 1) for each in sent.skills]
        ticket_class = self.find_class(policy, sent.channel, sent.customer, attributes, own)
        self.ticket_count += 1
        ticket = Ticket(self.ticket_count, sent, ticket_class, attributes, SCHEDULED)
        ticket.preferred = self.agents.get(sent.preferred_agent)
        ticket.named = [self.agents[id] for id in sent.excluded_agents if id in self.agents]
        self.tickets[sent.id] = ticket
        if sent.not_before_us > self.now_us:
            ticket.due_us = ceil_ms(sent.not_before_us)
            self.raised(ticket, scheduled=pb.Scheduled(not_before_us=ticket.due_us))
        else:
            self.arrive(ticket)
        return False, ticket

    def update(self, request: ticket_pb2.UpdateRequest) -> Answer:
        ticket, policy = self.ticket(request.id), self.current_policy
        if ticket.state not in (SCHEDULED, WAITING, SUSPENDED, OFFERED, ACTIVE):
            raise OracleRejection("WRONG_STATE")
        if request.revision <= ticket.revision:
            return True, ticket
        attributes = dict(ticket.attributes)
        for each in request.attributes:
            table = policy.attributes.get(each.name)
            unsure = table is not None and table.sticky and confidence(each) < table.threshold_milli
            if not each.value:
                attributes.pop(each.name, None)
            elif not unsure or each.name not in attributes:
                attributes[each.name] = (each.value, confidence(each))
        check_values(policy, attributes)
        check_required(policy, attributes)
        to = self.class_of(ticket, policy, attributes)
        ticket.revision, ticket.attributes = request.revision, attributes
        self.raised(ticket, updated=pb.Updated(revision=request.revision))
        self.change_class(ticket, to, None if ticket.state in HELD else UPDATED)
        return False, ticket

    def cancel_ticket(self, request: ticket_pb2.CancelRequest) -> Answer:
        ticket = self.ticket(request.id)
        if ticket.state in (WRAPPING, *ENDED):
            return True, ticket
        if ticket.state == ACTIVE:
            self.complete(ticket, "abandoned")
        else:
            self.cancel(ticket, request.reason)
        return False, ticket

    def suspend(self, request: ticket_pb2.SuspendRequest) -> Answer:
        ticket = self.ticket(request.id)
        if ticket.state == SUSPENDED:
            return True, ticket
        if ticket.state != WAITING:
            raise OracleRejection("WRONG_STATE")
        ticket.state = SUSPENDED
        ticket.due_us = ceil_ms(self.now_us + self.current_policy.table.suspend_ms * 1000)
        self.raised(ticket, suspended=pb.Suspended(until_us=ticket.due_us))
        return False, ticket

    def resume_ticket(self, request: ticket_pb2.ResumeRequest) -> Answer:
        ticket = self.ticket(request.id)
        if ticket.state == WAITING:
            return True, ticket
        if ticket.state != SUSPENDED:
            raise OracleRejection("WRONG_STATE")
        ticket.state, ticket.due_us = WAITING, 0
        self.raised(ticket, resumed=pb.Resumed())
        self.take_steps_due(ticket)
        return False, ticket

    # Verbs: they name an attempt

    def verb(self, request: Any, state: int, *verb: str) -> tuple[Ticket, bool]:
        """The ticket, and whether this was answered before; else it is in the state that the verb asks for."""
        ticket = self.ticket(request.ticket)
        if not ticket.attempt or request.attempt != ticket.attempt:
            raise OracleRejection("STALE")
        if verb in ticket.answered:
            return ticket, True
        if ticket.state != state:
            raise OracleRejection("WRONG_STATE")
        return ticket, False

    def accept(self, request: agent_pb2.AcceptRequest) -> Answer:
        ticket, replayed = self.verb(request, OFFERED, "accept")
        if not replayed:
            ticket.agent_context = request.context
            self.assigned(ticket, pb.Assigned(agent_context=request.context))
        return replayed, ticket

    def decline(self, request: agent_pb2.DeclineRequest) -> Answer:
        ticket, replayed = self.verb(request, OFFERED, "decline")
        if not replayed:
            ticket.answered.add(("decline",))
            self.requeue(ticket, pb.QUEUE_CAUSE_DECLINED, request.reason, exclude=True)
        return replayed, ticket

    def complete_ticket(self, request: agent_pb2.CompleteRequest) -> Answer:
        ticket, replayed = self.verb(request, ACTIVE, "complete")
        if not replayed:
            ticket.answered.add(("complete",))
            ticket.agent_context = request.context or ticket.agent_context
            self.complete(ticket, request.outcome or "done")
        return replayed, ticket

    def transfer(self, request: agent_pb2.TransferRequest) -> Answer:
        ticket, replayed = self.verb(request, ACTIVE, "transfer")
        if replayed:
            return True, ticket
        to, policy = request.WhichOneof("to"), ticket.ticket_class.policy
        ticket_class = ticket.ticket_class
        if to == "agent":
            if request.agent not in self.agents:
                raise OracleRejection("AGENT_UNKNOWN")
            event = pb.Transferred(agent=request.agent)
        elif to == "queue":
            if request.queue not in policy.queues:
                raise OracleRejection("QUEUE_UNKNOWN")
            ticket_class = self.class_of(
                ticket, policy, replace=lambda applied: policy.replaced(applied, 0, request.queue)
            )
            event = pb.Transferred(queue=request.queue)
        else:
            asked = request.requirement
            groups = tuple(tuple(Entry(e.skill, e.level or 1) for e in group.skills) for group in asked.needs)
            needs = Needs(groups, tuple(Entry(e.skill, e.level or 1) for e in asked.none_of))
            ticket_class = self.class_of(
                ticket, policy, replace=lambda applied: ticket.ticket_class.applied, requirement=needs
            )
            event = pb.Transferred(requirement=True)
        ticket.answered.add(("transfer",))
        self.raised(ticket, ticket.agent, transferred=event)
        agent = self.leave_agent(ticket)
        self.exclude(ticket, agent)
        ticket.ticket_class = ticket_class
        self.clocks_follow(ticket)
        steps = range(len(ticket_class.steps))
        ticket.taken = {index for index in steps if self.point_reached(ticket, index)}
        if to == "agent":
            ticket.preferred = self.agents[request.agent]
            hold_ms = ticket_class.transfer_hold_ms
            ticket.hold_until_us = ceil_ms(self.now_us + hold_ms * 1000) if hold_ms else None
        self.start_waiting(ticket, TRANSFERRED, agent)
        return False, ticket

    def mark(self, request: agent_pb2.MarkRequest) -> Answer:
        ticket = self.ticket(request.ticket)
        known = ticket.ticket_class.policy.moments
        if request.moment not in known or request.moment in BUILT_IN_MOMENTS:
            raise OracleRejection("MOMENT_UNKNOWN")
        ticket, replayed = self.verb(request, ACTIVE, "mark", request.moment)
        if not replayed:
            ticket.answered.add(("mark", request.moment))
            self.raised(ticket, ticket.agent, marked=pb.Marked(moment=request.moment))
            self.moment(ticket, request.moment)
        return replayed, ticket

    def end_wrap_up(self, request: agent_pb2.EndWrapUpRequest) -> Answer:
        ticket, replayed = self.verb(request, WRAPPING, "end_wrap_up")
        if not replayed:
            ticket.answered.add(("end_wrap_up",))
            self.close(ticket)
        return replayed, ticket

    # Clocks

    def clock_of(self, request: Any) -> tuple[Ticket, Clock]:
        ticket = self.ticket(request.ticket)
        if ticket.state in ENDED:
            raise OracleRejection("WRONG_STATE")
        if request.clock not in ticket.ticket_class.clocks:
            raise OracleRejection("CLOCK_UNKNOWN")
        return ticket, ticket.clocks.get(request.clock, Clock())

    def pause_clock(self, request: agent_pb2.PauseClockRequest) -> Answer:
        ticket, clock = self.clock_of(request)
        if not clock.ticking:
            return True, ticket
        clock.paused_us = self.now_us
        self.raised(ticket, clock_paused=pb.ClockPaused(clock=request.clock))
        return False, ticket

    def resume_clock(self, request: agent_pb2.ResumeClockRequest) -> Answer:
        ticket, clock = self.clock_of(request)
        if clock.paused_us is None or clock.stopped_us is not None:
            return True, ticket
        clock.pauses_us += self.now_us - clock.paused_us
        clock.paused_us, clock.armed_us = None, self.now_us
        self.raised(ticket, clock_resumed=pb.ClockResumed(clock=request.clock))
        return False, ticket

    # Supervisors

    def assign(self, request: admin_pb2.AssignRequest) -> Answer:
        ticket = self.ticket(request.ticket)
        if ticket.state != WAITING:
            raise OracleRejection("WRONG_STATE")
        agent = self.agent(request.agent)
        if not agent.logged_in:
            raise OracleRejection("NOT_LOGGED_IN")
        if not self.has_room(agent, ticket.ticket_class):
            raise OracleRejection("NO_CAPACITY")
        reason = self.urgency(ticket, agent)
        reason.supervisor = True
        self.match(ticket, agent, reason)
        return False, ticket

    def move(self, request: admin_pb2.MoveRequest) -> Answer:
        ticket, policy = self.ticket(request.ticket), self.current_policy
        if ticket.state not in (SCHEDULED, WAITING, SUSPENDED):
            raise OracleRejection("WRONG_STATE")
        if request.queue not in policy.queues:
            raise OracleRejection("QUEUE_UNKNOWN")
        if request.queue == ticket.ticket_class.queue:
            return True, ticket
        to = self.class_of(ticket, policy, replace=lambda applied: policy.replaced(applied, 0, request.queue))
        self.change_class(ticket, to, MOVED)
        return False, ticket

    # Agents and sessions

    def agent(self, id: str) -> Agent:
        if id not in self.agents:
            raise OracleRejection("AGENT_UNKNOWN")
        return self.agents[id]

    def session(self, id: str) -> Session:
        if id not in self.sessions:
            raise OracleRejection("SESSION_UNKNOWN")
        return self.sessions[id]

    def upsert_agent(self, sent: agent_pb2.AgentSpec) -> Answer:
        spec = agent_pb2.AgentSpec()
        spec.CopyFrom(sent)
        spec.capacity = spec.capacity or 100
        known = self.agents.get(spec.id)
        if known and known.spec == spec:
            return True, None
        policy = self.current_policy
        if any(each.channel not in policy.channels for each in spec.channels):
            raise OracleRejection("CHANNEL_UNKNOWN")
        if known is None:
            if len(self.agents) >= policy.limits["agents_max"]:
                raise OracleRejection("AGENTS_FULL")
            self.agent_count += 1
            known = self.agents[spec.id] = Agent(self.agent_count, spec)
        known.spec = spec
        self.raised(agent=known, agent_upserted=pb.AgentUpserted())
        return False, None

    def remove_agent(self, id: str) -> Answer:
        agent = self.agent(id)
        if agent.logged_in:
            self.set_presence(agent, OFFLINE, "", REMOVED)
        agent.removed = True
        for ticket in self.held_by(agent, ACTIVE):
            self.requeue(ticket, AGENT_LOST)
        del self.agents[id]
        self.raised(agent=agent, agent_removed=pb.AgentRemoved())
        return False, None

    def open_session(self, request: agent_pb2.OpenSessionRequest) -> Answer:
        lease_ms, session = request.lease_ms or 30_000, self.sessions.get(request.session)
        if session:
            session.lease_ms = lease_ms
            self.renew(session)
            return True, None
        if len(self.sessions) >= (self.policy.limits["sessions_max"] if self.policy else 10_000):
            raise OracleRejection("SESSIONS_FULL")
        self.session_count += 1
        session = Session(request.session, self.session_count, lease_ms, 0)
        self.sessions[session.id] = session
        self.renew(session)
        opened = pb.SessionOpened(session=session.id, lease_until_us=session.lease_until_us)
        self.raised(session=session.id, session_opened=opened)
        return False, None

    def renew(self, session: Session) -> None:
        session.lease_until_us = max(session.lease_until_us, ceil_ms(self.now_us + session.lease_ms * 1000))

    def renew_lease(self, request: agent_pb2.RenewLeaseRequest) -> Answer:
        self.renew(self.session(request.session))
        return False, None

    def close_session(self, request: agent_pb2.CloseSessionRequest) -> Answer:
        self.end_session(self.session(request.session), expired=False)
        return False, None

    def login(self, request: agent_pb2.LoginRequest) -> Answer:
        session, agent = self.session(request.session), self.agent(request.agent)
        presence = request.presence or AVAILABLE
        if not agent.logged_in:
            if not agent.sequence:
                self.login_count += 1
                agent.sequence = self.login_count
            agent.session, agent.lost_at_us = session, None
            self.set_presence(agent, presence, request.reason, COMMAND)
            return False, None
        assert agent.session is not None
        if agent.session.number > session.number:
            raise OracleRejection("SUPERSEDED")
        superseded = agent.session is not session
        if superseded:
            change = pb.AgentSuperseded(old_session=agent.session.id, new_session=session.id)
            agent.session = session
            self.raised(agent=agent, agent_superseded=change)
        same = self.same_presence(agent, presence, request.reason)
        if not same:
            self.set_presence(agent, presence, request.reason, COMMAND)
        return same and not superseded, None

    def same_presence(self, agent: Agent, presence: int, reason: str) -> bool:
        return (agent.presence, agent.reason) == (presence, reason)

    def presence(self, request: agent_pb2.SetPresenceRequest) -> Answer:
        session, agent = self.session(request.session), self.agent(request.agent)
        if not agent.logged_in:
            raise OracleRejection("NOT_LOGGED_IN")
        if agent.session is not session:
            raise OracleRejection("SUPERSEDED")
        if self.same_presence(agent, request.presence, request.reason):
            return True, None
        self.set_presence(agent, request.presence, request.reason, COMMAND)
        return False, None

    # Policy

    def install(self, data: bytes, reclassify: bool) -> int:
        policy = Policy(data)
        self.policy = policy
        self.drop_empty_classes()
        installed = pb.PolicyInstalled(name=policy.table.name)
        self.raised(policy_installed=installed)
        place, reclassified = len(self.events) - 1, 0
        for ticket in sorted(self.tickets.values(), key=lambda ticket: ticket.sequence) if reclassify else []:
            if ticket.state in OPEN and ticket.state != WRAPPING:
                try:
                    check_required(policy, ticket.attributes)
                    check_values(policy, ticket.attributes)
                    to = self.class_of(ticket, policy)
                except OracleRejection:
                    continue
                reclassified += to is not ticket.ticket_class
                self.change_class(ticket, to, None if ticket.state in HELD else INSTALLED)
        self.events[place].policy_installed.reclassified = reclassified
        return reclassified


COMMANDS = {
    "Route": "submit",
    "Update": "update",
    "Cancel": "cancel_ticket",
    "Suspend": "suspend",
    "Resume": "resume_ticket",
    "UpsertAgent": "upsert_agent",
    "RemoveAgent": "remove_agent",
    "OpenSession": "open_session",
    "RenewLease": "renew_lease",
    "CloseSession": "close_session",
    "Login": "login",
    "SetPresence": "presence",
    "Accept": "accept",
    "Decline": "decline",
    "Complete": "complete_ticket",
    "Transfer": "transfer",
    "Mark": "mark",
    "PauseClock": "pause_clock",
    "ResumeClock": "resume_clock",
    "EndWrapUp": "end_wrap_up",
    "Assign": "assign",
    "Move": "move",
}


def routing_request(ticket: ticket_pb2.NewTicket) -> ticket_pb2.RouteRequest:
    return ticket_pb2.RouteRequest(ticket=ticket)


def confidence(attribute: ticket_pb2.Attribute) -> int:
    """Thousandths; absent means certain."""
    return attribute.confidence_milli if attribute.HasField("confidence_milli") else 1000


def content(sent: ticket_pb2.NewTicket) -> Message:
    """What makes two submits the same."""
    same = ticket_pb2.NewTicket()
    same.CopyFrom(sent)
    for attribute in same.attributes:
        attribute.confidence_milli = confidence(attribute)
    for skill in same.skills:
        skill.level = skill.level or 1
    return same


def check_required(policy: Policy, attributes: dict[str, tuple[str, int]]) -> None:
    if any(each.required and each.name not in attributes for each in policy.attributes.values()):
        raise OracleRejection("FIELD_MISSING")


def check_values(policy: Policy, attributes: dict[str, tuple[str, int]]) -> None:
    for name, (value, _) in attributes.items():
        table = policy.attributes.get(name)
        if table and table.values and value not in table.values:
            raise OracleRejection("UNKNOWN_VALUE")
