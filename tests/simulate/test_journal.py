"""What-if from a journal: yesterday under yesterday's policy is yesterday; under another one it is not."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import grpc
import numpy as np
import pytest
from typer.testing import CliRunner

from csroute import simulate
from csroute.cli.app import app
from csroute.errors import ConfigError
from csroute.journal import heard
from csroute.simulate.people import People
from csroute.simulate.survival import Survival
from csroute.v1 import agent_pb2, event_pb2, ticket_pb2
from tests.server.rig import Rig, running

PAGE = """
from typing import Literal
from csroute.policy import *

class Ticket(Attributes):
    channel: Attr[Literal["chat"]]
    tier: Attr[Literal["vip", "ordinary"]] = optional()
    mood: Detected[Literal["angry"]] = detected(at=0.8)

class S(Skills):
    general: Skill
    senior: Skill

class Who(Layer):
    everyone = Otherwise(needs=S.general, order=["longest_idle"], offer=AutoAccept())

policy = Policy("desk", attributes=Ticket, skills=S, layers=[Who], channels={"chat": Channel(cost=100, limit=1)})
"""
OTHER = PAGE.replace(
    "policy =",
    """class Rank(Layer, every=True):
    vip = Rule(Ticket.tier.is_("vip"), head_start=hours(1))
    ordinary = Otherwise()

policy =""",
).replace("layers=[Who]", "layers=[Who, Rank]")
AGENTS = ("ana", "bo", "cy")
TICKETS = 90


@dataclass
class Day:
    """A folder that a real server wrote, and its pages."""

    data: Path
    page: Path
    other: Path
    waits_us: dict[int, int] = field(default_factory=dict)
    """By arrival (Unix µs): of those that were answered."""


async def _customer(rig: Rig, number: int, random: Random) -> None:
    await asyncio.sleep(number * 0.012)
    tier = "vip" if number % 4 == 0 else "ordinary"
    attributes = [ticket_pb2.Attribute(name="tier", value=tier), ticket_pb2.Attribute(name="order", value=str(number))]
    attributes.append(ticket_pb2.Attribute(name="mood", value="angry", confidence_milli=800 + number % 3))
    ticket = ticket_pb2.NewTicket(id=f"t{number}", channel="chat", customer=f"c{number % 7}", attributes=attributes)
    patience, work = random.expovariate(1 / 0.06), random.uniform(0.02, 0.08)

    async def leave() -> None:
        await asyncio.sleep(patience)
        await rig.routing.Cancel(ticket_pb2.CancelRequest(id=ticket.id, reason="left"))

    leaving = asyncio.ensure_future(leave())
    reply = await rig.routing.Route(ticket_pb2.RouteRequest(ticket=ticket, wait_ms=20_000))
    if reply.state != ticket_pb2.TICKET_STATE_ACTIVE:
        return await leaving
    leaving.cancel()
    await asyncio.sleep(work)
    try:
        await rig.agents.Complete(agent_pb2.CompleteRequest(ticket=ticket.id, attempt=reply.attempt))
    except grpc.aio.AioRpcError:
        assert leaving.done()  # the customer left in the middle


async def _write(day: Day) -> None:
    random = Random(3)
    async with running(data_dir=str(day.data), policy=str(day.page), disk_reserve_bytes=0) as rig:
        await rig.agents.OpenSession(agent_pb2.OpenSessionRequest(session="desk", lease_ms=600_000))
        skills = [ticket_pb2.SkillLevel(skill="general", level=2)]
        specs = [agent_pb2.AgentSpec(id=name, skills=skills) for name in AGENTS]
        await rig.agents.UpsertAgents(agent_pb2.UpsertAgentsRequest(agents=specs))
        for name in AGENTS:
            await rig.agents.Login(agent_pb2.LoginRequest(session="desk", agent=name))
        await asyncio.gather(*(_customer(rig, number, random) for number in range(TICKETS)))


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Day:
    folder = tmp_path_factory.mktemp("yesterday")
    found = Day(folder / "data", folder / "page.py", folder / "other.py")
    found.page.write_text(PAGE)
    found.other.write_text(OTHER)
    asyncio.run(_write(found))
    arrived: dict[str, int] = {}
    for one in heard(found.data):
        if one.wire.WhichOneof("kind") == "queued":
            arrived[one.wire.ticket] = one.wire.at_us
        elif one.wire.WhichOneof("kind") == "assigned":
            found.waits_us[arrived[one.wire.ticket]] = one.wire.at_us - arrived[one.wire.ticket]
    return found


def test_yesterday_under_yesterdays_policy_is_yesterday(day: Day) -> None:
    workload, roster = simulate.from_journal(day.data, attributes={"tier", "mood"})
    assert len(workload.kinds) == 2  # by tier: confidences of 0.800 to 0.802 are alike, the order's number is not read
    assert workload.kinds[0].confidence == {"mood": 0.8}
    assert {agent.id for agent in roster.agents} == {*AGENTS}
    rows = simulate.run(day.page, workload, roster).rows
    assert len(rows) == TICKETS
    start = round(workload.start.timestamp() * 1e6)
    ours = {start + int(row["arrival_us"]): int(row["wait_us"]) for row in rows if row["answered"]}
    assert ours == day.waits_us
    assert 5 < (rows["outcome"] == 2).sum() < TICKETS - 5
    assert (rows["wait_us"] > 0).mean() > 0.3
    assert workload.recorded is not None
    assert len(set(workload.recorded["customer"].tolist())) == 7


def test_another_policy_meets_the_same_customers(day: Day) -> None:
    workload, roster = simulate.from_journal(day.data, attributes={"tier"})
    ours, other = (simulate.run(page, workload, roster) for page in (day.page, day.other))
    one, two = ours.rows, other.rows
    assert np.array_equal(one["arrival_us"], two["arrival_us"])
    vip = np.array([kind.attributes["tier"] == "vip" for kind in workload.kinds])
    assert two["wait_us"][vip[two["kind"]]].mean() < one["wait_us"][vip[one["kind"]]].mean()
    both = (one["outcome"] == 1) & (two["outcome"] == 1)
    assert np.array_equal(one["handle_us"][both], two["handle_us"][both])


def test_handle_times_may_be_drawn_again(day: Day) -> None:
    workload, _ = simulate.from_journal(day.data, handle="resampled", attributes=["tier"])
    as_they_were, _ = simulate.from_journal(day.data, attributes=["tier"])
    assert workload.recorded is not None
    assert as_they_were.recorded is not None
    assert set(workload.recorded["work_us"].tolist()) == {-1}
    assert np.array_equal(workload.recorded["patience_us"], as_they_were.recorded["patience_us"])
    assert any("resampled, by channel and queue" in note for note in workload.notes)
    known = as_they_were.recorded["work_us"][as_they_were.recorded["work_us"] > 0]
    assert workload.kinds[0].handle.mean_s == pytest.approx(known.mean() / 1e6, rel=0.2)


def test_a_stretch_of_it_and_what_cannot_be_played(day: Day) -> None:
    whole, _ = simulate.from_journal(day.data, attributes=[])
    start = round(whole.start.timestamp() * 1e6)
    middle = start + round(whole.length_s * 5e5)
    later, people = simulate.from_journal(day.data, since_us=middle, attributes=[])
    assert 0 < later.expected < whole.expected
    assert people.agents[0].shifts[0][0] == 0.0
    with pytest.raises(ConfigError, match="nothing to play"):
        simulate.from_journal(day.data, since_us=start + 10**12)
    with pytest.raises(ConfigError, match="tenant 'other'"):
        simulate.from_journal(day.data, tenant="other")
    with pytest.raises(ConfigError, match="as-recorded or resampled"):
        simulate.from_journal(day.data, handle="made-up")


def test_the_command_says_where_times_come_from(day: Day) -> None:
    arguments = ["simulate", str(day.other), "--against", str(day.page), "--workload", f"journal:{day.data}"]
    for how, words in (("as-recorded", "Handle times as recorded"), ("resampled", "Handle times resampled")):
        found = CliRunner().invoke(app, [*arguments, "--handle", how], env={"COLUMNS": "200"})
        assert found.exit_code == 0, found.output
        assert words in found.output
        assert "left; of the others it is only known that it was longer" in found.output


def test_waits_that_were_cut_short_are_not_taken_for_patience() -> None:
    random = np.random.default_rng(5)
    patience, answered = random.exponential(100.0, 40_000), random.exponential(60.0, 40_000)
    found = Survival(np.minimum(patience, answered), patience < answered)
    mean = float(np.mean(found.at(1.0 - random.random(40_000))))
    assert mean == pytest.approx(100.0, rel=0.03)  # those who left had waited for 37 s on the average
    beyond = found.at(1.0 - random.random(40_000), np.full(40_000, 80.0))
    assert beyond.min() >= 80.0
    assert float(beyond.mean()) == pytest.approx(180.0, rel=0.03)
    assert np.isinf(Survival(np.array([3.0]), np.array([False])).at(np.array([0.5]))).all()


def test_who_worked_when() -> None:
    general = agent_pb2.AgentSpec(id="ana", skills=[ticket_pb2.SkillLevel(skill="general")], capacity=50)
    senior = agent_pb2.AgentSpec(id="ana", skills=[ticket_pb2.SkillLevel(skill="senior", level=3)], capacity=50)
    people = People(specs={("ana", 10): general, ("ana", 40): senior})

    def turned(at_us: int, presence: int, cause: Any = event_pb2.PRESENCE_CAUSE_COMMAND) -> None:
        change = event_pb2.PresenceChanged(presence=presence, cause=cause)
        people.hear(event_pb2.Event(at_us=at_us, agent="ana", presence_changed=change))

    def upserted(at_us: int) -> None:
        people.hear(event_pb2.Event(at_us=at_us, agent="ana", agent_upserted=event_pb2.AgentUpserted()))

    upserted(10)
    turned(12, agent_pb2.PRESENCE_AVAILABLE)
    turned(20, agent_pb2.PRESENCE_AWAY)
    turned(24, agent_pb2.PRESENCE_AVAILABLE)
    people.offers = people.missed = 1
    turned(28, agent_pb2.PRESENCE_AWAY, event_pb2.PRESENCE_CAUSE_EXPIRED_OFFER)
    turned(31, agent_pb2.PRESENCE_AVAILABLE)
    upserted(40)
    turned(60, agent_pb2.PRESENCE_DRAINING)
    turned(70, agent_pb2.PRESENCE_OFFLINE)
    first, second = people.roster(10, 100).agents
    assert (first.id, first.group, dict(first.skills)) == ("ana", "general", {"general": 1})
    assert first.shifts == [(2 / 1e6, 30 / 1e6)]
    assert first.breaks == [(10 / 1e6, 14 / 1e6)]  # the missed offer's absence is no break
    assert (second.id, second.group, dict(second.skills)) == ("ana~2", "senior", {"senior": 3})
    assert second.shifts == [(30 / 1e6, 50 / 1e6)]
    assert first.conduct.back_after_s == 3 / 1e6
