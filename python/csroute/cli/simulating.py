"""`csroute simulate`: a policy on a workload, perhaps against another; and `csroute tune`: a search."""

from __future__ import annotations

import json
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from csroute.errors import ConfigError
from csroute.simulate import WORKLOADS, Result, Roster, Workload, run
from csroute.simulate.compare import compare
from csroute.simulate.files import load_roster, load_workload
from csroute.simulate.report import rendered, to_json

__all__ = ["inputs", "simulate", "tune"]


def inputs(workload: str, roster: Path | None, scale: float) -> tuple[Workload, Roster]:
    """A built-in workload by name, or a TOML file's; its own people unless a roster's file is given."""
    built_in = WORKLOADS.get(workload)
    if built_in is None and roster is None:
        raise ConfigError(
            f"workload {workload}: give its people with --roster; built in with people: {', '.join(WORKLOADS)}"
        )
    what = built_in[0](scale) if built_in else load_workload(Path(workload))
    if built_in is None and scale != 1.0:
        what = what.scaled(scale)
    people = load_roster(roster) if roster else built_in[1](scale) if built_in else Roster([])
    return what, people


def simulate(
    policy: str,
    *,
    workload: str,
    roster: Path | None,
    scale: float,
    against: str | None,
    seed: int,
    replications: int,
    warmup_s: float,
    html: Path | None,
    json_path: Path | None,
) -> None:
    """Runs, prints, writes."""
    what, people = inputs(workload, roster, scale)
    console = Console()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[tickets]:,} tickets"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:

        def play(source: str) -> Result:
            task = progress.add_task(source, total=1.0, tickets=0)
            return run(
                source,
                what,
                people,
                seed=seed,
                replications=replications,
                warmup_s=warmup_s,
                keep_rows=False,
                progress=lambda share, tickets: progress.update(task, completed=share, tickets=tickets),
            )

        result = play(policy)
        comparison = compare(result, play(against)) if against else None
    console.print(rendered(result, comparison))
    if json_path:
        json_path.write_text(json.dumps(to_json(result, comparison), indent=1, ensure_ascii=False) + "\n")
    if html:
        from csroute.simulate.html import page  # noqa: PLC0415 (charts are slow to load)

        html.write_text(page(result, comparison))


def tune(
    policy: Path,
    *,
    objectives: list[str],
    workload: str,
    roster: Path | None,
    scale: float,
    days: int,
    replications: int,
    seed: int,
    out: Path,
) -> None:
    """Searches, prints what nothing beats, writes the first of these as a policy's file."""
    from csroute.simulate.tune import tunable, tune, write  # noqa: PLC0415

    goals = [_objective(one) for one in objectives]
    what, people = inputs(workload, roster, scale)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("tries", total=max(1, days // replications))
        tries = tune(
            tunable(policy),
            what,
            people,
            goals,
            days=days,
            replications=replications,
            seed=seed,
            progress=lambda done, _: progress.update(task, completed=done),
        )
    best = sorted((one for one in tries if one.best), key=lambda one: one.reached[0], reverse=goals[0][1])
    table = Table(title=f"{len(best)} of {len(tries)} tries that nothing beats", title_justify="left")
    for name in (*best[0].parameters, *(name for name, _ in goals)):
        table.add_column(name, justify="right")
    for one in best:
        table.add_row(*map(str, one.parameters.values()), *(f"{value:.4g}" for value in one.reached))
    Console().print(table)
    write(best[0], out)


def _objective(text: str) -> tuple[str, bool]:
    name, _, direction = text.rpartition(":")
    if direction not in {"max", "min"} or not name:
        raise ConfigError(f"objective {text}: write a figure and which way, as service_level:max or reserve:min")
    return name, direction == "max"
