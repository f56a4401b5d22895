"""R9: the first to answer stays responsible, through transfers too."""

from csroute import AgentSpec, Router
from csroute import Ticket as New
from csroute.policy import *
from csroute.presets.double11 import CHANNELS, S, Ticket


class Known(Ticket):
    customer: Attr[str] = optional()


class Who(Layer):
    general = Otherwise(needs=S.order, affinity=Affinity(hold=seconds(30), owner=hours(24)))


policy = Policy("r09", attributes=Known, skills=S, layers=[Who], channels=CHANNELS)
policy.case(Known(channel="chat", customer="lee")).gets(Who.general)


def play(router: Router) -> None:
    router.upsert_agents([AgentSpec("ana", skills={"order": 1}), AgentSpec("bo", skills={"order": 1})])
    router.login("desk", "ana")
    assert router.route(New("t1", "phone", customer="lee")).agent == "ana"
    router.login("desk", "bo")
    router.advance(minutes(5))
    router.complete("t1", 1)
    assert router.route(New("t2", "phone", customer="lee")).agent == "ana"  # though bo has been idle for longer
    assert router.route(New("t3", "phone", customer="lee")).agent == ""  # it waits for her, half a minute
    router.advance(seconds(30))
    assert router.get_ticket("t3").agent == "bo"
    router.complete("t2", 1)
    router.complete("t3", 1)
    assert router.route(New("t4", "phone", customer="lee")).agent == "ana"  # still hers
