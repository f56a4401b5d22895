"""A controller beside a server: a process of its own, asked once a period, killed when it does not answer in time.

    csroute serve --controller night.py:surge

What it returns is checked here and becomes one journaled `Tune` command; the server's own process never runs a line of
it. So one that raises, returns nonsense or hangs, in C code with the GIL held too, costs its period and is logged:

- It raises, or answers what is no number, outside of its ranges or of a wrong shape: the period is skipped.
- It does not answer within its period, ends, or says what is no answer: killed, and started again after a while: 1 s,
  doubled each time up to a minute; 1 s again after ten good answers.
- It is silent for three periods: what it tuned lapses, and all is as the policy says.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import structlog

from csroute.errors import CsrouteError, RejectedError
from csroute.tuning import NonsenseError, Ranges, declared, tunings
from csroute.v1 import live_pb2

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["Steersman"]

_START_S: Final = 30.0
"""How long a controller's imports may take."""
_PERIOD_S: Final = (0.1, 60.0)
_PAUSE_S: Final = (1.0, 60.0)
_ANSWER_BYTES_MAX: Final = 1 << 20
_GOOD_ENOUGH: Final = 10
_LAPSE_PERIODS: Final = 3


class _LostError(CsrouteError):
    """The child is of no use any more."""


@dataclass(slots=True)
class _Child:
    process: asyncio.subprocess.Process
    ranges: Ranges
    period_s: float


class Steersman:
    """Keeps a controller running, and routing by what it says.

    Args:
        named: "module:name" or "file.py:name".
        ask: calls the node: the RPC's path and request in, the reply out; a RejectedError is a no.
    """

    def __init__(self, named: str, ask: Callable[[str, bytes], Awaitable[bytes]]) -> None:
        self._named = named
        self._ask_node = ask
        self._log = structlog.get_logger("csroute.controller").bind(controller=named)
        self._task: asyncio.Task[None] | None = None
        self.figures = {"tuned": 0, "skipped": 0, "lost": 0, "running": 0}
        """Periods tuned and skipped, processes lost, and whether one runs: for the metrics."""

    def start(self) -> None:
        """Begins; routing does not wait for it."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Ends it and its process."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        pause_s = _PAUSE_S[0]
        while True:
            good, process = 0, None
            try:
                process = await self._process()
                child = await self._begun(process)
                self.figures["running"] = 1
                self._log.info("controller_started", pid=process.pid, period_s=child.period_s, rules=len(child.ranges))
                while True:
                    began = asyncio.get_running_loop().time()
                    good += await self._period(child)
                    rest_s = began + child.period_s - asyncio.get_running_loop().time()
                    await asyncio.sleep(max(rest_s, 0))
            except (_LostError, OSError) as lost:
                self.figures["lost"] += 1
                pause_s = _PAUSE_S[0] if good >= _GOOD_ENOUGH else pause_s
                self._log.warning("controller_lost", reason=str(lost), again_in_s=pause_s)
            finally:
                self.figures["running"] = 0
                if process is not None:
                    await _end(process)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _PAUSE_S[1])

    async def _process(self) -> asyncio.subprocess.Process:
        command = (sys.executable, "-m", "csroute.controllers.child", self._named)
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)

    async def _begun(self, process: asyncio.subprocess.Process) -> _Child:
        said = await _within(_START_S, _receive(process), "it has not started")
        if "error" in said:
            raise _LostError(f"it cannot be started: {said['error']}")
        try:
            ranges = declared(said)
        except (NonsenseError, TypeError, ValueError, AttributeError) as error:
            raise _LostError(f"what it declares: {error}") from None
        period_s = said.get("period_s")
        if not isinstance(period_s, int | float) or not _PERIOD_S[0] <= period_s <= _PERIOD_S[1]:
            raise _LostError(f"its period is {period_s} s; {_PERIOD_S[0]:g} to {_PERIOD_S[1]:g} may be")
        return _Child(process, ranges, float(period_s))

    async def _period(self, child: _Child) -> bool:
        """One period: whether it was steered."""
        try:
            live = await self._ask_node("/csroute.v1.AdminService/GetLive", b"")
            asked = self._asked(child, live)
            said = await _within(child.period_s, asked, f"no answer within its period of {child.period_s:g} s")
            if "error" in said:
                return self._skip(f"it raised: {said['error']}")
            rules = [rule.to_wire() for rule in tunings(said, child.ranges)]
            lapse_ms = max(1000, round(_LAPSE_PERIODS * 1000 * child.period_s))
            version = said.get("policy_version", 0)
            request = live_pb2.TuneRequest(rules=rules, lapse_ms=lapse_ms, policy_version=version)
            await self._ask_node("/csroute.v1.AdminService/Tune", request.SerializeToString())
        except (NonsenseError, RejectedError, TypeError, ValueError) as error:
            return self._skip(str(error))
        self.figures["tuned"] += 1
        return True

    def _skip(self, reason: str) -> bool:
        self.figures["skipped"] += 1
        self._log.warning("controller_skipped", reason=reason[:2000])
        return False

    @staticmethod
    async def _asked(child: _Child, live: bytes) -> dict[str, Any]:
        assert child.process.stdin is not None  # noqa: S101 (it was asked for)
        try:
            child.process.stdin.write(len(live).to_bytes(4, "big") + live)
            await child.process.stdin.drain()
        except (BrokenPipeError, ConnectionResetError):
            raise _LostError(await _code(child.process)) from None
        return await _receive(child.process)


async def _within(seconds: float, waited: Awaitable[dict[str, Any]], else_: str) -> dict[str, Any]:
    try:
        return await asyncio.wait_for(waited, seconds)
    except TimeoutError:
        raise _LostError(else_) from None


async def _receive(process: asyncio.subprocess.Process) -> dict[str, Any]:
    assert process.stdout is not None  # noqa: S101
    try:
        length = int.from_bytes(await process.stdout.readexactly(4), "big")
        if length > _ANSWER_BYTES_MAX:
            raise _LostError(f"an answer of {length} bytes; at most {_ANSWER_BYTES_MAX}")
        said = json.loads(await process.stdout.readexactly(length))
    except asyncio.IncompleteReadError:
        raise _LostError(await _code(process)) from None
    except ValueError as error:
        raise _LostError(f"what it says is no JSON: {error}") from None
    if not isinstance(said, dict):
        raise _LostError("what it says is no JSON object")
    return said


async def _code(process: asyncio.subprocess.Process) -> str:
    with contextlib.suppress(TimeoutError):
        return f"it ended with code {await asyncio.wait_for(process.wait(), 1)}"
    return "it closed its output"


async def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.wait()
