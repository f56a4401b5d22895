"""Search over a policy's declared parameters: several objectives, a budget in simulated days. Needs csroute[tune].

```python
RELEASE = parameter("release", seconds(120), low=seconds(20), high=seconds(300))     # in the policy's page

tries = tune("mine.py", workload, roster, [("service_level[tier=vip]", True), ("reserve", False)], days=40)
write(next(one for one in tries if one.best), "mine.py", Path("best.py"))            # a page like any other
```
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from csroute.errors import ConfigError
from csroute.policy.durations import Duration
from csroute.policy.load import preset_file, read
from csroute.simulate.run import run

if TYPE_CHECKING:
    from csroute.policy.parameters import Parameter
    from csroute.simulate.roster import Roster
    from csroute.simulate.workload import Workload

__all__ = ["Found", "tune", "write"]


@dataclass(frozen=True)
class Found:
    """One try: its parameters and what it reached, in the order of the objectives."""

    parameters: dict[str, Any]
    reached: tuple[float, ...]
    best: bool
    """No other try is better in one objective and as good in all."""
    policy: bytes
    """Compiled."""


def tune(
    policy: str | Path,
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

    policy: a page, or a preset's name, that declares parameters; the first try is the page as it stands. objectives: (a
    figure of `Result.summary()`, more is better). Every try meets the same customers.
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
    study = optuna.create_study(directions=directions, sampler=optuna.samplers.TPESampler(seed=seed))
    page = _page(policy)
    _, declared = read(page, {})
    if not declared:
        raise ConfigError(f"{policy}: it declares no parameter(…): there is nothing to vary")
    study.enqueue_trial({name: _plain(one.default) for name, one in declared.items()})
    policies: dict[int, bytes] = {}
    tries = days // replications

    def once(trial: optuna.Trial) -> tuple[float, ...]:
        given = {name: _suggested(trial, one) for name, one in declared.items()}
        policies[trial.number] = read(page, given)[0].compile()
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
        Found(
            {name: _value(one, trial.params[name]) for name, one in declared.items()},
            tuple(trial.values),
            trial.number in best,
            policies[trial.number],
        )
        for trial in study.trials
        if trial.values is not None
    ]


def write(found: Found, policy: str | Path, path: Path) -> None:
    """The policy as a page that reads the tuned one with these parameters; named *.policy, as compiled bytes."""
    if path.suffix == ".policy":
        path.write_bytes(found.policy)
        return
    given = ", ".join(f"{name}={_written(value)}" for name, value in found.parameters.items())
    if isinstance(policy, str) and _is_preset(policy):
        call, needs = f"preset({policy!r}, {given})", "preset"
    else:
        source = os.path.relpath(policy, path.resolve().parent)
        call, needs = f"load(Path(__file__).parent / {source!r}, {given})", "load"
    imports = [needs, "milliseconds"] if "milliseconds(" in given else [needs]
    before = "" if needs == "preset" else "from pathlib import Path\n\n"
    reached = ", ".join(f"{value:.6g}" for value in found.reached)
    path.write_text(
        f'"""{Path(policy).stem} as a search found it: it reached {reached}."""\n\n'
        f"{before}from csroute.policy import {', '.join(imports)}\n\npolicy = {call}\n"
    )


def _is_preset(policy: str) -> bool:
    return policy.isidentifier() and not Path(policy).exists()


def _page(policy: str | Path) -> Path:
    if isinstance(policy, str) and _is_preset(policy):
        return preset_file(policy)
    return Path(policy)


def _suggested(trial: Any, one: Parameter) -> Any:  # noqa: ANN401 (optuna's trial; a value)
    if one.among:
        return trial.suggest_categorical(one.name, list(one.among))
    low, high, step = _plain(one.low), _plain(one.high), _plain(one.step)
    if isinstance(one.default, float):
        return trial.suggest_float(one.name, low, high, step=step)
    return _value(one, trial.suggest_int(one.name, low, high, step=step))


def _plain(value: Any) -> Any:  # noqa: ANN401 (a parameter's value)
    return value.ms if isinstance(value, Duration) else value


def _value(one: Parameter, plain: Any) -> Any:  # noqa: ANN401 (a parameter's value)
    return Duration(plain) if isinstance(one.default, Duration) else plain


def _written(value: Any) -> str:  # noqa: ANN401 (a parameter's value)
    return f"milliseconds({value.ms})" if isinstance(value, Duration) else repr(value)
