"""R1: the type of a ticket, and what is known of it, decide who answers."""

from csroute import AgentSpec, Router
from csroute import Ticket as New
from csroute.policy import *
from csroute.presets.double11 import CHANNELS, S, Ticket


class Who(Layer):
    logistics = Rule(Ticket.category.is_("logistics") & Ticket.contact.is_("repeat"), needs=S.logistics.at_least(2),
        why="asked before: somebody who knows more")
    first = Rule(Ticket.category.is_("logistics"), needs=S.logistics)
    general = Otherwise(needs=S.order, why="all that no detector is sure of")


policy = Policy("r01", attributes=Ticket, skills=S, layers=[Who], channels=CHANNELS)
policy.case(Ticket(channel="chat", category="logistics", contact="repeat")).gets(Who.logistics)
policy.case(Ticket(channel="chat", category=guess("logistics", 0.5))).gets(Who.general)


def play(router: Router) -> None:
    router.upsert_agents([AgentSpec("new", skills={"logistics": 1}), AgentSpec("old", skills={"logistics": 2})])
    router.login("desk", "new")
    router.login("desk", "old")
    parcel = {"category": "logistics", "contact": "repeat"}
    assert router.route(New("t1", "chat", attributes=parcel)).agent == "old"
