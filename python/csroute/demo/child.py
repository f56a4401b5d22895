"""A client process of the demo, seen from inside: orders come in on stdin, reports go out on stdout, a JSON line each.

    python -m csroute.demo.child        # then one line: {"role": "throughput.gateway", …}

A role is a coroutine that is given its settings and the link to the demo. When the demo is gone (stdin ends), so is
the child: nothing is left behind, and nobody has to be killed.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
import zlib
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

__all__ = ["Link", "main", "pack", "unpack"]

LINE_BYTES_MAX: Final = 64 * 1024 * 1024
_PROGRESS_S: Final = 0.25
ROLES: Final = {
    "throughput.gateway": ("csroute.demo.throughput", "gateway"),
    "throughput.desktop": ("csroute.demo.throughput", "desktop"),
    "night.gateway": ("csroute.demo.night", "gateway"),
    "night.desktop": ("csroute.demo.night", "desktop"),
    "load.client": ("csroute.load.child", "client"),
}


class Link:
    """The way to the demo and back."""

    def __init__(self, orders: asyncio.StreamReader) -> None:
        self._orders = orders

    def tell(self, kind: str, **figures: object) -> None:
        """Reports; the demo reads as fast as we write."""
        sys.stdout.write(json.dumps({"kind": kind, **figures}) + "\n")
        sys.stdout.flush()

    async def keep_telling(self, figures: Callable[[], dict[str, Any]]) -> None:
        """Reports progress, four times a second, until cancelled."""
        while True:
            await asyncio.sleep(_PROGRESS_S)
            self.tell("progress", **figures())

    async def order(self) -> dict[str, Any]:
        """The next order. Raises EOFError when the demo is gone."""
        line = await self._orders.readline()
        if not line:
            raise EOFError
        found: dict[str, Any] = json.loads(line)
        return found

    async def wait_for(self, kind: str) -> dict[str, Any]:
        """The next order, which must be of this kind."""
        order = await self.order()
        if order["kind"] != kind:
            raise ValueError(f"expected the order {kind!r}, got {order['kind']!r}")
        return order


def pack(marks: bytes | bytearray) -> str:
    """Bytes (a ledger: one a ticket) as a short text."""
    return base64.b64encode(zlib.compress(bytes(marks), level=1)).decode()


def unpack(text: str) -> bytearray:
    """The bytes that `pack` was given."""
    return bytearray(zlib.decompress(base64.b64decode(text)))


async def _play() -> None:
    """Reads the settings, plays the role."""
    reader = asyncio.StreamReader(limit=LINE_BYTES_MAX)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    link = Link(reader)
    settings = await link.order()
    module, name = ROLES[settings["role"]]
    role: Callable[[dict[str, Any], Link], Coroutine[object, object, None]] = getattr(import_module(module), name)
    await role(settings, link)


def main() -> None:
    """Plays one role until it is over or the demo is gone."""
    try:
        asyncio.run(_play())
    except (EOFError, BrokenPipeError):
        sys.exit(0)


if __name__ == "__main__":
    main()
