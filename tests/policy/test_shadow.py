"""Shadows: what a candidate would decide differently, kind by kind, and beside a real server."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Literal

from csroute import AgentSpec, Client, Router, Ticket
from csroute.policy import (
    Attr,
    Attributes,
    Channel,
    Clock,
    Layer,
    Otherwise,
    Policy,
    Rule,
    Skill,
    Skills,
    minutes,
    optional,
    seconds,
)
from csroute.shadow import Comparison, Shadow
from csroute.types import Guess
from tests.client.conftest import server

__all__ = ["server"]


class Facts(Attributes):
    channel: Attr[Literal["chat"]]
    kind: Attr[Literal["pay", "ask"]]
    tier: Attr[Literal["vip", "plain"]] = optional()


class S(Skills):
    general: Skill
    senior: Skill


class Clocks:
    legal = Clock(starts="arrival", stops="assignment")


class Who(Layer):
    pay = Rule(Facts.kind.is_("pay"), needs=S.general)
    ask = Otherwise(needs=S.general)


class Rank(Layer):
    vip = Rule(Facts.tier.is_("vip"), head_start=minutes(1))
    plain = Otherwise(clocks=[Clocks.legal.within(minutes(3))])


class Layers:
    class Who(Layer):
        ask = Rule(Facts.kind.is_("ask"), needs=S.general)
        rest = Otherwise(needs=S.senior)

    class Rank(Layer):
        vip = Rule(Facts.tier.is_("vip"), head_start=seconds(90))
        plain = Otherwise(clocks=[Clocks.legal.within(minutes(2))])


CHAT = {"chat": Channel(cost=100, limit=1)}
NOW = Policy("now", attributes=Facts, skills=S, layers=[Who, Rank], clocks=Clocks, channels=CHAT)
THEN = Policy("then", attributes=Facts, skills=S, layers=[Layers.Who, Layers.Rank], clocks=Clocks, channels=CHAT)


def compared(attributes: dict[str, str | Guess], agent: dict[str, int] | None = None) -> Comparison:
    live = Router(NOW, clock="virtual")
    live.open_session("desk", lease_ms=600_000)
    spec = AgentSpec("anna", skills=agent or {})
    if agent:
        live.upsert_agents([spec])
        live.login("desk", "anna")
    live.route(Ticket("t1", "chat", customer="c1", attributes=attributes))
    before = live.state_hash
    found = Shadow(NOW, THEN).compare(live.get_ticket("t1"), spec if agent else None)
    assert live.state_hash == before
    return found


def test_each_kind_is_told_by_itself() -> None:
    assert compared({"kind": "ask", "tier": "plain"}).kinds == ("clocks",)
    assert compared({"kind": "ask", "tier": "vip"}).kinds == ("urgency",)
    found = compared({"kind": "pay", "tier": "vip"}, {"general": 3})
    assert found.kinds == ("queue", "class", "needs", "urgency", "who")
    assert (found.now.able, found.then.able) == (True, False)
    assert (found.now.head_start_ms, found.then.head_start_ms) == (60_000, 90_000)
    assert compared({"kind": "pay", "tier": "vip"}, {"general": 3, "senior": 1}).then.able


def test_the_same_policy_differs_in_nothing_and_what_is_kept_is_bounded() -> None:
    live = Router(NOW, clock="virtual")
    same, other = Shadow(NOW, NOW), Shadow(NOW, THEN)
    for at in range(400):
        kind, tier = ("pay", "ask")[at % 2], ("vip", "plain")[at // 2 % 2]
        live.route(Ticket(f"t{at}", "chat", attributes={"kind": kind, "tier": tier}))
        view = live.get_ticket(f"t{at}")
        same.compare(view)
        other.compare(view)
    assert (same.compared, same.differing, same.samples) == (400, 0, [])
    assert (other.compared, other.differing, other.counts["queue"], other.counts["clocks"]) == (400, 400, 200, 200)
    assert len(other.samples) <= 20
    assert {sample.kinds for sample in other.samples} == {("clocks",), ("urgency",)} | {
        ("queue", "class", "needs", "urgency"),
        ("queue", "class", "needs", "clocks"),
    }


def test_a_shadow_beside_a_server(server: str, tmp_path: Path) -> None:
    other = tmp_path / "other.py"
    other.write_text(
        "from csroute.policy import *\nfrom csroute.presets.double11 import policy as base, Rank\n"
        "policy = base.but(change(Rank.vip, head_start=seconds(61)), name='other')\n"
    )
    command = [sys.executable, "-m", "csroute.cli", "policy", "shadow", str(other), "--for", "3", "--server", server]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        sent = steadily(server, process)
        assert process.stdout is not None
        words = " ".join(process.stdout.read().split())
    assert process.returncode == 0
    told = re.search(r"(\d+) tickets compared, (\d+) differ .* (\d+) were dropped", words)
    assert told, words
    compared, differ, dropped = map(int, told.groups())
    assert 0 < compared <= sent
    assert abs(2 * differ - compared) <= 1, "every other one is a VIP's"
    assert dropped == 0
    assert "urgency 60 s ahead, slope 1 61 s ahead, slope 1" in words


def steadily(server: str, process: subprocess.Popen[str]) -> int:
    """Tickets come, every other one a VIP's, until the process ends: how many."""
    sent = 0
    with Client(server) as client:
        before = client.stats().sequence
        while process.poll() is None:
            tier = "vip" if sent % 2 else "ordinary"
            attributes: dict[str, str | Guess] = {"tier": tier, "language": "zh"}
            client.route(Ticket(f"s{before}-{sent}", "chat", customer=f"c{sent}", attributes=attributes))
            sent += 1
            time.sleep(0.03)
    return sent
