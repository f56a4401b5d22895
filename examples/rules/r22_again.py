"""R22: who comes again meets the same agent, or somebody of a higher level."""

from csroute import AgentSpec, Router
from csroute import Ticket as New
from csroute.policy import *
from csroute.presets.double11 import CHANNELS, S, Ticket


class Who(Layer):
    again = Rule(Ticket.contact.is_("repeat"), needs=S.order.at_least(2),
        affinity=Affinity(hold=seconds(30), needs=S.order), why="the earlier agent may be of any level")
    first = Otherwise(needs=S.order)


policy = Policy("r22", attributes=Ticket, skills=S, layers=[Who], channels=CHANNELS)
policy.case(Ticket(channel="chat", contact="repeat")).gets(Who.again)


def play(router: Router) -> None:
    router.upsert_agents([AgentSpec("ana", skills={"order": 1}), AgentSpec("bo", skills={"order": 3})])
    router.login("desk", "ana")
    router.login("desk", "bo")
    again = {"contact": "repeat"}
    assert router.route(New("t1", "phone", attributes=again, preferred_agent="ana")).agent == "ana"
    assert router.route(New("t2", "phone", attributes=again)).agent == "bo"
