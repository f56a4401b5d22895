"""A data folder that a real server wrote: two agents, a supervisor, an operator, tickets with a history, a snapshot."""

from __future__ import annotations

import asyncio
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from csroute.v1 import admin_pb2, agent_pb2, ticket_pb2
from tests.server.rig import new_ticket, running

WITHIN_S = 30.0


async def _write(folder: Path) -> int:
    async with running(data_dir=str(folder), segment_bytes=65_536, disk_reserve_bytes=0) as rig:
        await rig.staff("anna", "ben")
        desk = [("csroute-caller", "desk-app")]
        for ticket, kind in (("t0", "bill"), ("t1", "bill"), ("t2", "rare")):
            await rig.route(ticket, kind=kind, source="shop")
        first = await rig.routing.GetTicket(ticket_pb2.GetTicketRequest(id="t0"))
        await rig.agents.Decline(
            agent_pb2.DeclineRequest(ticket="t0", attempt=first.attempt, reason="at lunch"), metadata=desk
        )
        again = await rig.routing.GetTicket(ticket_pb2.GetTicketRequest(id="t0"))
        await rig.agents.Accept(agent_pb2.AcceptRequest(ticket="t0", attempt=again.attempt), metadata=desk)
        await asyncio.sleep(0.02)
        between_us = time.time_ns() // 1000
        await asyncio.sleep(0.02)
        await rig.agents.Complete(
            agent_pb2.CompleteRequest(ticket="t0", attempt=again.attempt, outcome="solved"), metadata=desk
        )
        await _snapshot(rig.server, folder)
        boss = [("csroute-caller", "boss")]
        await rig.admin.Assign(admin_pb2.AssignRequest(ticket="t2", agent="anna"), metadata=boss)
        await rig.routing.RouteBatch(
            ticket_pb2.RouteBatchRequest(tickets=[new_ticket(f"b{number}", source="shop") for number in range(500)])
        )
        await rig.admin.Drain(admin_pb2.DrainRequest(on=True), metadata=[("csroute-caller", "ops")])
        return between_us


async def _snapshot(server: Any, folder: Path) -> None:
    server.snapshot()
    await asyncio.to_thread(_appears, folder)


def _appears(folder: Path) -> None:
    began = time.monotonic()
    while not list(folder.glob("*.snapshot")):
        assert time.monotonic() - began < WITHIN_S, "no snapshot was made"
        time.sleep(0.01)


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """The folder, and a time (Unix µs) when t0 was being worked on."""
    folder = tmp_path_factory.mktemp("written") / "data"
    return folder, asyncio.run(_write(folder))


@pytest.fixture
def between_us(written: tuple[Path, int]) -> int:
    return written[1]


@pytest.fixture
def data(written: tuple[Path, int], tmp_path: Path) -> Path:
    """A copy, to do with as one likes."""
    return Path(shutil.copytree(written[0], tmp_path / "data"))
