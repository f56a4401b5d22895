"""Agents, who is eligible, and settling: every pair of a waiting ticket and an agent is tried (DESIGN.md §4)."""

from __future__ import annotations

from typing import Any

from csroute.v1 import event_pb2 as pb
from csroute.v1 import policy_pb2

from .policy import (
    BEST_LEVEL,
    LEAST_LOADED,
    LONGEST_IDLE,
    ROUND_ROBIN,
    SPARE_GENERALISTS,
    Condition,
    Needs,
    TicketClass,
)
from .router import AGENT_LEFT, AGENT_LOST, EXPIRED, Router
from .state import (
    ACTIVE,
    AVAILABLE,
    AWAY,
    HELD,
    OFFERED,
    OFFLINE,
    WAITING,
    WRAPPING,
    Agent,
    Session,
    Ticket,
    ceil_ms,
)

__all__ = ["Settling"]

COMMAND, LEASE, EXPIRED_OFFER, SESSION_CLOSED, REMOVED = range(1, 6)
WAIT_CAP_US = 1 << 43
LENGTH = policy_pb2.QueueCondition.MEASURE_LENGTH


class Settling(Router):
    """The router with its agents."""

    # Agents

    def held_by(self, agent: Agent, *states: int) -> list[Ticket]:
        """By ticket sequence."""
        held = [each for each in self.tickets.values() if each.agent is agent and each.state in states]
        return sorted(held, key=lambda ticket: ticket.sequence)

    def used(self, agent: Agent) -> int:
        return sum(ticket.units for ticket in self.held_by(agent, *HELD))

    def channel_limit(self, agent: Agent, channel: str) -> int:
        """Tickets of a channel the agent may hold; 0: closed."""
        table = self.policy.channels.get(channel) if self.policy else None
        if table is None:
            return 0
        opened = {each.channel: each.limit for each in agent.spec.channels}
        return table.limit if not opened else (opened[channel] or table.limit) if channel in opened else 0

    def has_room(self, agent: Agent, ticket_class: TicketClass) -> bool:
        """Channel open and below its limit, enough free units."""
        load = sum(ticket.sent.channel == ticket_class.channel for ticket in self.held_by(agent, *HELD))
        free = agent.spec.capacity - self.used(agent)
        return load < self.channel_limit(agent, ticket_class.channel) and free >= ticket_class.cost

    def could_take(self, agent: Agent, ticket_class: TicketClass, needs: Needs) -> bool:
        """Requirement, channel and total capacity."""
        open_channel = self.channel_limit(agent, ticket_class.channel) > 0
        return needs.met_by(agent.skills) and open_channel and agent.spec.capacity >= ticket_class.cost

    def set_presence(self, agent: Agent, presence: int, reason: str, cause: int) -> None:
        if presence == AVAILABLE and agent.presence != AVAILABLE:
            agent.idle_since_us = max(agent.idle_since_us, self.now_us)
        agent.presence, agent.reason = presence, reason
        changed = pb.PresenceChanged(presence=presence, reason=reason, cause=cause)  # type: ignore[arg-type]
        self.raised(agent=agent, presence_changed=changed)
        if presence in (AWAY, OFFLINE):
            for ticket in self.held_by(agent, OFFERED):
                if ticket is not self.expiring:
                    self.requeue(ticket, AGENT_LEFT)
        if presence == OFFLINE:
            for ticket in self.held_by(agent, WRAPPING):
                self.close(ticket)
            agent.session = None
            if self.held_by(agent, ACTIVE):
                agent.lost_at_us = ceil_ms(self.now_us + self.current_policy.table.lost_grace_ms * 1000)

    # The offer that is expiring: it goes back after its agent's others.
    expiring: Ticket | None = None

    def expire_offer(self, ticket: Ticket) -> None:
        agent, away = ticket.agent, ticket.away_on_expiry
        assert agent is not None
        if away and agent.presence == AVAILABLE:
            self.expiring = ticket
            self.set_presence(agent, AWAY, "", EXPIRED_OFFER)
            self.expiring = None
        self.requeue(ticket, EXPIRED, exclude=not away)

    def lose_active(self, agent: Agent) -> None:
        agent.lost_at_us = None
        for ticket in self.held_by(agent, ACTIVE):
            self.requeue(ticket, AGENT_LOST)

    def end_session(self, session: Session, expired: bool) -> None:
        del self.sessions[session.id]
        ended = pb.SessionEnded(session=session.id, expired=expired)
        self.raised(session=session.id, session_ended=ended)
        for agent in sorted(self.agents.values(), key=lambda agent: agent.sequence):
            if agent.session is session:
                self.set_presence(agent, OFFLINE, "", LEASE if expired else SESSION_CLOSED)

    # Settling

    def candidates(self, ticket: Ticket) -> tuple[list[Agent], bool]:
        """The agents eligible for a waiting ticket, and whether it is the preferred one alone."""
        ticket_class, preferred = ticket.ticket_class, ticket.preferred
        needs = ticket_class.needs_at(ticket.taken, self.on)
        if preferred and not preferred.removed and preferred.presence == AVAILABLE and not ticket.excludes(preferred):
            own = ticket_class.affinity_needs
            asked = needs if own is None else own + ticket_class.own + ticket_class.reserved(self.on)
            if self.could_take(preferred, ticket_class, asked):
                if self.has_room(preferred, ticket_class):
                    return [preferred], True
                if ticket.hold_until_us is not None:
                    return [], False
        agents = [
            agent
            for agent in self.agents.values()
            if agent.presence == AVAILABLE
            and needs.met_by(agent.skills)
            and self.has_room(agent, ticket_class)
            and not ticket.excludes(agent)
        ]
        return agents, False

    def urgency(self, ticket: Ticket, agent: Agent) -> pb.MatchReason:
        """The terms, and their sum."""
        ticket_class, waited_us = ticket.ticket_class, self.now_us - ticket.arrival_us
        boost_ms, fit_ms = ticket_class.boost_ms(ticket.taken), ticket_class.fit_ms(agent.skills)
        relative_us = 1000 * (ticket_class.head_start_ms + fit_ms)
        return pb.MatchReason(
            step=max((index + 1 for index in ticket.taken), default=0),
            urgency_milli_us=ticket_class.slope_milli * (min(waited_us, WAIT_CAP_US) + 1000 * boost_ms)
            + 1000 * relative_us,
            slope_milli=ticket_class.slope_milli,
            seniority_us=waited_us + 1000 * boost_ms,
            head_start_ms=ticket_class.head_start_ms,
            fit_ms=fit_ms,
            boost_ms=boost_ms,
        )

    def agent_order(self, ticket: Ticket, agent: Agent) -> tuple[float, ...]:
        """Less is better."""
        needs = ticket.ticket_class.needs_at(ticket.taken, self.on)
        # Used ÷ capacity compared as whole numbers: capacities divide their product.
        whole = 1
        for each in self.agents.values():
            whole *= each.spec.capacity
        measures = {
            LEAST_LOADED: self.used(agent) * (whole // agent.spec.capacity),
            LONGEST_IDLE: agent.idle_since_us,
            BEST_LEVEL: -needs.level_of(agent.skills),
            SPARE_GENERALISTS: len(agent.skills),
            ROUND_ROBIN: agent.last_assignment,
        }
        return tuple(measures[order] for order in ticket.ticket_class.order)

    # Queue conditions

    def measured(self, condition: Condition) -> list[int]:
        """When the waiting tickets that it measures were queued, the oldest first."""
        waiting = [each for each in self.tickets.values() if each.state == WAITING]
        return sorted(each.queued_at_us for each in waiting if condition.measures(each.ticket_class))

    def full_at_us(self, condition: Condition) -> int | None:
        """When a condition that is off turns on, if nothing else happens."""
        queued = self.measured(condition)
        if condition.measure == LENGTH:
            return self.now_us if len(queued) >= condition.over else None
        return ceil_ms(queued[0] + condition.over * 1000) if queued else None

    def empty_enough(self, condition: Condition) -> bool:
        queued = self.measured(condition)
        if condition.measure == LENGTH:
            return len(queued) <= condition.until
        return not queued or self.now_us - queued[0] <= condition.until * 1000

    def known_conditions(self) -> set[Condition]:
        """Those of the classes that wait: others are off."""
        waiting = [each.ticket_class for each in self.tickets.values() if each.state == WAITING]
        return {condition for each in waiting for condition in each.conditions}

    def turns(self) -> list[Condition]:
        """The conditions that are not as they should be, in order."""
        known = self.known_conditions()
        gone = {each for each in self.on if each not in known or self.empty_enough(each)}
        full = {each for each in known - self.on if (at := self.full_at_us(each)) is not None and at <= self.now_us}
        return sorted(gone | full)

    def read_conditions(self) -> None:
        for condition in self.turns():
            self.on ^= {condition}
            measure: Any = condition.measure
            turned = pb.ConditionTurned(
                reserve=condition.reserve, queues=condition.queues, measure=measure,
                over=condition.over, until=condition.until, on=condition in self.on,
            )  # fmt: skip
            self.raised(condition_turned=turned)

    def settle(self) -> None:
        while True:
            self.read_conditions()
            self.lift_all_declined()
            self.match_all()
            if not self.turns():
                return

    def match_all(self) -> None:
        while True:
            pairs = []
            for ticket in self.tickets.values():
                if ticket.state == WAITING:
                    agents, preferred = self.candidates(ticket)
                    for agent in agents:
                        reason = self.urgency(ticket, agent)
                        reason.candidates, reason.preferred = len(agents), preferred
                        order = (
                            -reason.urgency_milli_us, -reason.seniority_us, ticket.sequence,
                            self.agent_order(ticket, agent), agent.sequence,
                        )  # fmt: skip
                        pairs.append((order, ticket, agent, reason))
            if not pairs:
                return
            _, ticket, agent, reason = min(pairs, key=lambda pair: pair[0])
            self.match(ticket, agent, reason)

    def lift_all_declined(self) -> None:
        for ticket in sorted(self.tickets.values(), key=lambda ticket: ticket.sequence):
            if ticket.state == WAITING and ticket.declines:
                needs = ticket.ticket_class.needs_at(ticket.taken, self.on)
                asked = [
                    agent
                    for agent in self.agents.values()
                    if agent.logged_in and agent not in ticket.named
                    if self.could_take(agent, ticket.ticket_class, needs)
                ]
                if all(ticket.excludes(agent) for agent in asked):
                    ticket.declines.clear()
                    self.raised(ticket, all_declined=pb.AllDeclined())

    def match(self, ticket: Ticket, agent: Agent, reason: pb.MatchReason) -> None:
        ticket_class = ticket.ticket_class
        ticket.attempt += 1
        ticket.answered.clear()
        ticket.agent = agent
        ticket.units, ticket.wrap_up_ms = ticket_class.cost, ticket_class.wrap_up_ms
        ticket.decline_exclude_ms = ticket_class.decline_exclude_ms
        ticket.away_on_expiry = ticket_class.away_on_expiry
        if ticket_class.ttl_ms:
            ticket.state = OFFERED
            ticket.due_us = max(ceil_ms(self.now_us + ticket_class.ttl_ms * 1000), self.not_before_us)
            offered = pb.Offered(expires_us=ticket.due_us, reason=reason, context=ticket.sent.context)
            self.raised(ticket, agent, offered=offered)
        else:
            self.assigned(ticket, pb.Assigned(reason=reason))

    def assigned(self, ticket: Ticket, event: pb.Assigned) -> None:
        agent = ticket.agent
        assert agent is not None
        ticket.state, ticket.due_us = ACTIVE, 0
        ticket.answered.add(("accept",))
        self.assignment_count += 1
        agent.last_assignment = self.assignment_count
        if event.HasField("reason"):  # else Offered told it
            event.context = ticket.sent.context
        self.remember(ticket, agent)
        event.waited_ms = (self.now_us - ticket.arrival_us) // 1000
        self.raised(ticket, agent, assigned=event)
        self.moment(ticket, "assignment")

    def remember(self, ticket: Ticket, agent: Agent) -> None:
        """The first agent of a customer is remembered; another assignment to the same one renews it."""
        customer, keep_ms = ticket.sent.customer, ticket.ticket_class.owner_keep_ms
        if not (customer and keep_ms) or (customer in self.owners and self.owners[customer][0] is not agent):
            return
        self.owners.pop(customer, None)
        self.owners[customer] = (agent, ceil_ms(self.now_us + keep_ms * 1000))
        while len(self.owners) > self.current_policy.limits["owner_max"]:
            del self.owners[next(iter(self.owners))]
