"""The offline commands: what a data folder holds and decided. None but `repair` changes it, none needs a server."""

from __future__ import annotations

import itertools
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from csroute.journal.read import Record

__all__ = ["app", "backup", "replay", "restore"]

app = typer.Typer(help="What a data folder holds: verify, show, tail, stats, export, repair.", no_args_is_help=True)

DataDir = Annotated[Path, typer.Argument(metavar="DIR", envvar="CSROUTE_DATA_DIR", help="The node's data folder.")]
Since = Annotated[str, typer.Option(metavar="TIME", help="From here on: 2026-11-11T00:03:12, or seconds since 1970.")]
Until = Annotated[str, typer.Option(metavar="TIME", help="Up to here.")]
Tenant = Annotated[str, typer.Option(help="Of this tenant alone.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]


def _times(since: str, until: str) -> tuple[int, int | None]:
    from csroute.journal import parse_time  # noqa: PLC0415

    return (parse_time(since) if since else 0), (parse_time(until) if until else None)


@app.command()
def verify(data_dir: DataDir) -> None:
    """Read every byte: checksums, the chain, every snapshot. Exit code 5 if something is damaged."""
    from csroute.cli.progress import progress  # noqa: PLC0415
    from csroute.errors import JournalError  # noqa: PLC0415
    from csroute.journal.read import reader, refusing, segments, snapshots  # noqa: PLC0415

    damage = [snapshot.wrong for snapshot in snapshots(data_dir) if snapshot.wrong]
    totals, ended, tail = [0, 0, 0], False, ""
    try:
        with progress("verifying") as tell:
            source = reader(data_dir)
            while not ended:
                with refusing():
                    counts = source.count(16 << 20)
                    tell(*source.progress())
                totals = [total + count for total, count in zip(totals, counts, strict=True)]
                ended = counts[0] == 0
            tail = source.tail()
    except JournalError as error:
        damage.append(str(error))
    blocks, records, size = totals
    good = len(snapshots(data_dir)) - sum("snapshot-" in wrong for wrong in damage)
    typer.echo(f"{blocks} blocks, {records} records, {size} bytes are sound; {good} good snapshots")
    if tail:
        typer.echo(f"an unfinished end, which a node's start cuts off: {tail}")
    if damage:
        raise JournalError("; ".join(damage))
    if not segments(data_dir) and not good:
        raise JournalError(f"{data_dir} holds no journal: name the folder that `serve --data-dir` was given")


@app.command()
def show(
    data_dir: DataDir,
    *,
    since: Since = "",
    until: Until = "",
    tenant: Tenant = "",
    caller: Annotated[str, typer.Option(help="Of this caller alone.")] = "",
    ticket: Annotated[str, typer.Option(metavar="ID", help="Records that name this ticket.")] = "",
    admin: Annotated[bool, typer.Option("--admin", help="Administrative acts alone: who did what.")] = False,
    from_block: Annotated[int, typer.Option(min=0, metavar="N", help="From this block on.")] = 0,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="At most so many records.")] = 1_000_000_000,
    as_json: AsJson = False,
) -> None:
    """Show records: who asked for what, and when."""
    from csroute.cli.progress import progress  # noqa: PLC0415
    from csroute.journal import records  # noqa: PLC0415

    since_us, until_us = _times(since, until)
    with progress("reading") as tell:
        found = records(
            data_dir,
            from_block=from_block,
            since_us=since_us,
            until_us=until_us,
            tenant=tenant,
            caller=caller,
            ticket=ticket,
            admin=admin,
            tell=tell,
        )
        _print(itertools.islice(found, limit), as_json)


@app.command()
def tail(
    data_dir: DataDir,
    *,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, max=1_000_000, help="How many records.")] = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as more are written, until Ctrl-C.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the newest records."""
    import collections  # noqa: PLC0415

    from csroute.journal.read import CHUNK_BYTES, decoded, reader, refusing, segments  # noqa: PLC0415

    # The newest segments that have enough records; a record is a block at most.
    newest: collections.deque[Record] = collections.deque(maxlen=lines)
    starts = [segment.first for segment in segments(data_dir)] or [0]
    source = reader(data_dir, starts[-1])
    for start in reversed(starts):
        source = reader(data_dir, start)
        newest.clear()
        while True:
            with refusing():
                found = source.blocks(CHUNK_BYTES)
            if not found:
                break
            newest.extend(itertools.chain.from_iterable(block.records for block in decoded(found)))
        if len(newest) >= lines:
            break
    _print(newest, as_json)
    while follow:
        with refusing():
            found = source.blocks(CHUNK_BYTES)
        _print(itertools.chain.from_iterable(block.records for block in decoded(found)), as_json)
        if not found:
            time.sleep(0.2)


def _print(records: Iterable[Record], as_json: bool) -> None:
    from csroute.cli.telling import record_line  # noqa: PLC0415

    for record in records:
        typer.echo(json.dumps(record.to_dict(), ensure_ascii=False) if as_json else record_line(record))


@app.command()
def stats(data_dir: DataDir, *, as_json: AsJson = False) -> None:
    """Count what is there: by file, by method, by caller, over time."""
    from rich.console import Console  # noqa: PLC0415

    from csroute.cli.figures import gather, tables  # noqa: PLC0415
    from csroute.cli.progress import progress  # noqa: PLC0415

    with progress("counting") as tell:
        figures = gather(data_dir, tell)
    if as_json:
        typer.echo(json.dumps(figures, ensure_ascii=False))
    else:
        Console().print(*tables(figures), sep="\n")


@app.command("export")
def export_(
    data_dir: DataDir,
    to: Annotated[Path, typer.Option(metavar="FILE", help="A .jsonl or a .parquet file.")],
    *,
    what: Annotated[
        str, typer.Option(metavar="WHAT", help="records: what was asked; events: what happened.")
    ] = "records",
    since: Since = "",
    until: Until = "",
    tenant: Tenant = "",
) -> None:
    """Write records, or the events that a replay raises, as rows for other tools."""
    from csroute.cli.progress import progress  # noqa: PLC0415
    from csroute.errors import ConfigError  # noqa: PLC0415
    from csroute.journal import export, heard, records  # noqa: PLC0415
    from csroute.journal.export import event_rows, record_rows  # noqa: PLC0415

    if what not in ("records", "events"):
        raise ConfigError(f"--what is records or events, not {what!r}")
    since_us, until_us = _times(since, until)
    with progress("exporting") as tell:
        if what == "events":
            rows = event_rows(heard(data_dir, since_us=since_us, until_us=until_us, tenant=tenant, tell=tell))
        else:
            rows = record_rows(records(data_dir, since_us=since_us, until_us=until_us, tenant=tenant, tell=tell))
        count = export(rows, to)
    typer.echo(f"{count} {what} in {to}")


@app.command()
def repair(
    data_dir: DataDir,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Cut the journal where it is damaged, and keep a copy of all that is changed. The node must not run."""
    from csroute import _csroute  # noqa: PLC0415
    from csroute.journal import refusing  # noqa: PLC0415

    if not yes:
        typer.confirm("Everything after the damage is lost to the journal (copies are kept). Cut it?", abort=True)
    with refusing():
        damage, ends, kept, lost_bytes = _csroute.journal_repair(data_dir)
    for what in damage:
        typer.echo(what)
    if ends is not None:
        typer.echo(f"the journal ends after block {ends} now; {lost_bytes} bytes were taken out of it")
    for name in kept:
        typer.echo(f"kept: {data_dir / name}")
    if not damage:
        typer.echo("nothing is damaged, nothing was changed")


def replay(data_dir: DataDir, *, since: Since = "", until: Until = "", as_json: AsJson = False) -> None:
    """Decide all of it again; compare each block's events and each snapshot's state. Exit code 5 if any differ."""
    from csroute.cli.progress import progress  # noqa: PLC0415
    from csroute.errors import JournalError  # noqa: PLC0415
    from csroute.journal import replay as run  # noqa: PLC0415

    since_us, until_us = _times(since, until)
    began = time.perf_counter()
    with progress("replaying") as tell:
        done = run(data_dir, since_us=since_us, until_us=until_us, tell=tell)
    took = time.perf_counter() - began
    if as_json:
        compared = [
            {"snapshot": one.snapshot, "block": one.block, "differences": one.differences} for one in done.compared
        ]
        said = {
            "from_block": done.began, "to_block": done.block, "blocks": done.blocks, "records": done.records,
            "events": done.events, "seconds": round(took, 3), "compared": compared, "damaged_snapshots": done.damaged,
            "states": {tenant: f"{state:016x}" for tenant, state in done.states}, "tail": done.tail,
        }  # fmt: skip
        typer.echo(json.dumps(said, ensure_ascii=False))
    else:
        start = f"snapshot {done.began}" if done.began else "the first block"
        typer.echo(
            f"from {start} to block {done.block}: {done.blocks} blocks, {done.records} records, {done.events} "
            f"events in {took:.2f} s; the events of every block are those that were written"
        )
        for one in done.compared:
            typer.echo(
                f"snapshot {one.block}: {'the same state' if not one.differences else '; '.join(one.differences)}"
            )
        for tenant, state in done.states:
            typer.echo(f"tenant {tenant}: state {state:016x}")
        for wrong in done.damaged:
            typer.echo(wrong)
        if done.tail:
            typer.echo(f"an unfinished end: {done.tail}")
    if done.differs:
        raise JournalError(
            "a snapshot holds another state than its journal leads to: keep both, start from an older snapshot, and "
            "report this"
        )


def backup(
    data_dir: DataDir,
    target: Annotated[Path, typer.Argument(metavar="TARGET", help="An empty folder, made if it is not there.")],
    *,
    link: Annotated[
        bool, typer.Option("--link", help="Hard links where that can be: quick, on the same disk.")
    ] = False,
) -> None:
    """Copy a consistent state, while the node runs. `csroute restore` starts from it, or `serve --data-dir TARGET`."""
    _copied(data_dir, target, link, "", lambda at: f"{target} holds all up to {at}")


def restore(
    source: Annotated[Path, typer.Argument(metavar="BACKUP", help="A backup, or a data folder.")],
    data_dir: Annotated[
        Path, typer.Argument(metavar="DIR", help="An empty folder for the node, made if it is not there.")
    ],
    *,
    until: Annotated[str, typer.Option(metavar="TIME", help="As it was then. Empty: all there is.")] = "",
) -> None:
    """Make a data folder from a backup: all of it, or as it was at a time."""
    _copied(source, data_dir, False, until, lambda at: f"{data_dir} is as of {at}: csroute serve --data-dir {data_dir}")


def _copied(source: Path, target: Path, link: bool, until: str, say: Callable[[str], str]) -> None:
    from csroute import _csroute  # noqa: PLC0415
    from csroute.journal import clock, parse_time, refusing  # noqa: PLC0415

    with refusing():
        block, time_us, files, size, bad = _csroute.journal_backup(
            source, target, link, parse_time(until) if until else None
        )
    for name in bad:
        typer.echo(f"left out, since it is damaged: {name}", err=True)
    typer.echo(f"{say(f'block {block}, {clock(time_us)}')} ({len(files)} files, {size} bytes, verified)")
