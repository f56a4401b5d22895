"""`csroute load`: load on a running server, with progress while it runs and a verdict in the end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

__all__ = ["load"]

LEDGERS_DISAGREE = 1
NOT_VALID = 6


def load(
    *,
    server: Annotated[str, typer.Option(metavar="ADDR", help="Where gateways call: either door.")] = "127.0.0.1:7701",
    desk_server: Annotated[str, typer.Option(metavar="ADDR", help="Where desks call. Empty: there too.")] = "",
    how: Annotated[str, typer.Option(metavar="HOW", help="unary, stream or batch.")] = "unary",
    batch: Annotated[int, typer.Option(help="Tickets in a message; 0: 256 in a batch, else 1.")] = 0,
    loop: Annotated[str, typer.Option(metavar="LOOP", help="closed, constant, poisson or recorded.")] = "poisson",
    rate: Annotated[float, typer.Option(metavar="N", help="Tickets a minute, in an open loop.")] = 60_000,
    in_flight: Annotated[
        int, typer.Option(help="Calls under way in a process: of a closed loop (0: 256); an open one's most.")
    ] = 0,
    seconds: Annotated[float, typer.Option(help="Measured.")] = 10,
    warm_up: Annotated[float, typer.Option(help="Seconds played before, and not measured.")] = 2,
    processes: Annotated[int, typer.Option(help="Client processes.")] = 1,
    connections: Annotated[int, typer.Option(help="Connections of each.")] = 4,
    streams: Annotated[int, typer.Option(help="Streams of each.")] = 4,
    patience_ms: Annotated[int, typer.Option(help="An answer after more than this is none.")] = 10_000,
    desks: Annotated[
        str, typer.Option(metavar="HOW", help="Who completes: work (a Work stream), act (the sender), none.")
    ] = "work",
    hold_ms: Annotated[int, typer.Option(help="How long an agent keeps a ticket.")] = 0,
    agents_scale: Annotated[float, typer.Option(help="So many times the workload's people.")] = 1.0,
    journal: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Tickets and agents as in this data folder. [Double-11]"),
    ] = None,
    speed: Annotated[float, typer.Option(help="A recorded loop so many times faster.")] = 1.0,
    seed: Annotated[int, typer.Option(help="The same seed, the same tickets and arrivals.")] = 11,
    token: Annotated[str, typer.Option(envvar="CSROUTE_TOKEN", help="An API key or a JWT.")] = "",
    tenant: Annotated[str, typer.Option(help="For whom. Empty: the server's default.")] = "",
    server_pid: Annotated[int, typer.Option(help="Note this process's memory and CPU time too.")] = 0,
    json_path: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the report here.")] = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write it as a page with charts.")] = None,
) -> None:
    """Put load on a running server, check its answers, and say how long they took.

    Exit code 1: the ledgers disagree. 6: the run is not valid, since the generator itself was late.
    """
    from csroute.load import Options, double11, run  # noqa: PLC0415
    from csroute.load import journal as recorded  # noqa: PLC0415
    from csroute.load.report import lines  # noqa: PLC0415

    given: dict[str, Any] = {"how": _one_of("how", how, "unary", "stream", "batch")}
    given["loop"] = _one_of("loop", loop, "closed", "constant", "poisson", "recorded")
    given["desks"] = _one_of("desks", desks, "work", "act", "none")
    options = Options(
        server=server,
        desk_server=desk_server,
        batch=batch,
        rate_per_min=rate,
        speed=speed,
        in_flight=in_flight,
        processes=processes,
        connections=connections,
        streams=streams,
        warm_up_s=warm_up,
        seconds=seconds,
        patience_ms=patience_ms,
        hold_ms=hold_ms,
        agents_scale=agents_scale,
        seed=seed,
        token=token,
        tenant=tenant,
        server_pid=server_pid,
        **given,
    )
    if journal is not None:
        source = recorded(journal, speed=speed, tenant=tenant)
    else:
        source = double11(seed, agents_scale if desks != "none" else 0)
    with _showing(options.warm_up_s + options.seconds) as show:
        report = run(options, source, show)
    said = lines(report)
    for line in said:
        typer.echo(line)
    if json_path is not None:
        json_path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    if html is not None:
        _write_page(html, report, said)
    for what, why in (("INVALID", report["invalid"]), ("WRONG", report["problems"])):
        for line in why:
            typer.echo(f"{what}: {line}", err=True)
    if report["problems"]:
        raise typer.Exit(LEDGERS_DISAGREE)
    if report["invalid"]:
        raise typer.Exit(NOT_VALID)


def _one_of(option: str, value: str, *allowed: str) -> str:
    from csroute.errors import ConfigError  # noqa: PLC0415

    if value not in allowed:
        raise ConfigError(f"--{option} {value}: one of {', '.join(allowed)}")
    return value


def _write_page(file: Path, report: dict[str, Any], said: list[str]) -> None:
    from csroute.errors import ConfigError  # noqa: PLC0415
    from csroute.load.picture import page  # noqa: PLC0415

    try:
        file.write_text(page(report, said), encoding="utf-8")
    except ModuleNotFoundError as missing:
        raise ConfigError(f"{missing}: install csroute[simulate] for --html") from None


class _showing:  # noqa: N801 (used as a function)
    """A bar with the figures of the moment where a person looks; a line every few seconds elsewhere."""

    _LINE_EVERY_S = 5.0

    def __init__(self, seconds: float) -> None:
        from rich.console import Console  # noqa: PLC0415
        from rich.progress import BarColumn, Progress, TextColumn  # noqa: PLC0415

        self._console = Console(stderr=True)
        columns = (BarColumn(bar_width=20), TextColumn("{task.description}"))
        self._bar = Progress(*columns, console=self._console, transient=True, disable=not self._console.is_terminal)
        self._task = self._bar.add_task("", total=seconds)
        self._line_at = self._LINE_EVERY_S
        self._begun: float | None = None

    def __enter__(self) -> Any:  # noqa: ANN401 (a callable of figures)
        self._bar.start()
        return self._show

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def _show(self, played_s: float, seen: dict[str, Any]) -> None:
        from csroute.load.report import now  # noqa: PLC0415

        if self._begun is None:
            self._begun = played_s
        self._bar.update(self._task, completed=played_s - self._begun, description=now(played_s, seen))
        if not self._console.is_terminal and played_s >= self._line_at:
            self._line_at = played_s + self._LINE_EVERY_S
            self._console.print(now(played_s, seen), highlight=False, soft_wrap=True)
