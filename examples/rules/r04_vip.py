"""R4: a VIP has a desk of their own, and goes first elsewhere."""

from csroute import AgentSpec, Router
from csroute import Ticket as New
from csroute.policy import *
from csroute.presets.double11 import CHANNELS, S, Ticket


class Who(Layer):
    vip = Rule(Ticket.tier.is_("vip"), needs=S.vip, steps=[After(seconds(20), needs=S.vip | S.order)])
    general = Otherwise(needs=S.order)


class Rank(Layer):
    vip = Rule(Ticket.tier.is_("vip"), head_start=minutes(1))
    ordinary = Otherwise()


policy = Policy("r04", attributes=Ticket, skills=S, layers=[Who, Rank], channels=CHANNELS)
vip, plain = policy.case(Ticket(channel="chat", tier="vip")), policy.case(Ticket(channel="chat"))
vip.gets(Who.vip).beats(plain, waited=seconds(59)).yields_to(plain, waited=minutes(1))


def play(router: Router) -> None:
    router.upsert_agents([AgentSpec("ana", skills={"order": 1})])
    router.login("desk", "ana")
    assert router.route(New("t1", "chat", attributes={"tier": "vip"})).agent == ""
    router.advance(seconds(20))
    assert router.get_ticket("t1").agent == "ana"
