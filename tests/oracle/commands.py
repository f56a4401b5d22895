"""The commands, one method each: the request's message in, (replayed, the ticket if it is one's) out (DESIGN.md §5)."""

from __future__ import annotations

from typing import Any

from google.protobuf.message import Message

from csroute.v1 import admin_pb2, agent_pb2, ticket_pb2, version_pb2
from csroute.v1 import event_pb2 as pb

from .policy import Entry, Needs, Policy
from .router import AGENT_LOST, DECLINED, INSTALLED, MOVED, TRANSFERRED, UPDATED, OracleRejection
from .settling import COMMAND, REMOVED
from .state import (
    ACTIVE,
    AVAILABLE,
    ENDED,
    HELD,
    OFFERED,
    OFFLINE,
    OPEN,
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
from .timers import Timers

__all__ = ["Commands"]

BUILT_IN_MOMENTS = ("arrival", "assignment", "completion")
# Tickets that a table's change classifies again at once.
FIRST_SLICE = 512
# Whether it was replayed, and the ticket, if it is a ticket's command.
Answer = tuple[bool, Ticket | None]


class Commands(Timers):
    """The router with its commands; the callers settle."""

    # Tickets

    def ticket(self, name: str) -> Ticket:
        if name not in self.tickets:
            raise OracleRejection("TICKET_UNKNOWN")
        return self.tickets[name]

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
        check_values(policy, attributes)
        check_required(policy, attributes)
        lines = [each for each in self.tickets.values() if each.state in (SCHEDULED, WAITING, SUSPENDED)]
        if len(lines) >= policy.limits["waiting_max"]:
            raise OracleRejection("WAITING_FULL")
        own = [Entry(each.skill, each.level or 1) for each in sent.skills]
        for cap in policy.table.caps:
            value = policy.capped(cap.attribute, sent.channel, sent.customer, attributes)
            most = {own.value: own.waiting_max for own in cap.own}.get(value or "", cap.waiting_max)
            if value is not None and sum(self.capped(each, cap.attribute) == value for each in lines) >= most:
                raise OracleRejection("WAITING_FULL")
        queue = policy.queue_of(policy.facts(sent.channel, sent.customer, attributes, self.hour))
        queued = sum(each.ticket_class.queue == queue.name for each in lines)
        if queue.effects.HasField("waiting_max") and queued >= queue.effects.waiting_max:
            raise OracleRejection("WAITING_FULL")
        ticket_class = self.find_class(policy, sent.channel, sent.customer, attributes, own)
        self.ticket_count += 1
        ticket = Ticket(self.ticket_count, sent, ticket_class, attributes, SCHEDULED)
        ticket.preferred = self.agents.get(sent.preferred_agent)
        ticket.named = [self.agents[name] for name in sent.excluded_agents if name in self.agents]
        self.tickets[sent.id] = ticket
        if sent.not_before_us > self.now_us:
            ticket.due_us = ceil_ms(sent.not_before_us)
            self.raised(ticket, scheduled=pb.Scheduled(not_before_us=ticket.due_us))
        else:
            self.arrive(ticket)
        return False, ticket

    def capped(self, ticket: Ticket, attribute: str) -> str | None:
        """With which value a ticket counts for a cap, by the policy of its class."""
        sent = ticket.sent
        return ticket.ticket_class.policy.capped(attribute, sent.channel, sent.customer, ticket.attributes)

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
            ticket.agent_context = request.context or ticket.agent_context
            self.assigned(ticket, pb.Assigned(agent_context=request.context))
        return replayed, ticket

    def decline(self, request: agent_pb2.DeclineRequest) -> Answer:
        ticket, replayed = self.verb(request, OFFERED, "decline")
        if not replayed:
            ticket.answered.add(("decline",))
            self.requeue(ticket, DECLINED, request.reason, exclude=True)
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
            ticket_class = self.class_of(ticket, policy, replace=policy.replacing(0, request.queue))
            event = pb.Transferred(queue=request.queue)
        else:
            asked = request.requirement
            groups = tuple(tuple(Entry(e.skill, e.level or 1) for e in group.skills) for group in asked.needs)
            needs = Needs(groups, tuple(Entry(e.skill, e.level or 1) for e in asked.none_of))
            ticket_class = self.class_of(ticket, policy, replace=lambda _: ticket_class.applied, requirement=needs)
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
        known = (self.current_policy if ticket.state in ENDED else ticket.ticket_class.policy).moments
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
        if ticket.ticket_class.policy.clocks[request.clock].unpausable:
            raise OracleRejection("WRONG_STATE")
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
        to = self.class_of(ticket, policy, replace=policy.replacing(0, request.queue))
        self.change_class(ticket, to, MOVED)
        return False, ticket

    # Agents and sessions

    def agent(self, name: str) -> Agent:
        if name not in self.agents:
            raise OracleRejection("AGENT_UNKNOWN")
        return self.agents[name]

    def session(self, name: str) -> Session:
        if name not in self.sessions:
            raise OracleRejection("SESSION_UNKNOWN")
        return self.sessions[name]

    def upsert_agent(self, sent: agent_pb2.AgentSpec) -> Answer:
        spec = agent_pb2.AgentSpec()
        spec.CopyFrom(sent)
        spec.capacity = spec.capacity or 100
        for skill in spec.skills:
            skill.level = skill.level or 1
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

    def remove_agent(self, name: str) -> Answer:
        agent = self.agent(name)
        if agent.logged_in:
            self.set_presence(agent, OFFLINE, "", REMOVED)
        agent.removed = True
        for ticket in self.held_by(agent, ACTIVE):
            self.requeue(ticket, AGENT_LOST)
        del self.agents[name]
        self.owners = {customer: owner for customer, owner in self.owners.items() if owner[0] is not agent}
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
        if presence == OFFLINE:
            raise OracleRejection("OUT_OF_RANGE")
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

    def install(self, data: bytes, reclassify: bool, slice_max: int = 0) -> int:
        policy = Policy(data)
        self.policy = policy
        self.drop_empty_classes()
        self.raised(policy_installed=pb.PolicyInstalled(name=policy.table.name))
        place = len(self.events) - 1
        self.hour = {
            table.name: {
                key: value for key, value in self.hour[table.name].items() if not table.values or value in table.values
            }
            for table in policy.table.tables
            if table.name in self.hour
        }
        self.sweep = (0, self.ticket_count) if reclassify else None
        reclassified = self.reclassify(slice_max)
        self.events[place].policy_installed.reclassified = reclassified
        return reclassified

    def reclassify(self, tickets_max: int) -> int:
        """So many more of the tickets that an install looks at, ended ones too; 0: all."""
        if self.sweep is None:
            return 0
        (after, last), policy, reclassified = self.sweep, self.current_policy, 0
        known = sorted(self.tickets.values(), key=lambda ticket: ticket.sequence)
        looked = [ticket for ticket in known if after < ticket.sequence <= last][: tickets_max or len(known)]
        whole = not tickets_max or len(looked) < tickets_max or looked[-1].sequence == last
        self.sweep = None if whole else (looked[-1].sequence, last)
        for ticket in looked:
            if ticket.state in OPEN and ticket.state != WRAPPING:
                try:
                    check_required(policy, ticket.attributes)
                    check_values(policy, ticket.attributes)
                    to = self.class_of(ticket, policy)
                except OracleRejection:
                    continue
                reclassified += to is not ticket.ticket_class
                self.change_class(ticket, to, None if ticket.state in HELD else INSTALLED)
        return reclassified

    def set_table(self, request: version_pb2.SetTableRequest) -> tuple[bool, int]:
        """Whether nothing was left to do, and how many tickets changed their class."""
        tables = {each.name: each for each in self.current_policy.table.tables}
        if request.table not in tables:
            raise OracleRejection("UNKNOWN_VALUE")
        table, before = tables[request.table], self.hour.get(request.table, {})
        if any(each.value and table.values and each.value not in table.values for each in request.entries):
            raise OracleRejection("UNKNOWN_VALUE")
        now = {} if request.replace else dict(before)
        now.update({each.key: each.value for each in request.entries})
        now = {key: value for key, value in now.items() if value}
        if len(now) > table.keys_max:
            raise OracleRejection("TOO_MANY")
        if now == before:
            return True, 0
        self.hour[request.table] = now
        if not request.reclassify:
            return False, 0
        self.sweep = (0, self.ticket_count)
        return False, self.reclassify(FIRST_SLICE)


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
