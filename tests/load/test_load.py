"""The load kit against a real server: its ledger, its verdict, its latencies. Rates are not judged."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from csroute._csroute import LoadGenerator, histograms_merged
from csroute.demo.crew import Crew
from csroute.errors import ConfigError, UnavailableError
from csroute.load import Options, Source, double11, journal
from csroute.load.conduct import running
from csroute.load.picture import page
from csroute.load.report import lines
from tests.server.rig import Rig
from tests.server.rig import running as serving

WAYS = [
    ("native", "unary", "poisson"),
    ("native", "stream", "closed"),
    ("native", "batch", "constant"),
    ("python", "unary", "closed"),
    ("python", "stream", "constant"),
    ("python", "batch", "closed"),
]
SHORT: dict[str, Any] = {"seconds": 0.6, "warm_up_s": 0.2, "settle_s": 5.0, "agents_scale": 0.05, "connections": 2}


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with serving("native", policy="double11") as rig:
        yield rig


def address(rig: Rig, door: str) -> str:
    return f"127.0.0.1:{rig.server.port if door == 'python' else rig.server.native_port}"


def all_there(report: dict[str, Any]) -> None:
    ledger = report["ledger"]
    assert not report["problems"]
    assert ledger["sent"] > 0
    assert ledger["lost"] == 0
    assert ledger["sent"] == ledger["acknowledged"] + ledger["refused"] + ledger["unanswered"]
    assert ledger["acknowledged"] <= ledger["completed"] + sum(ledger["open"].values())


@pytest.mark.parametrize(("door", "how", "loop"), WAYS)
async def test_every_way_to_send(rig: Rig, door: str, how: Any, loop: Any) -> None:
    in_flight, batch = (4 if loop == "closed" else 0), (16 if how == "batch" else 0)
    options = Options(address(rig, door), how=how, loop=loop, rate_per_min=30_000, in_flight=in_flight, batch=batch,
                      processes=2, **SHORT)  # fmt: skip
    seen: list[float] = []
    report = await running(options, show=lambda played_s, _: seen.append(played_s))
    all_there(report)
    assert report["ledger"]["completed"] > 0
    assert report["call"]["count"] > 0
    assert report["assigned"]["count"] > 0
    assert report["call"]["p50_us"] <= report["call"]["p99_us"] <= report["call"]["p100_us"]
    assert seen
    assert bool(report["late"]["count"]) == (loop != "closed")


@pytest.mark.parametrize("desks", ["act", "work"])
async def test_agents_who_keep_a_ticket_for_a_while(rig: Rig, desks: Any) -> None:
    options = Options(address(rig, "native"), desks=desks, hold_ms=50, rate_per_min=6_000, **SHORT)
    report = await running(options)
    all_there(report)
    assert report["ledger"]["completed"] > 0


async def test_without_desks_all_of_it_waits(rig: Rig) -> None:
    report = await running(Options(address(rig, "native"), desks="none", rate_per_min=30_000, **SHORT))
    all_there(report)
    assert report["ledger"]["open"] == {"WAITING": report["ledger"]["acknowledged"]}
    assert report["assigned"]["count"] == 0


async def test_what_is_refused_is_in_the_ledger(rig: Rig) -> None:
    options = Options(address(rig, "native"), desk_server=address(rig, "python"), desks="none", loop="constant",
                      rate_per_min=12_000, seconds=1.0)  # fmt: skip
    assert rig.server._native is not None
    rig.server._native.set_limits(0, 2048)  # what comes is refused at once
    report = await running(options)
    assert report["ledger"]["refused"] == report["refused_by_code"]["8"] == report["ledger"]["sent"]
    all_there(report)


async def test_a_server_that_stands_still_is_felt_by_all_who_were_due() -> None:
    """No coordinated omission: a stall shows in as many latencies as calls were due meanwhile, not in one."""
    per_s, stall_s = 200, 0.8
    async with Crew() as crew:
        ports = ("--listen", "127.0.0.1:0", "--native", "127.0.0.1:0", "--metrics", "off")
        said, pid = await crew.serve(*ports, ready=lambda line: line if '"event": "listening"' in line else None)

        async def stall() -> None:
            await asyncio.sleep(1.0)  # well within the time: it is played for 3 s
            os.kill(pid, signal.SIGSTOP)
            await asyncio.sleep(stall_s)
            os.kill(pid, signal.SIGCONT)

        server = f"127.0.0.1:{json.loads(said)['native_port']}"
        options = Options(server, desks="none", loop="constant", rate_per_min=60 * per_s, seconds=3.0, warm_up_s=0.0)
        report, _ = await asyncio.gather(running(options), stall())
    all_there(report)
    # Half of those who were due while it stood still waited for more than half of that.
    waited = sum(count for value_us, count in report["call"]["buckets"] if value_us > stall_s / 2 * 1e6)
    assert waited >= 0.8 * per_s * stall_s / 2


async def test_what_was_recorded_is_sent_again(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with serving("native", policy="double11", data_dir=str(data)) as rig:
        first = await running(Options(address(rig, "native"), rate_per_min=12_000, **SHORT))
        all_there(first)
    source = journal(data, speed=2.0)
    assert len(source.samples) == first["ledger"]["sent"]
    assert source.agents
    assert source.recorded_ns == sorted(source.recorded_ns)
    async with serving("native", policy="double11") as rig:
        options = Options(address(rig, "native"), loop="recorded", seconds=2.0, warm_up_s=0.0)
        again = await running(options, source)
    all_there(again)
    assert again["ledger"]["sent"] == first["ledger"]["sent"]


async def test_a_generator_that_is_late_says_so(rig: Rig) -> None:
    """More than one thread can send: whatever the server does, the run says nothing about it."""
    options = Options(address(rig, "native"), desks="none", rate_per_min=600_000_000, seconds=0.3, warm_up_s=0.0,
                      in_flight=1000, patience_ms=500)  # fmt: skip
    report = await running(options)
    assert not report["valid"]
    assert any("late itself" in why or "not sent" in why for why in report["invalid"])


async def test_the_page_and_the_words(rig: Rig) -> None:
    report = await running(Options(address(rig, "native"), rate_per_min=12_000, **SHORT))
    said = lines(report)
    assert any("0 lost" in line for line in said)
    text = page(report, said)
    assert text.count("<svg") == 3
    assert "href" not in text.replace("xlink:href", "").replace("#", "")
    json.dumps(report)


def test_nobody_listens() -> None:
    with pytest.raises(UnavailableError):
        asyncio.run(running(Options("127.0.0.1:9", desks="none", **SHORT)))
    with pytest.raises(OSError, match="refused"):
        LoadGenerator(json.dumps({**Options("127.0.0.1:9").settings(0), "run": "r"}), [b"\x12\x04chat"])


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"batch": 5000}, "batch"),
        ({"how": "unary", "batch": 2}, "one ticket"),
        ({"rate_per_min": 0}, "rate"),
        ({"processes": 0}, "processes"),
        ({"how": "stream", "loop": "closed", "desks": "act"}, "choose work"),
        ({"name": "x" * 25}, "name"),
    ],
)
def test_wrong_options(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Options(**wrong)


async def test_nothing_recorded() -> None:
    with pytest.raises(ConfigError, match="journal"):
        await running(Options(loop="recorded"), double11(agents_scale=0.01))
    with pytest.raises(ConfigError, match="no agents"):
        await running(Options(), Source([b""]))


def test_wrong_settings_and_histograms() -> None:
    with pytest.raises(ValueError, match="unknown field"):
        LoadGenerator('{"what": 1}', [b""])
    with pytest.raises(OSError, match="no ticket"):
        LoadGenerator(json.dumps(Options().named("r").settings(0)), [])
    with pytest.raises(ValueError, match="no histogram"):
        histograms_merged([b"nonsense"])
    whole, figures = histograms_merged([])
    assert json.loads(figures)["count"] == 0
    assert histograms_merged([whole, whole])[0] == whole


async def test_the_command(rig: Rig, tmp_path: Path) -> None:
    file, picture = tmp_path / "load.json", tmp_path / "load.html"
    command = [sys.executable, "-m", "csroute.cli", "load", "--server", address(rig, "native"), "--rate", "6000"]
    command += [
        "--seconds",
        "1",
        "--warm-up",
        "0",
        "--agents-scale",
        "0.05",
        "--json",
        str(file),
        "--html",
        str(picture),
    ]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    said, complaints = await process.communicate()
    report = json.loads(file.read_text())
    assert process.returncode == (0 if report["valid"] else 6), complaints.decode()
    assert "route to assigned" in said.decode()
    assert picture.read_text().startswith("<!doctype html>")
