"""What the README shows does what it says, line by line, against a server with its policy."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys

import pytest

from .conftest import ROOT, Grpcurl

pytestmark = pytest.mark.conformance

README = (ROOT / "README.md").read_text()
SHOWN_ADDRESS = "127.0.0.1:7700"


def blocks(language: str, word: str) -> list[str]:
    return [text for text in re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL) if word in text]


def test_calling_from_python(grpcurl: Grpcurl) -> None:
    (code,) = blocks("python", "Client(")
    code = code.replace(SHOWN_ADDRESS, grpcurl.address)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == re.findall(r"print\(.*#(.*)", code)[0].split()


def test_calling_from_grpcurl(grpcurl: Grpcurl) -> None:
    (lines,) = blocks("sh", "grpcurl")
    for line in lines.splitlines():
        program, *arguments = shlex.split(line.replace(SHOWN_ADDRESS, grpcurl.address))
        assert program == "grpcurl"
        done = subprocess.run([grpcurl.program, *arguments], capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 0, (line, done.stderr)
        assert done.stdout.startswith("{")
