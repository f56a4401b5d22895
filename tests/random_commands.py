"""Random policies and random commands over small id spaces, so that collisions happen and due times are hit exactly.

Whatever draws them (`random.Random`, or Hypothesis's) only needs `choice`, `randint` and `random`.

>>> from random import Random
>>> policy = random_policy(Random(7))
>>> 1 <= len(policy.layers) <= 3
True
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, TypeVar

from google.protobuf import text_format

from csroute.v1 import admin_pb2, agent_pb2, policy_pb2, ticket_pb2, version_pb2
from tests.oracle import Oracle

__all__ = ["CROWD", "FEW", "Command", "Draw", "Names", "random_command", "random_policy"]

T = TypeVar("T")
SKILLS = ["bill", "tech", "lang[en]", "lang[fr]"]
CHANNELS = ["chat", "phone"]
CLOCKS = {
    "answer": ("arrival", "assignment"),
    "reply": ("arrival", "first_reply"),
    "solve": ("arrival", "completion"),
    "refund": ("refund_asked", "refund_paid"),
    "talk": ("assignment", "completion"),
    "never": ("arrival", "arrival"),
}
MOMENTS = ["first_reply", "refund_asked", "refund_paid"]
HOUR = ["gold", "plain"]
VALUES = {"kind": ["x", "y"], "mood": ["calm", "angry"], "lang": ["en", "fr", "de"]}
DURATIONS_MS = [1000, 2000, 3000, 5000]
SECOND_US = 1_000_000
START_US = 1_700_000_000_000_000


@dataclass(frozen=True)
class Names:
    """Who there is."""

    tickets: Sequence[str]
    agents: Sequence[str]
    sessions: Sequence[str] = ("east", "west")


# So few that they collide; and enough for long lines and a choice of agents.
FEW = Names([f"t{number}" for number in range(1, 7)], ["ann", "bob", "cat", "dan"])
CROWD = Names([f"t{number}" for number in range(1, 41)], [f"a{number}" for number in range(1, 13)])


@dataclass(frozen=True)
class Draw:
    """What a command is drawn from; it looks at the oracle's state alone."""

    rng: Random
    oracle: Oracle
    names: Names = FEW


@dataclass(frozen=True)
class Command:
    """One thing done to the router: an RPC's name or `advance`, `resume` (whose request is timers_max, grace_ms)."""

    at_us: int
    method: str
    request: Any

    def __str__(self) -> str:
        at = f"{(self.at_us - START_US) / SECOND_US:+.6f}s"
        if self.method == "InstallPolicy":
            name = policy_pb2.CompiledPolicy.FromString(self.request.policy).name
            return f"{at} InstallPolicy {name} reclassify={self.request.reclassify}"
        if isinstance(self.request, int):
            return f"{at} {self.method} {self.request}"
        return f"{at} {self.method} {text_format.MessageToString(self.request, as_one_line=True)}"


def maybe(rng: Random, share: float) -> bool:
    return rng.random() < share


def some(rng: Random, items: Sequence[T], at_most: int) -> list[T]:
    """A few different ones, in their order."""
    picked = {rng.randint(0, len(items) - 1) for _ in range(rng.randint(0, at_most))}
    return [items[index] for index in sorted(picked)]


# Policies


def random_need(rng: Random) -> policy_pb2.Need:
    if maybe(rng, 0.25):
        return policy_pb2.Need(skill="lang", level=rng.randint(1, 3), attribute="lang")
    return policy_pb2.Need(skill=rng.choice(SKILLS), level=rng.choice([1, 1, 2, 2, 3]))


def random_needs(rng: Random) -> policy_pb2.NeedsTable:
    needs = policy_pb2.NeedsTable()
    for _ in range(rng.choice([0, 1, 1, 1, 2])):
        needs.groups.add(any_of=[random_need(rng) for _ in range(rng.choice([1, 1, 2, 3]))])
    if maybe(rng, 0.15):
        needs.none_of.append(random_need(rng))
    return needs


def random_step(rng: Random, move_to: Sequence[str]) -> policy_pb2.StepTable:
    step = policy_pb2.StepTable(boost_ms=rng.choice([0, 0, 500, 2000, -1000]))
    if maybe(rng, 0.3):
        step.clock, step.share_milli = rng.choice(sorted(CLOCKS)), rng.choice([1, 333, 500, 800, 1000])
    else:
        step.age_ms = rng.choice([0, 1000, 1000, 2000, 3000, 5000])
    if maybe(rng, 0.5):
        step.needs.CopyFrom(random_needs(rng))
    if maybe(rng, 0.3):
        step.alert = rng.choice(["lead", "manager"])
    action = rng.random()
    if action < 0.1:
        step.overflow_to = rng.choice(["voicemail", "partner"])
    elif action < 0.3 and move_to:
        step.move_to = rng.choice(move_to)
    return step


def random_clock_use(rng: Random, name: str) -> policy_pb2.ClockUse:
    mode: Any = rng.choice([1, 1, 1, 2, 3])
    use = policy_pb2.ClockUse(clock=name, mode=mode)
    if mode != policy_pb2.ClockUse.MODE_OFF:
        use.target_ms = rng.choice(DURATIONS_MS)
        use.warnings_ms[:] = sorted(set(some(rng, [1, 500, 1000, 1500, 2000, 2500], 3)))
        use.warnings_ms[:] = [each for each in use.warnings_ms if each <= use.target_ms]
    return use


def random_queue_condition(rng: Random, queues: Sequence[str]) -> policy_pb2.QueueCondition:
    """One that a few tickets can turn on, of its own queue or of others."""
    of, measures = some(rng, queues, 2) if maybe(rng, 0.4) else [], policy_pb2.QueueCondition
    if maybe(rng, 0.5):
        over = rng.choice([1, 1, 2, 3])
        return policy_pb2.QueueCondition(
            measure=measures.MEASURE_LENGTH, over=over, until=rng.randint(0, over - 1), of=of
        )
    over = rng.choice([1000, 2000, 3000])
    return policy_pb2.QueueCondition(
        measure=measures.MEASURE_OLDEST_WAIT, over=over, until=rng.choice([0, 500, over - 1]), of=of
    )


def add_what_queues_decide(rng: Random, policy: policy_pb2.CompiledPolicy) -> None:
    """Overlays, reserves, the remembered owner, bounded queues, clocks that may not be paused."""
    queues = [rule.name for rule in policy.layers[0].rules]
    for name in some(rng, ["spare", "elite"], 2):
        skill = policy_pb2.Need(skill=rng.choice(SKILLS), level=rng.choice([1, 2]))
        policy.reserves.add(name=name, skill=skill, open=random_queue_condition(rng, queues))
    names = [reserve.name for reserve in policy.reserves]
    everything = [(layer, rule.effects) for layer in policy.layers for rule in layer.rules]
    for _, effects in [*everything, (None, policy.defaults)]:
        for _ in range(rng.choice([0, 0, 0, 1, 2])):
            effects.overlays.add(when=random_queue_condition(rng, queues), needs=random_needs(rng))
        effects.reserves[:] = some(rng, names, 2) if names and maybe(rng, 0.4) else []
        if effects.HasField("affinity") and maybe(rng, 0.6):
            effects.affinity.owner_keep_ms = rng.choice([500, 2000, 10_000])
    for rule in policy.layers[0].rules:
        if maybe(rng, 0.15):
            rule.effects.waiting_max = rng.choice([1, 2, 3])
    for clock in policy.clocks:
        clock.unpausable = maybe(rng, 0.2)
    policy.limits.owner_max = rng.choice([0, 0, 1, 2])


def random_effects(rng: Random, move_to: Sequence[str] = (), clocks: Sequence[str] = ()) -> policy_pb2.Effects:
    effects = policy_pb2.Effects()
    if maybe(rng, 0.6):
        effects.needs.CopyFrom(random_needs(rng))
    if maybe(rng, 0.4):
        effects.head_start_ms = rng.choice([-2000, 500, 1000, 3000])
    if maybe(rng, 0.2) and clocks:
        effects.by_deadline.clock, effects.by_deadline.otherwise_ms = rng.choice(clocks), rng.choice([0, 4000])
    if maybe(rng, 0.3):
        effects.slope_milli = rng.choice([0, 500, 1000, 1500, 2000])
    effects.steps.extend(random_step(rng, move_to) for _ in range(rng.choice([0, 0, 0, 1, 2, 3])))
    effects.clocks.extend(random_clock_use(rng, name) for name in some(rng, clocks, 4))
    if maybe(rng, 0.5):
        orders: list[Any] = some(rng, [1, 2, 3, 4, 5], 3)
        effects.order[:] = orders[:: rng.choice([1, -1])]
    if maybe(rng, 0.5):
        effects.affinity.hold_ms = rng.choice([0, 1000, 2000, 3000])
        effects.affinity.transfer_hold_ms = rng.choice([0, 1000, 3000])
        if maybe(rng, 0.4):
            effects.affinity.needs.CopyFrom(random_needs(rng))
    if maybe(rng, 0.6):
        effects.offer.ttl_ms = rng.choice([0, 500, 1000, 1000, 2000])
        effects.offer.away_on_expiry = effects.offer.ttl_ms > 0 and maybe(rng, 0.4)
    if maybe(rng, 0.3):
        effects.cost = rng.randint(1, 3)
    if maybe(rng, 0.5):
        effects.wrap_up_ms = rng.choice([0, 1000, 2000])
    if maybe(rng, 0.5):
        effects.decline_exclude_ms = rng.choice([500, 1000, 3000])
    for _ in range(rng.choice([0, 0, 1, 2])):
        effects.fits.add(skill=random_need(rng), fit_ms=rng.choice([-1000, 500, 1000, 4000]))
    if maybe(rng, 0.3):
        effects.skip_unstaffed = maybe(rng, 0.7)
    return effects


def random_condition(
    rng: Random, channels: Sequence[str], hour: Sequence[str] = (), depth: int = 0
) -> policy_pb2.Condition:
    condition, kind = policy_pb2.Condition(), rng.random()
    if depth < 2 and kind < 0.3:
        parts = [random_condition(rng, channels, hour, depth + 1) for _ in range(rng.randint(1, 2))]
        (condition.all if kind < 0.15 else condition.any).conditions.extend(parts)
        return condition
    attribute = rng.choice(["kind", "kind", "mood", "lang", "channel", "customer", *hour])
    values = {"channel": channels, "customer": ["vip", "bob"], **VALUES}.get(attribute, HOUR)
    op: Any = rng.choice([1, 1, 1, 2, 3, 4])
    condition.test.attribute, condition.test.op = attribute, op
    if op in (policy_pb2.Test.OP_IN, policy_pb2.Test.OP_NOT_IN):
        condition.test.values[:] = some(rng, values, 2) or [rng.choice(values)]
    return condition


def add_what_the_hour_decides(rng: Random, policy: policy_pb2.CompiledPolicy) -> None:
    """Tables of the hour's facts, and caps by an attribute's value."""
    keys = ["kind", "lang", "mood", "channel", "customer"]
    for name in some(rng, ["level", "crisis"], 2):
        table = policy.tables.add(name=name, attribute=rng.choice(keys), keys_max=rng.choice([1, 2, 100]))
        table.values[:] = HOUR if maybe(rng, 0.7) else []
    for attribute in some(rng, keys, 1):
        cap = policy.caps.add(attribute=attribute, waiting_max=rng.choice([1, 2, 5]))
        for value in some(rng, [*VALUES["kind"], "en", "vip", "chat"], 2):
            cap.own.add(value=value, waiting_max=rng.choice([1, 3]))


def random_policy(rng: Random, name: str = "random") -> policy_pb2.CompiledPolicy:
    """A small valid policy that uses any of the features."""
    policy = policy_pb2.CompiledPolicy(format=1, name=name)
    policy.attributes.add(name="kind", values=VALUES["kind"], required=maybe(rng, 0.1))
    policy.attributes.add(name="mood", values=VALUES["mood"], threshold_milli=600, sticky=maybe(rng, 0.5))
    policy.attributes.add(name="lang")
    for channel in CHANNELS if maybe(rng, 0.9) else CHANNELS[:1]:
        policy.channels.add(name=channel, cost=rng.randint(1, 3), limit=rng.randint(1, 3))
    if maybe(rng, 0.5):
        add_what_the_hour_decides(rng, policy)
    hour = [table.name for table in policy.tables]
    clocks = [each for each in CLOCKS if maybe(rng, 0.8)] or ["answer"]
    for clock in clocks:
        policy.clocks.add(name=clock, starts=CLOCKS[clock][0], stops=CLOCKS[clock][1], hard=maybe(rng, 0.3))
    for place in range(rng.choice([1, 1, 2, 3])):
        layer = policy.layers.add(name=f"layer{place}", every=place > 0 and maybe(rng, 0.5))
        names = [f"rule{place}{number}" for number in range(rng.choice([1, 2, 2, 3]))] + [f"otherwise{place}"]
        for number, rule_name in enumerate(names):
            rule = layer.rules.add(name=rule_name, why=f"R{number}")
            # Moves go to later rules of the same layer: no cycles.
            rule.effects.CopyFrom(random_effects(rng, [] if layer.every else names[number + 1 :], clocks))
            if number < len(names) - 1:
                rule.when.CopyFrom(random_condition(rng, [each.name for each in policy.channels], hour))
            for index in reversed(range(len(rule.effects.steps))):
                if rule.effects.steps[index].clock not in ["", *clocks]:
                    del rule.effects.steps[index]
    if maybe(rng, 0.5):
        policy.defaults.CopyFrom(random_effects(rng, (), clocks))
        for index in reversed(range(len(policy.defaults.steps))):
            if policy.defaults.steps[index].clock not in ["", *clocks]:
                del policy.defaults.steps[index]
    limits = policy.limits
    limits.waiting_max = rng.choice([0, 0, 0, 3])
    limits.classes_max = rng.choice([0, 0, 0, 0, 3])
    limits.agents_max = rng.choice([0, 0, 3])
    limits.sessions_max = rng.choice([0, 0, 0, 1])
    limits.closed_max = rng.choice([0, 2, 3])
    limits.closed_keep_ms = rng.choice([1000, 3000, 5000])
    policy.lost_grace_ms = rng.choice([1000, 2000, 3000])
    policy.suspend_ms = rng.choice([1000, 3000])
    policy.short_abandon_ms, policy.answer_target_ms = 1000, 2000
    policy.skills[:] = ["bill", "lang[*]", "tech"]
    if maybe(rng, 0.6):
        add_what_queues_decide(rng, policy)
    return policy


# Commands


def random_attributes(draw: Draw, *, update: bool) -> list[ticket_pb2.Attribute]:
    attributes = []
    for name in some(draw.rng, ["kind", "mood", "lang", "note"], 3):
        values = VALUES.get(name, ["hello"])
        odd = ["odd"] if maybe(draw.rng, 0.1) else []
        value = draw.rng.choice([*values, *values, *([""] if update else []), *odd])
        attribute = ticket_pb2.Attribute(name=name, value=value)
        if name == "mood" and maybe(draw.rng, 0.7):
            attribute.confidence_milli = draw.rng.choice([0, 599, 600, 1000])
        attributes.append(attribute)
    return attributes


def random_skill_levels(draw: Draw, at_most: int) -> list[ticket_pb2.SkillLevel]:
    skills = some(draw.rng, SKILLS, at_most)
    return [ticket_pb2.SkillLevel(skill=each, level=draw.rng.choice([1, 2, 2, 3])) for each in skills]


def submit(draw: Draw) -> ticket_pb2.NewTicket:
    """A new ticket, or the same again."""
    new = [name for name in draw.names.tickets if name not in draw.oracle.tickets]
    name = draw.rng.choice(new if new and maybe(draw.rng, 0.8) else draw.names.tickets)
    if name in draw.oracle.tickets and maybe(draw.rng, 0.9):
        return draw.oracle.tickets[name].sent
    sent = ticket_pb2.NewTicket(
        id=name, channel=draw.rng.choice(["chat", "chat", "phone", "chat", "fax"][: draw.rng.randint(3, 5)])
    )
    sent.customer = draw.rng.choice(["", "vip", "bob"])
    sent.source = draw.rng.choice(["", "web", "app"])
    sent.attributes.extend(random_attributes(draw, update=False))
    if maybe(draw.rng, 0.1):
        sent.skills.extend(random_skill_levels(draw, 1))
    if maybe(draw.rng, 0.4):
        sent.preferred_agent = draw.rng.choice([*draw.names.agents, "nobody"])
    if maybe(draw.rng, 0.2):
        sent.excluded_agents[:] = some(draw.rng, [*draw.names.agents, "nobody"], 2)
    if maybe(draw.rng, 0.25):
        ahead_us = draw.rng.choice([-SECOND_US, 0, 1, 999, 1000, SECOND_US, 2 * SECOND_US])
        sent.not_before_us = max(draw.oracle.now_us, START_US) + ahead_us
    if maybe(draw.rng, 0.2):
        sent.context = b"context"
    return sent


def agent_spec(draw: Draw) -> agent_pb2.AgentSpec:
    spec = agent_pb2.AgentSpec(id=draw.rng.choice(draw.names.agents), capacity=draw.rng.choice([0, 2, 3, 3, 4, 6]))
    spec.skills.extend(random_skill_levels(draw, 8))
    if maybe(draw.rng, 0.3):
        for channel in some(draw.rng, CHANNELS, 2):
            spec.channels.add(channel=channel, limit=draw.rng.choice([0, 1, 2]))
    return spec


def attempt_of(draw: Draw, ticket: str) -> int:
    newest = draw.oracle.tickets[ticket].attempt if ticket in draw.oracle.tickets else 1
    return max(0, newest + draw.rng.choice([0] * 12 + [-1, 1]))


def verb(draw: Draw, states: Sequence[int]) -> dict[str, Any]:
    """A ticket, mostly one in such a state, and its attempt."""
    apt = [name for name, ticket in draw.oracle.tickets.items() if ticket.state in states]
    ticket = draw.rng.choice(apt) if apt and maybe(draw.rng, 0.85) else draw.rng.choice(draw.names.tickets)
    return {"ticket": ticket, "attempt": attempt_of(draw, ticket)}


def transfer(draw: Draw) -> agent_pb2.TransferRequest:
    request = agent_pb2.TransferRequest(**verb(draw, [5]))
    to = draw.rng.randint(1, 3)
    if to == 1:
        request.agent = draw.rng.choice([*draw.names.agents, "nobody"] if maybe(draw.rng, 0.1) else draw.names.agents)
    elif to == 2:
        request.queue = any_queue(draw)
    else:
        for _ in range(draw.rng.choice([0, 1, 1, 2])):
            skills = random_skill_levels(draw, 3) or [ticket_pb2.SkillLevel(skill="bill")]
            request.requirement.needs.add(skills=skills)
        request.requirement.none_of.extend(random_skill_levels(draw, 1) if maybe(draw.rng, 0.2) else [])
        request.requirement.SetInParent()
    return request


def any_queue(draw: Draw) -> str:
    queues = draw.oracle.policy.queues if draw.oracle.policy else []
    return draw.rng.choice([*queues, *(["nowhere"] if maybe(draw.rng, 0.1) or not queues else [])])


def login(draw: Draw) -> agent_pb2.LoginRequest:
    presence: Any = draw.rng.choice([0, 1, 1, 1, 2, 3])
    sessions = list(draw.oracle.sessions) if maybe(draw.rng, 0.9) else draw.names.sessions
    return agent_pb2.LoginRequest(
        session=draw.rng.choice(sessions or draw.names.sessions),
        agent=draw.rng.choice(draw.names.agents),
        presence=presence,
        reason=draw.rng.choice(["", "", "", "lunch"]),
    )


def set_presence(draw: Draw) -> agent_pb2.SetPresenceRequest:
    presence: Any = draw.rng.choice([1, 1, 1, 1, 2, 3, 4])
    agent = draw.rng.choice(draw.names.agents)
    session = draw.oracle.agents[agent].session if agent in draw.oracle.agents else None
    return agent_pb2.SetPresenceRequest(
        session=session.id if session and maybe(draw.rng, 0.9) else draw.rng.choice(draw.names.sessions),
        agent=agent,
        presence=presence,
        reason=draw.rng.choice(["", "", "", "lunch"]),
    )


def clock(draw: Draw, *, paused: bool) -> dict[str, str]:
    """A ticket and a clock, mostly one that runs or is paused."""
    apt = [
        (known, name)
        for known, ticket in draw.oracle.tickets.items()
        for name, record in ticket.clocks.items()
        if record.started_us is not None and record.stopped_us is None and (record.paused_us is not None) == paused
    ]
    any_one = draw.rng.choice(draw.names.tickets), draw.rng.choice(sorted(CLOCKS))
    ticket, name = draw.rng.choice(apt) if apt and maybe(draw.rng, 0.8) else any_one
    return {"ticket": ticket, "clock": name}


def ticket_in(draw: Draw, *states: int) -> str:
    return str(verb(draw, states)["ticket"])


def update(draw: Draw) -> ticket_pb2.UpdateRequest:
    name = ticket_in(draw, 1, 2, 3, 4, 5)
    newest = draw.oracle.tickets[name].revision if name in draw.oracle.tickets else 0
    revision = max(1, newest + draw.rng.choice([0, 1, 1, 1, 2]))
    return ticket_pb2.UpdateRequest(id=name, revision=revision, attributes=random_attributes(draw, update=True))


def set_table(draw: Draw) -> version_pb2.SetTableRequest:
    """Mostly a table that the policy has, and what it may say."""
    tables = list(draw.oracle.policy.table.tables) if draw.oracle.policy else []
    table = draw.rng.choice(tables) if tables and maybe(draw.rng, 0.95) else policy_pb2.HourTable(name="none")
    request = version_pb2.SetTableRequest(table=table.name, replace=maybe(draw.rng, 0.2))
    for _ in range(draw.rng.choice([0, 1, 1, 2])):
        values = [*(table.values or HOUR), *HOUR]
        key = draw.rng.choice([*VALUES["kind"], *VALUES["lang"], *CHANNELS, "vip"])
        request.entries.add(key=key, value=draw.rng.choice(["", *values, *values]))
    request.reclassify = maybe(draw.rng, 0.5)
    return request


# How often, the method, and its request.
COMMANDS: list[tuple[int, str, Callable[[Draw], Any]]] = [
    (16, "Route", lambda draw: ticket_pb2.RouteRequest(ticket=submit(draw))),
    (3, "RouteBatch", lambda draw: ticket_pb2.RouteBatchRequest(
        tickets=[submit(draw) for _ in range(draw.rng.randint(1, 4))], tag=draw.rng.randint(0, 9))),
    (6, "Update", update),
    (3, "Cancel", lambda draw: ticket_pb2.CancelRequest(
        id=draw.rng.choice(draw.names.tickets), reason=draw.rng.choice(["", "left"]))),
    (3, "Suspend", lambda draw: ticket_pb2.SuspendRequest(id=ticket_in(draw, 2))),
    (3, "Resume", lambda draw: ticket_pb2.ResumeRequest(id=ticket_in(draw, 3))),
    (6, "UpsertAgents", lambda draw: agent_pb2.UpsertAgentsRequest(
        agents=[agent_spec(draw) for _ in range(draw.rng.randint(1, 3))])),
    (1, "RemoveAgents", lambda draw: agent_pb2.RemoveAgentsRequest(
        ids=some(draw.rng, draw.names.agents, 1) or ["nobody"])),
    (4, "OpenSession", lambda draw: agent_pb2.OpenSessionRequest(
        session=draw.rng.choice(draw.names.sessions), lease_ms=draw.rng.choice([0, 0, 0, 1000, 10_000]))),
    (3, "RenewLease", lambda draw: agent_pb2.RenewLeaseRequest(session=draw.rng.choice(draw.names.sessions))),
    (1, "CloseSession", lambda draw: agent_pb2.CloseSessionRequest(session=draw.rng.choice(draw.names.sessions))),
    (10, "Login", login),
    (5, "SetPresence", set_presence),
    (14, "Accept", lambda draw: agent_pb2.AcceptRequest(
        **verb(draw, [4]), context=draw.rng.choice([b"", b"hi"]))),
    (5, "Decline", lambda draw: agent_pb2.DeclineRequest(
        **verb(draw, [4]), reason=draw.rng.choice(["", "busy"]))),
    (6, "Complete", lambda draw: agent_pb2.CompleteRequest(
        **verb(draw, [5]), outcome=draw.rng.choice(["", "solved"]), context=draw.rng.choice([b"", b"bye"]))),
    (5, "Transfer", transfer),
    (4, "Mark", lambda draw: agent_pb2.MarkRequest(
        **verb(draw, [5]), moment=draw.rng.choice([*MOMENTS * 4, "arrival", "nothing"]))),
    (3, "PauseClock", lambda draw: agent_pb2.PauseClockRequest(
        **clock(draw, paused=False))),
    (4, "ResumeClock", lambda draw: agent_pb2.ResumeClockRequest(
        **clock(draw, paused=True))),
    (3, "EndWrapUp", lambda draw: agent_pb2.EndWrapUpRequest(**verb(draw, [6]))),
    (3, "Assign", lambda draw: admin_pb2.AssignRequest(
        ticket=ticket_in(draw, 2), agent=draw.rng.choice(draw.names.agents))),
    (4, "Move", lambda draw: admin_pb2.MoveRequest(
        ticket=ticket_in(draw, 1, 2, 3), queue=any_queue(draw))),
    (5, "Act", lambda draw: agent_pb2.ActRequest(
        actions=[action(draw) for _ in range(draw.rng.randint(1, 4))])),
    (3, "SetTable", set_table),
    (6, "Reclassify", lambda draw: policy_pb2.ReclassifyRequest(tickets_max=draw.rng.choice([0, 1, 1, 2, 3]))),
    (12, "advance", lambda draw: draw.rng.choice([1, 2, 3, 1000])),
    (1, "resume", lambda draw: draw.rng.choice([0, 1000, 5000])),
]  # fmt: skip
WEIGHTED = [index for index, (weight, _, _) in enumerate(COMMANDS) for _ in range(weight)]
ACTIONS = {
    "Login": "login", "SetPresence": "set_presence", "Accept": "accept", "Decline": "decline",
    "Complete": "complete", "Transfer": "transfer", "Mark": "mark", "PauseClock": "pause_clock",
    "ResumeClock": "resume_clock", "EndWrapUp": "end_wrap_up", "RenewLease": "renew_lease",
}  # fmt: skip
# The states in which a ticket makes sense of a command.
ASKS = {
    "Accept": {4}, "Decline": {4}, "Complete": {5}, "Transfer": {5}, "Mark": {5}, "EndWrapUp": {6}, "Suspend": {2},
    "Resume": {3}, "Assign": {2}, "Move": {1, 2, 3}, "Update": {1, 2, 3, 4, 5}, "PauseClock": {1, 2, 3, 4, 5, 6},
    "ResumeClock": {1, 2, 3, 4, 5, 6}, "Cancel": {1, 2, 3, 4, 5, 6},
}  # fmt: skip
IN_SESSION = {"Login", "SetPresence", "RenewLease", "CloseSession"}
ACTION_COMMANDS = [command for command in COMMANDS if command[1] in ACTIONS]


def action(draw: Draw) -> agent_pb2.AgentAction:
    _, method, make = draw.rng.choice(ACTION_COMMANDS)
    made = agent_pb2.AgentAction(tag=draw.rng.randint(0, 9))
    getattr(made, ACTIONS[method]).CopyFrom(make(draw))
    return made


def random_time(draw: Draw) -> int:
    """Often the same time again, often exactly a due time or a µs beside it, seldom aligned to a ms otherwise."""
    now_us, due_us = max(draw.oracle.now_us, START_US), draw.oracle.next_due_us()
    kind = draw.rng.random()
    if kind < 0.6:
        return now_us
    if kind < 0.8 and due_us is not None and due_us < now_us + 20 * SECOND_US:
        return max(now_us, due_us + draw.rng.choice([0, 0, 0, -1, 1]))
    return now_us + draw.rng.choice([1, 500, 999, 1000, 1001, 500_000, SECOND_US, 2 * SECOND_US, 3 * SECOND_US])


def random_command(draw: Draw, policies: Sequence[bytes], grid_us: int = 1) -> Command:
    """What may come next: one of the commands, or seldom another policy; at times on this grid."""
    at_us = -(-random_time(draw) // grid_us) * grid_us
    if (draw.oracle.policy is None and maybe(draw.rng, 0.8)) or maybe(draw.rng, 0.01):
        request = policy_pb2.InstallPolicyRequest(policy=draw.rng.choice(policies), reclassify=maybe(draw.rng, 0.5))
        request.slice = draw.rng.choice([0, 0, 1, 2])
        later_us = at_us
        for _ in range(draw.rng.choice([0, 0, 1, 2])):
            later_us += draw.rng.choice([1, 500_000, SECOND_US, 4 * SECOND_US])
            request.later.add(at_us=later_us, policy=draw.rng.choice(policies), reclassify=maybe(draw.rng, 0.5))
        return Command(at_us, "InstallPolicy", request)
    states = {ticket.state for ticket in draw.oracle.tickets.values()}
    _, method, make = COMMANDS[draw.rng.choice(WEIGHTED)]
    for _ in range(4):
        # What nobody could do now is seldom tried.
        apt = (method not in ASKS or states & ASKS[method]) and (method not in IN_SESSION or draw.oracle.sessions)
        if apt and (method != "Login" or draw.oracle.agents):
            break
        _, method, make = COMMANDS[draw.rng.choice(WEIGHTED)]
    return Command(at_us, method, make(draw))
