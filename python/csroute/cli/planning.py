"""`csroute plan`: what a load will need."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import RenderableType

    from csroute.journal.plan import Load, Measured, Need

__all__ = ["plan"]


def plan(
    *,
    per_day: Annotated[int, typer.Option(min=1, metavar="N", help="Tickets a day.")] = 5_000_000,
    peak_per_min: Annotated[int, typer.Option(min=1, metavar="N", help="Tickets in the busiest minute.")] = 60_000,
    waiting: Annotated[int, typer.Option(min=0, metavar="N", help="Tickets open at the worst time.")] = 100_000,
    agents: Annotated[int, typer.Option(min=0, metavar="N", help="Agents known.")] = 10_000,
    ticket_bytes: Annotated[
        int, typer.Option(min=0, metavar="N", help="Id, customer and attributes of a ticket, bytes.")
    ] = 150,
    history_hours: Annotated[float, typer.Option(min=0, help="How far back to explain and restore.")] = 24.0,
    snapshot_every_s: Annotated[int, typer.Option(min=1, metavar="N", help="The server's setting.")] = 600,
    snapshots_kept: Annotated[int, typer.Option(min=1, metavar="N", help="The server's setting.")] = 3,
    measure: Annotated[bool, typer.Option("--measure", help="Measure the constants here first: some seconds.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Reckon memory, disk and recovery time for a load and a retention, from measured constants."""
    from rich.console import Console  # noqa: PLC0415

    from csroute.journal.plan import MEASURED, Load  # noqa: PLC0415
    from csroute.journal.plan import plan as reckon  # noqa: PLC0415

    measured = MEASURED
    if measure:
        from csroute.journal.measure import measure as run  # noqa: PLC0415

        with Console(stderr=True).status("measuring"):
            measured = run()
    load = Load(
        per_day=per_day,
        peak_per_min=peak_per_min,
        waiting=waiting,
        agents=agents,
        ticket_bytes=ticket_bytes,
        history_s=int(history_hours * 3600),
        snapshot_every_s=snapshot_every_s,
        snapshots_kept=snapshots_kept,
    )
    need = reckon(load, measured)
    if as_json:
        said = {
            name: dataclasses.asdict(part) for name, part in (("load", load), ("measured", measured), ("need", need))
        }
        typer.echo(json.dumps(said))
        return
    Console().print(*_tables(load, measured, need), sep="\n")


def _tables(load: Load, measured: Measured, need: Need) -> list[RenderableType]:
    from rich.table import Table  # noqa: PLC0415

    table = Table("what", "how much", "made of", title="at its worst", title_justify="left")
    for row in (
        (
            "journal",
            f"{_size(need.journal_bytes_per_s)}/s at the peak",
            f"{need.journal_bytes_per_lifecycle:.0f} bytes a ticket's life",
        ),
        ("", f"{_size(need.journal_bytes_per_day)} a day", ""),
        ("disk", _size(need.disk_bytes), "all of the following"),
        ("  segments", _size(need.segments_bytes), "for the history, or since the oldest snapshot kept"),
        ("  snapshots", _size(need.snapshots_bytes), f"{_size(need.snapshot_bytes)} each"),
        ("  reserve", _size(need.reserve_bytes), "given up when the disk is full"),
        ("memory", _size(need.memory_bytes), "the server's Python, about 100 MB, not counted"),
        (
            "  state",
            _size(need.state_bytes),
            f"{load.waiting:,} waiting, {load.agents:,} agents, 5 min of ended tickets",
        ),
        ("  state again", _size(need.state_bytes), "while a snapshot is made"),
        ("  events", _size(need.ring_bytes), "kept for those who watch"),
        ("recovery", f"{need.recovery_s:.1f} s", "a snapshot, and the journal since; before agents' grace"),
    ):
        table.add_row(*row)
    constants = Table("constant", "value", title="reckoned with", title_justify="left")
    for name, value in dataclasses.asdict(measured).items():
        constants.add_row(name.replace("_", " "), f"{value:,.0f}")
    return [table, constants]


def _size(size: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if size < 1000 or unit == "TB":
            break
        size /= 1000
    return f"{size:,.0f} {unit}" if unit == "bytes" else f"{size:,.1f} {unit}"
