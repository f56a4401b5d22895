"""A server for each test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.server.rig import Rig, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with running() as rig:
        yield rig
