"""Hours in minutes: memory comes back when tickets are forgotten, and a long night loses nobody.

SOAK_SECONDS=600 make soak
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from csroute import AgentSpec, Router, Ticket
from csroute.policy import minutes
from csroute.types import Complete

pytestmark = pytest.mark.soak

SECONDS = int(os.environ.get("SOAK_SECONDS", "60"))
ROOT = Path(__file__).resolve().parent.parent
BATCH, AGENTS, WARM_UP_ROUNDS = 1000, 400, 20
KEPT = minutes(6)  # an ended ticket is remembered for five


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_memory_comes_back() -> None:
    router = Router(ROOT / "examples" / "shop.py", clock="virtual")
    router.upsert_agents(AgentSpec(f"a{n}", skills={"general": 3, "refunds": 2}) for n in range(AGENTS))
    until, rounds, level = time.monotonic() + SECONDS / 2, 0, 0
    while time.monotonic() < until or rounds <= WARM_UP_ROUNDS:
        if rounds == WARM_UP_ROUNDS:
            level = resident_bytes()
        router.open_session("desk", 3_600_000)
        for n in range(AGENTS):
            router.login("desk", f"a{n}")
        router.route_batch(Ticket(f"t{rounds}-{n}", "chat", customer=f"c{n}") for n in range(BATCH))
        held = router.list_tickets(source="")
        router.act(Complete(ticket.id, ticket.attempt) for ticket in held if ticket.agent)
        assert not [ticket for ticket in router.list_tickets() if not ticket.state.ended]
        router.advance(KEPT)
        assert router.stats().waiting == 0
        rounds += 1
    assert rounds > WARM_UP_ROUNDS
    grown = resident_bytes() - level
    assert grown < 32 << 20, f"{grown:,} bytes more after {rounds} rounds of {BATCH} tickets"


def test_a_long_night_loses_nobody(tmp_path: Path) -> None:
    file = tmp_path / "night.json"
    command = [sys.executable, "-m", "csroute.cli", "demo", "--seconds", str(min(SECONDS, 900)), "--json", str(file)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, timeout=SECONDS * 2 + 120)
    report = json.loads(file.read_text())
    assert report["lost"] == 0
    assert report["ledgers_agree"]
