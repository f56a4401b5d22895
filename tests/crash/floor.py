"""The policy of the crash tests: some tickets are offered and must be accepted, the others are assigned at once."""

from typing import Literal

from csroute.policy import (
    Attr,
    Attributes,
    Channel,
    Clock,
    Layer,
    Limits,
    Offer,
    Otherwise,
    Policy,
    Rule,
    Skill,
    Skills,
    minutes,
    seconds,
)


class Ticket(Attributes):
    """What decides how it reaches an agent."""

    channel: Attr[Literal["chat"]]
    way: Attr[Literal["offered", "assigned"]]


class S(Skills):
    """Everybody can do everything."""

    general: Skill


class Clocks:
    """A promise, so that timers fire."""

    answer = Clock(starts="arrival", stops="assignment")


class Who(Layer):
    """The queues."""

    offered = Rule(Ticket.way.is_("offered"), offer=Offer(minutes(10)))
    assigned = Otherwise(wrap_up=seconds(0))


policy = Policy(
    "floor",
    attributes=Ticket,
    skills=S,
    layers=[Who],
    clocks=Clocks,
    channels={"chat": Channel(cost=1, limit=100)},
    defaults=Otherwise(needs=S.general, clocks=[Clocks.answer.within(seconds(1), warn=[seconds(0.2)])]),
    limits=Limits(closed_keep=minutes(5)),
    lost_grace=minutes(10),
)
