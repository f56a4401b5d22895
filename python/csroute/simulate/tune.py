"""Search over a policy's declared parameters: several objectives, a budget in simulated days. Needs csroute[tune].

A tunable policy is a file with a function `tuned(trial)` that returns a `Policy`; the trial is asked for parameters:

```python
def tuned(trial):
    release_s = trial.suggest_float("release_s", 20, 180)
    ...
    return policy
```
"""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from csroute.errors import ConfigError
from csroute.policy import Policy
from csroute.simulate.run import run

if TYPE_CHECKING:
    from csroute.simulate.roster import Roster
    from csroute.simulate.workload import Workload

__all__ = ["Found", "tunable", "tune"]

Build = Callable[[Any], Policy]


@dataclass(frozen=True)
class Found:
    """One try: its parameters and what it reached, in the order of the objectives."""

    parameters: dict[str, Any]
    reached: tuple[float, ...]
    best: bool
    """No other try is better in one objective and as good in all."""
    policy: bytes
    """Compiled."""


def tunable(path: Path) -> Build:
    """The `tuned` of a policy's file."""
    if not path.is_file():
        raise ConfigError(f"{path}: there is no such file")
    build = runpy.run_path(str(path)).get("tuned")
    if not callable(build):
        raise ConfigError(f"{path}: it has no function tuned(trial) that returns a Policy")
    return build  # type: ignore[no-any-return] # called with a trial, checked below


def tune(
    build: Build,
    workload: Workload,
    roster: Roster,
    objectives: Sequence[tuple[str, bool]],
    *,
    days: int = 50,
    replications: int = 1,
    seed: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> list[Found]:
    """Tries policies until so many days are simulated: all tries, in order; those that nothing beats are `best`.

    objectives: (a figure of `Result.summary()`, more is better). Every try meets the same customers.
    """
    try:
        import optuna  # noqa: PLC0415 (an extra)
    except ModuleNotFoundError:
        raise ConfigError("tuning needs Optuna: install csroute[tune]") from None
    if not objectives or days < replications:
        raise ConfigError(f"{len(objectives)} objectives, {days} days, {replications} a try: at least one of each")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    ways = optuna.study.StudyDirection
    directions = [ways.MAXIMIZE if more else ways.MINIMIZE for _, more in objectives]
    sampler = optuna.samplers.NSGAIISampler(seed=seed) if len(objectives) > 1 else optuna.samplers.TPESampler(seed=seed)
    study = optuna.create_study(directions=directions, sampler=sampler)
    policies: dict[int, bytes] = {}
    tries = days // replications

    def once(trial: optuna.Trial) -> tuple[float, ...]:
        policy = build(trial)
        if not isinstance(policy, Policy):
            raise ConfigError(f"tuned(trial) returned {type(policy).__name__}, not a Policy")
        policies[trial.number] = policy.compile()
        result = run(policies[trial.number], workload, roster, seed=seed, replications=replications, keep_rows=False)
        summary = result.summary()
        if missing := [name for name, _ in objectives if name not in summary]:
            raise ConfigError(f"no figure {', '.join(missing)}; there are {', '.join(sorted(summary))}")
        if progress is not None:
            progress(trial.number + 1, tries)
        return tuple(summary[name].mean for name, _ in objectives)

    study.optimize(once, n_trials=tries)
    best = {trial.number for trial in study.best_trials}
    return [
        Found(trial.params, tuple(trial.values), trial.number in best, policies[trial.number])
        for trial in study.trials
        if trial.values is not None
    ]


def write(found: Found, path: Path) -> None:
    """The policy as a file that `csroute serve --policy` takes, and its parameters beside it as JSON."""
    path.write_bytes(found.policy)
    path.with_suffix(".json").write_text(
        json.dumps({"parameters": found.parameters, "reached": found.reached}, indent=1)
    )
