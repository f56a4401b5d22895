"""R19: a segment has a flow of its own: the elderly get people who take their time."""

from typing import Literal

from csroute import AgentSpec, Router
from csroute import Ticket as New
from csroute.policy import *
from csroute.presets.double11 import CHANNELS, S, Ticket


class Segmented(Ticket):
    segment: Attr[Literal["elderly", "student"]] = optional()


class Who(Layer):
    elderly = Rule(Segmented.segment.is_("elderly"), needs=S.order.at_least(2), cost=40, wrap_up=minutes(1),
        order=["best_level", "least_loaded"])
    general = Otherwise(needs=S.order)


policy = Policy("r19", attributes=Segmented, skills=S, layers=[Who], channels=CHANNELS)
policy.case(Segmented(channel="chat", segment="elderly")).gets(Who.elderly)


def play(router: Router) -> None:
    router.upsert_agents([AgentSpec("ana", skills={"order": 2}), AgentSpec("bo", skills={"order": 3})])
    router.login("desk", "ana")
    router.login("desk", "bo")
    assert router.route(New("t1", "chat", attributes={"segment": "elderly"})).agent == "bo"
    assert {agent.spec.id: agent.used for agent in router.list_agents()} == {"ana": 0, "bo": 40}
