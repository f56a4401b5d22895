"""Rows that the Rust benches measure, by running them: the core, and the native door against an echo on it."""

from __future__ import annotations

import json
import re
import subprocess
from typing import Any

from benches.rows import ROOT, Row

__all__ = ["core", "door", "worlds"]

_SPREAD = re.compile(r"^ *(.*?) +([\d.]+) +/ +([\d.]+) +/ +([\d.]+) (.*) \(min / median / max of (\d+)\)$")


def _cargo(crate: str, *arguments: str) -> str:
    command = ["cargo", "bench", "--locked", "-q", "-p", crate, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()[-2000:]}")
    return done.stdout


def worlds(*arguments: str) -> list[dict[str, Any]]:
    """What the core's bench says of each of its rows."""
    said = _cargo("csroute-engine", "--bench", "core", "--", "--json", *arguments)
    return [json.loads(line) for line in said.splitlines() if line.startswith("{")]


def core(*, short: bool) -> list[Row]:
    """Whole lifecycles of the engine alone, against a bare matcher."""
    rows = []
    for world in worlds(*(["--test"] if short else [])):
        latencies = {name: world[name] for name in ("p50_us", "p99_us", "p999_us")}
        rows.append(
            Row(
                f"core, {world['row']}",
                "M lifecycles/s",
                world["rates"],
                "a bare matcher, same round",
                world["ratios"],
                f'cargo bench -p csroute-engine --bench core -- "{world["row"]}"',
                "one thread, its own CPU time; no wire, node or journal",
                {"one_decision": latencies},
            )
        )
    return rows


def door(*, short: bool) -> list[Row]:
    """Unary calls, one-ticket streams, batches and overload at the native door."""
    said = _cargo("csroute-door", "--bench", "door", "--", *(["--test"] if short else []))
    found: dict[str, tuple[str, list[float], int]] = {}
    heading = ""
    for line in said.splitlines():
        if line.startswith("open loop at"):
            heading = line + ": "
        if spread := _SPREAD.match(line):
            name = (heading if line.startswith(" ") else "") + str(spread[1])
            found[name] = (str(spread[5]), [float(spread[at]) for at in (2, 3, 4)], int(spread[6]))
    command = "cargo bench -p csroute-door --bench door"
    rows = []
    shares = [value / 100 for value in found["Route of echo"][1]]
    echo = found["unary echo"][1][1]
    for name, (unit, figures, rounds) in found.items():
        if name == "unary Route":
            against, ratios = "an echo at the same door, same round", shares
        elif name == "one-ticket stream":
            against, ratios = "the unary echo of this run", [figure / echo for figure in figures]
        elif "goodput" in name:
            against, ratios = "the closed loop's peak, same round", [figure / 100 for figure in figures]
        elif name.startswith("lifecycles"):
            against, ratios = (
                "unary Route of this run",
                [1000 * value / 60 / found["unary Route"][1][1] for value in figures],
            )
        else:
            continue
        note = f"in memory; min, median, max of {rounds} rounds; client on the same cores"
        rows.append(Row(f"native door: {name}", unit, figures, against, ratios, command, note))
    return rows
