"""A real `csroute serve` process on a data folder, which a test starts, kills and starts again."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["POLICY", "ServerProcess", "free_port"]

POLICY = Path(__file__).parent / "floor.py"
_WITHIN_S = 30.0


def free_port() -> int:
    """A port that is free now: the server gets the same one each time, so that its clients find it again."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class ServerProcess:
    """One process at a time on one folder and one port.

    Args:
        folder: the data folder.
        settings: further settings, by their environment names without the prefix.
    """

    def __init__(self, folder: Path, **settings: object) -> None:
        self.port = free_port()
        self._environ = {
            **{key: value for key, value in os.environ.items() if not key.startswith("CSROUTE_")},
            "CSROUTE_DATA_DIR": str(folder),
            "CSROUTE_LISTEN": f"127.0.0.1:{self.port}",
            "CSROUTE_NATIVE_LISTEN": "off",
            "CSROUTE_METRICS_LISTEN": "off",
            "CSROUTE_POLICY": str(POLICY),
            "CSROUTE_DISK_RESERVE_BYTES": "1048576",
            "CSROUTE_SEGMENT_BYTES": "65536",
            "CSROUTE_SNAPSHOT_EVERY_S": "0",
            **{f"CSROUTE_{name.upper()}": str(value) for name, value in settings.items()},
        }
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self.lines: list[dict[str, Any]] = []
        """What this life has logged so far."""
        self.rest = ""
        """What it said that is no JSON."""

    @property
    def process(self) -> asyncio.subprocess.Process:
        """The process under way."""
        assert self._process is not None, "it was not started"
        return self._process

    async def start(self, *, until: str = "listening") -> dict[str, Any]:
        """Starts it and waits for this event of its log: the line."""
        self.lines, self.rest = [], ""
        command = (sys.executable, "-m", "csroute.cli", "serve")
        self._process = await asyncio.create_subprocess_exec(
            *command, env=self._environ, stderr=asyncio.subprocess.PIPE, stdin=asyncio.subprocess.DEVNULL
        )
        self._reading = asyncio.create_task(self._read())
        return await self.logged(until)

    async def logged(self, event: str, within_s: float = _WITHIN_S) -> dict[str, Any]:
        """Waits for an event of the log: its line."""
        until = time.monotonic() + within_s
        while True:
            for line in self.lines:
                if line["event"] == event:
                    return line
            ended = self.process.returncode is not None and self._reading is not None and self._reading.done()
            if ended or time.monotonic() > until:
                what = f"it ended ({self.process.returncode})" if ended else f"{within_s} s passed"
                raise AssertionError(f"{what} without {event}: {self.lines} {self.rest}")
            await asyncio.sleep(0.005)

    async def end(self, number: int) -> int:
        """Sends a signal and waits for the end: the exit code."""
        if self.process.returncode is None:
            self.process.send_signal(number)
        return await self.ended()

    async def ended(self, within_s: float = _WITHIN_S) -> int:
        """Waits for its end: the exit code."""
        async with asyncio.timeout(within_s):
            code = await self.process.wait()
        if self._reading is not None:
            await self._reading
        return code

    async def __aenter__(self) -> ServerProcess:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self.ended()

    async def _read(self) -> None:
        stream = self.process.stderr
        assert stream is not None
        while line := await stream.readline():
            try:
                self.lines.append(json.loads(line))
            except ValueError:
                self.rest += line.decode(errors="replace")
