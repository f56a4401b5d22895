"""R5: the response threshold warns somebody, and then seniors may take the ticket."""

from csroute import AgentSpec, Router
from csroute import Ticket as New
from csroute.policy import *
from csroute.presets.double11 import CHANNELS, S, Ticket


class Clocks:
    response = Clock(starts="arrival", stops="first_reply")


class Who(Layer):
    general = Otherwise(needs=S.order, clocks=[Clocks.response.within(minutes(1), warn=[seconds(40)])],
        steps=[At(Clocks.response, 0.8, needs=S.order | S.expert, alert="floor lead")])


policy = Policy("r05", attributes=Ticket, skills=S, layers=[Who], clocks=Clocks, channels=CHANNELS)
policy.case(Ticket(channel="chat")).gets(Who.general)


def play(router: Router) -> None:
    router.upsert_agents([AgentSpec("senior", skills={"expert": 4})])
    router.login("desk", "senior")
    router.route(New("t1", "chat"))
    router.advance(seconds(47))
    assert router.get_ticket("t1").agent == ""
    router.advance(seconds(1))
    assert router.get_ticket("t1").agent == "senior"
    kinds = [type(event.kind).__name__ for event in router.events() if event.ticket == "t1"]
    assert kinds == ["Queued", "ClockWarned", "StepTaken", "Assigned"]
