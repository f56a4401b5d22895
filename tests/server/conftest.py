"""A server for each test, through each of its doors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.server.rig import Rig, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture(params=["python", "native"])
def door(request: pytest.FixtureRequest) -> str:
    """What holds at one door holds at the other."""
    return str(request.param)


@pytest.fixture
async def rig(door: str) -> AsyncIterator[Rig]:
    async with running(door) as rig:
        yield rig
