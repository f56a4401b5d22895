"""Every transcript, performed anew, says what is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.scenarios.transcript import HERE, perform

if TYPE_CHECKING:
    from pathlib import Path

FILES = sorted(HERE.glob("*/*.txt"))
RULES = {"R1", "R2", "R3", "R4", "R5", "R10", "R17", "R18", "R20"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_transcript(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert perform(text).splitlines() == text.splitlines()


def test_every_rule_has_one() -> None:
    told = {word.rstrip(".") for file in HERE.glob("rules/*.txt") for word in file.read_text("utf-8").split()[:1]}
    assert told >= RULES
