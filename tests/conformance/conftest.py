"""A real server with `examples/shop.py`, and grpcurl, which knows the API by reflection alone."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 20


@dataclass(frozen=True)
class Answer:
    """What grpcurl got: the replies, or the status that the call ended with."""

    replies: list[dict[str, Any]]
    status: dict[str, Any]

    def reply(self) -> dict[str, Any]:
        """The one reply of a call that went well."""
        assert not self.status, self.status
        assert len(self.replies) == 1, self.replies
        return self.replies[0]

    def detail(self, kind: str) -> dict[str, Any]:
        found = [detail for detail in self.status.get("details", []) if detail["@type"].endswith(f"/google.rpc.{kind}")]
        assert len(found) == 1, self.status
        return dict(found[0])


@dataclass(frozen=True)
class Grpcurl:
    """One grpcurl run a call."""

    program: str
    address: str

    def run(self, *arguments: str, options: tuple[str, ...] = (), data: str = "") -> subprocess.CompletedProcess[str]:
        command = [self.program, "-plaintext", "-max-time", "10", *options, self.address, *arguments]
        return subprocess.run(command, input=data, capture_output=True, text=True, timeout=30, check=False)

    def text(self, *arguments: str) -> str:
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def call(self, method: str, *requests: dict[str, Any], options: tuple[str, ...] = ()) -> Answer:
        data = "\n".join(json.dumps(request) for request in requests)
        done = self.run(method, options=("-format-error", "-d", "@", *options), data=data)
        return Answer(objects(done.stdout), (objects(done.stderr) or [{}])[0] if done.returncode else {})


def objects(text: str) -> list[dict[str, Any]]:
    """The JSON objects that stand one after another in `text`."""
    found: list[dict[str, Any]] = []
    decoder = json.JSONDecoder()
    while text := text.lstrip():
        value, end = decoder.raw_decode(text)
        found.append(value)
        text = text[end:]
    return found


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    csroute = Path(sys.executable).with_name("csroute")
    command = [str(csroute), "serve", "--listen", address, "--policy", str(ROOT / "examples" / "shop.py")]
    environment = {**os.environ, "CSROUTE_METRICS_LISTEN": "off"}
    with subprocess.Popen(command, cwd=ROOT, env=environment) as server:
        yield address
        server.terminate()
        assert server.wait(timeout=30) == 0, "SIGTERM drains and ends well"


@pytest.fixture(scope="module")
def grpcurl(address: str) -> Grpcurl:
    program = os.environ.get("GRPCURL") or shutil.which("grpcurl")
    assert program, "grpcurl is not here: `make conformance` builds it"
    client = Grpcurl(program, address)
    until = time.monotonic() + START_SECONDS
    while client.run("grpc.health.v1.Health/Check").returncode and time.monotonic() < until:
        time.sleep(0.2)
    return client
