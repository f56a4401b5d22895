"""A gallery of wrong policies: each page's docstring has the exact messages that it gets, after `Says:`."""

from __future__ import annotations

from pathlib import Path

import pytest

from csroute.policy import load

GALLERY = Path(__file__).parent / "gallery"
PAGES = sorted(page.stem for page in GALLERY.glob("*.py") if page.stem not in {"__init__", "shop"})


def said_of(name: str) -> list[str]:
    """What `check` says of a page: line, subject, message."""
    path = GALLERY / f"{name}.py"
    policy = load(path)
    roster = getattr(load_module(path), "roster", ())
    return [str(finding).removeprefix(f"{path}:") for finding in policy.check(roster=roster)]


def load_module(path: Path) -> object:
    namespace: dict[str, object] = {"__name__": path.stem}
    exec(compile(path.read_text(), str(path), "exec", dont_inherit=True), namespace)
    return type("Page", (), namespace)


def says(name: str) -> list[str]:
    """What a page expects."""
    text = (GALLERY / f"{name}.py").read_text().split('"""')[1]
    return [line for line in text.partition("Says:")[2].splitlines() if line]


@pytest.mark.parametrize("name", PAGES)
def test_a_wrong_policy_is_told_what_is_wrong_and_what_would_be_right(name: str) -> None:
    assert said_of(name) == says(name)


def test_the_gallery_is_worth_a_visit() -> None:
    assert len(PAGES) >= 20
    assert all(says(name) for name in PAGES)
