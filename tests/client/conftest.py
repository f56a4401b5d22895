"""A real server in a process of its own, on a free port, with the preset's policy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Its address."""
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
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stderr is not None
    try:
        said = [process.stderr.readline()]
        while said[-1] and '"listening"' not in said[-1]:
            said.append(process.stderr.readline())
        assert said[-1], said
        yield f"127.0.0.1:{json.loads(said[-1])['port']}"
    finally:
        process.terminate()
        process.wait(10)
