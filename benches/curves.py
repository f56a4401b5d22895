"""What a lifecycle costs as one thing grows and the others stay: agents, profiles, classes, tickets that wait.

    python -m benches.curves [--quick] [agents profiles classes waiting]

Prints, and writes target/bench/curves.json and .svg; what is not asked for stays there as it was measured last.

Each point is the core's bench with a world of its own (`-- --world`). 10,000 agents, 300 profiles, 1,000 classes each
served by 15 % of the profiles (10,000 classes by 2 %: an agent has at most 256 skills), 100,000 waiting, unless they
are what grows; with as many profiles as agents every agent is unique.

What may grow faster than a logarithm are two small scans: a freed agent looks at the heads of the busy lines that its
profile serves (classes), a newcomer at the first agents of the profiles that serve it (profiles), a few ns each.
"""

from __future__ import annotations

import json
import math
import statistics
import sys
from typing import Any, Final

from benches.by_cargo import worlds
from benches.peers.measure import FOLDER
from csroute.load.picture import svg

__all__ = ["CURVES", "main"]

_BASE: Final = {"agents": 10_000, "profiles": 300, "classes": 1_000, "waiting": 100_000}
CURVES: Final = {
    "agents": (1_000, 3_000, 10_000, 30_000, 100_000),
    "profiles": (10, 100, 1_000, 10_000),
    "classes": (10, 100, 1_000, 10_000),
    "waiting": (1_000, 10_000, 100_000, 1_000_000, 4_000_000),
}
_QUICK: Final = 2


def points(name: str, *, quick: bool) -> list[dict[str, Any]]:
    """A curve: the value, and µs of CPU a lifecycle (min, median, max of the rounds)."""
    values = CURVES[name][:_QUICK] if quick else CURVES[name]
    arguments = ["--rounds", "3", "--each", "3000" if quick else "100000"]
    for value in values:
        world = {**_BASE, **({"agents": 1_000, "waiting": 5_000} if quick else {}), name: value}
        # One cannot have more profiles than agents.
        world["profiles"] = min(world["profiles"], world["agents"])
        arguments += ["--world", ",".join(str(world[key]) for key in _BASE)]
    found = []
    for value, said in zip(values, worlds(*arguments), strict=True):
        costs = sorted(1 / rate for rate in said["rates"])
        point = {"value": value, "us": [costs[0], statistics.median(costs), costs[-1]], "p99_us": said["p99_us"]}
        found.append({**point, "of_bare": statistics.median(said["ratios"])})
        print(
            f"{name:>9} {value:>10,}: {point['us'][1]:6.2f} µs a lifecycle, p99 of one decision {said['p99_us']:.1f} µs"
        )
    return found


def growth(curve: list[dict[str, Any]]) -> float:
    """How many times dearer tenfold is, on the average of the curve.

    >>> growth([{"value": 1, "us": [1, 1, 1]}, {"value": 100, "us": [4, 4, 4]}])
    2.0
    """
    first, last = curve[0], curve[-1]
    decades = math.log10(last["value"] / first["value"])
    return float((last["us"][1] / first["us"][1]) ** (1 / decades))


def main(wanted: list[str], *, quick: bool) -> None:
    """Measures, prints, writes."""
    file = FOLDER / "curves.json"
    curves = json.loads(file.read_text()) if wanted and file.exists() else {}
    curves |= {name: points(name, quick=quick) for name in wanted or CURVES}
    for name, curve in curves.items():
        print(f"{name}: tenfold costs {growth(curve):.2f} times as much")
    FOLDER.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(curves, indent=1) + "\n")

    def draw(axes: Any) -> None:
        for name, curve in curves.items():
            axes.plot([one["value"] for one in curve], [one["us"][1] for one in curve], marker="o", label=name)
            lows, highs = ([one["us"][place] for one in curve] for place in (0, 2))
            axes.fill_between([one["value"] for one in curve], lows, highs, alpha=0.15)
        axes.set(xscale="log", xlabel="how many", ylabel="µs of CPU a lifecycle", ylim=(0, None))
        axes.grid(visible=True, alpha=0.3)
        axes.legend()

    (FOLDER / "curves.svg").write_text(svg(draw, size=(9, 4.5)), encoding="utf-8")


if __name__ == "__main__":
    main([one for one in sys.argv[1:] if not one.startswith("--")], quick="--quick" in sys.argv)
