"""A report in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from csroute.load.picture import LABELS

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["GRPC_CODES", "lines", "now"]

GRPC_CODES: Final = {
    "1": "CANCELLED", "2": "UNKNOWN", "3": "INVALID_ARGUMENT", "4": "DEADLINE_EXCEEDED", "5": "NOT_FOUND",
    "6": "ALREADY_EXISTS", "7": "PERMISSION_DENIED", "8": "RESOURCE_EXHAUSTED", "9": "FAILED_PRECONDITION",
    "10": "ABORTED", "11": "OUT_OF_RANGE", "12": "UNIMPLEMENTED", "13": "INTERNAL", "14": "UNAVAILABLE",
    "15": "DATA_LOSS", "16": "UNAUTHENTICATED",
}  # fmt: skip
_SHOWN: Final = ("p50", "p90", "p99", "p99.9", "p99.99", "p100")


def lines(report: Mapping[str, Any]) -> list[str]:
    """What is printed in the end."""
    options, ledger = report["options"], report["ledger"]
    how = {"unary": "Route", "stream": "RouteStream", "batch": "RouteBatch"}[options["how"]]
    loop = "closed loop" if options["loop"] == "closed" else f"open loop, {options['loop']}"
    message = f"{options['batch']} tickets a message, " if options["batch"] else ""
    clients = f"{options['processes']} client process(es)"
    offered, good, done = (report[f"{name}_per_s"] for name in ("offered", "good", "completed"))
    said = [
        f"{how}, {message}{loop}, {clients}, {report['seconds']:g} s after {options['warm_up_s']:g} s",
        f"tickets/s      offered {offered:,.0f}   taken in time {good:,.0f}   completed {done:,.0f}",
        f"{'ms':<26}" + "".join(f"{name:>12}" for name in _SHOWN),
    ]
    for measure, label in LABELS.items():
        figures = report[measure]
        if figures["count"]:
            said.append(f"{label:<26}" + "".join(f"{figures[_key(name)] / 1000:>12,.3f}" for name in _SHOWN))
    for what in ("refused_by_code", "actions_refused_by_code"):
        if refused := report[what]:
            named = ", ".join(f"{GRPC_CODES.get(code, code)} {count:,}" for code, count in refused.items())
            said.append(f"{what.removesuffix('_by_code').replace('_', ' ')}: {named}")
    said.append(
        f"ledger: {ledger['sent']:,} sent, {ledger['acknowledged']:,} acknowledged, {ledger['completed']:,} completed, "
        f"{ledger['refused']:,} refused, {ledger['unanswered']:,} without an answer, {ledger['lost']:,} lost"
        + "".join(f", {count:,} {state.lower()}" for state, count in ledger["open"].items())
        + (f" of {ledger['asked']:,} asked about" if ledger["asked"] < ledger["not_completed"] else "")
    )
    said.append(
        f"the busiest generator used {report['generator_cores']:.2f} of a core, at nice {report['nice']}"
        + (f"; its agents had {others:,} tickets of others besides" if (others := report["others_tickets"]) else "")
    )
    return said


def _key(name: str) -> str:
    return f"{name}_us"


def now(played_s: float, seen: Mapping[str, Any]) -> str:
    """How it goes, in a line."""
    return (
        f"{'warming up' if played_s < 0 else f'{played_s:5.1f} s'}  "
        f"{seen['taken_per_s']:>9,}/s taken  {seen['completed_per_s']:>9,}/s completed  "
        f"call p99 {seen['call']['p99_us'] / 1000:,.2f} ms  assigned p99 {seen['assigned']['p99_us'] / 1000:,.2f} ms  "
        f"late p99 {seen['late']['p99_us'] / 1000:,.2f} ms  {seen['in_flight']:,} under way"
    )
