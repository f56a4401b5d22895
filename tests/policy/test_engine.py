"""The engine's tables against a naive reading of the same policy: generated policies, generated tickets.

The policies come from the language's own words, compiled as they would be; tickets wait, with nobody logged in, and at
some moments both sides say where they stand. Then one agent who can do everything shows how work is handed over.
"""

from __future__ import annotations

import types as python_types
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Any, Literal

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from csroute import AgentSpec, Router
from csroute import Guess as SentGuess
from csroute import Ticket as Sent
from csroute.errors import PolicyRejectedError
from csroute.policy import *
from csroute.policy.attributes import guesses_of
from csroute.policy.compile import compile_policy
from csroute.policy.evaluate import Class, classify, wait
from csroute.policy.layers import rules_of
from csroute.presets import double11
from csroute.presets import double11_workload as workload
from csroute.types import StepTaken, TicketState

START_US = 1_700_000_000_000_000


class Ticket(Attributes):
    channel: Attr[Literal["chat", "phone"]]
    customer: Attr[str] = optional()
    topic: Detected[Literal["order", "parcel", "refund"]] = detected(at=0.6)
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
    done = Clock(starts="arrival", stops="completion")
    later = Clock(starts="assignment", stops="completion")


FACTS: list[Attr[Any] | Detected[Any]] = [
    Ticket.channel, Ticket.customer, Ticket.topic, Ticket.mood, Ticket.tier, Ticket.language,
]  # fmt: skip
WORDS = ["a", "b", "c"]
"""Values of open attributes; tests name the first two."""
CLOCKS = [Clocks.reply, Clocks.done, Clocks.later]
MOMENTS_S = [0, 4.999, 5, 10, 25, 31, 60, 100]

# --- Policies ---------------------------------------------------------------------------------------------------------

times = st.sampled_from([0, 5, 10, 20, 30, 60]).map(seconds)
starts = st.sampled_from([-60, -1, 0, 0.5, 30, 90]).map(seconds)


@st.composite
def a_test(draw: st.DrawFn) -> Condition:
    fact = draw(st.sampled_from(FACTS))
    values = draw(st.lists(st.sampled_from(fact.values or WORDS[:2]), min_size=1, max_size=2))
    asked: list[Condition] = [fact.is_(*values), fact.is_not(*values), fact.present(), fact.missing()]
    return draw(st.sampled_from(asked))


conditions = st.recursive(
    a_test(),
    lambda inner: st.tuples(inner, inner, st.booleans()).map(lambda it: it[0] & it[1] if it[2] else it[0] | it[1]),
    max_leaves=4,
) | st.just(never())


@st.composite
def skills(draw: st.DrawFn) -> Any:
    skill: Any = draw(
        st.sampled_from([S.general, S.parcels, S.spare, S.lang["zh"], S.lang["en"], S.lang[Ticket.language]])
    )
    level = draw(st.integers(1, 3))
    return skill if level == 1 else skill.at_least(level)


GROUPS = st.lists(st.lists(skills(), min_size=1, max_size=3), min_size=1, max_size=2)
NONE_OF = st.lists(skills(), max_size=1)


@st.composite
def needs(draw: st.DrawFn) -> Needs:
    groups = draw(GROUPS)
    found: Needs | None = None
    for group in groups:
        joined = group[0]
        for skill in group[1:]:
            joined = joined | skill
        found = joined if found is None else found & joined
    assert found is not None
    for skill in draw(NONE_OF):
        found = found & ~skill
    return found


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


NEEDS, BOOSTS, AGES = maybe(needs()), maybe(starts), st.sets(times, max_size=3)
HEAD_STARTS = st.none() | starts | st.builds(ByDeadline, st.sampled_from(CLOCKS), times)
FITS = st.lists(st.builds(Fit, skills(), starts), max_size=1)
SOME_CLOCKS = st.lists(st.sampled_from(CLOCKS), unique=True, max_size=2)


@st.composite
def steps(draw: st.DrawFn, moves: Sequence[Any]) -> list[After | At]:
    """Age steps by age, clock steps anywhere between; an overflow or a move at most at the end."""
    found: list[After | At] = []
    for age in sorted(draw(AGES)):
        alert = draw(st.sampled_from(["", "lead"]))
        found.append(After(age, needs=draw(NEEDS), boost=draw(BOOSTS), alert=alert))
        if draw(st.booleans()):
            share = draw(st.sampled_from([0.1, 0.333, 0.5, 1]))
            move = draw(st.sampled_from([None, *moves]))
            found.append(At(draw(st.sampled_from(CLOCKS)), share, boost=draw(BOOSTS), alert="clock", move=move))
    if draw(st.integers(0, 3)) == 0:
        move = draw(st.sampled_from([None, *moves]))
        found.append(After(seconds(90), alert="end", move=move, overflow="" if move else "mailbox"))
    return found


@st.composite
def clock_uses(draw: st.DrawFn, overriding: bool) -> list[Any]:
    uses = []
    for clock in draw(SOME_CLOCKS):
        target = draw(st.sampled_from([10, 40, 100]))
        warn = [seconds(target / 2)] if draw(st.booleans()) else []
        modes = {"within": clock.within(seconds(target), warn=warn)}
        if overriding:
            modes |= {"exactly": clock.exactly(seconds(target), warn=warn), "off": clock.off()}
        uses.append(draw(st.sampled_from(list(modes.values()))))
    return uses


SINGLE: dict[str, st.SearchStrategy[Any]] = {
    "slope": st.sampled_from([0, 0.5, 1, 2]),
    "order": st.lists(st.sampled_from(["least_loaded", "longest_idle", "best_level"]), unique=True, min_size=1),
    "offer": st.sampled_from([AutoAccept(), Offer(seconds(7)), Offer(seconds(9), away_on_expiry=False)]),
    "cost": st.integers(1, 100),
    "wrap_up": st.sampled_from([0, 3, 9]).map(seconds),
    "affinity": st.builds(Affinity, times),
    "decline_exclude": st.sampled_from([1, 100]).map(seconds),
}
MAYBE_SINGLE = {name: maybe(values) for name, values in SINGLE.items()}


def _fill(members: dict[str, Any], body: dict[str, Any]) -> None:
    body.update(members)


SPARE, ELITE = (
    Reserve(S.spare, open=oldest_wait(over=seconds(30), until=seconds(5))),
    Reserve(S.parcels.at_least(3), open=queue_length(over=3, until=1)),
)
RESERVES: Any = type("Reserves", (), {"spare": SPARE, "elite": ELITE})
QUEUE_CONDITIONS = [queue_length(over=2, until=0), oldest_wait(over=seconds(20), until=seconds(10))]
OVERLAYS = st.lists(st.builds(While, st.sampled_from(QUEUE_CONDITIONS), needs()), max_size=2)
SOME_RESERVES = st.lists(st.sampled_from([SPARE, ELITE]), unique=True, max_size=2)


@st.composite
def policies(draw: st.DrawFn, fuller: bool = False) -> Policy:
    """A policy; `fuller`: with overlays, reserves, dormant rules and scenes."""
    layers: list[type[Layer]] = []
    count = draw(st.integers(1, 3))
    owner = {name: draw(st.integers(-1, count)) for name in SINGLE}  # a layer, the defaults (count), or nobody
    overriding = draw(st.integers(0, count - 1))

    def effects(layer: int, moves: Sequence[Any] = (), *, overrides: bool = True) -> dict[str, Any]:
        single = {name: draw(MAYBE_SINGLE[name]) for name in SINGLE if owner[name] == layer}
        return {name: value for name, value in single.items() if value is not None} | {
            "needs": draw(NEEDS),
            "head_start": draw(HEAD_STARTS),
            "steps": draw(steps(moves)),
            "clocks": draw(clock_uses(overrides and layer == overriding)),
            "fits": draw(FITS),
            "overlays": draw(OVERLAYS) if fuller else (),
            "reserves": draw(SOME_RESERVES) if fuller else (),
        }

    for place in range(count):
        every = place > 0 and draw(st.booleans())
        last = Otherwise(**effects(place))
        rules: list[Rule | Otherwise] = [last]
        for number in range(draw(st.integers(0, 3))):  # upwards from the bottom: moves go down the page
            own = effects(place, () if every else list(rules), overrides=not every or number == 0)  # one that can hold
            asleep = fuller and draw(st.integers(0, 3)) == 0
            rules.append(Rule(draw(conditions), why=f"rule {number}", dormant=asleep, **own))
        names = {f"r{at}": rule for at, rule in enumerate(reversed(rules))}
        layers.append(python_types.new_class(f"L{place}", (Layer,), {"every": every}, partial(_fill, names)))
    scenes = {}
    for name in ["one", "two"] if fuller else []:
        rule = draw(st.sampled_from([rule for layer in layers for rule in rules_of(layer)]))
        fields = draw(
            st.lists(st.sampled_from(["needs", "head_start", "clocks", "overlays", "fits"]), unique=True, min_size=1)
        )
        new = effects(-2, overrides=False)
        changes = [change(rule, **{field: new[field] for field in fields})]
        sleepers = [rule for layer in layers for rule in rules_of(layer) if isinstance(rule, Rule) and rule.dormant]
        changes += [wake(rule) for rule in sleepers if draw(st.booleans())]
        scenes[name] = Scene(*changes)
    return Policy(
        "generated",
        attributes=Ticket,
        skills=S,
        clocks=Clocks,
        layers=layers,
        channels={"chat": Channel(cost=20, limit=5), "phone": Channel(cost=100, limit=1)},
        reserves=RESERVES if fuller else None,
        scenes=type("Scenes", (), scenes),
        defaults=Otherwise(**effects(count)),
    )


@st.composite
def tickets(draw: st.DrawFn) -> Ticket:
    given_: dict[str, Any] = {}
    for fact in FACTS[1:]:
        value = draw(maybe(st.sampled_from(fact.values or WORDS)))
        if value is not None and isinstance(fact, Detected):
            value = draw(st.sampled_from([value, guess(value, 0.8), guess(value, 0.6), guess(value, 0.599)]))
        given_[fact.name] = value
    return Ticket(channel=draw(st.sampled_from(["chat", "phone"])), **given_)


# --- Both sides -------------------------------------------------------------------------------------------------------


def sent(ticket: Ticket, number: int) -> Sent:
    values = {name: found for name, found in guesses_of(ticket).items() if name not in {"channel", "customer"}}
    return Sent(
        f"t{number}",
        guesses_of(ticket)["channel"].value,
        customer=ticket.customer or "",
        attributes={
            name: found.value
            if found.confidence_milli == 1000
            else SentGuess(found.value, found.confidence_milli / 1000)
            for name, found in values.items()
        },
    )


def shown(requirement: Sequence[Sequence[tuple[str, int]]]) -> list[str]:
    """A requirement in the engine's words."""
    nobody = "nobody (a skill's attribute is missing)"
    groups = [[f"{skill}>={level}" if level > 1 else skill for skill, level in group] for group in requirement]
    return [" | ".join(group) or nobody for group in groups]


def router_with(policy: Policy) -> Router:
    try:
        return Router(compile_policy(policy), clock="virtual", start=START_US)
    except PolicyRejectedError as error:
        assume("the steps of one ticket" not in str(error))  # chance gave it more than the engine's bound
        raise


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(policies(), st.lists(tickets(), min_size=1, max_size=4))
def test_tickets_wait_as_the_policy_reads(policy: Policy, asked: list[Ticket]) -> None:
    router = router_with(policy)
    for number, ticket in enumerate(asked):
        router.route(sent(ticket, number))
    for moment_s in MOMENTS_S:
        router.advance(to=START_US + int(moment_s * 1_000_000))
        for number, ticket in enumerate(asked):
            expected = wait(policy, ticket, seconds(moment_s))
            view = router.get_ticket(f"t{number}")
            if expected.overflow:
                assert (view.state, view.outcome) == (TicketState.OVERFLOWED, expected.overflow)
                continue
            found, explained = expected.found, router.explain(f"t{number}")
            assert view.state == TicketState.WAITING
            assert (view.class_path, view.queue) == (found.path, found.queue)
            assert [(hit.layer, hit.rule) for hit in explained.rules] == [
                (rule.layer, rule.name) for rule in found.rules
            ]
            assert (view.step, explained.boost_ms) == (expected.step, expected.boost_ms)
            assert list(explained.needs) == shown(expected.needs.groups)
            assert list(explained.none_of) == shown([[entry] for entry in expected.needs.none_of])
            assert (explained.head_start_ms, explained.slope_milli) == (found.head_start_ms, found.slope_milli)
            assert explained.urgency_milli_us == expected.urgency_milli_us
            assert {clock.clock: clock.target_ms for clock in view.clocks} == {
                clock.name: clock.target_ms for clock in found.clocks
            }
            if found == classify(policy, ticket):
                check_clocks(view.clocks, found, moment_s)
    raised = [event.kind for event in router.events()]
    alerts = [kind.alert for kind in raised if isinstance(kind, StepTaken) and kind.alert]
    assert sorted(alerts) == sorted(
        alert for ticket in asked for alert in wait(policy, ticket, seconds(MOMENTS_S[-1])).alerts
    )


def check_clocks(clocks: Sequence[Any], found: Class, moment_s: float) -> None:
    """Warned and breached at their times, for a ticket that never changed class."""
    waited_ms = moment_s * 1000
    expected = {clock.name: clock for clock in found.clocks}
    for clock in clocks:
        runs = expected[clock.clock].starts == "arrival"
        passed = sum(warning <= waited_ms for warning in expected[clock.clock].warnings_ms)
        assert clock.warned == (passed if runs else 0)
        assert clock.breached == (runs and expected[clock.clock].target_ms <= waited_ms)
        assert clock.due_us == (START_US + expected[clock.clock].target_ms * 1000 if runs else 0)


ABLE: Mapping[str, int] = {"general": 9, "parcels": 9, "spare": 9, "lang[zh]": 9, "lang[en]": 9}


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(policies(), tickets())
def test_work_is_handed_over_as_the_policy_reads(policy: Policy, ticket: Ticket) -> None:
    router = router_with(policy)
    router.upsert_agents([AgentSpec("able", skills=ABLE, capacity=100)])
    router.open_session("desk", lease_ms=3_600_000)
    router.login("desk", "able")
    expected = wait(policy, ticket, seconds(0))
    found, result = expected.found, router.route(sent(ticket, 0))
    if expected.overflow or not expected.needs.met_by(ABLE):
        assert result.state == (TicketState.OVERFLOWED if expected.overflow else TicketState.WAITING)
        return
    offered = isinstance(found.offer, Offer)
    assert (result.state, result.agent) == (TicketState.OFFERED if offered else TicketState.ACTIVE, "able")
    (agent,) = router.list_agents()
    assert agent.used == found.cost
    if isinstance(found.offer, Offer):
        assert result.due_us == START_US + found.offer.ttl.ms * 1000
        router.accept("t0", 1)
    router.complete("t0", 1)
    view = router.get_ticket("t0")
    ended = (TicketState.WRAPPING, START_US + found.wrap_up_ms * 1000) if found.wrap_up_ms else (TicketState.CLOSED, 0)
    assert (view.state, view.due_us if found.wrap_up_ms else 0) == ended


def test_the_generated_policies_are_policies() -> None:
    """Sound but for what chance makes unreachable or doubtful, so that the comparison is about real ones."""
    kinds = set()

    @settings(max_examples=60, deadline=None, database=None)
    @given(policies())
    def look(policy: Policy) -> None:
        for layer in policy.layers:
            assert rules_of(layer)
        for finding in policy.check():
            if not finding.warning:
                kinds.add(finding.message.split(":")[0].split(",")[0])

    look()
    known = {"it never applies", "no ticket meets it", "it asks for what is asked already", "one ticket can get"}
    assert not {
        kind
        for kind in kinds
        if not kind.startswith(tuple(known)) and "does nothing" not in kind and "has no target" not in kind
    }


def test_the_double11_preset_reads_the_same() -> None:
    router = Router(double11.policy, clock="virtual", start=START_US)
    asked = list(islice(workload.tickets(5), 300))
    for number, new in enumerate(asked):
        router.route(Sent(f"t{number}", new.channel, customer=new.customer, attributes=new.attributes))
    for waited_s in (0, 45, 100):
        router.advance(to=START_US + waited_s * 1_000_000)
        for number, new in enumerate(asked):
            ticket = double11.Ticket(channel=new.channel, **new.attributes)  # type: ignore[arg-type]
            expected, explained = wait(double11.policy, ticket, seconds(waited_s)), router.explain(f"t{number}")
            assert explained.ticket.class_path == expected.found.path
            assert list(explained.needs) == shown(expected.needs.groups)
            assert explained.urgency_milli_us == expected.urgency_milli_us


def test_what_check_passes_at_its_bounds_the_engine_takes() -> None:
    long, year, most = "n" * 64, hours(24 * 365), milliseconds(10**12)
    channels: Any = Literal[tuple(f"{number:064}" for number in range(16))]
    values: Any = Literal[tuple(f"{number:0256}" for number in range(4096))]
    texts = {f"{number:064}": Attr[str] for number in range(62)}
    declared = {"channel": Attr[channels], long: Attr[values], **texts}

    def wide(body: dict[str, Any]) -> None:
        body.update(
            {"__annotations__": declared, "__module__": __name__, long: optional()}, **dict.fromkeys(texts, optional())
        )

    wide_ticket: Any = python_types.new_class("Wide", (Attributes,), {}, wide)
    clocks: Any = type("Many", (), {f"{number:064}": Clock(starts=long, stops="done") for number in range(32)})
    clock = next(iter(vars(clocks).values()))
    when: Condition = getattr(wide_ticket, long).is_(*getattr(wide_ticket, long).values)
    for _ in range(3):
        when = (when & wide_ticket.channel.present()) | wide_ticket.channel.missing()
    group: Any = S.general.at_least(100)
    for level in range(15):
        group = group | S.spare.at_least(level + 1)
    needs: Needs = group
    for _ in range(7):
        needs = needs & group
    rule = Rule(
        when & wide_ticket.channel.present(),
        needs=needs & ~group,
        head_start=-most,
        slope=100,
        steps=[After(hours(282 * number), boost=milliseconds(number + 1), alert=long) for number in range(31)]
        + [At(clock, 0.001, boost=milliseconds(10**10))],
        clocks=[clock.exactly(year, warn=[milliseconds(number + 1) for number in range(7)] + [year - milliseconds(1)])],
        order=["least_loaded", "longest_idle", "best_level", "spare_generalists", "round_robin"],
        affinity=Affinity(year, transfer_hold=year, needs=needs),
        offer=Offer(hours(1)),
        cost=100_000,
        wrap_up=year,
        decline_exclude=year,
        fits=[Fit(S.general, milliseconds(3_906_250_000))] * 256,
        why="w" * 1024,
    )
    rules = {long: rule, "rest": Otherwise()}
    layers = [python_types.new_class(long, (Layer,), {}, partial(_fill, rules))]
    layers += [
        python_types.new_class(f"L{number}", (Layer,), {}, partial(_fill, {"rest": Otherwise()}))
        for number in range(15)
    ]
    policy = Policy(
        long,
        attributes=wide_ticket,
        skills=S,
        clocks=clocks,
        layers=layers,
        channels={name: Channel(cost=100_000, limit=100_000) for name in wide_ticket.channel.values},
        limits=Limits(waiting_max=2**32 - 1, closed_keep=year),
        lost_grace=year,
        suspend=year,
        short_abandon=year,
        answer_target=year,
    )
    Router(policy.compile(), clock="virtual", start=START_US)
