"""A long run: a million tickets wait, a million a minute come, as many are completed; nothing may grow.

    python -m benches.soak [seconds] [waiting]    # 600, 1,000,000; writes target/bench/soak.html and .json

Agents keep a ticket for so long that they can do exactly what comes: the line stays as long as it is, and whoever is
free chooses among all of it. Ended tickets are remembered for 20 s, so that what is remembered stands still soon. In
memory: what a journal adds is `kit.py`'s. Prints the memory, and the p99 of Route, in the first third and the last;
exit code 1: one of them grew.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
from typing import Any, Final

from benches.kit import OPEN_PER_MIN, run, serving
from benches.peers.measure import FOLDER
from benches.peers.reduced import World
from csroute.load import Options
from csroute.load.picture import page
from csroute.load.report import lines

__all__ = ["grew", "main"]

MEMORY_GROWTH_MAX: Final = 1.05
TAIL_GROWTH_MAX: Final = 1.5
_FILL_PER_MIN: Final = 6_000_000
_WORLD: Final = World(agents=2_000, places=5, closed_keep_ms=20_000)  # more would not fit into one session's opening


def grew(series: list[dict[str, Any]]) -> dict[str, tuple[float, float]]:
    """(first third, last third): the server's memory in MB, and the median of Route's p99 in ms.

    >>> looks = [{"seconds": n, "rss_bytes": 1e6 * (n + 1), "call": {"p99_us": 1000.0}} for n in range(9)]
    >>> grew(looks)
    {'memory, MB': (2.0, 8.0), 'p99, ms': (1.0, 1.0)}
    """
    measured = [look for look in series if look["seconds"] >= 0]
    third = len(measured) // 3
    parts = measured[:third], measured[-third:]
    memory = [statistics.median(look["rss_bytes"] / 1e6 for look in part) for part in parts]
    tail = [statistics.median(look["call"]["p99_us"] / 1000 for look in part) for part in parts]
    return {"memory, MB": (memory[0], memory[1]), "p99, ms": (tail[0], tail[1])}


async def _play(seconds: float, waiting: int) -> dict[str, Any]:
    hold_ms = round(_WORLD.agents * _WORLD.places / (OPEN_PER_MIN / 60) * 1000)
    async with serving(_WORLD) as served:
        fill = Options(served.native, how="batch", loop="constant", rate_per_min=_FILL_PER_MIN, desks="none",
                       seconds=waiting / _FILL_PER_MIN * 60, warm_up_s=0)  # fmt: skip
        await run(fill, _WORLD)
        options = Options(served.native, loop="poisson", rate_per_min=OPEN_PER_MIN, hold_ms=hold_ms, seconds=seconds,
                          warm_up_s=10, settle_s=1, server_pid=served.pid)  # fmt: skip
        return await run(options, _WORLD)


def main() -> int:
    seconds, waiting = ([float(one) for one in sys.argv[1:]] + [600.0, 1_000_000.0][len(sys.argv) - 1 :])[:2]
    report = asyncio.run(_play(seconds, int(waiting)))
    FOLDER.mkdir(parents=True, exist_ok=True)
    said = [*lines(report), f"waiting: {report['waiting']}"]
    found = grew(report["series"])
    said += [f"{what}: first third {first:,.1f}, last third {last:,.1f}" for what, (first, last) in found.items()]
    print(*said, *report["invalid"], sep="\n")
    (FOLDER / "soak.html").write_text(page(report, said), encoding="utf-8")
    (FOLDER / "soak.json").write_text(json.dumps(report) + "\n", encoding="utf-8")
    (memory, memory_last), (tail, tail_last) = found.values()
    return int(memory_last > memory * MEMORY_GROWTH_MAX or tail_last > tail * TAIL_GROWTH_MAX)


if __name__ == "__main__":
    sys.exit(main())
