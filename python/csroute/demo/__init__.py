"""The demo: the Double-11 night through real gRPC, from client processes against a server of their own.

    csroute demo --seconds 10 --json demo.json

Two halves, never mixed, since people cannot serve a million tickets a minute: *routing throughput*, with agents who
complete at once; and *service levels*, 00:00–00:15 with people who need their time, at most 60 times faster than life.
Every client process keeps a ledger; in the end the ledgers are compared with the server's word, ticket by ticket.

`plan` says what will be played, `conduct` plays it, `crew` and `child` are the two ends of a client process,
`throughput` and `night` are what those do, `ledger` the reckoning, `figures` the measuring, `screen` what one sees.
"""

from __future__ import annotations

import asyncio
import json
import signal
from typing import TYPE_CHECKING, Any, Final

from csroute.demo.conduct import play_night, play_throughput
from csroute.demo.crew import CrewError
from csroute.demo.plan import Options
from csroute.demo.screen import Screen
from csroute.errors import CsrouteError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Options", "play"]

_SUMMED: Final = ("submitted", "assigned", "completed", "cancelled", "overflowed", "waiting", "with_agents", "lost")


def play(options: Options, json_file: Path | None = None) -> int:
    """Plays both halves: the process's exit code. 0: nothing was lost, and all ledgers agree."""
    with Screen() as screen:
        try:
            report = asyncio.run(_play(options, screen))
        except (KeyboardInterrupt, asyncio.CancelledError):
            screen.stop("interrupted; the server and the clients were ended")
            return 130
        except (CrewError, CsrouteError) as error:
            screen.stop(f"[red]the demo failed:[/] {error}")
            return 1
        screen.summary(report)
    if json_file is not None:
        json_file.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return 0 if report["ledgers_agree"] and not report["lost"] else 1


async def _play(options: Options, screen: Screen) -> dict[str, Any]:
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 (a coroutine that runs has one)
    for number in (signal.SIGTERM, signal.SIGHUP):  # as Ctrl-C: end what was started
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    throughput = await play_throughput(options, screen)
    night = await play_night(options, screen)
    return {
        # The ledgers add up; rates and levels do not, and stand in their halves. A minute of the first is one of life.
        **{name: throughput[name] + night[name] for name in _SUMMED},
        "ledgers_agree": not throughput["problems"] and not night["problems"],
        "tickets_per_minute": throughput["tickets_per_minute"],
        "seconds": options.seconds,
        "seed": options.seed,
        "throughput": throughput,
        "service_level": night,
    }
