"""What `csroute journal stats` counts."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from rich.table import Table

from csroute.journal.read import blocks, segments, snapshots
from csroute.journal.when import clock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rich.console import RenderableType

__all__ = ["gather", "tables"]

CALLERS_MAX = 20
"""Callers that are listed; the others are summed."""


def gather(data_dir: Path, tell: Callable[[int, int], None]) -> dict[str, Any]:
    """Counts everything, reading all of it."""
    files = [segment._asdict() for segment in segments(data_dir)]
    states = [snapshot._asdict() for snapshot in snapshots(data_dir)]
    methods: Counter[str] = Counter()
    method_bytes: Counter[str] = Counter()
    callers: Counter[str] = Counter()
    tenants: Counter[str] = Counter()
    count, size, first_us, last_us, largest = 0, 0, 0, 0, 0
    for block in blocks(data_dir, tell=tell):
        count += 1
        size += block.bytes
        largest = max(largest, block.bytes)
        first_us, last_us = first_us or block.time_us, max(last_us, block.time_us)
        for record in block.records:
            name = record.method or record.kind
            methods[name] += 1
            method_bytes[name] += len(record.request)
            tenants[record.tenant] += 1
            callers[record.caller or "(the node)"] += 1
    listed = dict(callers.most_common(CALLERS_MAX))
    if others := callers.total() - sum(listed.values()):
        listed["(others)"] = others
    return {
        "segments": files,
        "snapshots": states,
        "blocks": count,
        "bytes": size,
        "largest_block_bytes": largest,
        "records": methods.total(),
        "first_us": first_us,
        "last_us": last_us,
        "methods": {
            name: {"records": number, "request_bytes": method_bytes[name]} for name, number in methods.most_common()
        },
        "callers": listed,
        "tenants": dict(tenants.most_common()),
    }


def tables(figures: dict[str, Any]) -> list[RenderableType]:
    """The figures, for a person."""
    span_s = max((figures["last_us"] - figures["first_us"]) / 1e6, 1e-6)
    head = Table.grid(padding=(0, 2))
    for name, value in (
        ("time", f"{clock(figures['first_us'])} to {clock(figures['last_us'])}"),
        ("blocks", f"{figures['blocks']:,}, {figures['records'] / max(figures['blocks'], 1):.1f} records each"),
        ("records", f"{figures['records']:,}, {figures['records'] / span_s:,.0f}/s"),
        (
            "bytes",
            f"{figures['bytes']:,}, {figures['bytes'] / span_s:,.0f}/s; block ≤ {figures['largest_block_bytes']:,}",
        ),
    ):
        head.add_row(name, value)
    files = Table("file", "from", "semantics", "bytes", title="files", title_justify="left")
    for one in figures["segments"]:
        files.add_row(one["name"], clock(one["time_us"]), str(one["semantics"]), f"{one['bytes']:,}")
    for one in figures["snapshots"]:
        files.add_row(one["name"], one["wrong"] or clock(one["time_us"]), str(one["semantics"]), f"{one['bytes']:,}")
    methods = Table("method", "records", "request bytes", "each", title="methods", title_justify="left")
    for name, one in figures["methods"].items():
        each = one["request_bytes"] / one["records"]
        methods.add_row(name, f"{one['records']:,}", f"{one['request_bytes']:,}", f"{each:,.0f}")
    callers = Table("caller", "records", title="callers", title_justify="left")
    for name, number in figures["callers"].items():
        callers.add_row(name, f"{number:,}")
    return [head, files, methods, callers]
