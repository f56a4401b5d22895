"""`csroute policy`: check, show, diff, try; apply, list, rollback, scene (`versions.py`); canary, shadow (`trying.py`).

A policy is a file, a preset's name, or a compiled policy's file.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from csroute.cli import trying, versions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from csroute.policy import Policy
    from csroute.policy.attributes import Attributes
    from csroute.types import AgentSpec

__all__ = ["app"]

app = typer.Typer(
    help="Look at policies before they route anyone; switch them on, and back.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

Source = Annotated[str, typer.Argument(metavar="POLICY", help="A policy's .py, a preset's name, or compiled bytes.")]
Scenes = Annotated[list[str] | None, typer.Option("--scene", metavar="NAME", help="Switched on; may be repeated.")]
Roster = Annotated[
    str | None, typer.Option(metavar="FILE", help="Agents: TOML ([[agents]] with id, skills, …), or double11.")
]


@app.command()
def check(
    policy: Source,
    roster: Roster = None,
    strict: Annotated[bool, typer.Option("--strict", help="Doubts fail too.")] = False,
    applying: Annotated[bool, typer.Option("--applying", help="As for applying: it must state cases.")] = False,
) -> None:
    """Say what is wrong or doubtful, with its line; its cases are tried. Exit code 2 if something is wrong."""
    from csroute.cli.sources import policy_of, roster_of  # noqa: PLC0415
    from csroute.policy import version  # noqa: PLC0415

    found = policy_of(policy)
    findings = found.check(roster=roster_of(roster), applying=applying)
    for finding in findings:
        typer.echo(str(finding), err=not finding.warning)
    wrong = sum(not finding.warning for finding in findings)
    if wrong or (strict and findings):
        typer.echo(f"{wrong} wrong, {len(findings) - wrong} doubtful", err=True)
        raise typer.Exit(2)
    compiled = found.compile()
    layers = sum(len(found.rules(layer)) for layer in found.layers)
    said = (
        f"{found.name} {version(compiled):016x}: {layers} rules, {len(found.cases)} cases hold, {len(compiled):,} bytes"
    )
    typer.echo(f"{said}, {len(findings)} doubtful" if findings else said)


@app.command()
def show(
    policy: Source,
    scene: Scenes = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write one page, for a browser.")] = None,
    svg: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the graph of the queues.")] = None,
) -> None:
    """Draw a policy: its queues as time goes by, then every layer with its reasons."""
    from rich.console import Console  # noqa: PLC0415

    from csroute.cli.showing import rendered  # noqa: PLC0415
    from csroute.policy import picture  # noqa: PLC0415
    from csroute.policy.switch import switch  # noqa: PLC0415
    from csroute.router import policy_bytes  # noqa: PLC0415

    compiled = policy_bytes(policy)
    compiled = switch(compiled, scene) if scene else compiled
    for path, draw in ((html, picture.html), (svg, picture.svg)):
        if path is not None:
            path.write_text(draw(compiled), encoding="utf-8")
            typer.echo(f"wrote {path}")
    if html is None and svg is None:
        Console().print(rendered(picture.drawn(compiled)))


@app.command()
def diff(old: Source, new: Source) -> None:
    """Say what differs between two policies, rule by rule. Exit code 0 if nothing does, else 1."""
    from rich.console import Console  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    from csroute.policy.difference import difference  # noqa: PLC0415
    from csroute.router import policy_bytes  # noqa: PLC0415

    found = difference(policy_bytes(old), policy_bytes(new))
    console = Console()
    for each in found:
        style = "green" if not each.old else "red" if not each.new else "yellow"
        console.print(Text(str(each), style=style), soft_wrap=True)
    if found:
        raise typer.Exit(1)
    console.print("they decide the same")


@app.command(name="try")
def try_(
    policy: Source,
    values: Annotated[
        list[str], typer.Argument(metavar="NAME=VALUE", help="The ticket: channel=chat tier=vip mood=angry:0.9 …")
    ],
    scene: Scenes = None,
    roster: Roster = None,
    until: Annotated[float, typer.Option(metavar="SECONDS", min=0, help="How long it waits.")] = 600,
) -> None:
    """Try one ticket: which rules fire, which class, whom it is for, step by step, played on the router itself."""
    from rich.console import Console  # noqa: PLC0415

    from csroute.cli.showing import tried  # noqa: PLC0415
    from csroute.cli.sources import policy_of, roster_of, scenes_of, ticket_of  # noqa: PLC0415
    from csroute.policy import milliseconds  # noqa: PLC0415
    from csroute.policy.trial import trial  # noqa: PLC0415

    found: Policy = policy_of(policy)
    ticket: Attributes = ticket_of(found, values)
    now = found.under(*scenes_of(found, scene or ()))
    agents: Sequence[AgentSpec] = roster_of(roster if roster is not None or policy != "double11" else "double11")
    played = trial(now, ticket, agents, until=milliseconds(int(until * 1000)))
    Console().print(tried(ticket, played, len(agents)))


app.command()(versions.apply)
app.command(name="list")(versions.list_)
app.command()(versions.rollback)
app.command()(versions.scene)
app.command()(versions.table)
app.command()(trying.canary)
app.command()(trying.shadow)
