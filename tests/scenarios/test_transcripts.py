"""Every transcript, performed anew, says what is written."""

from __future__ import annotations

import re
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


def test_every_row_of_the_state_table_has_one() -> None:
    design = (HERE.parent.parent / "rust_core" / "DESIGN.md").read_text("utf-8")
    table = design.partition("## 5. State × command")[2].partition("**verb**")[0]
    rows = re.findall(r"^\| ([a-z][^|]+) \|", table, re.MULTILINE)[1:]
    heads = [re.findall(r"[a-z_-]+", file.read_text("utf-8").partition(":")[0]) for file in HERE.glob("rows/*.txt")]
    told = {word.removesuffix("_clock") for head in heads for word in head}
    for row in rows:
        words = re.findall(r"[a-z_-]+", row)
        assert words[words[0] == "timer"].removesuffix("_clock") in told, f"no transcript of: {row}"
    assert len(rows) > 20


def test_every_rule_has_one() -> None:
    told = {word.rstrip(".") for file in HERE.glob("rules/*.txt") for word in file.read_text("utf-8").split()[:1]}
    assert told >= RULES
