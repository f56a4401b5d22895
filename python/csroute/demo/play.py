"""Both halves, one after the other, and the reckoning: what `csroute demo` runs."""

from __future__ import annotations

import asyncio
import json
import signal
from typing import TYPE_CHECKING, Any, Final

from rich.markup import escape

from csroute.demo.conduct import play_night, play_throughput
from csroute.demo.crew import CrewError
from csroute.demo.screen import Screen
from csroute.errors import CsrouteError

if TYPE_CHECKING:
    from pathlib import Path

    from csroute.demo.plan import Options

__all__ = ["play"]

_SUMMED: Final = ("submitted", "assigned", "completed", "cancelled", "overflowed", "waiting", "with_agents", "lost")


def play(options: Options, json_file: Path | None = None) -> int:
    """Plays both halves: the process's exit code. 0: nothing was lost, and all ledgers agree."""
    with Screen() as screen:
        try:
            report = asyncio.run(_play(options, screen))
        except (KeyboardInterrupt, asyncio.CancelledError):
            screen.stop("interrupted; the server and the clients were ended")
            return 130
        except OSError as error:
            screen.stop(f"[red]the demo failed:[/] the server does not answer any more: {escape(str(error))}")
            return 1
        except (CrewError, CsrouteError) as error:
            screen.stop(f"[red]the demo failed:[/] {escape(str(error))}")
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
