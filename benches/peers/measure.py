"""csroute and its peers at the same work, a round each in turn; every match is compared with the model's.

Ratios are of lifecycles a second of a core: of csroute's one thread, and of the peer's server, its client left out.
By the wall, on a machine that others use, whoever has more processes gets more of it; those rates are in bench.json.

python -m benches.peers.measure [--quick]
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benches.peers.by_csroute import Csroute
from benches.peers.by_postgres import Postgres
from benches.peers.by_redis import Redis, all_requests
from benches.peers.reduced import Block, Model, World, workload
from benches.peers.servers import REDIS_DURABLE, REDIS_IN_MEMORY, cpu_s, postgres, redis
from benches.rows import ROOT, Row, show

__all__ = ["BATCH", "FOLDER", "IN_FLIGHT", "matching", "redis_durable"]

BATCH, IN_FLIGHT = 256, 16
FOLDER = ROOT / "target" / "bench"
COMMAND = "python -m benches.peers.measure"
Round = Callable[[list[Block]], tuple[float, float, list[tuple[int, int]]]]
"""Does these blocks: the seconds it took, those with a core, and who got what. The clock starts after preparing."""


def _timed(
    prepare: Callable[[list[Block]], Any],
    run: Callable[[Any], Any],
    matches: Callable[[Any], Any],
    core_s: Callable[[], float] = time.thread_time,
) -> Round:
    def round_of(blocks: list[Block]) -> tuple[float, float, list[tuple[int, int]]]:
        ready = prepare(blocks)
        began, used = time.perf_counter(), core_s()
        done = run(ready)
        took, used = time.perf_counter() - began, core_s() - used
        return took, used, matches(done)

    return round_of


def _csroute(world: World) -> Round:
    core = Csroute(world)
    return _timed(core.requests, core.run, lambda _: core.matches())


def _heapq(world: World) -> Round:
    model = Model(world)

    def run(blocks: list[Block]) -> list[tuple[int, int]]:
        found = []
        for block in blocks:
            for item in block.items:
                if block.kind == "submit":
                    match = item.ticket, model.submit(item)
                else:
                    match = model.complete(item.ticket, block.now_us)
                if min(match) >= 0:
                    found.append(match)
        return found

    return _timed(list, run, list)


def _redis(server: tuple[Path, int], world: World, size: int, in_flight: int) -> Round:
    path, pid = server
    peer = Redis(path, world)

    def run(sent: list[bytes]) -> list[tuple[int, int]]:
        return peer.run(sent, in_flight)

    return _timed(lambda blocks: all_requests(peer, blocks, size), run, list, lambda: cpu_s(pid))


def _postgres(psql: Any, world: World) -> Round:
    peer = Postgres(psql, world)

    def prepare(blocks: list[Block]) -> Path:
        return peer.prepare(blocks, psql.folder / "round.sql")

    return _timed(prepare, peer.run, list, lambda: cpu_s(psql.pid))


def _lifecycles(blocks: list[Block]) -> int:
    return sum(len(block.items) for block in blocks if block.kind == "complete")


def _rounds(
    peers: dict[str, Round], blocks: list[Block], rounds: int, each: int
) -> dict[str, list[tuple[float, float]]]:
    """Lifecycles a second, and a second of a core, of each peer, round by round; the blocks before are set-up.

    Raises RuntimeError if a match is another than the model's.
    """
    measured = rounds * each
    rates: dict[str, list[tuple[float, float]]] = {name: [] for name in peers}
    chunks = [blocks[:-measured]] + [blocks[at : at + each] for at in range(len(blocks) - measured, len(blocks), each)]
    for number, chunk in enumerate(chunks):
        expected = [match for block in chunk for match in block.matches]
        for name, peer in peers.items():
            took, used, found = peer(chunk)
            if found != expected:
                raise RuntimeError(f"{name} matched otherwise in round {number}")
            if number:
                rates[name].append((_lifecycles(chunk) / took, _lifecycles(chunk) / max(used, 0.01)))
    return rates


def matching(*, short: bool, seed: int) -> list[Row]:
    """Matching in memory: csroute's core against Redis, heapq and (durable as it comes) Postgres."""
    world = World(agents=1_000, profiles=100) if short else World()
    rounds, each = (1, 4) if short else (5, 80)
    rows = []
    for waiting in (0,) if short else (0, 100_000):
        blocks = list(workload(world, waiting=waiting, blocks=(rounds + 1) * each, size=BATCH, seed=seed))
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="csroute-peers-")))
            one = stack.enter_context(redis(folder / "one", *REDIS_IN_MEMORY))
            many = stack.enter_context(redis(folder / "many", *REDIS_IN_MEMORY))
            psql = stack.enter_context(postgres(folder / "postgres"))
            peers = {
                "csroute": _csroute(world),
                "Redis, a command a script call, pipelined": _redis(one, world, 1, BATCH),
                f"Redis, {BATCH} commands a script call": _redis(many, world, BATCH, IN_FLIGHT),
                "heapq, pure Python": _heapq(world),
                f"Postgres, {BATCH} commands a transaction": _postgres(psql, world),
            }
            rates = _rounds(peers, blocks, rounds, each)
        ours = rates.pop("csroute")
        note = "wire bytes in and out, in process, one thread; each match compared with the model's"
        for name, theirs in rates.items():
            rows.append(
                Row(
                    f"the reduced work, {waiting:,} waiting: csroute's core",
                    "lifecycles/s of a core",
                    [of_a_core for _, of_a_core in ours],
                    name,
                    [our / their for (_, our), (_, their) in zip(ours, theirs, strict=True)],
                    COMMAND,
                    note,
                    {"by_the_wall": [wall for wall, _ in ours], "peer": theirs},
                )
            )
    return rows


def redis_durable(world: World, *, rounds: int, each: int, seed: int) -> list[float]:
    """Redis with appendfsync always, the same batch and as many in flight: lifecycles a second."""
    blocks = list(workload(world, waiting=0, blocks=(rounds + 1) * each, size=BATCH, seed=seed))
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=FOLDER) as folder, redis(Path(folder), *REDIS_DURABLE) as server:
        rates = _rounds({"redis": _redis(server, world, BATCH, IN_FLIGHT)}, blocks, rounds, each)["redis"]
    return [wall for wall, _ in rates]


if __name__ == "__main__":
    show(matching(short="--quick" in sys.argv, seed=11))
