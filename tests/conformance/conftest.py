"""A real server with `examples/shop.py`, at each of its doors, and grpcurl, which knows the API by reflection alone."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOORS = ("python", "native")


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


@contextlib.contextmanager
def serving() -> Iterator[dict[str, str]]:
    """A server of its own: its doors and their addresses."""
    csroute = Path(sys.executable).with_name("csroute")
    anywhere = ("--listen", "127.0.0.1:0", "--native", "127.0.0.1:0", "--metrics", "off")
    command = [str(csroute), "serve", *anywhere, "--policy", str(ROOT / "examples" / "shop.py")]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        said: dict[str, Any] = {}
        while said.get("event") != "listening":
            said = json.loads(server.stderr.readline())
        reading = threading.Thread(target=server.stderr.read)  # so that it can go on logging
        reading.start()
        yield {"python": f"127.0.0.1:{said['port']}", "native": f"127.0.0.1:{said['native_port']}"}
        server.terminate()
        assert server.wait(timeout=30) == 0, "SIGTERM drains and ends well"
        reading.join()


@pytest.fixture(scope="module", params=DOORS)
def address(request: pytest.FixtureRequest) -> Iterator[str]:
    """What holds at one door holds at the other."""
    with serving() as addresses:
        yield addresses[request.param]


@pytest.fixture(scope="module")
def grpcurl(address: str) -> Grpcurl:
    program = os.environ.get("GRPCURL") or shutil.which("grpcurl")
    assert program, "grpcurl is not here: `make conformance` builds it"
    return Grpcurl(program, address)
