"""Scenes, variants, tables of the hour, reserves: what each comes to, and that the tables say the same."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from itertools import chain, combinations
from typing import Literal

import pytest

from csroute import AgentSpec, Router
from csroute import Ticket as Sent
from csroute.errors import RejectedError
from csroute.policy import *
from csroute.policy.evaluate import classify, wait
from csroute.policy.switch import SceneError, resolved, switch
from csroute.presets import double11
from csroute.types import ConditionTurned, Measure
from csroute.v1 import policy_pb2 as pb


class Ticket(Attributes):
    channel: Attr[Literal["chat", "phone"]]
    customer: Attr[str] = optional()
    topic: Attr[Literal["order", "parcel"]] = optional()
    tier: Attr[Literal["vip", "ordinary"]] = optional()
    merchant: Attr[str] = optional()


class S(Skills):
    general: Skill
    parcels: Skill
    senior: Skill
    spare: Skill
    brand: Family[str] = family(keys_max=100)


class Clocks:
    legal = Clock(starts="arrival", stops="first_reply", hard=True)
    reply = Clock(starts="arrival", stops="first_reply")


class Hour(Tables):
    segment: Table[Literal["gold", "plain"]] = looked_up(Ticket.merchant, keys_max=1000)


class Reserves:
    spare = Reserve(S.spare, open=oldest_wait(over=seconds(60), until=seconds(20)))
    elite = Reserve(S.senior.at_least(4), open=queue_length(over=50, until=10, of=lambda: [Who.parcels]))


CROWDED = queue_length(over=100, until=50)


class Who(Layer):
    crisis = Rule(Ticket.topic.present(), needs=S.senior, dormant=True, why="all that is about something")
    parcels: Rule = Rule(
        Ticket.topic.is_("parcel"),
        needs=S.parcels,
        reserves=[Reserves.spare],
        overlays=[While(CROWDED, needs=S.parcels | S.general)],
        waiting_max=5000,
    )
    everyone = Otherwise(needs=S.general)


class Rank(Layer, every=True):
    vip = Rule(Ticket.tier.is_("vip"), head_start=seconds(60))
    gold = Rule(Hour.segment.is_("gold"), head_start=seconds(30))
    ordinary = Otherwise()


class Law(Layer):
    everyone = Otherwise(clocks=[Clocks.legal.within(minutes(3))])


class Scenes:
    surge = Scene(
        change(Who.parcels, needs=S.parcels | S.senior, steps=[After(seconds(5), alert="lead")]),
        change(Rank.vip, head_start=None),
        why="many come",
        dates=Dates(starts=datetime(2024, 11, 11, tzinfo=timezone(timedelta(hours=8)))),
    )
    crisis = Scene(wake(Who.crisis), change(Who.parcels, needs=S.senior))
    fast = Scene(change(Rank.vip, urgency=ageing(1, head_start=seconds(90))))


policy = Policy(
    "shop",
    attributes=Ticket,
    skills=S,
    clocks=Clocks,
    layers=[Who, Rank, Law],
    channels={"chat": Channel(cost=20, limit=5), "phone": Channel(cost=100, limit=1)},
    reserves=Reserves,
    scenes=Scenes,
    tables=Hour,
    defaults=Otherwise(reserves=[Reserves.elite]),
)
PARCEL, VIP = Ticket(channel="chat", topic="parcel"), Ticket(channel="chat", tier="vip")


def test_a_scene_replaces_whole_fields_and_nothing_else() -> None:
    calm, surge = classify(policy, PARCEL), classify(policy.under(Scenes.surge), PARCEL)
    assert str(calm.needs[0]) == "parcels"
    assert str(surge.needs[0]) == "parcels | senior"
    assert (len(calm.steps), len(surge.steps)) == (0, 1)
    assert (calm.reserves, surge.reserves) == (("spare",), ("spare",))
    assert classify(policy.under(Scenes.surge), VIP).head_start_ms == 0
    assert classify(policy.under(Scenes.fast), VIP).head_start_ms == 90_000
    assert classify(policy, VIP).head_start_ms == 60_000


def test_a_dormant_rule_sleeps_until_it_is_woken() -> None:
    assert classify(policy, PARCEL).queue == "parcels"
    assert classify(policy.under(Scenes.crisis), PARCEL).queue == "crisis"
    assert classify(policy.under(), PARCEL).queue == "parcels"


def test_scenes_are_a_set_and_the_later_listed_wins() -> None:
    both = policy.under(Scenes.surge, Scenes.fast)
    assert both.compile() == policy.under(Scenes.fast, Scenes.surge).compile()
    assert classify(both, VIP).head_start_ms == 90_000
    assert both.under().compile() == policy.compile()


def test_the_bytes_are_switched_as_the_policy_is() -> None:
    for scenes in chain.from_iterable(combinations(policy.declared_scenes(), size) for size in range(4)):
        names = [scene.name for scene in scenes]
        assert switch(policy.compile(), names) == policy.under(*scenes).compile()
        assert switch(switch(policy.compile(), ["crisis"]), names) == policy.under(*scenes).compile()
    with pytest.raises(SceneError, match="shop has no scene 'nihgt': it has surge, crisis, fast"):
        switch(policy.compile(), ["nihgt"])


def test_what_is_resolved_is_what_a_policy_without_scenes_would_be() -> None:
    now = resolved(pb.CompiledPolicy.FromString(policy.under(Scenes.surge, Scenes.crisis).compile()))
    crisis, parcels, _ = now.layers[0].rules
    assert not crisis.dormant
    assert parcels.effects.needs.groups[0].any_of[0].skill == "senior"
    assert parcels.effects.steps[0].alert == "lead"
    assert parcels.effects.waiting_max == 5000
    assert now.layers[1].rules[0].effects.head_start_ms == 0


def test_a_variant_has_its_changes_for_good() -> None:
    shop = policy.but(change(Rank.vip, head_start=minutes(2)), name="shop-x")
    assert classify(shop, VIP).head_start_ms == 120_000
    tables = pb.CompiledPolicy.FromString(shop.compile())
    assert (tables.name, tables.layers[1].rules[0].effects.head_start_ms) == ("shop-x", 120_000)
    assert classify(shop.under(Scenes.surge), VIP).head_start_ms == 0
    assert classify(shop.but(change(Rank.vip, head_start=None), name="y"), VIP).head_start_ms == 0


def test_dates_say_their_offset() -> None:
    tables = pb.CompiledPolicy.FromString(policy.compile())
    assert tables.scenes[0].starts_us == int(datetime(2024, 11, 10, 16, tzinfo=UTC).timestamp()) * 1_000_000
    with pytest.raises(ValueError, match="without its offset"):
        Dates(starts=datetime(2024, 11, 11))  # noqa: DTZ001 - that is the mistake
    with pytest.raises(ValueError, match="not after it starts"):
        Dates(starts=datetime(2024, 11, 11, tzinfo=UTC), ends=datetime(2024, 11, 11, tzinfo=UTC))


def test_a_table_of_the_hour_is_read_like_an_attribute() -> None:
    acme, other = Ticket(channel="chat", merchant="acme"), Ticket(channel="chat", merchant="zeta")
    hour = {Hour.segment: {"acme": "gold"}}
    assert classify(policy, acme, hour=hour).head_start_ms == 30_000
    assert classify(policy, acme).head_start_ms == 0
    assert classify(policy, other, hour=hour).head_start_ms == 0
    assert classify(policy, PARCEL, hour=hour).head_start_ms == 0
    policy.case(acme, hour=hour).gets(Rank.gold)
    assert [found for found in policy.check() if not found.warning] == []
    policy.cases.clear()


def test_a_reserve_is_kept_from_every_class_until_released_to_those_that_name_it() -> None:
    spare, elite = {"general": 1, "parcels": 1, "spare": 1}, {"general": 1, "parcels": 1, "senior": 4}
    parcel = wait(policy, PARCEL, seconds(0))
    assert not parcel.needs.met_by(spare)
    assert not parcel.needs.met_by(elite)
    assert parcel.needs.met_by({"parcels": 1, "senior": 3})
    assert wait(policy, PARCEL, seconds(0), released={"spare"}).needs.met_by(spare)
    assert not wait(policy, VIP, seconds(0), released={"spare"}).needs.met_by(spare)
    assert wait(policy, VIP, seconds(0), released={"elite"}).needs.met_by(elite)  # by the defaults
    assert not wait(policy, PARCEL, seconds(0), released={"elite"}).needs.met_by(elite)


def test_an_overlay_stands_over_the_steps_while_its_queue_is_full() -> None:
    anyone = {"general": 1}
    assert not wait(policy, PARCEL, seconds(0)).needs.met_by(anyone)
    assert wait(policy, PARCEL, seconds(0), full={CROWDED}).needs.met_by(anyone)


def test_the_tables_carry_what_queues_and_hours_decide() -> None:
    tables = pb.CompiledPolicy.FromString(policy.compile())
    parcels = tables.layers[0].rules[1].effects
    assert (parcels.overlays[0].when.over, parcels.overlays[0].when.until) == (100, 50)
    assert (list(parcels.reserves), parcels.waiting_max) == (["spare"], 5000)
    assert [(each.name, each.skill.level, list(each.open.of)) for each in tables.reserves] == [
        ("spare", 1, []),
        ("elite", 4, ["parcels"]),
    ]
    assert (tables.tables[0].attribute, tables.families[0].keys_max) == ("merchant", 100)


def test_conditions_and_reserves_read_well() -> None:
    assert str(Reserves.spare.open) == "oldest wait from 1 min until 20 s"
    assert str(Reserves.elite.open) == "tickets waiting of parcels from 50 until 10"


def test_what_is_applied_states_cases() -> None:
    assert [str(found.message) for found in policy.check(applying=True) if not found.warning] == [
        "there are none, and a policy that is applied has some: say at least one thing that must hold: shop.case(…).gets(…)"
    ]
    assert double11.policy.check(applying=True) == []


def test_the_router_switches_scenes_on_and_off() -> None:
    router = Router(double11.policy, clock="virtual")
    chat = {"kind": "emergency"}
    router.route(Sent("t1", "chat", attributes=chat))
    assert router.get_ticket("t1").queue == "general"
    router.install(double11.policy.under(double11.Scenes.hotline), reclassify=True)
    assert router.get_ticket("t1").queue == "emergency"
    router.install(double11.policy, reclassify=True)
    assert router.get_ticket("t1").queue == "general"


@pytest.mark.parametrize("scene", double11.policy.declared_scenes(), ids=lambda scene: scene.name)
def test_every_scene_of_the_night_can_be_installed(scene: Scene) -> None:
    assert scene.why
    router = Router(double11.policy.under(scene), clock="virtual")
    assert router.route(Sent("t1", "phone", attributes={"tier": "vip"})).state.name == "WAITING"


def test_the_hour_s_facts_decide() -> None:
    router = Router(policy, clock="virtual")
    sent = Sent("t1", "chat", attributes={"merchant": "acme"})
    assert router.route(sent).state.name == "WAITING"
    rules = [hit.rule for hit in router.explain("t1").rules]
    assert "gold" not in rules
    assert router.set_table("segment", {"acme": "gold"}, reclassify=True).reclassified == 1
    assert "gold" in [hit.rule for hit in router.explain("t1").rules]
    assert router.set_table("segment", {"acme": "gold"}).replayed
    router.route(Sent("t2", "chat", attributes={"merchant": "globex"}))
    assert "gold" not in [hit.rule for hit in router.explain("t2").rules]
    assert router.set_table("segment", {"globex": "gold"}, replace=True, reclassify=True).keys == 1
    assert [hit.rule for hit in router.explain("t1").rules] == rules
    assert "gold" in [hit.rule for hit in router.explain("t2").rules]


def test_facts_are_kept_by_name_and_come_back_with_a_snapshot() -> None:
    router = Router(policy, clock="virtual")
    router.set_table("segment", {"acme": "gold"})
    router.install(policy.but(change(Rank.vip, head_start=seconds(61)), name="another"))
    twin = Router(clock="virtual")
    twin.restore(router.snapshot())
    for each in (router, twin):
        each.route(Sent("t1", "chat", attributes={"merchant": "acme"}))
        assert "gold" in [hit.rule for hit in each.explain("t1").rules]
    assert router.state_hash == twin.state_hash


def test_a_table_says_what_it_may_say() -> None:
    router = Router(policy, clock="virtual")
    for table, facts, name, message in (
        ("segments", {"acme": "gold"}, "UNKNOWN_VALUE", "it has segment"),
        ("segment", {"acme": "silver"}, "UNKNOWN_VALUE", "it may say gold, plain"),
        ("segment", {f"m{number}": "gold" for number in range(1001)}, "TOO_MANY", "1001 keys, and may have 1000"),
        ("segment", {"": "gold"}, "FIELD_MISSING", "must be given"),
    ):
        with pytest.raises(RejectedError, match=message) as no:
            router.set_table(table, facts)
        assert no.value.name == name
    assert router.set_table("segment", {"acme": ""}).replayed


def test_a_merchant_s_flood_is_its_own() -> None:
    router = Router(capped(), clock="virtual")
    for number in range(5):
        router.route(Sent(f"a{number}", "chat", attributes={"merchant": "acme"}))
    with pytest.raises(RejectedError, match="5 tickets whose merchant is acme are waiting") as no:
        router.route(Sent("a5", "chat", attributes={"merchant": "acme"}))
    assert (no.value.name, no.value.subject) == ("WAITING_FULL", "merchant")
    for number in range(7):
        router.route(Sent(f"b{number}", "chat", attributes={"merchant": "globex"}))
    router.route(Sent("nobody's", "chat"))
    router.update("a0", 1, {"merchant": "globex"})
    router.route(Sent("a5", "chat", attributes={"merchant": "acme"}))
    router.cancel("a1")
    twin = Router(clock="virtual")
    twin.restore(router.snapshot())
    for each in (router, twin):
        each.route(Sent("a6", "chat", attributes={"merchant": "acme"}))
        for one in ("a7", "b7"):
            with pytest.raises(RejectedError, match="are waiting, as many as may"):
                each.route(Sent(one, "chat", attributes={"merchant": "acme" if one == "a7" else "globex"}))


def capped() -> Policy:
    return Policy(
        "capped",
        attributes=Ticket,
        skills=S,
        layers=[type("Who", (Layer,), {"everyone": Otherwise()})],
        channels=CHANNELS,
        limits=Limits(caps=[Cap(Ticket.merchant, waiting_max=5, of={"globex": 8})]),
    )


def surging() -> Policy:
    """Overlays, reserves, bounded queues and a clock that does not pause, without the tables."""
    return Policy(
        "surging",
        attributes=Ticket,
        skills=S,
        clocks=Steady,
        layers=[Surge],
        channels=CHANNELS,
        reserves=SurgeReserves,
    )


CHANNELS = {"chat": Channel(cost=20, limit=5), "phone": Channel(cost=100, limit=1)}


class Steady:
    legal = Clock(starts="arrival", stops="first_reply", hard=True, pausable=False)


class SurgeReserves:
    elite = Reserve(S.senior, open=queue_length(over=3, until=1))


class Surge(Layer):
    parcels = Rule(
        Ticket.topic.is_("parcel"),
        needs=S.parcels,
        clocks=[Steady.legal.within(minutes(3))],
        overlays=[While(queue_length(over=2, until=1), needs=S.parcels | S.general)],
        waiting_max=4,
    )
    everyone = Otherwise(needs=S.parcels, reserves=[SurgeReserves.elite])


def desk(said: Policy, **agents: dict[str, int]) -> Router:
    router = Router(said, clock="virtual")
    router.open_session("desk", lease_ms=3_600_000)
    router.upsert_agents(AgentSpec(name, skills=skills) for name, skills in agents.items())
    for name in agents:
        router.login("desk", name)
    return router


def test_an_overlay_opens_a_full_queue_to_others_and_closes_it_again() -> None:
    router = desk(surging(), ana={"general": 1})
    parcel = {"topic": "parcel"}
    assert router.route(Sent("t1", "phone", attributes=parcel)).agent == ""
    router.route(Sent("t2", "phone", attributes=parcel))  # two wait: others may help
    assert (router.get_ticket("t1").agent, router.get_ticket("t2").agent) == ("ana", "")
    turned = [event.kind for event in router.events() if isinstance(event.kind, ConditionTurned)]
    assert [(kind.queues, kind.measure, kind.on) for kind in turned] == [
        (("parcels",), Measure.LENGTH, True),
        (("parcels",), Measure.LENGTH, False),
    ]
    router.complete("t1", 1)
    assert router.get_ticket("t2").agent == ""


def test_a_reserve_opens_to_those_that_name_it_and_to_nobody_else() -> None:
    router = desk(surging(), eve={"parcels": 1, "senior": 1})
    for number in range(3):
        router.route(Sent(f"p{number}", "chat", attributes={"topic": "parcel"}))
    assert {router.get_ticket(f"p{number}").agent for number in range(3)} == {""}
    for number in range(3):
        router.route(Sent(f"t{number}", "chat"))
    assert [router.get_ticket(f"t{number}").agent for number in range(3)] == ["eve"] * 3  # read again when none is left
    assert router.route(Sent("t3", "chat")).agent == ""
    assert router.explain("t3").none_of == ("senior",)


def test_a_queue_has_a_bound_of_its_own() -> None:
    router = desk(surging())
    for number in range(4):
        router.route(Sent(f"p{number}", "chat", attributes={"topic": "parcel"}))
    with pytest.raises(RejectedError) as no:
        router.route(Sent("p4", "chat", attributes={"topic": "parcel"}))
    assert (no.value.name, no.value.subject, no.value.retry_after_ms) == ("WAITING_FULL", "parcels", 1000)
    router.route(Sent("t1", "chat"))
    router.cancel("p0")
    router.route(Sent("p4", "chat", attributes={"topic": "parcel"}))


def test_a_clock_that_never_pauses() -> None:
    router = desk(surging())
    router.route(Sent("p1", "chat", attributes={"topic": "parcel"}))
    with pytest.raises(RejectedError) as no:
        router.pause_clock("p1", "legal")
    assert no.value.name == "WRONG_STATE"


def test_an_open_family_has_a_bound_of_its_own() -> None:
    router = Router(surging(), clock="virtual")
    router.upsert_agents(AgentSpec(f"a{number}", skills={f"brand[b{number}]": 1}) for number in range(100))
    (refused,) = router.upsert_agents([AgentSpec("more", skills={"brand[b100]": 1})])
    assert isinstance(refused, RejectedError)
    assert (refused.name, refused.subject) == ("SKILLS_FULL", "brand[b100]")
    router.upsert_agents([AgentSpec("again", skills={"brand[b7]": 2, "general": 1})])
    twin = Router(surging(), clock="virtual")
    twin.restore(router.snapshot())
    assert twin.state_hash == router.state_hash


def test_an_override_ends_by_itself() -> None:
    calm = surging()
    override = calm.but(change(Surge.everyone, head_start=minutes(2)), name="surging")
    router = Router(calm, clock="virtual")
    until_us = router.now_us + 900_000_000
    version = router.install(override, reclassify=True, later=[(until_us, calm)])
    router.route(Sent("t1", "chat"))
    assert router.explain("t1").head_start_ms == 120_000
    twin = Router(calm, clock="virtual")
    twin.restore(router.snapshot())
    for each in (router, twin):
        each.advance(minutes(15))
        assert each.explain("t1").head_start_ms == 0
        assert each.stats().policy_version != version
    assert router.state_hash == twin.state_hash


def test_an_override_is_undone_in_one_command() -> None:
    calm = surging()
    router = Router(calm, clock="virtual")
    until_us = router.now_us + 900_000_000
    override = calm.but(change(Surge.everyone, head_start=minutes(2)), name="surging")
    router.install(override, later=[(until_us, override.but(change(Surge.everyone, cost=5), name="surging"))])
    version = router.install(calm)
    router.advance(hours(1))
    assert router.stats().policy_version == version
