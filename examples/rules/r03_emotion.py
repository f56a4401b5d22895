"""R3: an angry customer goes first; when the detector changes its mind, the ticket keeps its place in time."""

from csroute import AgentSpec, Guess, Router
from csroute import Ticket as New
from csroute.policy import *
from csroute.presets.double11 import CHANNELS, S, Ticket


class Who(Layer):
    general = Otherwise(needs=S.order)


class Rank(Layer):
    angry = Rule(Ticket.emotion.is_("angry"), head_start=seconds(90))
    ordinary = Otherwise()


policy = Policy("r03", attributes=Ticket, skills=S, layers=[Who, Rank], channels=CHANNELS)
angry, calm = policy.case(Ticket(channel="chat", emotion="angry")), policy.case(Ticket(channel="chat"))
angry.gets(Rank.angry).beats(calm, waited=seconds(89))
policy.case(Ticket(channel="chat", emotion=guess("angry", 0.79))).gets(Rank.ordinary)


def play(router: Router) -> None:
    router.route(New("one", "phone"))
    router.advance(seconds(5))
    router.route(New("two", "phone"))
    router.advance(seconds(5))
    router.update("two", 1, {"emotion": Guess("angry", 0.9)})
    assert router.explain("two").urgency_milli_us == 95_000 * 1_000_000  # the 5 s that it waited count on
    router.upsert_agents([AgentSpec("ana", skills={"order": 1})])
    router.login("desk", "ana")
    assert router.get_ticket("two").agent == "ana"
