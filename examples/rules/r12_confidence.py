"""R12: a guess counts only where the robot is sure enough; a wavering one moves nobody."""

from csroute import Guess, Router
from csroute import Ticket as New
from csroute.policy import *
from csroute.presets.double11 import CHANNELS, S, Ticket


class Who(Layer):
    payment = Rule(Ticket.category.is_("payment"), needs=S.payment)
    general = Otherwise(needs=S.order)


policy = Policy("r12", attributes=Ticket, skills=S, layers=[Who], channels=CHANNELS)
policy.case(Ticket(channel="chat", category=guess("payment", 0.59))).gets(Who.general)
policy.case(Ticket(channel="chat", category=guess("payment", 0.6))).gets(Who.payment)


def play(router: Router) -> None:
    router.route(New("t1", "chat", attributes={"category": Guess("payment", 0.9)}))
    router.update("t1", 1, {"category": Guess("order", 0.4)})  # sticky: less sure, so it stays
    assert router.get_ticket("t1").queue == "payment"
    router.update("t1", 2, {"category": Guess("order", 0.7)})
    assert router.get_ticket("t1").queue == "general"
