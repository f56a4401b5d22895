"""Controllers beside a real server, each in a real process of its own: what they do well, and every way to fail."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from csroute.types import Live
from csroute.v1 import live_pb2, ticket_pb2
from tests.server.rig import Rig, new_ticket, running

if TYPE_CHECKING:
    from collections.abc import Callable

DESK = Path(__file__).parent / "desk.py"
WITHIN_S = 30.0


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not holds():  # noqa: ASYNC110 (counters that tell nobody)
            await asyncio.sleep(0.02)


def controllers_left() -> list[str]:
    """Processes of controllers that this one began and did not end."""
    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    return [child for child in children if b"csroute.controllers" in Path(f"/proc/{child}/cmdline").read_bytes()]


async def route(rig: Rig, id: str, kind: str) -> None:
    await rig.routing.Route(ticket_pb2.RouteRequest(ticket=new_ticket(id, kind)), timeout=5)


async def live(rig: Rig) -> Live:
    return Live.from_wire(await rig.admin.GetLive(live_pb2.GetLiveRequest(), timeout=5))


def figures(rig: Rig) -> dict[str, int]:
    assert rig.server._steersman is not None
    return rig.server._steersman.figures


async def test_a_controller_steers_those_who_wait() -> None:
    async with running("python", policy=str(DESK), controller=f"{DESK}:good") as rig:
        await route(rig, "t1", "pay")
        await until(lambda: figures(rig)["tuned"] >= 2)
        seen = await live(rig)
        assert seen.lines[0].head_start_ms == 30_000
        assert seen.tuned_until_us > seen.now_us
        assert figures(rig)["skipped"] == figures(rig)["lost"] == 0


@pytest.mark.parametrize("bad", ["raises", "not_a_number", "wrong_shape", "out_of_range", "wrong_type"])
async def test_a_bad_answer_costs_its_period_alone(bad: str) -> None:
    async with running("python", policy=str(DESK), controller=f"{DESK}:{bad}") as rig:
        await until(lambda: figures(rig)["skipped"] >= 3)
        await route(rig, "t1", "pay")
        assert (await live(rig)).lines[0].head_start_ms == 0
        assert figures(rig)["tuned"] == figures(rig)["lost"] == 0
        assert figures(rig)["running"] == 1, "the same process goes on"


@pytest.mark.parametrize("bad", ["hangs", "hangs_with_the_gil", "dies"])
async def test_one_that_is_lost_is_killed_and_begun_again_and_routing_goes_on(bad: str) -> None:
    async with running("python", policy=str(DESK), controller=f"{DESK}:{bad}") as rig:
        number = 0
        while figures(rig)["lost"] < 2:
            number += 1
            await route(rig, f"t{number}", "ask")  # each within its deadline
            await asyncio.sleep(0.05)
        assert figures(rig)["tuned"] == 0
    assert not controllers_left()


@pytest.mark.parametrize("named", [f"{DESK}:no_controller", f"{DESK}:missing", "no.such.module:it"])
async def test_one_that_cannot_be_begun_does_not_keep_the_server_from_serving(named: str) -> None:
    async with running("python", policy=str(DESK), controller=named) as rig:
        await until(lambda: figures(rig)["lost"] >= 1)
        await route(rig, "t1", "pay")
