"""R6: the front line deals with what is within its authority, specialists with the rest."""

from csroute import AgentSpec, Router
from csroute import Ticket as New
from csroute.policy import *
from csroute.presets.double11 import CHANNELS, S, Ticket


class Who(Layer):
    dispute = Rule(Ticket.topic.is_("complaint") & Ticket.contact.is_("repeat"), needs=S.complaints.at_least(2))
    complaint = Rule(Ticket.topic.is_("complaint"), needs=S.after_sales | S.complaints)
    general = Otherwise(needs=S.order)


policy = Policy("r06", attributes=Ticket, skills=S, layers=[Who], channels=CHANNELS)
policy.case(Ticket(channel="chat", topic="complaint")).gets(Who.complaint)
policy.case(Ticket(channel="chat", topic="complaint", contact="repeat")).gets(Who.dispute)


def play(router: Router) -> None:
    router.upsert_agents([AgentSpec("front", skills={"after_sales": 1}), AgentSpec("ana", skills={"complaints": 3})])
    router.login("desk", "front")
    assert router.route(New("t1", "phone", attributes={"topic": "complaint"})).agent == "front"
    assert router.route(New("t2", "phone", attributes={"topic": "complaint", "contact": "repeat"})).agent == ""
    router.login("desk", "ana")
    assert router.get_ticket("t2").agent == "ana"
