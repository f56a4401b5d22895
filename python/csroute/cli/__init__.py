"""The command `csroute`: serve, demo, explain, policy; on a data folder: journal, replay, backup, restore, plan.

    csroute serve --listen 127.0.0.1:7700 --policy mine.py --data-dir data
    csroute demo --seconds 10
    csroute explain t1
    csroute explain t1 --data-dir data
    csroute journal show data --admin
    csroute policy check mine.py
    csroute policy try double11 channel=chat tier=vip

What goes wrong is said in one line on stderr: what, where, what to do. Exit codes:

| code | |
|---|---|
| 0 | all is well |
| 1 | the demo lost a ticket, or two ledgers disagree |
| 2 | wrong usage, a wrong setting, a wrong policy |
| 3 | the server cannot be reached, or takes nothing now |
| 4 | the server says no |
| 5 | the journal: damaged, in use, or a replay that differs |
| 130 | interrupted |
"""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Runs the command with the process's arguments, and exits."""
    if sys.argv[1:] == ["--version"]:  # needs none of what follows
        from csroute.cli.version import version  # noqa: PLC0415 (imports are what makes a command slow to start)

        sys.stdout.write(f"csroute {version()}\n")
        return
    from csroute.cli.app import run  # noqa: PLC0415

    sys.exit(run())
