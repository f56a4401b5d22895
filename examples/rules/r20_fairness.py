"""R20: a VIP goes first, and nobody is passed for longer than is promised, in any scene."""

from csroute import AgentSpec, Router
from csroute import Ticket as New
from csroute.policy import *
from csroute.presets.double11 import CHANNELS, S, Ticket


class Who(Layer):
    general = Otherwise(needs=S.order)


class Rank(Layer, every=True):
    vip = Rule(Ticket.tier.is_("vip"), head_start=minutes(1))
    angry = Rule(Ticket.emotion.is_("angry"), head_start=seconds(90))
    ordinary = Otherwise()


class Scenes:
    gala = Scene(change(Rank.vip, head_start=seconds(150)), why="members' day")


policy = Policy("r20", attributes=Ticket, skills=S, layers=[Who, Rank], scenes=Scenes, channels=CHANNELS,
    fairness=Fairness(overtaken_max=minutes(4)))
plain = policy.case(Ticket(channel="chat"))
policy.case(Ticket(channel="chat", tier="vip", emotion="angry")).yields_to(plain, waited=seconds(150))


def play(router: Router) -> None:
    router.install(policy.under(Scenes.gala))
    router.route(New("plain", "phone"))
    router.advance(minutes(4))
    router.route(New("vip", "phone", attributes={"tier": "vip", "emotion": "angry"}))
    router.upsert_agents([AgentSpec("ana", skills={"order": 1})])
    router.login("desk", "ana")
    assert router.get_ticket("plain").agent == "ana"
