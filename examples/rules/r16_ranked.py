"""R16: problems are ranked by impact, frequency and time: each is worth so many seconds."""

from csroute import AgentSpec, Router
from csroute import Ticket as New
from csroute.policy import *
from csroute.presets.double11 import CHANNELS, S, Ticket

IMPACT, FREQUENCY = seconds(60), seconds(15)


class Who(Layer):
    general = Otherwise(needs=S.order)


class Rank(Layer, every=True):
    money = Rule(Ticket.topic.is_("refund"), head_start=IMPACT, why="impact")
    often = Rule(Ticket.topic.is_("delivery_time", "refund"), head_start=FREQUENCY, why="one in three asks it")
    rest = Otherwise()


policy = Policy("r16", attributes=Ticket, skills=S, layers=[Who, Rank], channels=CHANNELS)
refund = policy.case(Ticket(channel="chat", topic="refund")).gets(Rank.money, Rank.often)
late = policy.case(Ticket(channel="chat", topic="delivery_time")).gets(Rank.often)
refund.beats(late, waited=IMPACT - seconds(1)).yields_to(late, waited=IMPACT)


def play(router: Router) -> None:
    router.route(New("late", "phone", attributes={"topic": "delivery_time"}))
    router.route(New("refund", "phone", attributes={"topic": "refund"}))
    router.upsert_agents([AgentSpec("ana", skills={"order": 1})])
    router.login("desk", "ana")
    assert router.get_ticket("refund").agent == "ana"
