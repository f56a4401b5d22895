"""Between the node's thread and asyncio: a call goes in with a token, its answer comes back as a future.

    pump = Pump(node, asyncio.get_running_loop())
    reply = await pump.call(ROUTE, "default", "gateway-1", request, 0)

The node makes one descriptor readable for a whole block of answers, so a busy loop wakes once for many calls. Nothing
here decodes a message, and no call waits inside the node.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Future

    from csroute._csroute import Node

__all__ = ["Pump", "Refused"]


class Refused(Exception):  # noqa: N818 (a refusal is an answer)
    """The node, or the door, said no: gRPC's code and a serialized `google.rpc.Status`."""

    def __init__(self, grpc_code: int, status: bytes) -> None:
        super().__init__(grpc_code, status)
        self.grpc_code = grpc_code
        self.status = status


class Pump:
    """Futures by token. How many there are is bounded by the node: `in_flight_max`, and its parked calls."""

    def __init__(self, node: Node, loop: AbstractEventLoop) -> None:
        self.node = node
        self._loop = loop
        self._waiting: dict[int, Future[bytes]] = {}
        self._tokens = itertools.count(1)
        loop.add_reader(node.fileno(), self.deliver)

    def call(self, method: int, tenant: str, caller: str, request: bytes, deadline_us: int) -> Future[bytes]:
        """Begins a call now, before anything that is called later. Awaited, it gives the reply or raises Refused."""
        token = next(self._tokens)
        future = self._waiting[token] = self._loop.create_future()
        self.node.submit(method, tenant, caller, request, token, deadline_us)
        return future

    def post(self, method: int, tenant: str, caller: str, request: bytes) -> None:
        """Begins a call whose answer nobody waits for."""
        self.node.submit(method, tenant, caller, request, 0, 0)

    def deliver(self) -> None:
        """Hands out all answers there are. A caller that is gone does not get its own."""
        waiting = self._waiting
        for token, grpc_code, payload in self.node.completions():
            future = waiting.pop(token, None)
            if future is None or future.done():
                continue
            if grpc_code:
                future.set_exception(Refused(grpc_code, payload))
            else:
                future.set_result(payload)

    def close(self) -> None:
        """After `node.stop()`: hands out the last answers."""
        self._loop.remove_reader(self.node.fileno())
        self.deliver()
