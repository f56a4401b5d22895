"""R21: speed is not all: of those who are free, the best may be asked first."""

from csroute import AgentSpec, Router
from csroute import Ticket as New
from csroute.policy import *
from csroute.presets.double11 import CHANNELS, S, Ticket


class Who(Layer):
    complaint = Rule(Ticket.topic.is_("complaint"), needs=S.complaints, order=["best_level", "longest_idle"])
    general = Otherwise(needs=S.order)


policy = Policy("r21", attributes=Ticket, skills=S, layers=[Who], channels=CHANNELS)
policy.case(Ticket(channel="chat", topic="complaint")).gets(Who.complaint)


def play(router: Router) -> None:
    router.upsert_agents([AgentSpec("new", skills={"complaints": 1}), AgentSpec("best", skills={"complaints": 4})])
    router.login("desk", "new")
    router.login("desk", "best")
    assert router.route(New("t1", "chat", attributes={"topic": "complaint"})).agent == "best"
