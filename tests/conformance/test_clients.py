"""Clients in several languages, made from the protos alone: each does the same at each door, and sees the same."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from .conftest import DOORS, ROOT, serving

pytestmark = pytest.mark.conformance

CLIENTS = ROOT / "tests" / "conformance" / "clients"
BUILT = ROOT / "target" / "conformance"
COMMANDS = {
    "python": lambda *where: [sys.executable, str(CLIENTS / "client.py"), *where],
    "go": lambda *where: [str(BUILT / "go" / "client"), *where],
    "node": lambda *where: ["node", str(BUILT / "node" / "client.js"), *where, str(ROOT / "protos")],
}

SEEN: list[Any] = [
    # a ticket's life: waits, an agent comes, asked again
    ["WAITING", "ACTIVE", True, True],
    # Work: opens with agents and work; results in order; the events come too; it ends well when the client has
    [1, 1, [[11, True], [12, False]], True, True],
    # a batch answers each item
    [7, True, False, False],
    # a stream: all answered, in order, ended well
    [20, True, True],
    # Watch
    ["queued", "cancelled"],
    # refusals: gRPC's code, reason, number, retry hint
    [
        [3, "FIELD_MISSING", "101"],
        [5, "TICKET_UNKNOWN", "200"],
        [9, "STALE", "302"],
        [5, "TICKET_UNKNOWN", "200"],
        [14, "DRAINING", "407", 2000],
    ],
]


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("language", COMMANDS)
def test_every_client_sees_the_same_at_every_door(language: str, door: str) -> None:
    with serving() as addresses:
        command = COMMANDS[language](addresses[door], f"{language}-")
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == SEEN
