"""`csroute policy apply | list | rollback | scene | table` and `csroute override`: the policy of a running server.

Whatever installs is previewed, asked about, and sent with the version that the preview saw: who comes second hears it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from csroute.client import Client
    from csroute.types import Installed

__all__ = ["apply", "list_", "override", "rollback", "scene", "table"]

Server = Annotated[str, typer.Option(metavar="ADDR", help="The server.")]
Tenant = Annotated[str, typer.Option(help="Whose policy. Empty: the server's default.")]
Token = Annotated[str, typer.Option(metavar="KEY", envvar="CSROUTE_TOKEN", help="The credential, if one is asked for.")]
Why = Annotated[str, typer.Option(metavar="TEXT", help="The reason, kept with the version.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would change, and do nothing.")]
Reclassify = Annotated[
    bool, typer.Option("--reclassify/--leave", help="Tickets that wait are classified again, or keep their class.")
]
_ADDRESS = "127.0.0.1:7700"
_CALLER = "csroute-cli"


@contextlib.contextmanager
def _client(server: str, tenant: str, token: str) -> Iterator[Client]:
    from csroute.client import Client  # noqa: PLC0415
    from csroute.errors import UnavailableError  # noqa: PLC0415

    with Client(server, tenant=tenant, caller=_caller(), timeout_s=60, token=token) as client:
        try:
            yield client
        except UnavailableError as error:
            if error.code:
                raise
            nobody = f"no server answers at {server}; `csroute serve --listen {server}` starts one"
            raise UnavailableError(nobody, grpc_code=14) from None


def _caller() -> str:
    """Who sits there; where a credential is asked for, the server goes by that."""
    import getpass  # noqa: PLC0415

    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return _CALLER


def _done(client: Client, ask: Callable[[int, bool], Installed], *, dry_run: bool, yes: bool, what: str = "") -> None:
    """Previews, asks, does it against the version that was previewed. `ask`: (expected version, dry run)."""
    from rich.console import Console  # noqa: PLC0415

    from csroute.cli.installing import done, preview  # noqa: PLC0415

    console = Console()
    before = client.versions(page_size=1)
    would = ask(before.current, True)
    if would.replayed:
        console.print("This is in force already: nothing to do.")
        return
    console.print(preview(would, before, what))
    if dry_run:
        return
    if not yes and not _agreed():
        typer.echo("nothing was done; --yes does not ask", err=True)
        raise typer.Exit(1)
    console.print(done(ask(before.current, False)))


def _agreed() -> bool:
    try:
        return typer.confirm("Do it?")
    except typer.Abort:  # nobody is there to say
        return False


def apply(
    policy: Annotated[
        str, typer.Argument(metavar="POLICY", help="A policy's .py, a preset's name, or compiled bytes.")
    ],
    *,
    scene: Annotated[list[str] | None, typer.Option("--scene", metavar="NAME", help="On from the beginning.")] = None,
    roster: Annotated[str | None, typer.Option(metavar="FILE", help="Agents: the check looks at them too.")] = None,
    label: Annotated[str, typer.Option(metavar="TEXT", help="A tag, a commit. [the policy's name]")] = "",
    why: Why = "",
    reclassify: Reclassify = True,
    dry_run: DryRun = False,
    yes: Yes = False,
    server: Server = _ADDRESS,
    tenant: Tenant = "",
    token: Token = "",
) -> None:
    """Install a policy: it is checked, its cases are tried, what would change is shown; then it is sent."""
    from csroute.cli.installing import ready  # noqa: PLC0415

    compiled, source = ready(policy, scene or (), roster)
    with _client(server, tenant, token) as client:

        def ask(expected: int, trying: bool) -> Installed:
            return client.apply(
                compiled,
                source="" if trying else source,
                label=label or Path(policy).name,
                why=why,
                expected=expected,
                reclassify=reclassify,
                dry_run=trying,
            )

        _done(client, ask, dry_run=dry_run, yes=yes)


def list_(
    *,
    number: Annotated[int, typer.Option("--last", "-n", min=1, max=1000, help="So many, the newest first.")] = 20,
    server: Server = _ADDRESS,
    tenant: Tenant = "",
    token: Token = "",
) -> None:
    """List the versions that are kept: when, who, why; what stands, and what follows by itself."""
    from rich.console import Console  # noqa: PLC0415

    from csroute.cli.installing import listed  # noqa: PLC0415

    with _client(server, tenant, token) as client:
        Console().print(listed(client.versions(page_size=number)))


def rollback(
    number: Annotated[int, typer.Argument(min=1, metavar="VERSION", help="As `csroute policy list` numbers them.")],
    *,
    why: Why = "",
    reclassify: Reclassify = True,
    dry_run: DryRun = False,
    yes: Yes = False,
    server: Server = _ADDRESS,
    tenant: Tenant = "",
    token: Token = "",
) -> None:
    """Return to a kept version: its tables and scenes; overrides end. It becomes a new version."""
    with _client(server, tenant, token) as client:

        def ask(expected: int, trying: bool) -> Installed:
            return client.rollback(number, why=why, expected=expected, reclassify=reclassify, dry_run=trying)

        _done(client, ask, dry_run=dry_run, yes=yes, what=f"back to version {number}")


def scene(
    on: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="On from now on; all others off.")] = None,
    *,
    off: Annotated[bool, typer.Option("--off", help="All scenes off.")] = False,
    why: Why = "",
    reclassify: Reclassify = True,
    dry_run: DryRun = False,
    yes: Yes = False,
    server: Server = _ADDRESS,
    tenant: Tenant = "",
    token: Token = "",
) -> None:
    """Switch scenes on, as a set, and off again. Without a name: say which there are."""
    from rich.console import Console  # noqa: PLC0415

    from csroute.cli.installing import scenes  # noqa: PLC0415
    from csroute.errors import ConfigError  # noqa: PLC0415

    if on and off:
        raise ConfigError("scenes are named, or all switched off (--off): one of both")
    with _client(server, tenant, token) as client:
        if not on and not off:
            Console().print(scenes(client.versions(page_size=1)))
            return

        def ask(expected: int, trying: bool) -> Installed:
            return client.activate_scenes(on or (), why=why, expected=expected, reclassify=reclassify, dry_run=trying)

        _done(client, ask, dry_run=dry_run, yes=yes)


def table(
    name: Annotated[str, typer.Argument(metavar="TABLE", help="A table of the hour's facts.")],
    facts: Annotated[list[str], typer.Argument(metavar="KEY=VALUE...", help="KEY= takes a key away.")],
    *,
    replace: Annotated[bool, typer.Option("--replace", help="Keys that are not named are taken away too.")] = False,
    why: Why = "",
    reclassify: Reclassify = True,
    server: Server = _ADDRESS,
    tenant: Tenant = "",
    token: Token = "",
) -> None:
    """Fill a table of the hour's facts: csroute policy table segment acme=gold globex="""
    from csroute.errors import ConfigError  # noqa: PLC0415

    pairs = [fact.rpartition("=") for fact in facts]
    if wrong := [fact for fact, (key, _, _) in zip(facts, pairs, strict=True) if not key]:
        raise ConfigError(f"{wrong[0]!r} is no KEY=VALUE")
    with _client(server, tenant, token) as client:
        said = {key: value for key, _, value in pairs}
        done = client.set_table(name, said, replace=replace, reclassify=reclassify, why=why)
    moved = f"{done.reclassified:,} tickets changed their class" + (
        f", {done.left:,} are still looked at" * bool(done.left)
    )
    typer.echo("it said so already" if done.replayed else f"{name} has {done.keys:,} keys; {moved}")


def override(
    target: Annotated[str, typer.Argument(help="A rule or layer (vip, Rank.vip), a reserve, or a skill.")] = "",
    settings: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME=VALUE]...",
            help="head_start=+120s · step.2.age=10s · step.2.boost=30s · reserve=released|kept · may=SKILL level=2",
        ),
    ] = None,
    *,
    lasts: Annotated[
        str, typer.Option("--for", metavar="DURATION", help="It ends by itself after: 90s, 15m, 2h.")
    ] = "",
    list_all: Annotated[bool, typer.Option("--list", help="Say which stand.")] = False,
    undo: Annotated[int, typer.Option(min=0, metavar="NUMBER", help="End this one now.")] = 0,
    why: Why = "",
    reclassify: Reclassify = True,
    dry_run: DryRun = False,
    yes: Yes = False,
    server: Server = _ADDRESS,
    tenant: Tenant = "",
    token: Token = "",
) -> None:
    """Change something for a while: previewed, kept in the journal, over by itself; undone by --undo NUMBER.

    csroute override vip head_start=+120s --for 15m --why "the queue is long"
    """
    from rich.console import Console  # noqa: PLC0415

    from csroute.cli.installing import overrides  # noqa: PLC0415
    from csroute.cli.overriding import changes_of, duration_ms  # noqa: PLC0415
    from csroute.errors import ConfigError  # noqa: PLC0415

    if sum((bool(target), list_all, undo > 0)) != 1:
        raise ConfigError("say what to change (vip head_start=+120s --for 15m), or --list, or --undo NUMBER")
    if target and not lasts:
        raise ConfigError("an override ends by itself: say --for 15m; what is to stay is a policy to apply")
    changes = changes_of(target, settings or ()) if target else []
    lasts_ms = duration_ms(lasts) if target else 0
    with _client(server, tenant, token) as client:
        if list_all:
            Console().print(overrides(client.versions(page_size=1)))
            return

        def ask(expected: int, trying: bool) -> Installed:
            return client.override(
                changes,
                duration_ms=lasts_ms,
                undo=undo,
                why=why,
                expected=expected,
                reclassify=reclassify,
                dry_run=trying,
            )

        _done(client, ask, dry_run=dry_run, yes=yes)
