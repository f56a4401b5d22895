"""The commands and their options. Each imports what it needs when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from csroute.cli import journal, loading, planning, policies, versions
from csroute.cli.top import top
from csroute.cli.version import version

__all__ = ["app", "run"]

app = typer.Typer(
    name="csroute",
    help="A low-latency router for customer-service tickets.",
    epilog="Exit codes: 0 well · 1 ledgers disagree (demo, load) · 2 usage, setting or policy · "
    "3 server not reachable · 4 server says no · 5 journal · 6 the load was not valid · 130 interrupted.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

app.add_typer(journal.app, name="journal")
app.command()(journal.replay)
app.command()(journal.backup)
app.command()(journal.restore)
app.command()(planning.plan)
app.command()(top)
app.command()(loading.load)
app.add_typer(policies.app, name="policy")
app.command()(versions.override)

EMBEDDED_POLICY = "double11"
"""What `serve` routes by unless told otherwise: a preset of the package."""


def run() -> int:
    """Runs the command named by the process's arguments: its exit code. What went wrong is on stderr, in one line."""
    from csroute.errors import CsrouteError, JournalError, RejectedError, UnavailableError  # noqa: PLC0415

    try:
        app()
    except SystemExit as left:
        return left.code if isinstance(left.code, int) else 0
    except UnavailableError as error:
        return _said(error, 3)
    except RejectedError as error:
        return _said(error, 4)
    except JournalError as error:
        return _said(error, 5)
    except CsrouteError as error:
        return _said(error, 2)
    return 0


def _said(error: Exception, code: int) -> int:
    typer.echo(f"csroute: {error}", err=True)
    return code


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"csroute {version()}")
        raise typer.Exit


@app.callback()
def csroute(
    _: Annotated[bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)] = False,
) -> None:
    """A low-latency router for customer-service tickets."""


@app.command()
def serve(
    *,
    listen: Annotated[
        str | None, typer.Option(metavar="ADDR", help="Where gRPC listens, host:port. Port 0: any. [127.0.0.1:7700]")
    ] = None,
    native: Annotated[
        str | None, typer.Option(metavar="ADDR", help="Where the native door listens, or off. [127.0.0.1:7701]")
    ] = None,
    policy: Annotated[
        str | None, typer.Option(metavar="FILE", help="A policy's .py, compiled bytes, or a preset's name. [double11]")
    ] = None,
    data_dir: Annotated[
        str | None, typer.Option(metavar="DIR", help="Keep what is decided here. [nowhere: in memory alone]")
    ] = None,
    durability: Annotated[
        str | None, typer.Option(metavar="WHEN", help="When an answer may leave: fsync, interval or none. [fsync]")
    ] = None,
    metrics: Annotated[
        str | None, typer.Option(metavar="ADDR", help="Where Prometheus reads, or off. [127.0.0.1:7780]")
    ] = None,
    controller: Annotated[
        str | None,
        typer.Option(metavar="MODULE:NAME", help="Python that steers, in its own process. [none]"),
    ] = None,
    config: Annotated[Path | None, typer.Option(metavar="FILE", help="Further settings: TOML.")] = None,
) -> None:
    """Serve until SIGTERM or Ctrl-C, then drain. SIGUSR1 asks for a snapshot, SIGHUP reloads keys and limits.

    Settings come from the options, then the environment (CSROUTE_LISTEN, …), then the file, then the defaults.
    """
    from csroute.config import Config, load_config  # noqa: PLC0415
    from csroute.errors import ConfigError  # noqa: PLC0415

    given: dict[str, Any] = {
        "listen": listen,
        "native_listen": native,
        "policy": policy,
        "metrics_listen": metrics,
        "data_dir": data_dir,
        "durability": durability,
        "controller": controller,
    }

    def read() -> Config:
        settings = load_config(config, **given)
        return settings if settings.policy else settings.model_copy(update={"policy": EMBEDDED_POLICY})

    settings = read()

    from csroute.policy import PolicyError  # noqa: PLC0415
    from csroute.server import run as run_server  # noqa: PLC0415

    try:
        run_server(settings, again=read)
    except PolicyError as error:
        raise ConfigError(f"policy {settings.policy}: {error}") from None


@app.command()
def explain(
    ticket: Annotated[str, typer.Argument(help="The ticket's id.")] = "",
    *,
    queue: Annotated[str, typer.Option(metavar="NAME", help="Say what holds this queue up, instead.")] = "",
    server: Annotated[str, typer.Option(metavar="ADDR", help="The server.")] = "127.0.0.1:7700",
    tenant: Annotated[str, typer.Option(help="Whose ticket. Empty: the server's default.")] = "",
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds to wait for the server.")] = 5.0,
    data_dir: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Tell its whole story from this data folder instead, offline.")
    ] = None,
    since: Annotated[str, typer.Option(metavar="TIME", help="With --data-dir: begin near this time.")] = "",
    until: Annotated[str, typer.Option(metavar="TIME", help="With --data-dir: end at this time.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="With --data-dir: as JSON.")] = False,
) -> None:
    """Say why a ticket is where it is, or what holds a queue up; with --data-dir, a ticket's whole story."""
    if bool(ticket) == bool(queue):
        raise typer.BadParameter("name a ticket, or a --queue: exactly one")
    if queue and data_dir is not None:
        raise typer.BadParameter("--queue asks a server: leave --data-dir away")
    if data_dir is not None:
        return _story(data_dir, ticket, tenant=tenant, since=since, until=until, as_json=as_json)

    from rich.console import Console  # noqa: PLC0415

    from csroute.cli.bottleneck import bottleneck  # noqa: PLC0415
    from csroute.cli.explaining import rendered  # noqa: PLC0415
    from csroute.client import Client  # noqa: PLC0415
    from csroute.errors import UnavailableError  # noqa: PLC0415

    with Client(server, tenant=tenant, caller="csroute-explain", timeout_s=timeout) as client:
        try:
            told = bottleneck(client.explain_queue(queue)) if queue else rendered(client.explain(ticket))
        except UnavailableError as error:
            if error.code:
                raise
            nobody = f"no server answers at {server}; `csroute serve --listen {server}` starts one"
            raise UnavailableError(nobody, grpc_code=14) from None
    return Console().print(told)


def _story(data_dir: Path, ticket: str, *, tenant: str, since: str, until: str, as_json: bool) -> None:
    import json  # noqa: PLC0415

    from rich.console import Console  # noqa: PLC0415

    from csroute.cli.explaining import rendered  # noqa: PLC0415
    from csroute.cli.progress import progress  # noqa: PLC0415
    from csroute.cli.telling import story_dict, story_table  # noqa: PLC0415
    from csroute.journal import parse_time, story  # noqa: PLC0415

    since_us, until_us = (parse_time(since) if since else 0), (parse_time(until) if until else None)
    with progress("replaying") as tell:
        found = story(data_dir, ticket, tenant=tenant, since_us=since_us, until_us=until_us, tell=tell)
    if as_json:
        typer.echo(json.dumps(story_dict(found), ensure_ascii=False))
        return
    console = Console()
    console.print(story_table(found))
    if found.replayed.began:
        console.print(f"What came before block {found.replayed.began} is not in this folder, or was not asked for.")
    console.print(rendered(found.now) if found.now is not None else "It was forgotten since: only its story is left.")


@app.command()
def simulate(
    policy: Annotated[str, typer.Argument(help="A policy's .py, compiled bytes, or a preset's name.")],
    *,
    workload: Annotated[
        str, typer.Option(metavar="NAME|FILE", help="double11, double11-raw, a .toml, or journal:DIR.")
    ] = "double11",
    roster: Annotated[Path | None, typer.Option(metavar="FILE", help="Who works: a .toml.")] = None,
    scale: Annotated[float, typer.Option(min=1e-6, help="So many times the arrivals (and built-in people).")] = 1.0,
    given: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A parameter's value, as release=60s.")
    ] = None,
    against: Annotated[str | None, typer.Option(metavar="POLICY", help="Compare with this policy.")] = None,
    against_given: Annotated[
        list[str] | None, typer.Option("--against-set", metavar="NAME=VALUE", help="A parameter's value there.")
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed, the same customers.")] = 1,
    replications: Annotated[int, typer.Option(min=1, max=1000, help="Days played: more tell intervals.")] = 1,
    warmup_s: Annotated[float, typer.Option("--warmup", min=0, help="Seconds played, and not counted.")] = 0.0,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the report as a page.")] = None,
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the report as JSON.")] = None,
    since: Annotated[str, typer.Option(metavar="TIME", help="With a journal: what arrived from this time on,")] = "",
    until: Annotated[str, typer.Option(metavar="TIME", help="until this one.")] = "",
    tenant: Annotated[str, typer.Option(help="With a journal: whose. Empty: the server's default.")] = "",
    handle: Annotated[
        str, typer.Option(metavar="HOW", help="With a journal: handle times as-recorded, or resampled.")
    ] = "as-recorded",
) -> None:
    """Try a policy before the night: the same engine, a virtual clock."""
    from csroute.errors import ConfigError  # noqa: PLC0415
    from csroute.policy import PolicyError  # noqa: PLC0415

    try:
        from csroute.cli import simulating  # noqa: PLC0415
    except ModuleNotFoundError as missing:
        raise ConfigError(f"{missing}: install csroute[simulate]") from None
    try:
        simulating.simulate(
            policy,
            workload=workload,
            roster=roster,
            scale=scale,
            given=given or [],
            against=against,
            against_given=against_given or [],
            seed=seed,
            replications=replications,
            warmup_s=warmup_s,
            html=html,
            json_path=json,
            stretch=simulating.Stretch(since, until, tenant, handle),
        )
    except PolicyError as error:
        raise ConfigError(f"policy: {error}") from None


@app.command()
def tune(
    policy: Annotated[str, typer.Argument(help="A policy's .py that declares parameters, or a preset's name.")],
    *,
    objective: Annotated[
        list[str], typer.Option(metavar="FIGURE:max|min", help="What to reach; several: give several.")
    ],
    workload: Annotated[
        str, typer.Option(metavar="NAME|FILE", help="double11, double11-raw, or a .toml.")
    ] = "double11",
    roster: Annotated[Path | None, typer.Option(metavar="FILE", help="Who works: a .toml.")] = None,
    scale: Annotated[float, typer.Option(min=1e-6, help="So many times the arrivals (and built-in people).")] = 0.05,
    days: Annotated[int, typer.Option(min=1, help="Days that may be simulated, all tries together.")] = 50,
    replications: Annotated[int, typer.Option(min=1, help="Days a try.")] = 1,
    seed: Annotated[int, typer.Option(help="The same seed, the same search.")] = 1,
    out: Annotated[
        Path, typer.Option(metavar="FILE", help="Where the best policy goes: a page; *.policy: compiled.")
    ] = Path("best.py"),
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw all tries as a page.")] = None,
) -> None:
    """Search for the best parameters of a policy, by simulation."""
    from csroute.errors import ConfigError  # noqa: PLC0415
    from csroute.policy import PolicyError  # noqa: PLC0415

    try:
        from csroute.cli import simulating  # noqa: PLC0415
    except ModuleNotFoundError as missing:
        raise ConfigError(f"{missing}: install csroute[simulate]") from None
    try:
        simulating.tune(
            policy,
            objectives=objective,
            workload=workload,
            roster=roster,
            scale=scale,
            days=days,
            replications=replications,
            seed=seed,
            out=out,
            html=html,
        )
    except PolicyError as error:
        raise ConfigError(f"policy: {error}") from None


@app.command()
def staff(
    policy: Annotated[str, typer.Argument(help="A policy's .py, compiled bytes, or a preset's name.")],
    *,
    target: Annotated[
        list[str] | None, typer.Option(metavar="FIGURE:LEAST", help="To be met; may be repeated. [service_level:0.8]")
    ] = None,
    workload: Annotated[str, typer.Option(metavar="NAME|FILE", help="double11, or a .toml.")] = "double11",
    roster: Annotated[
        Path | None, typer.Option(metavar="FILE", help="What people of each group are like: a .toml.")
    ] = None,
    scale: Annotated[float, typer.Option(min=1e-6, help="So many times the arrivals (and built-in people).")] = 1.0,
    interval_h: Annotated[
        float, typer.Option("--interval", min=0.25, max=24, help="Hours people stay at least.")
    ] = 1.0,
    replications: Annotated[int, typer.Option(min=1, help="Runs that judge a number of people.")] = 3,
    seed: Annotated[int, typer.Option(help="The same seed, the same customers.")] = 1,
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="Write them as JSON.")] = None,
) -> None:
    """Find the fewest agents, by group and interval, that meet the targets; checked by simulation."""
    from csroute.errors import ConfigError  # noqa: PLC0415
    from csroute.policy import PolicyError  # noqa: PLC0415

    try:
        from csroute.cli import simulating  # noqa: PLC0415
    except ModuleNotFoundError as missing:
        raise ConfigError(f"{missing}: install csroute[simulate]") from None
    try:
        simulating.staff(
            policy,
            workload=workload,
            roster=roster,
            scale=scale,
            targets=target or [],
            interval_h=interval_h,
            replications=replications,
            seed=seed,
            json_path=json,
        )
    except PolicyError as error:
        raise ConfigError(f"policy: {error}") from None


@app.command()
def demo(
    *,
    seconds: Annotated[float, typer.Option(min=1, max=900, help="Seconds to play, both halves together.")] = 25,
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="Also write the summary here.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed brings the same customers.")] = 11,
    rate: Annotated[
        int, typer.Option(min=1000, max=30_000_000, metavar="N", help="Tickets a minute offered in the first half.")
    ] = 2_000_000,
    gateways: Annotated[int, typer.Option(min=1, max=16, help="Gateway processes of the first half.")] = 2,
    desktops: Annotated[int, typer.Option(min=1, max=16, help="Agent desktop processes.")] = 2,
) -> None:
    """Play the Double-11 night through real gRPC: throughput, then service levels.

    Starts a server on a free port of this machine, and client processes against it; ends them all. Exit code 1 if a
    ticket was lost or the clients' ledgers and the server's disagree.
    """
    from csroute.demo.plan import Options  # noqa: PLC0415
    from csroute.demo.play import play  # noqa: PLC0415

    options = Options(seconds=seconds, seed=seed, rate_per_min=rate, gateways=gateways, desktops=desktops)
    raise typer.Exit(play(options, json))
