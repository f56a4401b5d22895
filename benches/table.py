"""One table of all figures: printed, and written as bench.json and bench.svg under target/bench.

    python -m benches.table [--quick] [core door peers lifecycles open_loop durable overload]
    python -m benches.table --readme        # puts the last bench.json into README.md, between its markers

Each row has the runs' min, median and max, and its ratio to a peer or a limit measured in the same run; in bench.json
its command, commit, seed and machine besides. Groups that are not asked for stay there as they were measured last.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from typing import TYPE_CHECKING, Any, Final

from benches import by_cargo, kit
from benches.peers.measure import FOLDER, matching
from benches.rows import ROOT, Row, show, write
from csroute.errors import CsrouteError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["GROUPS", "main", "readme"]

SEED: Final = 11
_BEGIN, _END = "<!-- bench: begin -->", "<!-- bench: end -->"


def _kit(name: str) -> Callable[..., list[Row]]:
    return lambda *, short: asyncio.run(kit.GROUPS[name](short=short, seed=SEED))


GROUPS: dict[str, Callable[..., list[Row]]] = {
    "core": by_cargo.core,
    "door": by_cargo.door,
    "peers": lambda *, short: matching(short=short, seed=SEED),
    **{name: _kit(name) for name in kit.GROUPS},
}


def main(*, short: bool, wanted: list[str]) -> None:
    """Measures group by group, and writes after each: what was measured is not lost with what fails."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    failed: dict[str, Exception] = {}
    for name in wanted or GROUPS:
        print(f"… {name}", file=sys.stderr, flush=True)
        try:
            rows += GROUPS[name](short=short)
        except (CsrouteError, OSError, RuntimeError) as error:
            failed[name] = error
        write(rows, FOLDER / "bench.json", SEED, keep=bool(wanted))
    show(rows)
    for row in rows:
        if "NOT VALID" in row.note:
            print(f"{row.what}: {row.note}")
    print(f"written: {FOLDER / 'bench.json'}, {FOLDER / 'bench.svg'}")
    if failed:
        sys.exit("\n".join(f"{name} failed: {error}" for name, error in failed.items()))


def readme() -> None:
    """The table of the last run, in README.md."""
    report: dict[str, Any] = json.loads((FOLDER / "bench.json").read_text(encoding="utf-8"))
    lines = ["| what | median (min–max) | ratio | to |", "|---|---|---|---|"]
    for row in report["rows"]:
        ratio = "" if row["ratio"] is None else f"{row['ratio']:.3g}"
        if "NOT VALID" in row["note"]:
            lines.append(f"| {row['what']} | not valid: the generator was late itself | | |")
            continue
        spread = f"{row['median']:,.4g} ({row['min']:,.4g}–{row['max']:,.4g}) {row['unit']}"
        lines.append(f"| {row['what']} | {spread} | {ratio} | {row['against']} |")
    of = {
        (row["machine"]["cores"], row["machine"]["cpu"], row["machine"]["commit"], row["seed"])
        for row in report["rows"]
    }
    lines += ["", *(f"{cores} cores, {cpu}, commit {commit}, seed {seed}." for cores, cpu, commit, seed in sorted(of))]
    file = ROOT / "README.md"
    text = file.read_text(encoding="utf-8")
    between = re.compile(f"{re.escape(_BEGIN)}.*?{re.escape(_END)}", re.DOTALL)
    if not between.search(text):
        sys.exit(f"README.md has no {_BEGIN} … {_END}")
    filled = "\n".join([_BEGIN, *lines, _END])
    file.write_text(between.sub(lambda _: filled, text), encoding="utf-8")


if __name__ == "__main__":
    if "--readme" in sys.argv:
        readme()
    else:
        main(short="--quick" in sys.argv, wanted=[one for one in sys.argv[1:] if not one.startswith("--")])
