"""`csroute simulate`: a policy on a workload, perhaps against another; and `csroute tune`: a search."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from csroute.cli.sources import policy_of, values_of
from csroute.errors import ConfigError
from csroute.router import policy_bytes
from csroute.simulate import WORKLOADS, Result, Roster, Workload, run
from csroute.simulate.compare import compare
from csroute.simulate.files import load_roster, load_workload
from csroute.simulate.report import rendered, to_json
from csroute.simulate.result import shown
from csroute.v1 import policy_pb2

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Stretch", "inputs", "simulate", "staff", "tune"]


JOURNAL = "journal:"


@dataclass(frozen=True)
class Stretch:
    """What is played of a journal: times as people write them; empty: all there is."""

    since: str = ""
    until: str = ""
    tenant: str = ""
    handle: str = "as-recorded"


def inputs(
    workload: str,
    roster: Path | None,
    scale: float,
    *,
    stretch: Stretch = Stretch(),
    policies: Sequence[bytes] = (),
) -> tuple[Workload, Roster]:
    """A built-in workload by name, a TOML file's, or `journal:DIR`; its own people unless a roster is given.

    Of a journal's tickets those attributes are read that any of the policies may read.
    """
    built_in = WORKLOADS.get(workload)
    if workload.startswith(JOURNAL):
        what, people = _journal(workload.removeprefix(JOURNAL), stretch, policies)
    elif built_in is not None:
        what, people = built_in[0](scale), built_in[1](scale)
    elif roster is None:
        raise ConfigError(
            f"workload {workload}: give its people with --roster; built in with people: {', '.join(WORKLOADS)}"
        )
    else:
        what, people = load_workload(Path(workload)), Roster([])
    if built_in is None and scale != 1.0:
        what = what.scaled(scale)
    return what, load_roster(roster) if roster else people


def _journal(folder: str, stretch: Stretch, policies: Sequence[bytes]) -> tuple[Workload, Roster]:
    from csroute.cli.progress import progress  # noqa: PLC0415
    from csroute.journal import parse_time  # noqa: PLC0415 (reads journals)
    from csroute.simulate.journal import from_journal  # noqa: PLC0415

    tables = [policy_pb2.CompiledPolicy.FromString(policy) for policy in policies]
    read = {one.name for table in tables for one in table.attributes}
    read |= {one.attribute for table in tables for one in table.tables}
    with progress("replaying the journal") as tell:
        return from_journal(
            folder,
            since_us=parse_time(stretch.since) if stretch.since else 0,
            until_us=parse_time(stretch.until) if stretch.until else None,
            tenant=stretch.tenant,
            handle=stretch.handle,
            attributes=read or None,
            tell=tell,
        )


def simulate(
    policy: str,
    *,
    workload: str,
    roster: Path | None,
    scale: float,
    given: list[str],
    against: str | None,
    against_given: list[str],
    seed: int,
    replications: int,
    warmup_s: float,
    html: Path | None,
    json_path: Path | None,
    stretch: Stretch = Stretch(),
) -> None:
    """Runs, prints, writes."""
    sources = [source(policy, given)]
    if against or against_given:
        sources.append(source(against or policy, against_given))
    policies = [compiled for compiled, _ in sources]
    what, people = inputs(workload, roster, scale, stretch=stretch, policies=policies)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[tickets]:,} tickets"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:

        def play(compiled: bytes, label: str) -> Result:
            task = progress.add_task(label, total=1.0, tickets=0)
            return run(
                compiled,
                what,
                people,
                seed=seed,
                replications=replications,
                warmup_s=warmup_s,
                keep_rows=False,
                label=label,
                progress=lambda share, tickets: progress.update(task, completed=share, tickets=tickets),
            )

        result, *others = [play(*one) for one in sources]
    comparison = compare(result, others[0]) if others else None
    console = Console()
    console.print(rendered(result, comparison, width=console.width))
    if json_path:
        json_path.write_text(json.dumps(to_json(result, comparison), indent=1, ensure_ascii=False) + "\n")
    if html:
        from csroute.simulate.html import page  # noqa: PLC0415 (charts are slow to load)

        html.write_text(page(result, comparison))


def source(policy: str, given: list[str]) -> tuple[bytes, str]:
    """A policy's bytes with these values of its parameters, and what to call it."""
    if not given:
        compiled = policy_bytes(policy)
        return compiled, policy_pb2.CompiledPolicy.FromString(compiled).name
    found = policy_of(policy, **values_of(given))
    return found.compile(), f"{found.name}, {', '.join(given)}"


def tune(
    policy: str,
    *,
    objectives: list[str],
    workload: str,
    roster: Path | None,
    scale: float,
    days: int,
    replications: int,
    seed: int,
    out: Path,
    html: Path | None,
) -> None:
    """Searches, prints what nothing beats, writes the first of these as a policy's page."""
    from csroute.simulate.tune import tune, write  # noqa: PLC0415

    goals = [_objective(one) for one in objectives]
    what, people = inputs(workload, roster, scale)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed} of {task.total} days"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(policy, total=days // replications * replications)
        tries = tune(
            policy,
            what,
            people,
            goals,
            days=days,
            replications=replications,
            seed=seed,
            progress=lambda done, _: progress.update(task, completed=done * replications),
        )
    best = sorted((one for one in tries if one.best), key=lambda one: one.reached[0], reverse=goals[0][1])
    table = Table(title=f"{len(best)} of {len(tries)} tries that nothing beats", title_justify="left")
    for name in (*best[0].parameters, *(name for name, _ in goals)):
        table.add_column(name, justify="right")
    for one in best:
        table.add_row(*map(str, one.parameters.values()), *map(shown, [name for name, _ in goals], one.reached))
    console = Console()
    console.print(table)
    write(best[0], policy, out)
    console.print(f"wrote {out}: the first of these", soft_wrap=True)
    if html:
        from csroute.simulate.pareto import pareto  # noqa: PLC0415 (charts are slow to load)

        html.write_text(pareto(tries, goals, f"{policy} on {what.name}"))


def staff(
    policy: str,
    *,
    workload: str,
    roster: Path | None,
    scale: float,
    targets: list[str],
    interval_h: float,
    replications: int,
    seed: int,
    json_path: Path | None,
) -> None:
    """Finds the people, prints them by interval, and what the whole day reaches."""
    from csroute.simulate.staffing import SERVICE_LEVEL, plan_day  # noqa: PLC0415

    goals = dict(map(_target, targets)) or dict(SERVICE_LEVEL)
    what, people = inputs(workload, roster, scale)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed} of {task.total} intervals"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(policy, total=None)
        plan = plan_day(
            policy,
            what,
            people,
            interval_s=interval_h * 3600,
            targets=goals,
            seed=seed,
            replications=replications,
            progress=lambda done, of: progress.update(task, completed=done, total=of),
        )
    table = Table(title="Fewest agents", title_justify="left", box=None)
    for name in ("from", *people.groups, "all"):
        table.add_column(name, justify="right")
    for place, sizes in enumerate(plan.sizes):
        table.add_row(
            f"{place * interval_h:g} h", *(f"{size:,}" for size in sizes.values()), f"{sum(sizes.values()):,}"
        )
    console = Console()
    console.print(table)
    reached = "; ".join(
        f"{name} {shown(name, one.mean)} (target {shown(name, goals[name])})" for name, one in plan.reached.items()
    )
    console.print(
        f"The whole day, simulated with them: {reached}. {plan.agent_hours:,.0f} agent hours, {plan.tried} simulations."
    )
    if json_path:
        told = {"interval_s": plan.interval_s, "agents": plan.sizes, "agent_hours": plan.agent_hours, "targets": goals}
        told["reached"] = {name: one.mean for name, one in plan.reached.items()}
        json_path.write_text(json.dumps(told, indent=1) + "\n")


def _target(text: str) -> tuple[str, float]:
    name, _, least = text.rpartition(":")
    try:
        return name, float(least)
    except ValueError:
        raise ConfigError(f"target {text}: write a figure and what it must reach, as service_level:0.8") from None


def _objective(text: str) -> tuple[str, bool]:
    name, _, direction = text.rpartition(":")
    if direction not in {"max", "min"} or not name:
        raise ConfigError(f"objective {text}: write a figure and which way, as service_level:max or reserve:min")
    return name, direction == "max"
