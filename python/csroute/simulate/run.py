"""Runs: a policy, a workload and a roster in, a `Result` out.

>>> from csroute import simulate
>>> result = simulate.run(*simulate.queue(arrivals_per_s=0.05, handle_s=60.0, agents=4, hours=10.0), seed=1)
>>> len(result.rows) == result.summary()["tickets"].mean
True
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from csroute import _csroute
from csroute.errors import ConfigError, rejection
from csroute.router import PolicySource, policy_bytes
from csroute.simulate.arrays import ROW, Floats, Records
from csroute.simulate.result import Replication, Result
from csroute.simulate.scene import Scene
from csroute.simulate.setup import INTERVAL_S, forgetful, setup_json
from csroute.simulate.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Iterator

    from csroute.simulate.roster import Roster
    from csroute.simulate.workload import Workload

__all__ = ["Progress", "run"]

ROWS_MAX = 20_000_000
"""Rows kept, unless told otherwise: 72 bytes each. Figures do not need them."""
BATCHES = 20
_SLICE_S = 300.0
_DRAIN_S = 6 * 3600.0


class Progress(Protocol):
    """Called now and then: how much of all is done (0..1), and how many tickets have come."""

    def __call__(self, share: float, tickets: int, /) -> None:
        """So much is done."""


def run(
    policy: PolicySource,
    workload: Workload,
    roster: Roster,
    *,
    seed: int = 1,
    replications: int = 1,
    warmup_s: float = 0.0,
    confidence: float = 0.95,
    keep_rows: bool | None = None,
    label: str = "",
    progress: Progress | None = None,
) -> Result:
    """Simulates `workload.length_s`, then until nobody is left or six hours more, as often as told.

    The same seed gives the same rows, byte for byte, and the n-th ticket is the same under every policy. What arrives
    before `warmup_s` is played and not counted. Intervals: over replications; a single run of a flat workload is cut
    into 20 batches; a single day has none. keep_rows: None keeps up to 20 million. label: what the report
    calls the policy, in place of its name.

    Raises ConfigError for what makes no sense, PolicyError for a wrong policy, RejectedError where the policy refuses a
    ticket of this workload.
    """
    if replications < 1 or not 0.0 <= warmup_s < workload.length_s or not 0.0 < confidence < 1.0:
        raise ConfigError(
            f"replications {replications}, warmup_s {warmup_s}, confidence {confidence}: at least 1; from 0 to less "
            f"than the workload's {workload.length_s} s; between 0 and 1"
        )
    compiled = policy_bytes(policy)
    scene = Scene.of(compiled, workload, roster, label)
    keep = workload.expected * replications <= ROWS_MAX if keep_rows is None else keep_rows
    batched = replications == 1 and workload.flat
    done = []
    for number in range(replications):

        def report(share: float, tickets: int, number: int = number) -> None:
            if progress is not None:
                progress((number + share) / replications, tickets)

        own_seed = int(np.random.SeedSequence([seed, number]).generate_state(1, np.uint64)[0])
        batches = BATCHES if batched else 1
        done.append(
            _play(
                forgetful(compiled),
                scene,
                own_seed,
                warmup_s=warmup_s,
                batches=batches,
                keep=keep,
                progress=report,
            )
        )
    return Result(scene, done, seed, warmup_s, confidence)


@dataclass
class _Collector:
    """Rows as they end, into tallies by batch, and kept if asked."""

    scene: Scene
    warmup_s: float
    batches: int
    keep: bool
    tallies: list[Tally] = field(init=False)
    kept: list[Records] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.tallies = [Tally(self.scene) for _ in range(self.batches)]

    def take(self, data: bytes, queue_names: list[str]) -> None:
        rows = np.frombuffer(data, ROW)
        if self.keep and len(rows):
            self.kept.append(rows)
        rows = rows[rows["arrival_us"] >= self.warmup_s * 1e6]
        if not len(rows):
            return
        if self.batches == 1:
            self.tallies[0].add(rows, queue_names)
            return
        length_us = (self.scene.workload.length_s - self.warmup_s) * 1e6
        batch = ((rows["arrival_us"] - self.warmup_s * 1e6) * self.batches / length_us).astype(np.int64)
        for number in np.unique(batch):
            self.tallies[min(number, self.batches - 1)].add(rows[batch == number], queue_names)


def _play(
    policy: bytes,
    scene: Scene,
    seed: int,
    *,
    warmup_s: float,
    batches: int,
    keep: bool,
    progress: Callable[[float, int], None],
) -> Replication:
    workload = scene.workload
    started = time.perf_counter()
    with _said():
        core = _csroute.Simulation(policy, setup_json(workload, scene.roster, seed=seed, end_s=workload.length_s))
        collector = _Collector(scene, warmup_s, batches, keep)
        tickets = 0
        playing = time.perf_counter()
        for until_s, block in _slices(workload, seed):
            if block is not None:
                core.feed(block.tobytes())
                tickets += len(block)
            if until_s is not None:
                core.run(round(until_s * 1e6))
                collector.take(core.take(), core.queue_names())
                progress(min(1.0, until_s / workload.length_s), tickets)
        until_s = workload.length_s
        while core.under_way() != (0, 0) and until_s < workload.length_s + _DRAIN_S:
            until_s += _SLICE_S
            core.run(round(until_s * 1e6))
            collector.take(core.take(), core.queue_names())
        collector.take(core.finish(), core.queue_names())
        seconds = time.perf_counter() - playing
        kinds, data = core.seconds()
    hours: Floats = np.frombuffer(data, np.float64).reshape(kinds, len(scene.groups), -1)
    rows = np.concatenate(collector.kept) if collector.kept else np.empty(0, ROW)
    return Replication(
        seed=seed,
        tickets=tickets,
        seconds=seconds,
        setup_seconds=playing - started,
        tallies=collector.tallies,
        hours_s=hours[:, :, int(warmup_s // INTERVAL_S) :],
        rows=rows[np.lexsort((rows["contact"], rows["ticket"]))] if len(rows) else rows,
        queue_names=core.queue_names(),
        class_paths=core.class_paths(),
    )


def _slices(workload: Workload, seed: int) -> Iterator[tuple[float | None, Records | None]]:
    """Blocks of arrivals, each followed by the time up to which all arrivals are known: memory stays bounded."""
    for block in workload.blocks(seed):
        if len(block):
            yield float(block["at_us"][-1] - 1) / 1e6, block
    yield workload.length_s, None


class _said:  # noqa: N801 (used as a word)
    """What the core refuses becomes csroute's own errors."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:  # noqa: ANN401
        if isinstance(error, _csroute.Rejected):
            raise rejection(error.status) from None
        if isinstance(error, ValueError):
            raise ConfigError(f"this cannot be simulated: {error}") from None
