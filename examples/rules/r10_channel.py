"""R10: who changes the channel keeps the ticket, and its place: the same ticket waits on."""

from typing import Literal

from csroute import Router
from csroute import Ticket as New
from csroute.policy import *
from csroute.presets.double11 import CHANNELS, S, Ticket


class Asks(Ticket):
    now_on: Attr[Literal["chat", "phone"]] = optional()  # where the customer is; the ticket's own channel never changes


class Who(Layer):
    calls = Rule(Asks.now_on.is_("phone"), needs=S.order.at_least(2), why="talks, and sees what was written")
    general = Otherwise(needs=S.order)


policy = Policy("r10", attributes=Asks, skills=S, layers=[Who], channels=CHANNELS)
policy.case(Asks(channel="chat", now_on="phone")).gets(Who.calls)


def play(router: Router) -> None:
    first = router.route(New("t1", "chat"))
    assert first.place == 1
    router.advance(minutes(1))
    arrived_us = router.get_ticket("t1").arrival_us
    router.update("t1", 1, {"now_on": "phone"})
    view = router.get_ticket("t1")
    assert (view.queue, view.arrival_us) == ("calls", arrived_us)
