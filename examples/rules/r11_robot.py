"""R11: the robot hands over what it could not solve, with what it thinks the ticket is about."""

from typing import Literal

from csroute import Router
from csroute import Ticket as New
from csroute.policy import *
from csroute.presets.double11 import CHANNELS, S, Ticket


class Handed(Ticket):
    handed_over: Attr[Literal["by_robot"]] = optional()


class Who(Layer):
    refund = Rule(Ticket.topic.is_("refund"), needs=S.after_sales)
    general = Otherwise(needs=S.order)


class Rank(Layer):
    handed_over = Rule(Handed.handed_over.present(), head_start=seconds(30), why="has told the story once already")
    ordinary = Otherwise()


policy = Policy("r11", attributes=Handed, skills=S, layers=[Who, Rank], channels=CHANNELS)
policy.case(Handed(channel="chat", topic=guess("refund", 0.8), handed_over="by_robot")).gets(Who.refund, Rank.handed_over)


def play(router: Router) -> None:
    router.route(New("t1", "chat", context=b"asked for a refund twice", attributes={"handed_over": "by_robot"}))
    why = router.explain("t1")
    assert (why.ticket.queue, why.head_start_ms) == ("general", 30_000)
