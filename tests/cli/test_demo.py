"""The demo, short: nothing is lost, all ledgers agree, and nothing is left running. Its rates are not judged."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow


def demo(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "csroute.cli", "demo", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def children_of(pid: int) -> set[int]:
    """Processes that this one started, alive now."""
    found = set()
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            _, _, rest = status.read_text().rpartition(") ")
        except OSError:
            continue
        if int(rest.split()[1]) == pid:
            found.add(int(status.parent.name))
    return found


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    file = tmp_path_factory.mktemp("demo") / "demo.json"
    process = demo("--seconds", "4", "--json", str(file), "--seed", "7")
    said, complaints = process.communicate(timeout=180)
    assert process.returncode == 0, said + complaints
    for words in ("1 of 2", "2 of 2", "offered load ÷ capacity", "0 lost", "ledgers and the server's agree"):
        assert words in " ".join(said.split())
    found: dict[str, Any] = json.loads(file.read_text())
    return found


def test_nothing_is_lost_and_all_ledgers_agree(report: dict[str, Any]) -> None:
    assert report["lost"] == 0
    assert report["ledgers_agree"]
    assert not report["throughput"]["problems"]
    assert not report["service_level"]["problems"]


@pytest.mark.parametrize("half", ["throughput", "service_level"])
def test_every_ticket_is_accounted_for(report: dict[str, Any], half: str) -> None:
    figures = report[half]
    ends = ("completed", "cancelled", "overflowed", "waiting", "with_agents", "lost")
    assert figures["submitted"] == sum(figures[end] for end in ends) > 0
    assert figures["completed"] > 0
    assert figures["with_agents"] == 0


def test_the_report_holds_what_was_asked_for(report: dict[str, Any]) -> None:
    night = report["service_level"]
    assert report["tickets_per_minute"] == report["throughput"]["tickets_per_minute"] > 0
    assert night["compression"] <= 60
    assert night["window_s"] == pytest.approx(night["compression"] * 4 * 0.6)
    assert night["error_s"] == pytest.approx(night["compression"] * night["transport_ms"]["p99"] / 1000, abs=1e-3)
    assert set(night["service_level"]["by_tier"]) == {"ordinary", "vip"}
    assert "response" in night["service_level"]["by_tier"]["vip"]["clocks"]
    for half in (report["throughput"], night):
        assert {"p50", "p99", "p99_9"} == set(half["decision_latency_us"]) == set(half["end_to_end_latency_us"])
        assert 0 < half["occupancy"] <= 1
        assert half["offered_load_over_capacity"] > 0


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_ends_what_it_started(sign: signal.Signals) -> None:
    process = demo("--seconds", "30")
    assert process.stdout is not None
    while "tickets/min, " not in (line := process.stdout.readline()):
        assert line or process.poll() is None
    started = children_of(process.pid)
    assert len(started) == 5  # a server, two gateways, two desktops
    process.send_signal(sign)
    said, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "interrupted" in said
    until = time.monotonic() + 5
    while (left := [pid for pid in started if Path(f"/proc/{pid}").exists()]) and time.monotonic() < until:
        time.sleep(0.05)
    assert not left
