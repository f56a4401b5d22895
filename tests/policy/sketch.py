"""The language at a glance: nearly every construct once. The tests read it, as a policy engineer would."""

from typing import Literal

from csroute.policy import *


class Ticket(Attributes):
    channel: Attr[Literal["chat", "phone"]]  # no default: always there
    category: Detected[Literal["order", "logistics"]] = detected(at=0.6)  # less sure counts as missing
    emotion: Detected[Literal["neutral", "angry"]] = detected(at=0.8)
    tier: Attr[Literal["vip", "ordinary"]] = optional()
    language: Attr[Literal["zh", "en"]] = optional()


class S(Skills):
    logistics: Skill
    general: Skill
    spare: Skill
    lang: Family[Literal["zh", "en"]]


class Clocks:  # names are Python names: nothing is named twice
    legal = Clock(starts="arrival", stops="first_reply", hard=True)


class Reserves:
    spare = Reserve(S.spare, open=oldest_wait(over=seconds(60), until=seconds(20)))


class Who(Layer):  # the first layer: its rules are the queues; the first that holds
    logistics = Rule(Ticket.category.is_("logistics"), needs=S.logistics.at_least(2), why="R1", steps=[
        After(seconds(20), needs=S.logistics | S.general), At(Clocks.legal, 0.8, alert="supervisor")])
    general = Otherwise(needs=S.general)


class Speak(Layer):  # its part is and-ed, and no step of Who relaxes it
    foreign = Rule(Ticket.language.is_("en"), needs=S.lang[Ticket.language], why="R18")
    native = Otherwise()


class Rank(Layer, every=True):  # every rule that holds: an angry VIP starts 150 s ahead
    angry = Rule(Ticket.emotion.is_("angry"), head_start=seconds(90), why="R3")
    vip = Rule(Ticket.tier.is_("vip"), head_start=seconds(60), affinity=Affinity(hold=seconds(15)), why="R4")
    ordinary = Otherwise()


class Scenes:
    failure = Scene(change(Who.logistics, head_start=ByDeadline(Clocks.legal, otherwise=minutes(4))), why="§4")


policy = Policy("double11", attributes=Ticket, skills=S, layers=[Who, Speak, Rank], clocks=Clocks, reserves=Reserves,
    scenes=Scenes, channels={"chat": Channel(cost=20, limit=5), "phone": Channel(cost=100, limit=1)},
    defaults=Otherwise(clocks=[Clocks.legal.within(minutes(3))], reserves=[Reserves.spare]),
    limits=Limits(waiting_max=1_200_000, classes_max=20_000), fairness=Fairness(overtaken_max=minutes(4)))
vip, plain = policy.case(Ticket(channel="chat", tier="vip")), policy.case(Ticket(channel="chat"))
vip.gets(Who.general, Rank.vip).beats(plain, waited=seconds(59)).yields_to(plain, waited=seconds(60))
