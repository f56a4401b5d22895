"""The Double-11 policy: how an e-commerce service centre routes its busiest night.

Read it from the top: what a ticket says, what agents can do, what is promised, then one layer a concern: who answers,
in which language, how soon, in which order; then the scenes of the night. `why` names the business rule (R1 … R22) that
a line comes from, or the source of a number. No source orders R3, R4, R5 and R20 among each other; the cases at the end
state the order chosen.

R8, two people on one ticket, cannot be said.
"""

from typing import Literal

from csroute.policy import *

__all__ = ["CHANNELS", "Clocks", "Law", "Promise", "Rank", "Reserves", "S", "Scenes", "Speak", "Ticket", "Who", "Work", "policy"]


class Ticket(Attributes):
    """What the gateways say of a ticket. Detectors err: intent in up to 8 %, emotion in 15 % of cases."""

    channel: Attr[Literal["chat", "phone", "social", "in_app", "store"]]
    customer: Attr[str] = optional()  # no rule reads it: whoever answers first is remembered by it
    category: Detected[Literal["order", "logistics", "payment", "after_sales"]] = detected(at=0.6, sticky=True)
    topic: Detected[Literal["delivery_time", "refund", "electronics", "quality", "complaint"]] = detected(at=0.6)
    emotion: Detected[Literal["neutral", "angry"]] = detected(at=0.8, sticky=True)
    tier: Attr[Literal["vip", "ordinary"]] = optional()
    language: Attr[Literal["zh", "dialect", "en", "other"]] = optional()
    contact: Attr[Literal["first", "repeat"]] = optional()
    kind: Attr[Literal["enquiry", "live", "bad_review", "follow_up", "emergency", "public"]] = optional()
    crisis: Attr[Literal["recall", "lost_parcels"]] = optional()  # the gateway's list of SKUs and routes, at the hour


class S(Skills):
    """What agents can do. Levels: 1 new, 2 backbone (or certified), 3 senior, 4 expert."""

    order: Skill
    payment: Skill
    logistics: Skill
    after_sales: Skill
    technical: Skill
    complaints: Skill
    vip: Skill
    cross_border: Skill
    live: Skill
    expert: Skill
    reserve: Skill
    translation: Skill
    lang: Family[Literal["zh", "dialect", "en", "other"]]


class Clocks:
    """What is promised. `first_reply` and `refund_paid` are marked by the gateways."""

    legal = Clock(starts="arrival", stops="first_reply", hard=True)
    response = Clock(starts="arrival", stops="first_reply")
    resolution = Clock(starts="arrival", stops="completion")
    refund = Clock(starts="arrival", stops="refund_paid")
    mean_response = Goal(response, mean=minutes(1.5))
    resolved = Goal(resolution, share=0.99, within=hours(3))


RELEASE = parameter("release", seconds(120), low=seconds(20), high=seconds(300))


class Reserves:
    """R14: kept from everyone until somebody has waited for `RELEASE`, withdrawn when nobody waits for long any more."""

    emergency = Reserve(S.reserve, open=oldest_wait(over=RELEASE, until=seconds(10)))


SPARE = [Reserves.emergency]


class Who(Layer):
    """Queues: which people, and whom else as time goes by (R1, R2, R14: the reserve comes last). Dormant ones: scenes'.

    Those that the emergency reserve may help name it; their waits release it.
    """

    emergency = Rule(Ticket.kind.is_("emergency"), needs=S.expert | S.complaints.at_least(3), dormant=True,
        steps=[After(seconds(10), needs=S.expert | S.complaints | S.reserve, alert="emergency lead")],
        reserves=SPARE, why="the 24 h hotline: seniors at once, then the reserve, once released")
    isolated = Rule(Ticket.channel.is_("social", "in_app"), needs=S.expert, dormant=True,
        why="a network-security event: what comes by these channels is for cleared agents only")
    public = Rule(Ticket.kind.is_("public"), needs=S.expert | S.complaints.at_least(3), dormant=True,
        steps=[After(seconds(0), alert="duty supervisor"), After(minutes(1), needs=S.expert | S.complaints)],
        why="a public-opinion event: the green channel, and a supervisor hears of each")
    crisis = Rule(Ticket.crisis.present(), needs=S.complaints | S.after_sales.at_least(2), dormant=True,
        steps=[After(seconds(30), needs=S.complaints | S.after_sales | S.reserve, alert="crisis desk")],
        reserves=SPARE, why="a quality crisis, or parcels lost: a desk of its own")
    follow_up = Rule(Ticket.kind.is_("follow_up"), needs=S.after_sales | S.complaints, why="R17: 24 h after resolution")
    bad_review = Rule(
        Ticket.kind.is_("bad_review"),
        needs=S.complaints.at_least(3) | S.expert,
        steps=[After(minutes(10), needs=S.complaints | S.after_sales.at_least(2))],
        why="R17: a bad review is called back by someone senior",
    )
    live = Rule(
        Ticket.kind.is_("live"),
        needs=S.live,
        steps=[After(seconds(20), needs=S.live | S.order), After(seconds(90), needs=S.live | S.order | S.reserve)],
        reserves=SPARE,
        why="R13: the live stream has seats of its own",
    )
    complaint = Rule(
        Ticket.topic.is_("complaint"),
        needs=S.complaints,
        steps=[
            After(seconds(40), needs=S.complaints | S.after_sales.at_least(2)),
            At(Clocks.response, 0.8, needs=S.complaints | S.after_sales | S.expert, alert="complaint lead"),
        ],
        why="R6: beyond the front line's authority",
    )
    quality = Rule(
        Ticket.topic.is_("quality"),
        needs=S.complaints.at_least(3) | S.after_sales.at_least(2) | S.expert,
        steps=[After(minutes(1), needs=S.complaints | S.after_sales | S.expert)],
        why="R7: inspectors and brand experts",
    )
    electronics = Rule(
        Ticket.topic.is_("electronics"), needs=S.technical.at_least(2), why="R15: certified agents only, whatever the wait"
    )
    vip = Rule(
        Ticket.tier.is_("vip"),
        needs=S.vip,
        steps=[
            After(seconds(20), needs=S.vip | S.order.at_least(2) | S.logistics.at_least(2) | S.after_sales.at_least(2)),
            At(Clocks.response, 0.8, needs=S.vip | S.order | S.logistics | S.after_sales | S.reserve, alert="vip desk"),
        ],
        reserves=SPARE,
        why="R4: a desk of their own; R5: then whoever is backbone",
    )
    foreign = Rule(
        Ticket.language.is_("en", "other"),
        needs=S.cross_border,
        steps=[After(seconds(40), needs=S.cross_border | S.vip | S.translation)],
        reserves=SPARE,
        why="R18: the cross-border desk",
    )
    logistics = Rule(
        Ticket.category.is_("logistics"),
        needs=S.logistics,
        steps=[
            After(seconds(20), needs=S.logistics | S.order.at_least(2)),
            After(seconds(40), needs=S.logistics | S.order | S.after_sales),
            At(Clocks.legal, 0.5, needs=S.logistics | S.order | S.after_sales | S.reserve, alert="logistics lead"),
        ],
        reserves=SPARE,
        why="R1",
    )
    payment = Rule(
        Ticket.category.is_("payment"),
        needs=S.payment,
        steps=[After(minutes(1), needs=S.payment | S.order | S.after_sales)],
        reserves=SPARE,
        why="R1",
    )
    after_sales = Rule(
        Ticket.category.is_("after_sales") | Ticket.topic.is_("refund"),
        needs=S.after_sales,
        steps=[At(Clocks.legal, 0.8, needs=S.after_sales | S.complaints | S.order.at_least(2), alert="after-sales lead")],
        why="R1",
    )
    general = Otherwise(
        needs=S.order,
        steps=[
            After(seconds(30), needs=S.order | S.payment | S.after_sales),
            At(Clocks.legal, 0.5, needs=S.order | S.payment | S.after_sales | S.logistics | S.reserve, alert="floor lead"),
        ],
        reserves=SPARE,
        why="R1: orders, and all that no detector is sure of",
    )


class Speak(Layer):
    """Languages: and-ed to every queue's needs, and relaxed by nothing but these steps (R18)."""

    foreign = Rule(
        Ticket.language.is_("en", "other"),
        needs=S.lang[Ticket.language],
        steps=[After(minutes(1), needs=S.lang[Ticket.language] | S.translation)],
        why="R18: speakers; translation as a fallback",
    )
    dialect = Rule(
        Ticket.language.is_("dialect"),
        needs=S.lang["dialect"],
        steps=[After(seconds(30), needs=S.lang["dialect"] | S.lang["zh"])],
        why="R18: dialect speakers, then anyone who can make do",
    )
    unknown = Rule(Ticket.language.missing(), why="nobody is kept away from a ticket whose language is not known")
    native = Otherwise()


class Law(Layer):
    """The cap that the law puts on everyone."""

    everyone = Otherwise(clocks=[Clocks.legal.within(minutes(3), warn=[minutes(2)])], why="a first reply in 3 min")


class Promise(Layer):
    """Deadlines that differ: no source orders them, so the strictest stands first."""

    follow_up = Rule(Ticket.kind.is_("follow_up"), why="feedback within a week", clocks=[
        Clocks.legal.off(), Clocks.resolution.exactly(hours(24 * 7))])
    bad_review = Rule(Ticket.kind.is_("bad_review"), why="bad review: answered in 48 h", clocks=[
        Clocks.legal.off(), Clocks.response.exactly(hours(48), warn=[hours(36)])])
    vip = Rule(Ticket.tier.is_("vip"), why="VIP: first reply in 1 min; all resolved in 3 h", clocks=[
        Clocks.response.within(minutes(1), warn=[seconds(40)]), Clocks.resolution.within(hours(3))])
    complaint = Rule(Ticket.topic.is_("complaint", "quality"), why="complaint: resolved in 24 h", clocks=[
        Clocks.response.within(minutes(1)), Clocks.resolution.within(hours(24))])
    refund = Rule(Ticket.topic.is_("refund"), why="refund: paid in 24 h; after-sales: 8 h, the stricter of two", clocks=[
        Clocks.response.within(minutes(3)), Clocks.resolution.within(hours(8)), Clocks.refund.within(hours(24))])
    logistics = Rule(Ticket.category.is_("logistics"), why="logistics: first reply in 1 min", clocks=[
        Clocks.response.within(minutes(1)), Clocks.resolution.within(hours(3))])
    after_sales = Rule(Ticket.category.is_("after_sales"), why="after-sales: resolved in 8 h", clocks=[
        Clocks.response.within(minutes(3)), Clocks.resolution.within(hours(8))])
    ordinary = Otherwise(why="ordinary: first reply in 3 min; all resolved in 3 h", clocks=[
        Clocks.response.within(minutes(3), warn=[minutes(2)]), Clocks.resolution.within(hours(3))])


VIP = seconds(60)
ANGRY = seconds(90)


class Rank(Layer, every=True):
    """Who goes first: how many seconds each is ahead. They add up, and their sum bounds how long anyone is overtaken."""

    emergency = Rule(Ticket.kind.is_("emergency"), head_start=minutes(5), dormant=True, why="the greatest head start")
    delayed = Rule(Ticket.category.is_("logistics") & Ticket.emotion.is_("angry"), head_start=seconds(60), dormant=True,
        why="enraged by a delay of logistics: before they tell others")
    angry = Rule(Ticket.emotion.is_("angry"), head_start=ANGRY, why="R3: before a VIP, after an angry VIP")
    vip = Rule(Ticket.tier.is_("vip"), head_start=VIP, why="R4; R20: a minute, so that nobody is passed for long")
    repeat = Rule(Ticket.contact.is_("repeat"), head_start=seconds(20), why="R22")
    complaint = Rule(Ticket.topic.is_("complaint", "quality"), head_start=seconds(30), why="R16: by impact")
    call_back = Rule(Ticket.kind.is_("follow_up", "bad_review"), head_start=-minutes(10), why="R17: when the queues are calm")
    ordinary = Otherwise()


REMEMBERED = hours(24)


class Work(Layer):
    """How work is handed over: calls are taken at once, the rest is offered; who came before goes to the same person.

    Whoever is the first to answer a customer is remembered for a day, and waited for when that customer comes again.
    """

    phone = Rule(
        Ticket.channel.is_("phone"),
        offer=AutoAccept(),
        wrap_up=seconds(20),
        affinity=Affinity(seconds(10), owner=REMEMBERED),
        why="a caller hears the wait: assigned at once, a short hold",
    )
    again = Rule(
        Ticket.contact.is_("repeat"),
        affinity=Affinity(seconds(30), owner=REMEMBERED),
        order=["best_level", "least_loaded"],
        why="R9, R22: the earlier agent, or a higher level",
    )
    written = Otherwise(affinity=Affinity(seconds(15), owner=REMEMBERED), why="R9: the first to answer stays responsible")


DEFAULTS = Otherwise(offer=Offer(seconds(20)))


class Scenes:
    """What the night may bring (policies for the hour): each is switched on as a whole, and off again.

    While several are on, the later listed wins where two say different things.
    """

    surge = Scene(
        change(Who.general, steps=[
            After(seconds(10), needs=S.order | S.payment | S.after_sales),
            After(seconds(45), needs=S.order | S.payment | S.after_sales | S.logistics | S.reserve, alert="floor lead")]),
        change(Who.logistics, steps=[
            After(seconds(10), needs=S.logistics | S.order | S.after_sales),
            After(seconds(45), needs=S.logistics | S.order | S.after_sales | S.reserve, alert="logistics lead")]),
        change(DEFAULTS, offer=Offer(seconds(10))),
        why="the promotion's surge: others help sooner, and nobody sits on an offer")
    live_peak = Scene(
        change(Who.live, needs=S.live | S.order, steps=[After(seconds(20), needs=S.live | S.order | S.reserve)]),
        why="the live stream's peak: more seats for it")
    logistics_delay = Scene(wake(Rank.delayed), why="customers are enraged by a delay of logistics")
    quality_crisis = Scene(wake(Who.crisis), why="one SKU, or one route, has gone wrong")
    complaints = Scene(
        change(Who.complaint, needs=S.complaints | S.after_sales.at_least(2), steps=[
            After(seconds(30), needs=S.complaints | S.after_sales | S.expert | S.reserve, alert="complaint lead")]),
        why="sudden complaints: after-sales helps at once")
    failure = Scene(
        change(Promise.vip, head_start=ByDeadline(Clocks.response, otherwise=minutes(3))),
        change(Promise.complaint, head_start=ByDeadline(Clocks.response, otherwise=minutes(3))),
        change(Promise.logistics, head_start=ByDeadline(Clocks.response, otherwise=minutes(3))),
        change(Rank.angry, head_start=None), change(Rank.vip, head_start=None), change(Rank.repeat, head_start=None),
        change(Rank.complaint, head_start=None),
        why="a large-scale failure: what waits is recovered in the order of deadlines, and in no other")
    security = Scene(wake(Who.isolated), why="a network-security event")
    public_opinion = Scene(wake(Who.public), why="a public-opinion event")
    hotline = Scene(wake(Who.emergency), wake(Rank.emergency), why="the 24 h emergency hotline is open")
    clause = Scene(
        change(Who.payment, needs=S.payment.at_least(2), steps=[After(minutes(1), needs=S.payment.at_least(2) | S.expert)]),
        why="the anti-fraud clause changes: only those who know it")
    overload = Scene(
        change(Promise.ordinary, steps=[After(minutes(8), overflow="call_back")]),
        why="overload: who was promised least and has waited 8 min is called back, so that anyone is answered at all")


CHANNELS = {
    "chat": Channel(cost=20, limit=5),
    "phone": Channel(cost=100, limit=1),
    "social": Channel(cost=20, limit=5),
    "in_app": Channel(cost=20, limit=5),
    "store": Channel(cost=20, limit=5),
}

policy = Policy(
    "double11",
    attributes=Ticket,
    skills=S,
    layers=[Who, Speak, Law, Promise, Rank, Work],
    clocks=Clocks,
    reserves=Reserves,
    scenes=Scenes,
    channels=CHANNELS,
    defaults=DEFAULTS,
    fairness=Fairness(overtaken_max=minutes(20)),
    limits=Limits(waiting_max=1_200_000, classes_max=20_000),
    answer_target=seconds(30),
)

angry_vip = policy.case(Ticket(channel="chat", tier="vip", emotion="angry", language="zh"))
angry = policy.case(Ticket(channel="chat", emotion="angry", language="zh"))
vip = policy.case(Ticket(channel="chat", tier="vip", language="zh"))
plain = policy.case(Ticket(channel="chat", language="zh"))
parcel = policy.case(Ticket(channel="phone", category="logistics", language="en"))
angry_vip.gets(Who.vip, Rank.angry, Rank.vip).beats(angry).beats(vip)
angry.gets(Who.general, Rank.angry).beats(vip)
vip.gets(Promise.vip).beats(plain, waited=seconds(59)).yields_to(plain, waited=VIP)
plain.gets(Who.general, Rank.ordinary, Speak.native).yields_to(vip)
angry_vip.yields_to(plain, waited=VIP + ANGRY)  # R20: two and a half minutes, and nobody arriving later goes before
parcel.gets(Who.foreign, Speak.foreign, Promise.logistics, Work.phone)
policy.case(Ticket(channel="chat", kind="follow_up", language="zh")).gets(Who.follow_up).yields_to(plain)

emergency = policy.case(Ticket(channel="chat", kind="emergency", language="zh"), under=[Scenes.hotline])
emergency.gets(Who.emergency, Rank.emergency)
emergency.beats(policy.case(Ticket(channel="chat", tier="vip", emotion="angry", language="zh"), under=[Scenes.hotline]))
policy.case(Ticket(channel="social", language="zh"), under=[Scenes.security]).gets(Who.isolated)
policy.case(Ticket(channel="chat", kind="public", language="zh"), under=[Scenes.public_opinion]).gets(Who.public)
policy.case(Ticket(channel="chat", crisis="recall", language="zh"), under=[Scenes.quality_crisis]).gets(Who.crisis)
policy.case(Ticket(channel="chat", crisis="recall", language="zh")).gets(Who.general)
failing = policy.case(Ticket(channel="chat", tier="vip", language="zh"), under=[Scenes.failure])  # due in 1 min
others = policy.case(Ticket(channel="chat", emotion="angry", language="zh"), under=[Scenes.failure])  # due in 3
failing.beats(others, waited=seconds(119)).yields_to(others, waited=seconds(120))
