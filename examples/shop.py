from typing import Literal

from csroute.policy import *


class Ticket(Attributes):
    channel: Attr[Literal["chat", "phone"]]
    category: Detected[Literal["refund", "other"]] = detected(at=0.6)  # a guess: less sure counts as missing
    tier: Attr[Literal["vip", "ordinary"]] = optional()


class S(Skills):
    general: Skill
    refunds: Skill


class Who(Layer):  # the first layer: its rules are the queues, and the first that holds wins
    refunds = Rule(Ticket.category.is_("refund"), needs=S.refunds.at_least(2), why="those who may move money",
        steps=[After(seconds(20), needs=S.refunds | S.general)])
    everyone = Otherwise(needs=S.general)


class Rank(Layer):
    vip = Rule(Ticket.tier.is_("vip"), head_start=minutes(1), why="as if they had come a minute before")
    ordinary = Otherwise()


policy = Policy("shop", attributes=Ticket, skills=S, layers=[Who, Rank],
    channels={"chat": Channel(cost=20, limit=5), "phone": Channel(cost=100, limit=1)})
