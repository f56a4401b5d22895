"""The node's life, looked after: how far its recovery is, how its disk stands, and that it has failed.

life = Life(node)
await life.recovered()                     # logs how far it is; raises JournalError
message = await life.watch(on_health)      # returns when the node has failed: why
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

import structlog

from csroute.errors import JournalError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from csroute._csroute import Node

__all__ = ["Life"]

_LOOK_EVERY_S = 0.2
_TELL_EVERY_S = 1.0


class Life:
    """Asks the node where it is, five times a second."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._log = structlog.get_logger("csroute.server")

    def state(self) -> dict[str, Any]:
        """What `Node.state` says."""
        state: dict[str, Any] = json.loads(self._node.state())
        return state

    async def recovered(self) -> None:
        """Waits until the journal is read. Raises JournalError if it cannot be."""
        started = told = time.monotonic()
        while (state := self.state())["stage"] == "recovering":
            if time.monotonic() - told >= _TELL_EVERY_S:
                told = time.monotonic()
                self._log.info("recovering", **_how_far(state))
            await asyncio.sleep(_LOOK_EVERY_S / 20)
        if state["stage"] == "failed":
            raise JournalError(state["message"])
        for why in state["bad_snapshots"]:
            self._log.error("snapshot_damaged", message=why)
        if state["cut"]:
            self._log.warning("torn_tail_cut", message=state["cut"])
        seconds = round(time.monotonic() - started, 3)
        self._log.info("recovered", snapshot=state["snapshot"], seconds=seconds, **_how_far(state))

    async def watch(self, serving: Callable[[bool], Awaitable[None]]) -> str:
        """Says whether the node can serve whenever that changes; returns, with the reason, when it has failed."""
        well = True
        while (state := self.state())["stage"] != "failed":
            if well != (state["space"] != "full"):
                well = not well
                await serving(well)
            await asyncio.sleep(_LOOK_EVERY_S)
        await serving(False)
        message: str = state["message"]
        return message


def _how_far(state: dict[str, Any]) -> dict[str, Any]:
    done, all_of_it = state["bytes"], state["bytes_max"]
    ratio = round(done / all_of_it, 3) if all_of_it else 1.0
    return {"blocks": state["blocks"], "records": state["records"], "bytes": done, "of": all_of_it, "ratio": ratio}
