"""Beside a running node: copies are consistent whatever is written, closed, snapshotted and pruned meanwhile."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from csroute import _csroute
from csroute.journal import records, replay, story
from csroute.v1 import ticket_pb2
from tests.server.rig import Rig, new_ticket, running

if TYPE_CHECKING:
    from pathlib import Path

BATCH = 100


async def _load(rig: Rig, ended: asyncio.Event) -> int:
    """Routes batches until told to end; every batch is acknowledged. How many tickets."""
    count = 0
    while not ended.is_set():
        tickets = [new_ticket(f"t{number}", source="shop") for number in range(count, count + BATCH)]
        await rig.routing.RouteBatch(ticket_pb2.RouteBatchRequest(tickets=tickets))
        count += BATCH
        if count % (20 * BATCH) == 0:
            rig.server.snapshot()
    return count


async def test_backups_of_a_running_node_are_whole(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with running(data_dir=str(data), segment_bytes=65_536, disk_reserve_bytes=0, snapshots_kept=1) as rig:
        await rig.staff("anna", "ben")
        ended = asyncio.Event()
        load = asyncio.create_task(_load(rig, ended))
        copies = []
        for number in range(6):
            await asyncio.sleep(0.3)
            copies.append(target := tmp_path / f"copy-{number}")
            await asyncio.to_thread(_csroute.journal_backup, data, target, bool(number % 2), None)
        # Looking from outside goes on beside the writer, too.
        seen = await asyncio.to_thread(lambda: sum(1 for _ in records(data)))
        ended.set()
        count = await load
    assert seen > 0
    ends = []
    for copy in copies:
        done = replay(copy)
        assert not done.differs
        assert not done.tail
        ends.append(done.block)
    assert ends == sorted(ends)
    assert ends[0] < ends[-1], "the node went on"
    assert story(data, f"t{count - 1}").now is not None
