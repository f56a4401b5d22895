"""The demo's processes, seen from the demo: one server, and the client processes that play against it.

They run in sessions of their own, so that Ctrl-C reaches the demo alone, which then ends each by its own id:
a child by closing its stdin, the server by SIGTERM (it drains), both by force if they are deaf.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from typing import TYPE_CHECKING, Any, Final

from csroute.demo.child import LINE_BYTES_MAX

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

__all__ = ["Child", "Crew", "CrewError"]

_PATIENCE_S: Final = 5.0
_STDERR_LINES_MAX: Final = 40


class CrewError(RuntimeError):
    """A process of the demo failed; the message says which, and what it said last."""


class Child:
    """One client process: orders in, reports out."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self.name = name
        self.pid = process.pid
        self.latest: dict[str, Any] = {}
        """The newest report of progress."""
        self._process = process
        self._reports: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue(maxsize=1024)
        self._said: list[str] = []
        self._readers = [asyncio.create_task(self._read()), asyncio.create_task(self._listen())]

    def order(self, kind: str, **settings: object) -> None:
        """Sends an order."""
        if self._process.stdin is not None and not self._process.stdin.is_closing():
            self._process.stdin.write(json.dumps({"kind": kind, **settings}).encode() + b"\n")

    async def report(self, kind: str, *, timeout_s: float = 60) -> dict[str, Any]:
        """The next report, which must be of this kind. Raises CrewError if the process ends or stays silent."""
        try:
            report = await asyncio.wait_for(self._reports.get(), timeout_s)
        except TimeoutError:
            raise CrewError(f"{self.name} (process {self.pid}) said nothing for {timeout_s:.0f} s") from None
        if report is None or report["kind"] != kind:
            await asyncio.sleep(0.1)  # what it says last may still be on its way
            ended = f"ended with code {self._process.returncode}"
            what = ended if report is None else f"said {report['kind']!r}, not {kind!r}"
            last = " | ".join(self._said[-5:]) or "no complaint"
            raise CrewError(f"{self.name} (process {self.pid}) {what}: {last}")
        return report

    async def end(self) -> None:
        """Ends it: politely, then by force."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        await _ended(self._process)
        for reader in self._readers:
            reader.cancel()

    async def _read(self) -> None:
        assert self._process.stdout is not None  # noqa: S101 (opened as a pipe)
        while line := await self._process.stdout.readline():
            report = json.loads(line)
            if report["kind"] == "progress":
                self.latest = report
            else:
                await self._reports.put(report)
        await self._reports.put(None)

    async def _listen(self) -> None:
        assert self._process.stderr is not None  # noqa: S101 (opened as a pipe)
        while line := await self._process.stderr.readline():
            self._said = [*self._said[-_STDERR_LINES_MAX:], line.decode(errors="replace").rstrip()]


class Crew:
    """All processes of one half; leaving it ends each of them."""

    def __init__(self) -> None:
        self._children: list[Child] = []
        self._servers: list[asyncio.subprocess.Process] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.gather(*(child.end() for child in self._children))
        for server in self._servers:
            if server.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    server.terminate()
        await asyncio.gather(*(_ended(server) for server in self._servers))

    async def hire(self, name: str, role: str, **settings: object) -> Child:
        """Starts a client process in this role."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "csroute.demo.child",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
            limit=LINE_BYTES_MAX,
        )
        child = Child(name, process)
        self._children.append(child)
        child.order("begin", role=role, **settings)
        return child

    async def serve(self, *arguments: str, ready: Callable[[str], str | None]) -> tuple[str, int]:
        """Starts `csroute serve` and waits until a line it logs is the one that `ready` reads: (that, process id)."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "csroute.cli",
            "serve",
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
            env={name: value for name, value in os.environ.items() if not name.startswith("CSROUTE_")},  # its defaults
        )
        self._servers.append(process)
        assert process.stdout is not None  # noqa: S101 (opened as a pipe)
        said: list[str] = []
        while line := await asyncio.wait_for(process.stdout.readline(), 30):
            said = [*said[-_STDERR_LINES_MAX:], line.decode(errors="replace").rstrip()]
            if (found := ready(said[-1])) is not None:
                self._drain = asyncio.create_task(_drain(process.stdout))
                return found, process.pid
        raise CrewError("the server did not start: " + (" | ".join(said[-5:]) or "it said nothing"))


async def _drain(stream: asyncio.StreamReader) -> None:
    """Reads a stream to its end: nobody must wait because nobody reads."""
    while await stream.read(65536):
        pass


async def _ended(process: asyncio.subprocess.Process) -> None:
    """Waits for a process that was asked to end; then makes it."""
    try:
        await asyncio.wait_for(process.wait(), _PATIENCE_S)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
