"""R18: somebody who speaks the language; translation as a fallback. No other rule relaxes it."""

from csroute import AgentSpec, Router
from csroute import Ticket as New
from csroute.policy import *
from csroute.presets.double11 import CHANNELS, S, Ticket


class Who(Layer):
    general = Otherwise(needs=S.order, steps=[After(seconds(10), needs=S.order | S.after_sales)])


class Speak(Layer):
    foreign = Rule(Ticket.language.is_("en", "other"), needs=S.lang[Ticket.language],
        steps=[After(minutes(1), needs=S.lang[Ticket.language] | S.translation)])
    unknown = Rule(Ticket.language.missing(), why="nobody is kept away from a ticket whose language is not known")
    native = Otherwise()


policy = Policy("r18", attributes=Ticket, skills=S, layers=[Who, Speak], channels=CHANNELS)
policy.case(Ticket(channel="chat", language="en")).gets(Who.general, Speak.foreign)


def play(router: Router) -> None:
    router.upsert_agents([AgentSpec("zh", skills={"after_sales": 2, "lang[zh]": 1, "translation": 1})])
    router.login("desk", "zh")
    router.route(New("t1", "chat", attributes={"language": "en"}))
    router.advance(seconds(59))
    assert router.get_ticket("t1").agent == ""
    router.advance(seconds(1))
    assert router.get_ticket("t1").agent == "zh"
