"""What an operator asks in the middle of a night: what holds a queue up, and how all stands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Literal

import pytest
from rich.console import Console

from csroute import AgentSpec, Router, Ticket
from csroute.cli.bottleneck import bottleneck
from csroute.cli.top import Look, frame
from csroute.client import Client
from csroute.policy import (
    Attr,
    Attributes,
    Channel,
    Clock,
    Layer,
    Otherwise,
    Policy,
    Reserve,
    Skill,
    Skills,
    minutes,
    oldest_wait,
    seconds,
)
from csroute.types import Presence
from tests.cli.test_command import run


@pytest.fixture(scope="module")
def busy() -> Iterator[tuple[str, str]]:
    """A server with a crowd in one queue: its addresses of gRPC and of metrics."""
    command = [sys.executable, "-m", "csroute.cli", "serve", "--listen", "127.0.0.1:0", "--native", "off"]
    process = subprocess.Popen([*command, "--metrics", "127.0.0.1:0"], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        said = json.loads(next(line for line in process.stderr if '"listening"' in line))
        server = f"127.0.0.1:{said['port']}"
        with Client(server) as client, client.session("desk", lease_ms=600_000) as desk:
            client.upsert_agents([AgentSpec("anna", skills={"logistics": 2}), AgentSpec("ben", skills={"order": 2})])
            desk.login("anna")
            desk.login("ben")
            for at in range(9):
                client.route(Ticket(f"t{at}", "chat", attributes={"category": "logistics"}))
            yield server, f"127.0.0.1:{said['metrics_port']}"
    finally:
        process.terminate()
        process.wait(10)


def shown(thing: object) -> str:
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123
        console = Console(width=140, record=True, file=nowhere)
        console.print(thing)
    return console.export_text()


def test_explain_names_the_bottleneck_of_a_queue(busy: tuple[str, str]) -> None:
    done = run("explain", "--queue", "logistics", "--server", busy[0], COLUMNS="160")
    assert done.returncode == 0, done.stderr
    for words in ("4 waiting", "The bottleneck is people: of 1 agents who could serve it 1", "would help", "9 came"):
        assert words in " ".join(done.stdout.split()), done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 2, "exactly one"),
        (["t1", "--queue", "logistics"], 2, "exactly one"),
        (["--queue", "logistics", "--data-dir", "somewhere"], 2, "asks a server"),
        (["--queue", "nowhere"], 4, "QUEUE_UNKNOWN"),
        (["--queue", "logistics", "--server", "127.0.0.1:1", "--timeout", "0.5"], 3, "no server answers"),
    ],
)
def test_what_cannot_be_explained(busy: tuple[str, str], arguments: list[str], code: int, words: str) -> None:
    given = arguments if "--server" in arguments else [*arguments, "--server", busy[0]]
    done = run("explain", *given)
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_top_prints_one_frame_without_a_terminal(busy: tuple[str, str]) -> None:
    done = run("top", "--once", "--server", busy[0], "--metrics", busy[1], "--every", "0.2", COLUMNS="140")
    assert done.returncode == 0, done.stderr
    for words in ("double11", "logistics", "waiting", "occupancy", "breached", "in flight", "journal", "none"):
        assert words in done.stdout, done.stdout
    done = run("top", "--server", busy[0], "--metrics", "127.0.0.1:1", "--every", "0.2", COLUMNS="140")
    assert "not reached" in done.stdout, "no terminal: one frame, though nobody said so"
    done = run("top", "--server", "127.0.0.1:1")
    assert (done.returncode, "no server answers" in done.stderr) == (3, True)


class Facts(Attributes):
    channel: Attr[Literal["chat"]]


class S(Skills):
    parcels: Skill
    spare: Skill


class Reserves:
    spare = Reserve(S.spare, open=oldest_wait(over=seconds(60), until=seconds(20)))


class Who(Layer):
    parcels = Otherwise(needs=S.parcels, reserves=[Reserves.spare])


class Clocks:
    legal = Clock(starts="arrival", stops="assignment")


CLOCKED = Otherwise(clocks=[Clocks.legal.within(minutes(3))])
ONE_CHAT = {"chat": Channel(cost=100, limit=1)}
POLICY = Policy(
    "parcels", attributes=Facts, skills=S, layers=[Who], clocks=Clocks, reserves=Reserves, channels=ONE_CHAT,
    defaults=CLOCKED,
)  # fmt: skip


def crowded() -> Router:
    """Twelve agents, two of them of the reserve and two away; one ticket each, thirty more."""
    router = Router(POLICY, clock="virtual")
    router.open_session("desk", lease_ms=3_600_000)
    names = [f"a{at}" for at in range(12)]
    skills = [{"parcels": 2} | ({"spare": 1} if at > 9 else {}) for at in range(12)]
    router.upsert_agents([AgentSpec(name, skills=has) for name, has in zip(names, skills, strict=True)])
    for name in names:
        router.login("desk", name, Presence.AWAY if name in ("a0", "a1") else Presence.AVAILABLE)
    for at in range(38):
        router.route(Ticket(f"t{at}", "chat"))
    return router


def test_a_frame_tells_rates_and_new_breaches() -> None:
    router = crowded()
    before = Look(10.0, router.stats())
    for at in range(20):
        router.route(Ticket(f"u{at}", "chat"))
    router.advance(minutes(3))
    node = {"csroute_in_flight": 7.0, "csroute_journal_durable_lag_seconds": 0.0123, "csroute_journal_disk_space": 1.0}
    text = shown(frame(Look(12.0, router.stats(), node), before, "here"))
    for words in ("10.0", "12.3 ms", "low: no new tickets", "parcels", "legal", "+48"):
        assert words in text, text
    assert "–" in shown(frame(before, None, "here")), "a first look has no rates"


def test_who_is_kept_and_when_a_reserve_opens_is_told() -> None:
    router = crowded()
    router.advance(seconds(45))
    why = router.explain_queue("parcels")
    counted = why.agents
    assert (counted.presence, counted.reserve, counted.channel_limit + counted.capacity, counted.free) == (2, 2, 8, 0)
    assert sum(line.waiting for line in why.lines) == why.waiting == 30
    assert (why.flow[0].arrived, why.flow[0].answered) == (38, 8)
    text = " ".join(shown(bottleneck(why)).replace("│", " ").split())
    for words in ("of 10 agents who could serve it 8", "releasing the 2 agents of the reserve spare (it opens in 15 s)",
                  "kept by a reserve 2", "spare 2 agents (spare) closed, opens", "45 s 60 s 20 s"):  # fmt: skip
        assert words in text, text
    router.advance(seconds(16))
    assert router.explain_queue("parcels").reserves[0].open
    assert router.explain_queue("parcels").agents.reserve == 0
