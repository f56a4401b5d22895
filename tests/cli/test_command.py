"""The command: what it prints, how it fails, how it exits."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from csroute.cli.explaining import rendered
from csroute.client import Client
from csroute.types import (
    ClockState,
    Explanation,
    MatchReason,
    NotEligible,
    RuleHit,
    Ticket,
    TicketState,
    TicketView,
)


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "csroute.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "COLUMNS": "100", **environment},
    )


def test_version() -> None:
    done = run("--version")
    assert done.returncode == 0
    assert done.stdout.startswith("csroute ")


def test_version_needs_none_of_the_heavy_libraries() -> None:
    script = (
        "import sys; sys.argv = ['csroute', '--version']; import csroute.cli; csroute.cli.main(); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert not {"grpc", "google.protobuf", "rich", "typer", "pydantic", "asyncio"} & set(done.stdout.split())


def test_help_names_the_commands_and_exit_codes() -> None:
    done = run("--help")
    assert done.returncode == 0
    for word in ("serve", "demo", "explain", "journal", "replay", "backup", "restore", "plan", "Exit codes"):
        assert word in done.stdout


@pytest.mark.parametrize(
    ("arguments", "environment", "code", "words"),
    [
        (["explian"], {}, 2, "explian"),
        (["demo", "--seconds", "0"], {}, 2, "seconds"),
        (["serve", "--listen", "nowhere"], {}, 2, "listen"),
        (["serve", "--policy", "missing.py"], {}, 2, "missing.py"),
        (["serve", "--config", "missing.toml"], {}, 2, "missing.toml"),
        (["serve"], {"CSROUTE_STREAMS_MAX": "many"}, 2, "CSROUTE_STREAMS_MAX"),
        (["journal", "verify", "missing"], {}, 5, "missing is not a folder"),
        (["journal", "show", "missing", "--since", "noon"], {}, 2, "'noon' is no time"),
        (["replay", "missing"], {}, 5, "missing is not a folder"),
        (["explain", "t1", "--data-dir", "missing"], {}, 5, "missing is not a folder"),
        (["backup", "missing", "target"], {}, 5, "missing is not a folder"),
        (["explain", "t1", "--server", "127.0.0.1:1", "--timeout", "0.5"], {}, 3, "no server answers at 127.0.0.1:1"),
    ],
)
def test_what_goes_wrong_is_said_without_a_traceback(
    arguments: list[str], environment: dict[str, str], code: int, words: str
) -> None:
    done = run(*arguments, **environment)
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_policy_is_named_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("policy = 1 / 0\n")
    done = run("serve", "--listen", "127.0.0.1:0", "--native", "off", "--metrics", "off", "--policy", str(file))
    assert done.returncode == 2
    assert f"{file}:1" in done.stderr
    assert "ZeroDivisionError" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_serve_drains_and_exits_well(sign: signal.Signals) -> None:
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "csroute.cli",
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--native",
            "off",
            "--metrics",
            "off",
        ],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert '"listening"' in process.stderr.readline()
    process.send_signal(sign)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 0
    assert '"draining"' in said
    assert '"stopped"' in said


def test_explain_asks_the_server(server: str) -> None:
    with Client(server) as client:
        client.route(Ticket("explained", "chat", attributes={"tier": "vip"}))
    done = run("explain", "explained", "--server", server)
    assert done.returncode == 0
    assert "explained · waiting" in done.stdout
    assert "vip" in done.stdout
    done = run("explain", "nobody", "--server", server)
    assert done.returncode == 4
    assert "TICKET_UNKNOWN" in done.stderr


def ticket(state: TicketState, agent: str = "") -> TicketView:
    clock = ClockState("response", 1, 60_000_001, 0, False, False, 0, 60_000)
    return TicketView(
        "t1", state, 7, "vip/angry@chat", "vip", 1, 1, 1, agent, 1 if agent else 0, 0, 0, "chat", "c1", "shop", {}, b"",
        b"", (clock,), "", 1, 1, 0, False,
    )  # fmt: skip


def explained(state: TicketState, agent: str = "") -> str:
    reason = MatchReason(1, 100, 1000, 2_000_000, 60_000, 0, 0, 12, False, False) if agent else None
    why = Explanation(
        ticket(state, agent), (RuleHit("Who", "vip", "R4"),), ("vip>=3 | order",), ("trainee",), 90_000_000, 2, 4,
        30_000, 90_000, "head of line", 0, 5, NotEligible(1, 2, 3, 0, 0, 0, 4, 0), 92_000_000_000, 60_000, 0, 1000,
        reason, "It waits for someone of the VIP desk.",
    )  # fmt: skip
    console = Console(width=100, record=True, file=open(os.devnull, "w"))  # noqa: PTH123, SIM115
    console.print(rendered(why))
    return console.export_text()


def test_a_waiting_ticket_is_explained_in_words() -> None:
    text = explained(TicketState.WAITING)
    for words in (
        "t1 · waiting",
        "It waits for someone of the VIP desk.",
        "vip/angry@chat",
        "vip: R4",
        "vip>=3 | order",
        "trainee",
        "4 of its class; estimated wait 30.0 s to 90.0 s (by head of line)",
        "92.0 s = 1 × wait + head start 60.0 s",
        "0 eligible now, 5 able but for their load",
        "4 with too few free units",
    ):
        assert words in text


def test_an_assigned_one_says_why_this_agent() -> None:
    text = explained(TicketState.ACTIVE, "anna")
    assert "first of 12 who could take it; waited 2.0 s, 60.0 s ahead, step 1" in text
    assert "place in line" not in text
