"""The policy of the state table's transcripts: two queues, offers that expire, wrap-up, holds, clocks, overflow."""

from typing import Literal

from csroute.policy import (
    Affinity,
    After,
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
    optional,
    seconds,
)


class Ticket(Attributes):
    """A bill goes to people who know bills; what is rare, to nobody for long."""

    channel: Attr[Literal["chat", "phone"]]
    kind: Attr[Literal["bill", "rare"]]
    tone: Attr[Literal["calm", "loud"]] = optional()


class S(Skills):
    """What agents know."""

    bill: Skill
    rare: Skill


class Clocks:
    """A first reply is promised; so is a refund, from when it is asked for."""

    reply = Clock(starts="arrival", stops="first_reply")
    refund = Clock(starts="refund_asked", stops="refund_paid")


class Who(Layer):
    """The queues."""

    rare = Rule(Ticket.kind.is_("rare"), needs=S.rare, steps=[After(seconds(100), overflow="partner")])
    bill = Otherwise(needs=S.bill)


policy = Policy(
    "desk",
    attributes=Ticket,
    skills=S,
    layers=[Who],
    clocks=Clocks,
    channels={"chat": Channel(cost=50, limit=2), "phone": Channel(cost=100, limit=1)},
    defaults=Otherwise(
        offer=Offer(seconds(20)),
        wrap_up=seconds(5),
        decline_exclude=seconds(30),
        affinity=Affinity(seconds(15), transfer_hold=seconds(7)),
        clocks=[Clocks.reply.within(minutes(1), warn=[seconds(40)]), Clocks.refund.within(minutes(2))],
    ),
    limits=Limits(closed_keep=minutes(5)),
    lost_grace=seconds(30),
    suspend=seconds(50),
)
