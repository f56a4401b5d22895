"""Reading a policy's file."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from csroute.errors import CsrouteError
from csroute.policy import PolicyError, load

ROOT = Path(__file__).resolve().parents[2]


def test_a_page_is_read() -> None:
    before = set(sys.modules)
    policy = load(ROOT / "examples/shop.py")
    assert (policy.name, policy.check()) == ("shop", [])
    assert not {name for name in set(sys.modules) - before if "policy_shop" in name}, "nothing registers itself"


def test_the_sketch_is_sound_but_for_one_doubt() -> None:
    policy = load(str(ROOT / "tests/policy/sketch.py"))
    assert [finding.subject for finding in policy.check()] == ["Speak.foreign: needs"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("none.py", None, "0: policy: there is no such file"),
        ("policy.txt", "policy = 1", "0: policy: a policy is a Python file, named *.py"),
        ("empty.py", "", "0: policy: a policy's file names it `policy = Policy(…)`; there is none"),
        ("other.py", "policy = 5", "0: policy: a policy's file names it `policy = Policy(…)`; it is 5"),
        ("typo.py", "x = 1\npolicy = Policy(\n", "2: policy: '(' was never closed"),
        ("raises.py", "def f():\n    return 1 / 0\n\nf()\n", "2: policy: ZeroDivisionError: division by zero"),
        ("module.py", "import nowhere", "1: policy: ModuleNotFoundError: No module named 'nowhere'"),
    ],
)
def test_a_page_that_cannot_be_read_says_why(name: str, text: str | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    with pytest.raises(PolicyError) as no:
        load(path)
    assert str(no.value) == f"{path}:{message}"
    assert isinstance(no.value, CsrouteError)
