"""The pages of docs/ run as they stand: each Python block, in order, prints what the page shows after it."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)


def blocks(page: str) -> Iterator[tuple[str, str, int]]:
    """A page's Python blocks, with what they print and the line on which they begin."""
    text = (DOCS / page).read_text()
    found = [(match[1], match[2], text.count("\n", 0, match.start()) + 1) for match in BLOCK.finditer(text)]
    for (kind, code, line), (after, shown, _) in zip(found, [*found[1:], ("", "", 0)], strict=True):
        if kind == "python":
            yield code, shown if after == "text" else "", line


@pytest.mark.parametrize(
    ("page", "least"), [("tutorial.md", 5), ("policy.md", 5), ("operations.md", 1), ("simulate.md", 4)]
)
def test_a_page_does_what_it_says(page: str, least: int, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("page")
    monkeypatch.setitem(sys.modules, "page", module)  # annotations are looked up there
    seen = 0
    for code, shown, line in blocks(page):
        out = StringIO()
        with redirect_stdout(out):
            compiled = compile("\n" * line + code, str(DOCS / page), "exec", dont_inherit=True)
            exec(compiled, vars(module))
        assert out.getvalue() == shown, f"{page}:{line}"
        seen += 1
    assert seen >= least
