"""Each word of the policy language, and what it comes to."""

from __future__ import annotations

from fractions import Fraction
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csroute.policy import *
from csroute.policy.attributes import present_values
from csroute.policy.evaluate import Waiting, classify, holds, wait


class Ticket(Attributes):
    channel: Attr[Literal["chat", "phone"]]
    customer: Attr[str] = optional()
    topic: Detected[Literal["order", "parcel"]] = detected(at=0.6)
    mood: Detected[str] = detected(at=0.8, sticky=True)
    tier: Attr[Literal["vip", "ordinary"]] = optional()
    language: Attr[Literal["zh", "en"]] = optional()


class S(Skills):
    general: Skill
    parcels: Skill
    spare: Skill
    lang: Family[Literal["zh", "en"]]


class Clocks:
    reply = Clock(starts="arrival", stops="first_reply", hard=True)
    done = Clock(starts="assignment", stops="completion")


class All(Layer):
    everyone = Otherwise(needs=S.general)


CHANNELS = {"chat": Channel(cost=20, limit=5), "phone": Channel(cost=100, limit=1)}


def policy(*layers: type[Layer], defaults: Otherwise | None = None) -> Policy:
    made = Policy(
        "test",
        attributes=Ticket,
        skills=S,
        clocks=Clocks,
        layers=layers or [All],
        channels=CHANNELS,
        defaults=defaults or Otherwise(),
    )
    assert [finding for finding in made.check() if not finding.warning] == []
    return made


def after(made: Policy, ticket: Ticket, seconds_waited: float) -> Waiting:
    return wait(made, ticket, seconds(seconds_waited))


CHAT = Ticket(channel="chat")

# --- Durations --------------------------------------------------------------------------------------------------------


@given(st.integers(-(10**9), 10**9), st.integers(-(10**9), 10**9), st.integers(-1000, 1000))
def test_durations_are_exact(one_ms: int, other_ms: int, times: int) -> None:
    one, other = milliseconds(one_ms), milliseconds(other_ms)
    assert ((one + other) - other, (one + other).ms) == (one, one_ms + other_ms)
    assert (one * times, times * one, -one) == (Duration(one_ms * times), Duration(one_ms * times), Duration(-one_ms))
    assert (one < other, one == other) == (one_ms < other_ms, one_ms == other_ms)


@given(st.decimals(-(10**6), 10**6, places=3))
def test_seconds_go_by_their_digits(count: float) -> None:
    assert seconds(count).ms == Fraction(str(count)) * 1000


@pytest.mark.parametrize(
    ("duration", "shown"),
    [
        (seconds(0), "0 s"),
        (milliseconds(1), "1 ms"),
        (seconds(90.5), "1 min 30 s 500 ms"),
        (-minutes(10), "-10 min"),
        (hours(25), "1 d 1 h"),
        (minutes(0.1), "6 s"),
    ],
)
def test_durations_read_well(duration: Duration, shown: str) -> None:
    assert str(duration) == shown


# --- Attributes -------------------------------------------------------------------------------------------------------


def test_a_guess_below_its_threshold_is_missing() -> None:
    unsure = Ticket(channel="chat", topic=guess("parcel", 0.599), mood="angry")
    assert (unsure.topic, unsure.mood, unsure.tier) == (None, "angry", None)
    assert Ticket(channel="chat", topic=guess("parcel", 0.6)).topic == "parcel"
    assert present_values(unsure) == {"channel": "chat", "mood": "angry"}
    assert repr(unsure) == "Ticket(channel='chat', topic=guess('parcel', 0.599), mood='angry')"


def test_missing_satisfies_no_test_but_missing() -> None:
    tests = [Ticket.tier.is_("vip"), Ticket.tier.is_not("vip"), Ticket.tier.present(), Ticket.tier.missing()]
    shown = {
        who: [holds(test, present_values(ticket)) for test in tests]
        for who, ticket in {
            "vip": Ticket(channel="chat", tier="vip"),
            "ordinary": Ticket(channel="chat", tier="ordinary"),
            "?": CHAT,
        }.items()
    }
    assert shown == {
        "vip": [True, False, True, False],
        "ordinary": [False, True, True, False],
        "?": [False, False, False, True],
    }


def test_conditions_combine() -> None:
    vip, parcel, phone = Ticket.tier.is_("vip"), Ticket.topic.is_("parcel"), Ticket.channel.is_("phone")
    values = present_values(Ticket(channel="phone", tier="vip"))
    assert holds(vip & phone, values)
    assert not holds(vip & parcel & phone, values)
    assert holds((parcel | vip) & phone, values)
    assert not holds(never(), values)


def test_a_ticket_of_a_case_does_not_change() -> None:
    with pytest.raises(AttributeError, match=r"Ticket\.tier: a ticket of a case does not change; make another"):
        CHAT.tier = "vip"


# --- Skills -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("needs", "groups", "none_of"),
    [
        (S.general, [[("general", 1)]], []),
        (S.general.at_least(2), [[("general", 2)]], []),
        (S.general | S.parcels.at_least(3), [[("general", 1), ("parcels", 3)]], []),
        (S.general & S.parcels, [[("general", 1)], [("parcels", 1)]], []),
        (
            (S.general | S.parcels) & S.lang["en"] & ~S.spare,
            [[("general", 1), ("parcels", 1)], [("lang[en]", 1)]],
            [("spare", 1)],
        ),
        (~(S.spare | S.parcels.at_least(2)), [], [("spare", 1), ("parcels", 2)]),
        (S.lang[Ticket.language].at_least(2) | S.spare, [[("lang[en]", 2), ("spare", 1)]], []),
    ],
)
def test_requirements(needs: Needs, groups: list[list[tuple[str, int]]], none_of: list[tuple[str, int]]) -> None:
    class Who(Layer):
        everyone = Otherwise(needs=needs)

    asked = after(policy(Who), Ticket(channel="chat", language="en"), 0).needs
    assert ([list(group) for group in asked.groups], list(asked.none_of)) == (groups, none_of)


def test_a_family_member_that_is_not_known_is_left_out() -> None:
    class Who(Layer):
        everyone = Otherwise(needs=(S.lang[Ticket.language] | S.spare) & S.lang[Ticket.language])

    asked = after(policy(Who), CHAT, 0).needs
    assert asked.groups == ((("spare", 1),), ())
    assert not asked.met_by({"spare": 5, "lang[en]": 1}), "a group without entries is never met"


# --- Layers -----------------------------------------------------------------------------------------------------------


class Queues(Layer):
    parcels = Rule(Ticket.topic.is_("parcel"), needs=S.parcels, steps=[
        After(seconds(20), needs=S.parcels | S.general, boost=seconds(5)), After(seconds(40), boost=seconds(9), alert="lead")])  # fmt: skip
    everyone = Otherwise(needs=S.general, steps=[After(seconds(60), overflow="mailbox")])


class Language(Layer):
    foreign = Rule(
        Ticket.language.is_("en"), needs=S.lang[Ticket.language], steps=[After(seconds(30), boost=seconds(1))]
    )
    native = Otherwise()


class Rank(Layer, every=True):
    vip = Rule(Ticket.tier.is_("vip"), head_start=seconds(60))
    caller = Rule(Ticket.channel.is_("phone"), head_start=seconds(30))
    plain = Otherwise(head_start=seconds(1))


@pytest.mark.parametrize(
    ("ticket", "path", "head_start_ms"),
    [
        (CHAT, "everyone@chat", 1000),
        (Ticket(channel="chat", topic="parcel", tier="vip"), "parcels/vip@chat", 60_000),
        (Ticket(channel="phone", tier="vip", language="en"), "everyone/foreign[en]/vip+caller@phone", 90_000),
        (Ticket(channel="chat", topic=guess("parcel", 0.5), language="zh"), "everyone@chat", 1000),
    ],
)
def test_layers_combine(ticket: Ticket, path: str, head_start_ms: int) -> None:
    found = classify(policy(Queues, Language, Rank), ticket)
    assert (found.path, found.head_start_ms) == (path, head_start_ms)


@pytest.mark.parametrize(
    ("waited_s", "step", "boost_s", "groups", "alerts"),
    [
        (0, 0, 0, [["parcels"], ["lang[en]"]], ()),
        (19.999, 0, 0, [["parcels"], ["lang[en]"]], ()),
        (20, 1, 5, [["parcels", "general"], ["lang[en]"]], ()),
        (30, 3, 6, [["parcels", "general"], ["lang[en]"]], ()),
        (40, 3, 10, [["parcels", "general"], ["lang[en]"]], ("lead",)),
    ],
)
def test_steps_change_their_layer_alone(
    waited_s: float, step: int, boost_s: int, groups: list[list[str]], alerts: tuple[str, ...]
) -> None:
    state = after(policy(Queues, Language, Rank), Ticket(channel="chat", topic="parcel", language="en"), waited_s)
    assert (state.step, state.boost_ms, state.alerts) == (step, boost_s * 1000, alerts)
    assert [[skill for skill, _ in group] for group in state.needs.groups] == groups
    assert state.seniority_us == (waited_s + boost_s) * 1_000_000


def test_overflow_ends_it() -> None:
    made = policy(Queues, Language)
    assert after(made, Ticket(channel="chat", language="en"), 59).overflow == ""
    assert after(made, Ticket(channel="chat", language="en"), 500).overflow == "mailbox"


def test_a_move_replaces_the_rule_and_ages_run_on() -> None:
    class Who(Layer):
        senior = Rule(never(), needs=S.spare, steps=[After(seconds(10), alert="a"), After(seconds(50), alert="b")])
        front = Rule(Ticket.tier.missing(), needs=S.general, steps=[After(seconds(30), move=senior)])
        everyone = Otherwise(needs=S.parcels)

    made = policy(Who)
    assert after(made, CHAT, 29).found.path == "front@chat"
    moved = after(made, CHAT, 30)
    assert (moved.found.path, moved.step, moved.alerts) == ("senior@chat", 1, ()), "the step at 10 s counts as taken"
    assert (after(made, CHAT, 50).step, after(made, CHAT, 50).alerts) == (2, ("b",))


def test_a_rule_further_down_can_be_moved_to() -> None:
    class Who(Layer):
        front = Rule(Ticket.tier.missing(), needs=S.general, steps=[After(seconds(30), move=lambda: Who.senior)])
        senior = Rule(never(), needs=S.spare)
        everyone = Otherwise(needs=S.parcels)

    assert after(policy(Who), CHAT, 30).found.path == "senior@chat"


# --- Clocks -----------------------------------------------------------------------------------------------------------


class Short(Layer):
    vip = Rule(Ticket.tier.is_("vip"), clocks=[Clocks.reply.within(minutes(1), warn=[seconds(40)])])
    others = Otherwise(clocks=[Clocks.reply.within(minutes(3), warn=[minutes(2)])])


class Parcels(Layer):
    parcels = Rule(Ticket.topic.is_("parcel"), clocks=[Clocks.reply.within(minutes(2)), Clocks.done.within(hours(3))])
    calls = Rule(Ticket.channel.is_("phone"), clocks=[Clocks.reply.off(), Clocks.done.within(hours(1))])
    english = Rule(Ticket.language.is_("en"), clocks=[Clocks.reply.exactly(minutes(9))])
    others = Otherwise()


@pytest.mark.parametrize(
    ("ticket", "clocks"),
    [
        (CHAT, {"reply": (180_000, (120_000,))}),
        (Ticket(channel="chat", topic="parcel"), {"reply": (120_000, ()), "done": (10_800_000, ())}),
        (Ticket(channel="chat", topic="parcel", tier="vip"), {"reply": (60_000, (40_000,)), "done": (10_800_000, ())}),
        (Ticket(channel="phone", tier="vip"), {"done": (3_600_000, ())}),
        (Ticket(channel="chat", tier="vip", language="en"), {"reply": (540_000, ())}),
    ],
)
def test_clocks_combine(ticket: Ticket, clocks: dict[str, tuple[int, tuple[int, ...]]]) -> None:
    found = classify(policy(All, Short, Parcels), ticket).clocks
    assert {clock.name: (clock.target_ms, clock.warnings_ms) for clock in found} == clocks


def test_a_step_at_a_point_of_a_clock_follows_its_target() -> None:
    class Who(Layer):
        everyone = Otherwise(needs=S.general, steps=[
            At(Clocks.reply, 0.5, needs=S.general | S.spare), At(Clocks.done, 0.1, alert="never while it waits")])  # fmt: skip

    made = policy(Who, Short, Parcels)
    vip, other, caller = Ticket(channel="chat", tier="vip"), CHAT, Ticket(channel="phone")
    assert [after(made, vip, s).step for s in (29.999, 30)] == [0, 1]
    assert [after(made, other, s).step for s in (89.999, 90)] == [0, 1]
    assert after(made, caller, 10_000).step == 0, "its reply clock is off, the other has not started"


# --- Urgency ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("urgency", "vip_ahead_until_s"),
    [
        (fifo(), 0),
        (strict_priority(1), 102 * 86_400),
        (earliest_deadline(Clocks.reply, otherwise=minutes(3)), 120),
        (ageing(1, head_start=seconds(7)), 7),
    ],
)
def test_urgency_in_words(urgency: Urgency, vip_ahead_until_s: int) -> None:
    class Order(Layer):
        vip = Rule(Ticket.tier.is_("vip"), urgency=urgency)
        others = Otherwise(slope=urgency.slope)

    made = policy(All, Short, Order)
    vip, plain = made.case(Ticket(channel="chat", tier="vip")), made.case(CHAT)
    vip.yields_to(plain, waited=seconds(min(vip_ahead_until_s, 10**7)))
    if vip_ahead_until_s:
        vip.beats(plain, waited=seconds(vip_ahead_until_s) - milliseconds(1))
    assert [finding for finding in made.check() if not finding.warning] == [] or vip_ahead_until_s > 10**6


def test_strict_priority_outlasts_every_wait() -> None:
    class Order(Layer):
        vip = Rule(Ticket.tier.is_("vip"), urgency=strict_priority(2))
        parcel = Rule(Ticket.topic.is_("parcel"), urgency=strict_priority(1))
        others = Otherwise(urgency=strict_priority(0))

    made = policy(All, Order)
    vip, parcel, plain = (
        made.case(t) for t in (Ticket(channel="chat", tier="vip"), Ticket(channel="chat", topic="parcel"), CHAT)
    )
    vip.beats(parcel, waited=hours(24 * 365)).beats(plain, waited=hours(24 * 365))
    parcel.beats(plain, waited=hours(24 * 365))
    assert made.check() == []


def test_weights_share_attention() -> None:
    class Order(Layer):
        vip = Rule(Ticket.tier.is_("vip"), urgency=weighted(2))
        others = Otherwise(urgency=weighted(1))

    made = policy(All, Order)
    vip, plain = after(made, Ticket(channel="chat", tier="vip"), 30), after(made, CHAT, 60)
    assert vip.urgency_milli_us == plain.urgency_milli_us
    assert [finding.subject for finding in made.check()] == ["Order.vip: slope"], "doubted: the flatter can starve"


# --- What one layer gives, and the defaults ---------------------------------------------------------------------------


def test_the_rest_of_what_a_rule_gives() -> None:
    class Hand(Layer):
        calls = Rule(Ticket.channel.is_("phone"), offer=AutoAccept(), cost=90, wrap_up=seconds(20), skip_unstaffed=True)
        written = Otherwise(
            offer=Offer(seconds(20), away_on_expiry=False),
            order=["best_level", "round_robin"],
            affinity=Affinity(seconds(15), transfer_hold=seconds(30), needs=S.general | S.spare),
            decline_exclude=minutes(2),
            fits=[Fit(S.spare, seconds(3)), Fit(S.lang[Ticket.language], seconds(4))],
        )

    made = policy(All, Hand, defaults=Otherwise(cost=7, fits=[Fit(S.general, seconds(1))], order=["longest_idle"]))
    calls, written = classify(made, Ticket(channel="phone")), classify(made, Ticket(channel="chat", language="en"))
    assert (calls.offer, calls.cost, calls.wrap_up_ms, calls.skip_unstaffed) == (AutoAccept(), 90, 20_000, True)
    assert (calls.order, calls.affinity, calls.decline_exclude_ms) == (("longest_idle",), None, None)
    assert calls.fits == ((("general", 1), 1000),)
    assert (written.offer, written.cost) == (Offer(seconds(20), away_on_expiry=False), 7)
    assert (written.order, written.decline_exclude_ms) == (("best_level", "round_robin"), 120_000)
    assert written.fits == ((("spare", 1), 3000), (("lang[en]", 1), 4000))
    assert classify(made, CHAT).fits == ((("spare", 1), 3000),), "no language, no fit by it"


def test_where_nothing_is_said() -> None:
    found = classify(policy(), Ticket(channel="phone"))
    assert (found.cost, found.slope_milli, found.order) == (100, 1000, ("least_loaded", "longest_idle"))
    assert (found.offer, found.affinity, found.wrap_up_ms, found.skip_unstaffed) == (None, None, 0, False)


def test_defaults_fill_what_no_rule_gave() -> None:
    class Who(Layer):
        vip = Rule(Ticket.tier.is_("vip"), needs=S.spare, head_start=seconds(5), steps=[After(seconds(9), alert="x")])
        everyone = Otherwise()

    made = policy(
        Who, defaults=Otherwise(needs=S.general, head_start=seconds(1), steps=[After(seconds(3), needs=S.parcels)])
    )
    vip, plain = after(made, Ticket(channel="chat", tier="vip"), 3), after(made, CHAT, 3)
    assert (vip.needs.groups, vip.found.head_start_ms, vip.step) == (((("spare", 1),),), 5000, 0)
    assert (plain.needs.groups, plain.found.head_start_ms, plain.step) == (((("parcels", 1),),), 1000, 1)


def test_a_case_stands_for_its_own_policy() -> None:
    one, other = policy(), policy()
    with pytest.raises(ValueError, match="stands against one of the same policy"):
        one.case(CHAT).beats(other.case(CHAT))

    class Other(Attributes):
        channel: Attr[Literal["chat"]]

    with pytest.raises(TypeError, match="a case of test is a Ticket, not"):
        one.case(Other(channel="chat"))
