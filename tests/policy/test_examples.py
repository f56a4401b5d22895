"""Every business rule has an example that is a policy, states what must hold, and plays it on the router."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from csroute import Router
from csroute.policy import load

RULES = Path(__file__).parents[2] / "examples" / "rules"
PAGES = sorted(RULES.glob("*.py"))
NOT_SAYABLE = {8}
"""Two people on one ticket."""


def run(page: Path) -> Any:
    namespace: dict[str, Any] = {"__name__": page.stem}
    exec(compile(page.read_text(), str(page), "exec", dont_inherit=True), namespace)
    return SimpleNamespace(**namespace)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_an_example_is_sound_and_plays(page: Path) -> None:
    assert load(page).check(applying=True) == []
    example = run(page)
    router = Router(example.policy, clock="virtual")
    router.open_session("desk", lease_ms=3_600_000)
    example.play(router)


def test_every_rule_that_can_be_said_has_one() -> None:
    shown = [re.match(r"r(\d\d)_", page.name) for page in PAGES]
    assert {int(found[1]) for found in shown if found} == set(range(1, 23)) - NOT_SAYABLE
