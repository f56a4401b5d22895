"""R17: a follow-up a day later: the gateway submits it with a time before which it does not wait."""

from csroute import AgentSpec, Router
from csroute import Ticket as New
from csroute.policy import *
from csroute.presets.double11 import CHANNELS, S, Ticket


class Who(Layer):
    follow_up = Rule(Ticket.kind.is_("follow_up"), needs=S.order)
    bad_review = Rule(Ticket.kind.is_("bad_review"), needs=S.complaints.at_least(3))
    general = Otherwise(needs=S.order)


class Rank(Layer):
    call_back = Rule(Ticket.kind.is_("bad_review"), head_start=minutes(5), why="called back before others")
    ordinary = Otherwise()


policy = Policy("r17", attributes=Ticket, skills=S, layers=[Who, Rank], channels=CHANNELS)
policy.case(Ticket(channel="phone", kind="bad_review")).gets(Who.bad_review, Rank.call_back)


def play(router: Router) -> None:
    router.upsert_agents([AgentSpec("ana", skills={"order": 1})])
    day = hours(24)
    due_us = router.now_us + day.ms * 1000
    router.route(New("t1", "phone", attributes={"kind": "follow_up"}, not_before_us=due_us))
    assert router.get_ticket("t1").state.name == "SCHEDULED"
    router.advance(day)
    router.open_session("next-day")
    router.login("next-day", "ana")
    assert router.get_ticket("t1").agent == "ana"
