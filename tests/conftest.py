"""What all tests share: how hard Hypothesis tries, and the seed that repeats a run.

    HYPOTHESIS_PROFILE=quick pytest         # fewer examples; `make quick`
    HYPOTHESIS_PROFILE=long pytest          # many more
    pytest --hypothesis-seed=N              # the run that said "seed N" again

No example has a deadline: on two cores that also compile, a slow one is not a wrong one.
"""

from __future__ import annotations

import os
import secrets

import pytest
from hypothesis import HealthCheck, settings

COMMON = settings(deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("quick", COMMON, max_examples=25, stateful_step_count=30)
settings.register_profile("default", COMMON, max_examples=150, stateful_step_count=60)
settings.register_profile("long", COMMON, max_examples=5000, stateful_step_count=150)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


@pytest.hookimpl(tryfirst=True)  # before the plugin reads it
def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("hypothesis_seed", None) is None:
        config.option.hypothesis_seed = str(secrets.randbits(32))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    terminalreporter.write_line(f"seed {config.getoption('hypothesis_seed')}: --hypothesis-seed repeats this run")
