"""R14: a surge releases the reserve, and the calm withdraws it; between the two nothing flutters."""

from csroute import AgentSpec, Router
from csroute import Ticket as New
from csroute.policy import *
from csroute.presets.double11 import CHANNELS, S, Ticket


class Reserves:
    spare = Reserve(S.reserve, open=oldest_wait(over=seconds(60), until=seconds(20)))


class Who(Layer):
    general = Otherwise(needs=S.order, reserves=[Reserves.spare])


policy = Policy("r14", attributes=Ticket, skills=S, layers=[Who], reserves=Reserves, channels=CHANNELS)
policy.case(Ticket(channel="chat")).gets(Who.general)


def play(router: Router) -> None:
    router.upsert_agents([AgentSpec("held", skills={"order": 1, "reserve": 1}, channels={"phone": 1})])
    router.login("desk", "held")
    assert router.route(New("t1", "phone")).agent == ""
    router.advance(seconds(59))
    assert router.get_ticket("t1").agent == ""
    router.advance(seconds(1))  # somebody has waited 60 s: released
    assert router.get_ticket("t1").agent == "held"
    router.complete("t1", 1)  # nobody waits any more: withdrawn
    assert router.route(New("t2", "phone")).agent == ""
