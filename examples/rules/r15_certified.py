"""R15: some categories are for certified people alone, whatever the wait."""

from csroute import AgentSpec, Router
from csroute import Ticket as New
from csroute.policy import *
from csroute.presets.double11 import CHANNELS, S, Ticket


class Who(Layer):
    electronics = Rule(Ticket.topic.is_("electronics"), needs=S.technical.at_least(2))
    general = Otherwise(needs=S.order, steps=[After(seconds(20), needs=S.order | S.technical)])


policy = Policy("r15", attributes=Ticket, skills=S, layers=[Who], channels=CHANNELS)
policy.case(Ticket(channel="chat", topic="electronics")).gets(Who.electronics)


def play(router: Router) -> None:
    router.upsert_agents([AgentSpec("learner", skills={"technical": 1, "order": 4})])
    router.login("desk", "learner")
    router.route(New("t1", "chat", attributes={"topic": "electronics"}))
    router.advance(hours(2))
    assert router.get_ticket("t1").agent == ""
