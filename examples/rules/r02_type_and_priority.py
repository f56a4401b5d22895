"""R2: the type picks the people, and the priority the place in line; both by themselves."""

from csroute import AgentSpec, Router
from csroute import Ticket as New
from csroute.policy import *
from csroute.presets.double11 import CHANNELS, S, Ticket


class Who(Layer):
    payment = Rule(Ticket.category.is_("payment"), needs=S.payment)
    general = Otherwise(needs=S.order)


class Rank(Layer):
    payment = Rule(Ticket.category.is_("payment"), head_start=seconds(20), why="money first")
    ordinary = Otherwise()


policy = Policy("r02", attributes=Ticket, skills=S, layers=[Who, Rank], channels=CHANNELS)
money = policy.case(Ticket(channel="chat", category="payment")).gets(Who.payment, Rank.payment)
plain = policy.case(Ticket(channel="chat")).gets(Who.general)
money.beats(plain, waited=seconds(19)).yields_to(plain, waited=seconds(20))


def play(router: Router) -> None:
    router.route(New("plain", "phone"))
    router.advance(seconds(10))
    router.route(New("money", "phone", attributes={"category": "payment"}))
    router.upsert_agents([AgentSpec("both", skills={"payment": 1, "order": 1})])
    router.login("desk", "both")
    assert router.get_ticket("money").agent == "both"
