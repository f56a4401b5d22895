"""Versions of a policy, in process, on a virtual clock: apply, scenes, rollback, overrides, dates."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Literal

import pytest

from csroute.errors import ConflictError, InvalidError, NotFoundError
from csroute.policy import (
    After,
    Attr,
    Attributes,
    Channel,
    Dates,
    Layer,
    Otherwise,
    Policy,
    Reserve,
    Rule,
    Scene,
    Skill,
    Skills,
    change,
    hours,
    minutes,
    oldest_wait,
    optional,
    seconds,
)
from csroute.policy.switch import switch
from csroute.router import Router
from csroute.types import (
    AgentSpec,
    Installed,
    PolicyInstalled,
    ShiftHeadStart,
    ShiftReserve,
    ShiftSkill,
    ShiftStep,
    Ticket,
    Version,
    VersionCause,
)

MIDNIGHT = datetime(2024, 11, 10, 16, tzinfo=UTC)


class Facts(Attributes):
    channel: Attr[Literal["chat"]]
    tier: Attr[Literal["vip"]] = optional()
    topic: Attr[Literal["parcel"]] = optional()


class S(Skills):
    general: Skill
    parcels: Skill
    spare: Skill


class Reserves:
    spare = Reserve(S.spare, open=oldest_wait(over=hours(2), until=hours(1)))


class Who(Layer):
    parcels = Rule(Facts.topic.is_("parcel"), needs=S.parcels, steps=[After(minutes(30), needs=S.parcels | S.general)])
    everyone = Otherwise(needs=S.general, reserves=[Reserves.spare])


class Rank(Layer):
    vip = Rule(Facts.tier.is_("vip"), head_start=seconds(30))
    ordinary = Otherwise()


class Scenes:
    surge = Scene(change(Rank.vip, head_start=minutes(5)), why="too many")
    sale = Scene(
        change(Rank.vip, head_start=minutes(9)),
        dates=Dates(starts=MIDNIGHT + timedelta(hours=1), ends=MIDNIGHT + timedelta(hours=2)),
    )


POLICY = Policy(
    "shop",
    attributes=Facts,
    skills=S,
    layers=[Who, Rank],
    reserves=Reserves,
    scenes=Scenes,
    channels={"chat": Channel(cost=100, limit=1)},
)
LATER = POLICY.but(change(Rank.vip, head_start=minutes(2)), name="shop-later")
VIP = ShiftHeadStart("vip", 120_000, relative=True)


@pytest.fixture
def router() -> Router:
    """A router with a policy, in which one ticket waits of each kind."""
    router = Router(clock="virtual", start=MIDNIGHT)
    router.apply(POLICY, why="to begin with", label="v1")
    for name, attributes in (("plain", {}), ("vip", {"tier": "vip"}), ("parcel", {"topic": "parcel"})):
        router.route(Ticket(name, channel="chat", attributes=attributes))
    return router


def staff(router: Router, *skills: str) -> None:
    """Anna, who has these skills, is there."""
    router.open_session("desk", lease_ms=3_600_000)
    router.upsert_agents([AgentSpec("anna", skills=dict.fromkeys(skills, 1))])
    router.login("desk", "anna")


def version(found: Installed) -> Version:
    assert found.version is not None
    return found.version


def head_start_ms(router: Router, ticket: str = "vip") -> int:
    return router.explain(ticket).head_start_ms


def test_each_install_is_a_version(router: Router) -> None:
    second = version(router.apply(LATER, why="more for VIPs", label="v2", expected=1))
    assert (second.number, second.by, second.why, second.label, second.name) == (
        2,
        "router",
        "more for VIPs",
        "v2",
        "shop-later",
    )
    page = router.versions()
    assert [(each.number, each.cause, each.label) for each in page.versions] == [
        (2, VersionCause.APPLY, "v2"),
        (1, VersionCause.APPLY, "v1"),
    ]
    assert (page.current, page.kept, page.next_page_token) == (2, 2, "")
    assert page.versions[0].hash == router.stats().policy_version
    kept = router.version(1)
    assert kept.policy == POLICY.compile()
    assert router.version().policy == LATER.compile()


def test_the_source_is_kept(router: Router) -> None:
    router.apply(LATER, source="a page of Python")
    assert router.version(2).source == "a page of Python"
    assert router.versions().versions[0].source_bytes == len("a page of Python")
    assert router.version(1).source == ""


def test_pages(router: Router) -> None:
    for policy in (LATER, POLICY, LATER):
        router.apply(policy)
    first = router.versions(page_size=3)
    assert [each.number for each in first.versions] == [4, 3, 2]
    rest = router.versions(page_size=3, page_token=first.next_page_token)
    assert ([each.number for each in rest.versions], rest.next_page_token) == ([1], "")


def test_the_second_of_two_hears_of_the_first(router: Router) -> None:
    router.apply(LATER, expected=1, why="mine")
    with pytest.raises(
        ConflictError, match=r"POLICY_CONFLICT \(308\).*version 2 is in force.*router \(mine\), not 1"
    ) as no:
        router.apply(POLICY, expected=1)
    assert no.value.name == "POLICY_CONFLICT"
    assert router.versions().current == 2


def test_the_same_once_more_does_nothing(router: Router) -> None:
    sequence = router.stats().sequence
    again = router.apply(POLICY)
    assert again.replayed
    assert router.stats().sequence == sequence
    router.override([VIP], duration=minutes(5), expected=1)
    twice = router.override([VIP], duration=minutes(5), expected=1)
    assert twice.replayed
    assert router.versions().current == 2, "the answer was lost, and the call sent again"


def test_a_dry_run_counts_and_changes_nothing(router: Router) -> None:
    before = router.state_hash
    would = router.apply(LATER, dry_run=True)
    assert (version(would).number, would.dry_run, would.waiting, would.changed, would.unfit) == (2, True, 3, 1, 0)
    assert [(each.where, each.old, each.new) for each in would.differences] == [
        ("policy: name", '"shop"', '"shop-later"'),
        ("Rank.vip: head_start_ms", "30000", "120000"),
    ]
    assert (router.state_hash, router.versions().current) == (before, 1)
    phone = replace(
        POLICY,
        channels={"phone": Channel(cost=1, limit=1)},
        name="phones",
        attributes=Phone,
        layers=[Calls],
        scenes=None,
        reserves=None,
    )
    assert router.apply(phone, dry_run=True).unfit == 3


class Phone(Attributes):
    channel: Attr[Literal["phone"]]


class Calls(Layer):
    everyone = Otherwise(needs=S.general)


def test_waiting_tickets_are_left_or_classified_again(router: Router) -> None:
    router.apply(LATER)
    assert head_start_ms(router) == 30_000
    installed = version(router.rollback(1))
    assert installed.reclassified == 0
    router.apply(LATER, reclassify=True)
    assert head_start_ms(router) == 120_000


def test_scenes_are_a_set(router: Router) -> None:
    on = version(router.activate_scenes(["surge"], why="here they come", reclassify=True))
    assert (on.number, on.cause, on.scenes) == (2, VersionCause.SCENE, ("surge",))
    assert on.hash == router.stats().policy_version
    assert head_start_ms(router) == 300_000
    assert router.version().policy == switch(POLICY.compile(), ["surge"]), (
        "the same bytes as when it is switched in Python"
    )
    assert [(each.name, each.on) for each in router.versions().scenes] == [("surge", True), ("sale", False)]
    router.activate_scenes([], reclassify=True)
    assert head_start_ms(router) == 30_000
    with pytest.raises(NotFoundError, match=r"SCENE_UNKNOWN.*no scene .flood.: it has surge, sale"):
        router.activate_scenes(["flood"])


def test_a_scene_comes_and_goes_by_its_dates(router: Router) -> None:
    planned = router.activate_scenes(["sale"], reclassify=True).planned
    start, end = (int((MIDNIGHT + timedelta(hours=hour)).timestamp() * 1e6) for hour in (1, 2))
    assert [(each.at_us, each.what) for each in planned] == [(start, "scene sale on"), (end, "scene sale off")]
    assert head_start_ms(router) == 30_000
    router.advance(to=start)
    assert head_start_ms(router) == 540_000
    router.advance(to=end)
    assert head_start_ms(router) == 30_000
    versions = router.versions().versions
    assert [(each.number, each.cause, each.installed_us) for each in versions[:2]] == [
        (4, VersionCause.DATE, end),
        (3, VersionCause.DATE, start),
    ]
    with pytest.raises(InvalidError, match="is over"):
        router.activate_scenes(["sale"])


def test_a_policy_comes_and_goes_by_its_dates(router: Router) -> None:
    start, end = MIDNIGHT + timedelta(minutes=10), MIDNIGHT + timedelta(minutes=20)
    night = replace(LATER, dates=Dates(starts=start, ends=end), name="night")
    router.apply(night, reclassify=True)
    assert router.stats().policy_name == "shop"
    router.advance(to=start)
    assert (router.stats().policy_name, head_start_ms(router)) == ("night", 120_000)
    router.advance(to=end)
    assert (router.stats().policy_name, head_start_ms(router)) == ("shop", 30_000)
    assert [each.name for each in router.versions().versions] == ["shop", "night", "shop", "shop"]
    with pytest.raises(InvalidError, match="its dates are over"):
        router.apply(night)


def test_what_has_not_begun_cannot_be_the_first() -> None:
    router = Router(clock="virtual", start=MIDNIGHT)
    with pytest.raises(InvalidError, match="nothing is in force until then"):
        router.apply(replace(POLICY, dates=Dates(starts=MIDNIGHT + timedelta(hours=1))))


def test_rollback_is_a_version_of_its_own(router: Router) -> None:
    router.activate_scenes(["surge"])
    router.apply(LATER)
    back = version(router.rollback(2, why="worse", reclassify=True))
    assert (back.number, back.cause, back.of, back.scenes) == (
        4,
        VersionCause.ROLLBACK,
        2,
        ("surge",),
    )
    assert head_start_ms(router) == 300_000
    with pytest.raises(NotFoundError, match=r"version 9 is not kept: there are 1 to 4"):
        router.rollback(9)


def test_an_override_ends_by_itself(router: Router) -> None:
    begun = version(router.override([VIP], duration=minutes(15), why="the queue is long"))
    assert begun.overrides == (2,)
    assert head_start_ms(router) == 150_000
    (standing,) = router.versions().overrides
    assert (standing.number, standing.by, standing.why) == (2, "router", "the queue is long")
    assert standing.changes[0].change == VIP
    router.advance(to=standing.until_us - 1000)
    assert head_start_ms(router) == 150_000
    router.advance(seconds(1))
    assert head_start_ms(router) == 30_000
    page = router.versions()
    over = page.versions[0]
    assert (over.number, over.cause, over.of, over.installed_us) == (
        3,
        VersionCause.OVERRIDE_OVER,
        2,
        standing.until_us,
    )
    assert (page.overrides, page.planned) == ((), ())
    assert over.hash == page.versions[-1].hash, "the tables are what they were"


def test_an_override_is_undone_in_one_command(router: Router) -> None:
    router.override([VIP], duration=minutes(15))
    undone = version(router.override(undo=2))
    assert (undone.number, undone.of) == (3, 2)
    assert (head_start_ms(router), router.versions().overrides, router.versions().planned) == (30_000, (), ())
    with pytest.raises(NotFoundError, match="no override 2 stands: none does"):
        router.override(undo=2)


def test_overrides_add_up_and_end_each_by_itself(router: Router) -> None:
    router.override([VIP], duration=minutes(10))
    router.activate_scenes(["surge"], reclassify=True)
    router.override([ShiftHeadStart("Rank.vip", 60_000, relative=True)], duration=minutes(5))
    assert head_start_ms(router) == 300_000 + 120_000 + 60_000
    router.advance(minutes(5))
    assert head_start_ms(router) == 300_000 + 120_000
    router.advance(minutes(5))
    assert head_start_ms(router) == 300_000
    assert router.versions().versions[0].scenes == ("surge",)


def test_the_same_override_again_moves_its_end(router: Router) -> None:
    router.override([VIP], duration=minutes(10))
    router.advance(minutes(5))
    router.override([VIP], duration=minutes(10))
    assert head_start_ms(router) == 150_000, "it is not added twice"
    (standing,) = router.versions().overrides
    assert (standing.number, standing.until_us) == (2, router.now_us + 600_000_000)


def test_an_apply_ends_overrides_and_says_so(router: Router) -> None:
    router.override([VIP], duration=minutes(10))
    assert router.apply(LATER, reclassify=True).overrides_ended == (2,)
    assert head_start_ms(router) == 120_000
    router.advance(minutes(20))
    assert head_start_ms(router) == 120_000, "what was to follow was dropped"


def test_a_step_can_be_brought_forward(router: Router) -> None:
    staff(router, "general")
    router.complete("vip", 1)
    router.complete("plain", 1)
    assert router.get_ticket("parcel").state.name == "WAITING"
    router.override([ShiftStep("parcels", 1, age_ms=0)], duration=minutes(5))
    assert router.get_ticket("parcel").agent == "anna"


def test_a_reserve_can_be_released_and_kept(router: Router) -> None:
    staff(router, "general", "spare")
    assert router.stats().waiting == 3
    router.override([ShiftReserve("spare", released=True)], duration=minutes(5))
    assert router.get_ticket("vip").agent == "anna"
    router.override([ShiftReserve("spare", released=False)], duration=minutes(5))
    router.complete("vip", 1)
    assert router.get_ticket("plain").state.name == "WAITING"


def test_a_group_can_help_another(router: Router) -> None:
    staff(router, "general")
    router.complete("vip", 1)
    router.complete("plain", 1)
    router.override([ShiftSkill("general", may="parcels")], duration=minutes(5))
    assert router.get_ticket("parcel").agent == "anna"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (ShiftHeadStart("vpi", 1), r"changes\[0\]\.head_start\.rule: .*no rule or layer .vpi.*Rank\.vip"),
        (ShiftStep("parcels", 2, age_ms=0), r"parcels has 1 steps, from 1"),
        (ShiftStep("Who", 1, age_ms=0), r"is a layer: a step is one rule's"),
        (ShiftStep("parcels", 1), r"give age_ms or boost_ms"),
        (ShiftReserve("sparse", released=True), r"no reserve .sparse.: there is spare"),
        (ShiftSkill("generals", may="parcels"), r"no skill .generals."),
        (ShiftSkill("general", may="spare"), r"nothing asks for spare"),
    ],
)
def test_an_override_that_says_nothing_is_refused(router: Router, change: ShiftHeadStart, message: str) -> None:
    before = router.state_hash
    with pytest.raises(InvalidError, match=message):
        router.override([change], duration=minutes(5))
    assert (router.state_hash, router.versions().current) == (before, 1)


def test_too_much_to_follow_is_refused(router: Router) -> None:
    for more in range(8):
        router.override([ShiftHeadStart("vip", 1000 + more)], duration=minutes(5 + more))
    with pytest.raises(InvalidError, match="9 changes would follow by themselves, at most 8"):
        router.override([ShiftHeadStart("vip", 1)], duration=minutes(60))


def test_a_program_s_install_is_a_version_too(router: Router) -> None:
    router.override([VIP], duration=minutes(5))
    router.install(LATER, later=[(router.now_us + 60_000_000, POLICY)])
    page = router.versions()
    assert (page.versions[0].cause, page.versions[0].name, page.overrides) == (VersionCause.START, "shop-later", ())
    assert [each.what for each in page.planned] == ["shop follows"]
    router.advance(minutes(1))
    assert (router.versions().versions[0].name, router.stats().policy_name) == ("shop", "shop")


def test_a_snapshot_has_the_versions_and_what_follows(router: Router) -> None:
    router.override([VIP], duration=minutes(5))
    twin = Router(clock="virtual")
    twin.restore(router.snapshot())
    assert twin.versions() == router.versions()
    for each in (router, twin):
        each.advance(minutes(5))
    assert twin.versions() == router.versions()
    assert head_start_ms(twin) == 30_000
    assert twin.state_hash == router.state_hash


def test_an_event_tells_of_each(router: Router) -> None:
    router.override([VIP], duration=minutes(5))
    router.advance(minutes(5))
    told = [event.policy_version for event in router.events() if isinstance(event.kind, PolicyInstalled)]
    assert told == [each.hash for each in reversed(router.versions().versions)]


def test_diff_between_versions_and_policies(router: Router) -> None:
    router.apply(LATER)
    assert [each.where for each in router.diff(1, 2)] == ["policy: name", "Rank.vip: head_start_ms"]
    assert router.diff(2, policy=POLICY)[1].new == "30000"
    assert router.diff(1, 1) == []
