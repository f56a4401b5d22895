"""Canaries: the test that judges them, in process, beside a server that stops one, and from the command line."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from csroute import Router, Ticket
from csroute.canary import Fate, Judge, upper_bound
from csroute.errors import ConflictError, RejectedError
from csroute.policy import Layer, Otherwise, Policy, Rule, Skill, Skills, seconds
from csroute.types import AgentSpec, Canary, CanarySide
from csroute.v1 import agent_pb2, canary_pb2, ticket_pb2
from tests.cli.test_command import run
from tests.client.conftest import server
from tests.controllers.desk import ONE_CHAT, Facts, policy
from tests.server.rig import Rig, running

__all__ = ["server"]

DESK = Path(__file__).parent.parent / "controllers" / "desk.py"


class S(Skills):
    general: Skill
    nobody: Skill


class Who(Layer):
    pay = Rule(Facts.kind.is_("pay"), needs=S.nobody)
    ask = Otherwise(needs=S.nobody)


CANDIDATE = Policy("worse", attributes=Facts, skills=S, layers=[Who], channels=ONE_CHAT, short_abandon=seconds(0))
"""The same queues, for a skill that nobody has."""


def seen(ours: tuple[int, int], theirs: tuple[int, int], tickets_min: int = 100, since_us: int = 1) -> Canary:
    canary, stable = (CanarySide(1, of, met, met, of - met, 0, 0, 0) for met, of in (ours, theirs))
    return Canary(True, 100, 20, 10, tickets_min, since_us, stable, canary)


def test_a_look_is_made_at_each_doubling_alone() -> None:
    judge = Judge()
    assert judge.judged(seen((90, 99), (900, 1000))).fate is Fate.WAIT
    assert judge.judged(seen((90, 100), (900, 1000))).look == 1
    assert judge.judged(seen((0, 199), (900, 1000))).look == 1, "between two looks the last one stands"
    behind = judge.judged(seen((0, 200), (900, 1000)))
    assert (behind.look, behind.fate) == (2, Fate.BEHIND)
    assert "service level 0.0%, the policy's 90.0%" in str(behind)
    assert judge.judged(seen((90, 99), (900, 1000), since_us=2)).fate is Fate.WAIT, "another canary begins anew"


def test_few_are_told_to_be_behind_that_are_not_however_often_one_looks() -> None:
    """At the worst: exactly the margin behind. 4,000 canaries, up to 11 looks each: 1 % are stopped, ± 3 of its deviations."""
    random = np.random.default_rng(7)
    runs, stopped = 4000, 0
    for _ in range(runs):
        judge, ours, theirs, size = Judge(), 0, 0, 0
        for look in range(11):
            more = 100 * 2**look - size
            size += more
            ours += int(random.binomial(more, 0.80))
            theirs += int(random.binomial(9 * more, 0.82))
            if judge.judged(seen((ours, size), (theirs, 9 * size))).fate is Fate.BEHIND:
                stopped += 1
                break
    assert stopped <= 0.0147 * runs, stopped


@pytest.mark.parametrize(("behind", "within"), [(0.30, 100), (0.12, 1600)])
def test_one_that_is_behind_is_found(behind: float, within: int) -> None:
    upper = upper_bound((round((0.85 - behind) * within), within), (round(0.85 * 9 * within), 9 * within), 0.01 / 30)
    assert upper < -0.02


def test_a_canary_in_process() -> None:
    router = Router(policy, clock="virtual")
    other = CANDIDATE
    router.start_canary(other, share=0.5)
    for at in range(200):
        router.route(Ticket(f"t{at}", "chat", customer=f"c{at}", attributes={"kind": "ask"}))
    told = router.canary()
    assert told.on
    assert told.canary is not None
    assert told.stable is not None
    assert told.canary.arrived + told.stable.arrived == 200
    assert 70 <= told.canary.arrived <= 130
    with pytest.raises(ConflictError):
        router.start_canary(other)
    assert not router.stop_canary().replayed
    assert router.stop_canary().replayed
    assert not router.canary().on
    version = router.stats().policy_version
    assert {router.get_ticket(f"t{at}").policy_version for at in range(200)} == {version}
    with pytest.raises(RejectedError, match="it is the policy that is installed"):
        router.start_canary(policy)


async def test_a_server_stops_a_canary_that_is_behind_and_gives_back_its_tickets() -> None:
    async with running("python", policy=str(DESK)) as rig:
        path = "/csroute.v1.PolicyService/Canary"
        request = canary_pb2.CanaryRequest(policy=CANDIDATE.compile(), share_milli=500, tickets_min=20)
        await rig.raw(path, request.SerializeToString())

        async def state() -> canary_pb2.GetCanaryReply:
            reply = await rig.raw("/csroute.v1.PolicyService/GetCanary", b"")
            return canary_pb2.GetCanaryReply.FromString(reply)

        for at in range(80):
            await rig.route(f"t{at}", kind="ask", customer=f"c{at}")
        before = await state()
        assert before.on
        await rig.route("waits", kind="ask", customer=one_of_the_canary())
        mine = await rig.routing.GetTicket(ticket_pb2.GetTicketRequest(id="waits"))
        assert mine.policy_version == before.canary.policy_version
        for at in range(80):
            ticket = await rig.routing.GetTicket(ticket_pb2.GetTicketRequest(id=f"t{at}"))
            if ticket.policy_version == before.canary.policy_version:
                await rig.routing.Cancel(ticket_pb2.CancelRequest(id=f"t{at}"))
        await answer_all(rig)
        async with asyncio.timeout(15):
            while (await state()).on:  # noqa: ASYNC110 (a look a second, of another task)
                await asyncio.sleep(0.1)
        mine = await rig.routing.GetTicket(ticket_pb2.GetTicketRequest(id="waits"))
        assert mine.policy_version == before.stable.policy_version


def one_of_the_canary() -> str:
    """A customer of the canary's half."""
    router = Router(policy, clock="virtual")
    router.start_canary(CANDIDATE, share=0.5)
    version = router.canary().canary
    assert version is not None
    for at in range(1000, 1100):
        router.route(Ticket(f"t{at}", "chat", customer=f"c{at}", attributes={"kind": "ask"}))
        if router.get_ticket(f"t{at}").policy_version == version.policy_version:
            return f"c{at}"
    raise AssertionError("a hundred customers, none of the half")


async def answer_all(rig: Rig) -> None:
    """Enough agents for all of the policy's own tickets."""
    names = [f"a{at}" for at in range(80)]
    await rig.agents.OpenSession(agent_pb2.OpenSessionRequest(session="desk", lease_ms=600_000))
    specs = [AgentSpec(name, skills={"general": 1}).to_wire() for name in names]
    await rig.agents.UpsertAgents(agent_pb2.UpsertAgentsRequest(agents=specs))
    for name in names:
        await rig.agents.Login(agent_pb2.LoginRequest(session="desk", agent=name))


def test_a_canary_from_the_command_line(server: str, tmp_path: Path) -> None:
    assert "No canary is on" in run("policy", "canary", "--server", server).stdout
    assert "No canary was on" in run("policy", "canary", "--stop", "--server", server).stdout
    other = tmp_path / "other.py"
    other.write_text(
        "from csroute.policy import *\nfrom csroute.presets.double11 import policy as base, Rank, Ticket, Who\n"
        "policy = base.but(change(Rank.vip, head_start=seconds(61)), name='other')\n"
        "policy.case(Ticket(channel='chat', tier='vip', language='zh')).gets(Who.vip)\n"
    )
    begun = run("policy", "canary", str(other), "--share", "25%", "--yes", "--server", server, COLUMNS="120")
    assert begun.returncode == 0, begun.stderr
    assert "25 % of the tickets since" in begun.stdout
    assert "too few tickets to tell" in begun.stdout
    assert "The canary is over" in run("policy", "canary", "--stop", "--server", server).stdout
    assert run("policy", "canary", str(other), "--share", "much", "--server", server).returncode == 2
