"""The life of tickets: events, classes, clocks, steps, waiting and ending (DESIGN.md §3 and §5)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from csroute.v1 import event_pb2 as pb

from .policy import Condition, Entry, Policy, Replace, Requirement, TicketClass, naturally
from .state import (
    ACTIVE,
    CANCELLED,
    CLOSED,
    OFFERED,
    OPEN,
    OVERFLOWED,
    SUSPENDED,
    WAITING,
    WRAPPING,
    Agent,
    Clock,
    Exclusion,
    Session,
    Ticket,
    ceil_ms,
)

__all__ = ["BUILT_IN_MOMENTS", "OracleRejection", "Router"]

ARRIVED, DECLINED, EXPIRED, AGENT_LEFT, AGENT_LOST, TRANSFERRED = range(1, 7)
UPDATED, STEP, MOVED, INSTALLED = range(1, 5)
BUILT_IN_MOMENTS = ("arrival", "assignment", "completion")
DECLINES_MAX = 16


class OracleRejection(Exception):  # noqa: N818 - it is the answer, not a mistake of the oracle
    """A numbered no; its only argument is the code's name."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Router:
    """The state, and what happens in it."""

    def __init__(self) -> None:
        self.now_us = 0
        self.events: list[pb.Event] = []
        self.policy: Policy | None = None
        self.tickets: dict[str, Ticket] = {}
        self.agents: dict[str, Agent] = {}
        self.sessions: dict[str, Session] = {}
        self.classes: dict[int, TicketClass] = {}
        self.ended: list[Ticket] = []
        self.ticket_count = self.agent_count = self.login_count = self.session_count = self.assignment_count = 0
        # Queue conditions that are on; who is remembered for a customer, in order of renewal.
        self.on: set[Condition] = set()
        self.owners: dict[str, tuple[Agent, int]] = {}
        # Policies that follow by themselves: when, and their installing.
        self.later: list[tuple[int, Callable[[], object]]] = []
        # The hour's facts, by table; tickets that an install has still to look at: past the first, up to the second.
        self.hour: dict[str, dict[str, str]] = {}
        self.sweep: tuple[int, int] | None = None
        # While catching up in `resume`: no offer ends before this.
        self.not_before_us = 0

    # Events

    def raised(
        self,
        ticket: Ticket | None = None,
        agent: Agent | None = None,
        session: str | None = None,
        attempt: bool = True,
        **kind: Any,
    ) -> None:
        """Raises an event; `attempt` says whether an event with ticket and agent tells the attempt too."""
        event = pb.Event(sequence=len(self.events) + 1, at_us=self.now_us, **kind)
        event.policy_version = self.policy.version if self.policy else 0
        if ticket:
            event.policy_version = ticket.ticket_class.policy.version
            event.ticket, event.source = ticket.id, ticket.sent.source
            event.queue, event.ticket_class = ticket.ticket_class.queue, ticket.ticket_class.number
        if agent:
            event.agent = agent.id
            event.session = agent.session.id if agent.session else ""
            event.attempt = ticket.attempt if ticket and attempt else 0
        if session is not None:
            event.session = session
        self.events.append(event)

    # Classes

    def find_class(
        self,
        policy: Policy,
        channel: str,
        customer: str,
        attributes: dict[str, tuple[str, int]],
        own: list[Entry],
        *,
        replace: Replace = naturally,
        requirement: Requirement = None,
    ) -> TicketClass:
        """The class of these, numbered; CHANNEL_UNKNOWN, CLASSES_FULL."""
        if channel not in policy.channels:
            raise OracleRejection("CHANNEL_UNKNOWN")
        facts = policy.facts(channel, customer, attributes, self.hour)
        made = policy.make_class(replace(policy.natural(facts)), facts, channel, own, requirement)
        for known in self.classes.values():
            if known.key == made.key:
                return known
        classes_max = self.current_policy.limits["classes_max"]
        if len(self.classes) >= classes_max:
            self.drop_empty_classes()
        if len(self.classes) >= classes_max:
            raise OracleRejection("CLASSES_FULL")
        made.number = min(set(range(1, len(self.classes) + 2)) - set(self.classes))
        self.classes[made.number] = made
        return made

    def class_of(
        self,
        ticket: Ticket,
        policy: Policy,
        attributes: dict[str, tuple[str, int]] | None = None,
        *,
        replace: Replace = naturally,
        requirement: Requirement = None,
    ) -> TicketClass:
        """The class that a known ticket would have."""
        own = [Entry(each.skill, each.level or 1) for each in ticket.sent.skills]
        given = ticket.attributes if attributes is None else attributes
        sent = ticket.sent
        return self.find_class(
            policy, sent.channel, sent.customer, given, own, replace=replace, requirement=requirement
        )

    def drop_empty_classes(self) -> None:
        used = {ticket.ticket_class.number for ticket in self.tickets.values() if ticket.state in OPEN}
        self.classes = {number: each for number, each in self.classes.items() if number in used}

    @property
    def current_policy(self) -> Policy:
        if self.policy is None:
            raise OracleRejection("NO_POLICY")
        return self.policy

    def change_class(self, ticket: Ticket, to: TicketClass, cause: int | None) -> None:
        """Another class: clocks follow, steps are counted anew, those due are taken if it waits."""
        if to is ticket.ticket_class:
            return
        ages = [self.age_ms(ticket, index) for index in ticket.taken]
        oldest_ms = max((age for age in ages if age is not None), default=None)
        ticket.ticket_class = to
        if cause is not None:
            self.raised(ticket, classified=pb.Classified(cause=cause))  # type: ignore[arg-type]
        self.clocks_follow(ticket)
        ticket.taken = {
            index
            for index, step in enumerate(to.steps)
            if (step.age_ms is not None and oldest_ms is not None and step.age_ms <= oldest_ms)
            or self.point_reached(ticket, index)
        }
        self.take_steps_due(ticket)

    # Clocks

    def clocks_follow(self, ticket: Ticket) -> None:
        """Starts those new to the ticket whose moment is past; works out all due times again."""
        for name in ticket.ticket_class.clocks:
            clock = ticket.clocks.setdefault(name, Clock())
            table = ticket.ticket_class.policy.clocks[name]
            if clock.started_us is None and table.starts != table.stops:
                clock.started_us = ticket.moments.get(table.starts)
            if clock.started_us is not None and clock.stopped_us is None:
                clock.stopped_us = ticket.moments.get(table.stops)
            clock.armed_us = self.now_us

    def breach_due_us(self, ticket: Ticket, name: str) -> int:
        """Of a ticking clock; past, if its target was lowered to less than it has run."""
        clock, target = ticket.clocks[name], ticket.ticket_class.clocks[name]
        assert clock.started_us is not None
        return ceil_ms(clock.started_us + clock.pauses_us + target.target_ms * 1000)

    def moment(self, ticket: Ticket, moment: str) -> None:
        """Counts once a ticket: stops clocks, then starts clocks."""
        if moment in ticket.moments:
            return
        ticket.moments[moment] = self.now_us
        tables = ticket.ticket_class.policy.clocks
        for name in ticket.ticket_class.clocks:
            clock = ticket.clocks[name]
            if tables[name].stops == moment and clock.started_us is not None and clock.stopped_us is None:
                if clock.ticking and not clock.breached and self.breach_due_us(ticket, name) <= self.now_us:
                    self.breach(ticket, name)
                elapsed_ms = clock.run_us(self.now_us) // 1000
                clock.stopped_us = self.now_us
                met = not clock.breached
                self.raised(ticket, clock_stopped=pb.ClockStopped(clock=name, elapsed_ms=elapsed_ms, met=met))
        for name in ticket.ticket_class.clocks:
            clock = ticket.clocks[name]
            if tables[name].starts == moment != tables[name].stops and clock.started_us is None:
                clock.started_us = clock.armed_us = self.now_us
                # Its stop moment came first: it never fires.
                clock.stopped_us = ticket.moments.get(tables[name].stops)

    def breach(self, ticket: Ticket, name: str) -> None:
        ticket.clocks[name].breached = True
        self.raised(ticket, clock_breached=pb.ClockBreached(clock=name))

    # Steps

    def age_ms(self, ticket: Ticket, index: int) -> int | None:
        return ticket.ticket_class.steps[index].age_ms

    def point_run_us(self, ticket: Ticket, index: int) -> int | None:
        """The run at which a clock step is due; None for an age step, or if the class has not got the clock."""
        step = ticket.ticket_class.steps[index]
        target = ticket.ticket_class.clocks.get(step.clock)
        return target.target_ms * step.share_milli if target and step.age_ms is None else None

    def point_reached(self, ticket: Ticket, index: int) -> bool:
        run_us = self.point_run_us(ticket, index)
        if run_us is None:
            return False
        clock = ticket.clocks[ticket.ticket_class.steps[index].clock]
        return clock.started_us is not None and clock.run_us(self.now_us) >= run_us

    def step_due_us(self, ticket: Ticket, index: int) -> int | None:
        """When an untaken step is due (raw); None: not as things stand."""
        step, run_us = ticket.ticket_class.steps[index], self.point_run_us(ticket, index)
        if step.age_ms is not None:
            return ticket.queued_at_us + step.age_ms * 1000
        if run_us is None or not ticket.clocks[step.clock].ticking:
            return None
        return ticket.clocks[step.clock].at_us(run_us)

    def untaken(self, ticket: Ticket) -> list[tuple[int, int]]:
        """(raw due, index) of the steps that are still to come, in order."""
        steps = [i for i in range(len(ticket.ticket_class.steps)) if i not in ticket.taken]
        dues = [(self.step_due_us(ticket, index), index) for index in steps]
        return sorted((due, index) for due, index in dues if due is not None)

    def take_steps_due(self, ticket: Ticket) -> None:
        while ticket.state == WAITING:
            due = [index for at_us, index in self.untaken(ticket) if at_us <= self.now_us]
            if not due:
                return
            self.take_step(ticket, due[0])

    def take_step(self, ticket: Ticket, index: int) -> None:
        step = ticket.ticket_class.steps[index]
        ticket.taken.add(index)
        self.raised(ticket, step_taken=pb.StepTaken(step=index + 1, alert=step.alert))
        ticket.declines.clear()
        if step.overflow_to:
            self.end(ticket, OVERFLOWED, step.overflow_to)
            self.raised(ticket, overflowed=pb.Overflowed(to=step.overflow_to))
        elif step.move_to:
            policy = ticket.ticket_class.policy
            try:
                to = self.class_of(ticket, policy, replace=policy.replacing(step.layer, step.move_to))
            except OracleRejection:
                to = ticket.ticket_class
            self.change_class(ticket, to, STEP)
        else:
            self.skip_unstaffed(ticket)

    def skip_unstaffed(self, ticket: Ticket) -> None:
        """A step has begun: if nobody logged in meets it, the next age step is taken at once."""
        ticket_class = ticket.ticket_class
        needs = ticket_class.needs_at(ticket.taken, self.on)
        staffed = any(needs.met_by(agent.skills) for agent in self.agents.values() if agent.logged_in)
        ages = [(self.age_ms(ticket, index), index) for _, index in self.untaken(ticket)]
        nexts = sorted((age, index) for age, index in ages if age is not None)
        if ticket_class.skip_unstaffed and not staffed and nexts:
            self.take_step(ticket, nexts[0][1])

    # The ticket's life

    def arrive(self, ticket: Ticket) -> None:
        ticket.arrival_us = self.now_us
        self.clocks_follow(ticket)
        self.moment(ticket, "arrival")
        if ticket.preferred is None and ticket.ticket_class.owner_keep_ms and ticket.sent.customer in self.owners:
            ticket.preferred = self.owners[ticket.sent.customer][0]
        if ticket.preferred and ticket.ticket_class.hold_ms:
            ticket.hold_until_us = ceil_ms(self.now_us + ticket.ticket_class.hold_ms * 1000)
        self.start_waiting(ticket, ARRIVED, None)

    def start_waiting(self, ticket: Ticket, cause: int, agent: Agent | None) -> None:
        """First waiting, or a transfer: steps begin."""
        ticket.queued_at_us = self.now_us
        self.queue(ticket, cause, agent, begin=True)

    def queue(self, ticket: Ticket, cause: int, agent: Agent | None, reason: str = "", begin: bool = False) -> None:
        """`Q(cause)`: it waits (again); the agent, if any, is the one it left."""
        ticket.state = WAITING
        self.raised(ticket, agent, queued=pb.Queued(cause=cause, reason=reason))  # type: ignore[arg-type]
        if begin:
            self.skip_unstaffed(ticket)
        self.take_steps_due(ticket)

    def leave_agent(self, ticket: Ticket) -> Agent:
        """Frees what the ticket holds; an accepted one makes the agent idle from now."""
        agent = ticket.agent
        assert agent is not None
        if ticket.state in (ACTIVE, WRAPPING):
            agent.idle_since_us = self.now_us
        ticket.agent, ticket.due_us = None, 0
        return agent

    def exclude(self, ticket: Ticket, agent: Agent) -> None:
        """As a decline does; a newer one of the same agent replaces the older."""
        until_us = ceil_ms(self.now_us + ticket.decline_exclude_ms * 1000)
        ticket.declines = [each for each in ticket.declines if each.agent is not agent]
        ticket.declines.append(Exclusion(agent, until_us))
        del ticket.declines[:-DECLINES_MAX]

    def requeue(self, ticket: Ticket, cause: int, reason: str = "", exclude: bool = False) -> None:
        agent = self.leave_agent(ticket)
        self.queue(ticket, cause, agent, reason)
        if exclude and ticket.state == WAITING:
            # Steps passed while it was offered do not lift the decline: it begins after them.
            self.exclude(ticket, agent)

    def close(self, ticket: Ticket) -> None:
        agent = ticket.agent = self.leave_agent(ticket)
        self.end(ticket, CLOSED, ticket.outcome)
        self.raised(ticket, agent, closed=pb.Closed(outcome=ticket.outcome))

    def complete(self, ticket: Ticket, outcome: str) -> None:
        ticket.outcome = outcome
        # An agent who is offline (within the grace) has nothing to wrap up in.
        wraps = ticket.wrap_up_ms > 0 and ticket.agent is not None and ticket.agent.logged_in
        wrap_up_us = ceil_ms(self.now_us + ticket.wrap_up_ms * 1000) if wraps else 0
        self.raised(ticket, ticket.agent, completed=pb.Completed(outcome=outcome, wrap_up_until_us=wrap_up_us))
        self.moment(ticket, "completion")
        self.end_clocks(ticket)
        ticket.state, ticket.due_us = WRAPPING, wrap_up_us
        if not wraps:
            self.close(ticket)

    def end_clocks(self, ticket: Ticket) -> None:
        for clock in ticket.clocks.values():
            clock.stopped_us = self.now_us if clock.stopped_us is None else clock.stopped_us

    def end(self, ticket: Ticket, state: int, outcome: str) -> None:
        """The ticket ends, and is remembered for a while."""
        self.end_clocks(ticket)
        limits = self.current_policy.limits
        ticket.state, ticket.outcome, ticket.ended_us = state, outcome, self.now_us
        self.ended.append(ticket)
        while len(self.ended) > limits["closed_max"]:
            self.forget(self.ended[0])

    def forget(self, ticket: Ticket) -> None:
        self.ended.remove(ticket)
        del self.tickets[ticket.id]

    def cancel(self, ticket: Ticket, reason: str) -> None:
        agent = self.leave_agent(ticket) if ticket.state == OFFERED else None
        self.end(ticket, CANCELLED, reason)
        self.raised(ticket, agent, cancelled=pb.Cancelled(reason=reason))

    def fire_exclusions(self, ticket: Ticket) -> None:
        over = [each for each in ticket.declines if each.until_us <= self.now_us]
        ticket.declines = [each for each in ticket.declines if each not in over]
        for each in over:
            if ticket.state in (WAITING, SUSPENDED) and not each.agent.removed:
                self.raised(ticket, each.agent, attempt=False, exclusion_ended=pb.ExclusionEnded())

    def fire_hold(self, ticket: Ticket) -> None:
        ticket.hold_until_us = None
        if ticket.state in (WAITING, SUSPENDED):
            agent = ticket.preferred if ticket.preferred and not ticket.preferred.removed else None
            self.raised(ticket, agent, attempt=False, hold_ended=pb.HoldEnded())
