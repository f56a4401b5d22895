"""kill -9 on a real server under load, again and again: nothing acknowledged is lost, nobody is assigned twice.

CRASH_CYCLES=1000 CRASH_SEED=7 pytest tests/crash/test_kill.py -s
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
from typing import TYPE_CHECKING

import pytest

from tests.crash.clients import BATCH, Floor
from tests.crash.rig import ServerProcess

if TYPE_CHECKING:
    from pathlib import Path

CYCLES = int(os.environ.get("CRASH_CYCLES", "6"))
SEED = int(os.environ.get("CRASH_SEED", "0")) or random.randrange(1, 1 << 32)


@pytest.mark.slow
@pytest.mark.timeout(CYCLES * 20 + 120)
async def test_killed_again_and_again(tmp_path: Path) -> None:
    print(f"CRASH_SEED={SEED}, {CYCLES} cycles")
    dice = random.Random(SEED)
    async with ServerProcess(tmp_path) as server:
        await server.start()
        floor = Floor(server.port)
        await floor.open()
        audited = snapshots = cut = 0
        for cycle in range(1, CYCLES + 1):
            await asyncio.sleep(dice.uniform(0.05, 0.6))
            if dice.random() < 0.3:
                server.process.send_signal(signal.SIGUSR1)  # it may be killed in the middle of a snapshot
                await asyncio.sleep(dice.uniform(0, 0.2))
            snapshots += sum(line["event"] == "snapshot" for line in server.lines)
            # Mostly without warning; now and then as an operator stops it.
            number = signal.SIGTERM if dice.random() < 0.05 else signal.SIGKILL
            code = await server.end(number)
            assert code == (0 if number == signal.SIGTERM else -number), (code, server.lines, server.rest)
            await server.start()
            cut += any(line["event"] == "torn_tail_cut" for line in server.lines)
            audited += await floor.audit()
            assert not floor.faults, f"cycle {cycle}: {floor.faults[:10]}"
            if cycle % 50 == 0:
                print(f"{cycle} cycles, {audited:,} tickets audited", flush=True)
        await floor.close()
        audited += await floor.audit()
        floor.check()
        assert audited >= len(floor.routed) >= CYCLES * BATCH, "there was a load"
        assert len(floor.completed) == len(floor.routed)
        assert floor.refused, "somebody noticed"
        await floor.leave()
        assert await server.end(signal.SIGTERM) == 0
        print(
            f"{CYCLES} cycles: {len(floor.routed):,} tickets acknowledged and assigned once, {floor.sequence:,} events "
            f"without a gap, {snapshots} snapshots, {cut} torn tails; not answered: {dict(floor.refused)}"
        )
