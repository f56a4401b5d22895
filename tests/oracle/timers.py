"""Time: what is due, found by looking at everything, and fired in order (DESIGN.md §2)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from csroute.v1 import event_pb2 as pb

from .router import OracleRejection
from .settling import Settling
from .state import ENDED, OFFERED, SCHEDULED, SUSPENDED, WAITING, WRAPPING, Clock, Ticket, ceil_ms

__all__ = ["Timers"]

KINDS = range(15)
LEASE, LOST_AGENT, OFFER, WRAP_UP, ARRIVAL, SUSPENSION, EXCLUSION, HOLD, STEP, CONDITION = KINDS[:10]
WARNING, BREACH, OWNER, FORGETTING, LATER = KINDS[10:]
# (due, kind, sequence, index), what happens then.
Timer = tuple[tuple[int, int, int, int], Callable[[], object]]


class Timers(Settling):
    """The router with its timers."""

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
            # Forgetting goes by the current policy, and may be overdue after an install.
            self.now_us = max(self.now_us, due[0][0][0])
            due[0][1]()
            self.settle()
        return bool(due)

    def timers(self) -> list[Timer]:
        """Every timer that is armed, found by looking at everything."""
        timers: list[Timer] = []

        def add(due_us: int | None, kind: int, sequence: int, index: int, fire: Callable[[], object]) -> None:
            if due_us is not None:
                timers.append(((due_us, kind, sequence, index), fire))

        for session in self.sessions.values():
            add(session.lease_until_us, LEASE, session.number, 0, partial(self.end_session, session, expired=True))
        for agent in self.agents.values():
            add(agent.lost_at_us, LOST_AGENT, agent.number, 0, partial(self.lose_active, agent))
        for ticket in self.tickets.values():
            for due_us, kind, index, fire in self.ticket_timers(ticket):
                add(due_us, kind, ticket.sequence, index, fire)
        fulls = [self.full_at_us(each) for each in self.known_conditions() - self.on]
        add(min((at for at in fulls if at is not None), default=None), CONDITION, 0, 0, lambda: None)
        if self.later:
            add(self.later[0][0], LATER, 0, 0, self.follow)
        for place, (customer, (_, due_us)) in enumerate(self.owners.items()):
            add(due_us, OWNER, place, 0, partial(self.owners.pop, customer))
        return timers

    def ticket_timers(self, ticket: Ticket) -> list[tuple[int, int, int, Callable[[], object]]]:
        timers: list[tuple[int, int, int, Callable[[], object]]] = []
        by_state: dict[int, tuple[int, Callable[[], object]]] = {
            SCHEDULED: (ARRIVAL, partial(self.arrive, ticket)),
            SUSPENDED: (SUSPENSION, partial(self.cancel, ticket, "suspended")),
            OFFERED: (OFFER, partial(self.expire_offer, ticket)),
            WRAPPING: (WRAP_UP, partial(self.close, ticket)),
        }
        if ticket.state in ENDED:
            forget_us = ceil_ms(ticket.ended_us + self.current_policy.limits["closed_keep_ms"] * 1000)
            return [(forget_us, FORGETTING, 0, partial(self.forget, ticket))]
        if ticket.state in by_state:
            kind, fire = by_state[ticket.state]
            timers.append((ticket.due_us, kind, 0, fire))
        if ticket.declines:
            until_us = min(each.until_us for each in ticket.declines)
            timers.append((until_us, EXCLUSION, 0, partial(self.fire_exclusions, ticket)))
        if ticket.hold_until_us is not None:
            timers.append((ticket.hold_until_us, HOLD, 0, partial(self.fire_hold, ticket)))
        if ticket.state == WAITING:
            for due_us, step in self.untaken(ticket):
                timers.append((ceil_ms(due_us), STEP, step, partial(self.take_step, ticket, step)))
        for place, (name, target) in enumerate(ticket.ticket_class.clocks.items()):
            clock = ticket.clocks.get(name, Clock())
            if clock.ticking:
                for point, warning_ms in enumerate(target.warnings_ms):
                    if point not in clock.warned:
                        due_us = ceil_ms(clock.at_us(warning_ms * 1000))
                        timers.append((due_us, WARNING, place * 8 + point, partial(self.warn, ticket, name, point)))
                if not clock.breached:
                    due_us = max(self.breach_due_us(ticket, name), ceil_ms(clock.armed_us))
                    timers.append((due_us, BREACH, place, partial(self.breach, ticket, name)))
        return timers

    def follow(self) -> None:
        """A policy's time has come."""
        _, install = self.later.pop(0)
        install()

    def warn(self, ticket: Ticket, name: str, point: int) -> None:
        ticket.clocks[name].warned.add(point)
        self.raised(ticket, clock_warned=pb.ClockWarned(clock=name, point=point))
