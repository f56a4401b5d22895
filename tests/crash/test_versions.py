"""kill -9: what was answered of policies is there, and what was to end by itself ends."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

from csroute.client import AsyncClient
from csroute.policy import load
from csroute.types import ShiftHeadStart, VersionCause
from tests.crash.rig import POLICY, ServerProcess

if TYPE_CHECKING:
    from pathlib import Path


async def test_versions_and_an_override_outlive_the_process(tmp_path: Path) -> None:
    layer = load(POLICY).layers[0].__name__
    async with ServerProcess(tmp_path) as server, AsyncClient(f"127.0.0.1:{server.port}") as client:
        await server.start()
        first = await client.versions()
        tables = (await client.version()).policy
        begun = await client.override([ShiftHeadStart(layer, 60_000)], duration_ms=4000, why="for a while")
        await client.override([ShiftHeadStart(layer, 90_000)], duration_ms=3_600_000, why="all night")
        kept = await client.versions()
        await server.end(signal.SIGKILL)
        await server.start()
        page = await client.versions()
        assert page.versions[-3:] == kept.versions[-3:]
        while page.versions[0].cause is not VersionCause.OVERRIDE_OVER:
            await asyncio.sleep(0.1)
            page = await client.versions()
        assert begun.version is not None
        assert (page.versions[0].of, [each.why for each in page.overrides]) == (begun.version.number, ["all night"])
        await server.end(signal.SIGKILL)
        await server.start()
        undone = await client.override(undo=page.overrides[0].number)
        assert undone.version is not None
        assert (await client.version()).policy == tables
        assert undone.version.hash == first.versions[0].hash
