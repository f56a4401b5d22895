"""`csroute policy canary` and `shadow`: a candidate for part of the tickets, or for none, beside the policy."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from csroute.cli.versions import Server, Tenant, Token, Yes
from csroute.cli.versions import _client as client_of

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from csroute.shadow import Comparison, Decision, Shadow
    from csroute.types import Canary

__all__ = ["canary", "shadow"]

_ADDRESS = "127.0.0.1:7700"


def _share(text: str) -> float:
    """10%, or 0.1."""
    try:
        value = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        raise typer.BadParameter(f"{text!r}: a share is 10%, or 0.1") from None
    if not 0 <= value <= 1:
        raise typer.BadParameter(f"{text}: a share is between 0 and 100%")
    return value


def canary(
    policy: Annotated[
        str, typer.Argument(metavar="POLICY", help="The candidate; none: say how the canary that is on does.")
    ] = "",
    *,
    share: Annotated[str, typer.Option(metavar="SHARE", help="Its part of the tickets, by customer.")] = "10%",
    margin: Annotated[
        str, typer.Option(metavar="SHARE", help="Stopped when its service level is so far below.")
    ] = "2%",
    error: Annotated[str, typer.Option(metavar="SHARE", help="How often one that is not may be stopped.")] = "1%",
    tickets_min: Annotated[int, typer.Option(min=10, help="Tickets of either side before the first look.")] = 100,
    stop: Annotated[bool, typer.Option("--stop", help="End it: its waiting tickets go back to the policy.")] = False,
    leave: Annotated[bool, typer.Option("--leave", help="With --stop: they keep their class.")] = False,
    yes: Yes = False,
    server: Server = _ADDRESS,
    tenant: Tenant = "",
    token: Token = "",
) -> None:
    """Try a policy on part of the tickets. The server stops it when it is behind; an apply makes it the policy.

    Both sides share the agents; a customer stays on one side. Whatever is installed ends a canary.
    """
    from rich.console import Console  # noqa: PLC0415

    console = Console()
    if stop and policy:
        raise typer.BadParameter("begin a canary, or --stop it: not both")
    with client_of(server, tenant, token) as client:
        if stop:
            told = client.stop_canary(reclassify=not leave)
            console.print("No canary was on." if told.replayed else "The canary is over.")
            return
        if policy:
            from csroute.cli.installing import ready  # noqa: PLC0415

            compiled, _ = ready(policy, (), None)
            part = _share(share)
            if not yes and not typer.confirm(f"Route {part:.1%} of the customers by {policy}?"):
                typer.echo("nothing was done", err=True)
                raise typer.Exit(1)
            client.start_canary(
                compiled, share=part, margin=_share(margin), error=_share(error), tickets_min=tickets_min
            )
        seen = client.canary()
        console.print(_told(seen) if seen.on else "No canary is on.")


def _told(seen: Canary) -> Table:
    from rich.table import Table  # noqa: PLC0415

    from csroute.canary import Judge  # noqa: PLC0415

    since = datetime.fromtimestamp(seen.since_us / 1e6, UTC).astimezone()
    said = f"{seen.share_milli / 10:g} % of the tickets since {since:%H:%M:%S}: {Judge().judged(seen)}"
    table = Table(box=None, pad_edge=False, header_style="dim", caption=said, caption_justify="left")
    columns = ("", "version", "came", "answered", "in time", "left", "overflowed", "mean wait")
    for at, column in enumerate(columns):
        table.add_column(column, justify="left" if at == 0 else "right", no_wrap=True)
    for name, side in (("policy", seen.stable), ("canary", seen.canary)):
        if side is None:
            continue
        counted = side.answered + side.abandoned + side.overflowed - side.short_abandoned
        table.add_row(
            name,
            f"{side.policy_version:016x}",
            f"{side.arrived:,}",
            f"{side.answered:,}",
            f"{side.met / counted:.1%}" if counted else "–",
            f"{side.abandoned:,}",
            f"{side.overflowed:,}",
            f"{side.wait_total_ms / side.answered / 1000:.1f} s" if side.answered else "–",
        )
    return table


def shadow(
    policy: Annotated[str, typer.Argument(metavar="POLICY", help="The candidate.")],
    *,
    seconds: Annotated[float, typer.Option("--for", min=1, max=86_400, help="Seconds to look.")] = 60.0,
    per_second: Annotated[int, typer.Option(min=1, max=1000, help="Tickets looked at in a second, at most.")] = 50,
    server: Server = _ADDRESS,
    tenant: Tenant = "",
    token: Token = "",
) -> None:
    """Say what a policy would decide differently for the tickets that come now. Nothing that is live is touched."""
    from rich.console import Console  # noqa: PLC0415
    from rich.live import Live  # noqa: PLC0415

    from csroute.router import policy_bytes  # noqa: PLC0415
    from csroute.shadow import Shadow, follow  # noqa: PLC0415

    console = Console(stderr=True)
    with client_of(server, tenant, token) as client:
        beside = Shadow(client.version().policy, policy_bytes(policy))
        with Live(console=console, transient=True, auto_refresh=False) as line:
            for at in follow(client, beside, seconds=seconds, per_second=per_second):
                line.update(f"{at.taken:,} compared, {beside.differing:,} differ, {at.dropped:,} dropped", refresh=True)
    Console().print(_differing(beside, at.dropped))


def _differing(beside: Shadow, dropped: int) -> RenderableType:
    from rich.console import Group  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    from csroute.shadow import KINDS  # noqa: PLC0415

    share = beside.differing / beside.compared if beside.compared else 0.0
    head = f"{beside.compared:,} tickets compared, {beside.differing:,} differ ({share:.1%}); {dropped:,} were dropped."
    if not beside.differing:
        return Text(head)
    kinds = Table(box=None, pad_edge=False, header_style="dim")
    kinds.add_column("differs in")
    kinds.add_column("tickets", justify="right")
    for kind in KINDS:
        if beside.counts[kind]:
            kinds.add_row(kind, f"{beside.counts[kind]:,}")
    samples = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("for example", "in", "now", "then"):
        samples.add_column(column)
    for sample in beside.samples:
        for kind in sample.kinds:
            first = sample.ticket if kind == sample.kinds[0] else ""
            samples.add_row(first, kind, *(Text(said) for said in _sides(sample, kind)))
    return Group(Text(head), Text(), kinds, Text(), samples)


def _sides(sample: Comparison, kind: str) -> tuple[str, str]:
    def said(side: Decision) -> str:
        match kind:
            case "refused":
                return side.refused or "taken"
            case "queue":
                return side.queue
            case "class":
                return side.class_path
            case "needs":
                return " and ".join(side.needs) + (f", none of {', '.join(side.none_of)}" if side.none_of else "")
            case "urgency":
                return f"{side.head_start_ms / 1000:g} s ahead, slope {side.slope_milli / 1000:g}"
            case "clocks":
                return ", ".join(f"{name} {ms / 1000:g} s" for name, ms in side.clocks.items()) or "none"
        return {True: "may take it", False: "may not", None: "–"}[side.able]

    return said(sample.now), said(sample.then)
