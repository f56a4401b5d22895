"""Load on a running server: gateways and agents' desks from several processes, at native speed, that check its answers.

    from csroute.load import Options, run

    report = run(Options(server="127.0.0.1:7701", rate_per_min=600_000, seconds=10))
    assert report["valid"] and not report["problems"]
    print(report["call"]["p99_us"], report["assigned"]["p99_us"])

An open loop sends when a call is due, whatever the server does, and measures from then on; a closed one when a call has
ended. A run whose generator was itself late (p99 over a millisecond) is not valid: it says nothing about the server.
Every process keeps a ledger; in the end they are compared with each other, and with the server's word where nobody
completed a ticket. `rust_core/load` does the sending; here are the options, the processes, the reckoning and the page.
"""

from csroute.load.conduct import run
from csroute.load.options import Options
from csroute.load.source import Source, double11, journal

__all__ = ["Options", "Source", "double11", "journal", "run"]
