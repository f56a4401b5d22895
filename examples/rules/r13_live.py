"""R13: at the live stream's peak it gets more seats, by a scene."""

from csroute import AgentSpec, Router
from csroute import Ticket as New
from csroute.policy import *
from csroute.presets.double11 import CHANNELS, S, Ticket


class Who(Layer):
    live = Rule(Ticket.kind.is_("live"), needs=S.live)
    general = Otherwise(needs=S.order)


class Scenes:
    peak = Scene(change(Who.live, needs=S.live | S.order), why="the host has sold out")


policy = Policy("r13", attributes=Ticket, skills=S, layers=[Who], scenes=Scenes, channels=CHANNELS)
policy.case(Ticket(channel="chat", kind="live")).gets(Who.live)


def play(router: Router) -> None:
    router.upsert_agents([AgentSpec("ana", skills={"order": 1})])
    router.login("desk", "ana")
    assert router.route(New("t1", "chat", attributes={"kind": "live"})).agent == ""
    router.install(policy.under(Scenes.peak), reclassify=True)
    assert router.get_ticket("t1").agent == "ana"
