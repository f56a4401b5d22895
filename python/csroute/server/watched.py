"""Canaries of this server's tenants, watched: one that is behind is stopped, and its waiting tickets go back.

The looks are `csroute.canary`'s; stopping is one journaled command, by the caller "canary". A canary that is fine is
left to people: `csroute policy apply` makes it the policy.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

import structlog

from csroute.canary import Fate, Judge
from csroute.errors import RejectedError
from csroute.types import Canary
from csroute.v1 import canary_pb2

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

__all__ = ["CanaryWatch"]

_EVERY_S: Final = 1.0


class CanaryWatch:
    """Looks at each tenant's canary once a second.

    Args:
        tenants: whose.
        ask: calls the node: the RPC's path, the tenant and the request in, the reply out; a RejectedError is a no.
    """

    def __init__(self, tenants: Iterable[str], ask: Callable[[str, str, bytes], Awaitable[bytes]]) -> None:
        self._judges = {tenant: Judge() for tenant in tenants}
        self._ask = ask
        self._log = structlog.get_logger("csroute.canary")
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Ends."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        while True:
            for tenant, judge in self._judges.items():
                try:
                    await self._look(tenant, judge)
                except RejectedError as no:
                    self._log.warning("canary_not_seen", tenant=tenant, reason=str(no))
            await asyncio.sleep(_EVERY_S)

    async def _look(self, tenant: str, judge: Judge) -> None:
        reply = await self._ask("/csroute.v1.PolicyService/GetCanary", tenant, b"")
        seen = Canary.from_wire(canary_pb2.GetCanaryReply.FromString(reply))
        if not seen.on:
            return
        verdict = judge.judged(seen)
        if verdict.fate is not Fate.BEHIND:
            return
        request = canary_pb2.StopCanaryRequest(reclassify=True)
        await self._ask("/csroute.v1.PolicyService/StopCanary", tenant, request.SerializeToString())
        version = seen.canary.policy_version if seen.canary is not None else 0
        self._log.error("canary_stopped", tenant=tenant, version=f"{version:016x}", reason=str(verdict))
