"""`csroute simulate`: a policy on a workload, perhaps against another; the report on the terminal and in files."""

from __future__ import annotations

import json
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from csroute.errors import ConfigError
from csroute.simulate import WORKLOADS, Result, Roster, Workload, run
from csroute.simulate.compare import compare
from csroute.simulate.files import load_roster, load_workload
from csroute.simulate.report import rendered, to_json

__all__ = ["inputs", "simulate"]


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
