"""A policy's file, or a preset, read; perhaps with other values of its parameters."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from pathlib import Path
from types import ModuleType

from csroute.errors import ConfigError
from csroute.policy.origin import Origin
from csroute.policy.parameters import Parameter, Value, Values, reading
from csroute.policy.policy import Finding, Policy, PolicyError

__all__ = ["load", "preset", "preset_file", "read"]


def load(path: str | Path, /, **given: Value) -> Policy:
    """Runs a policy's file and returns its `policy`; `given`: other values of its parameters, by name.

    PolicyError with file and line where it cannot be run.
    """
    return read(path, given)[0]


def preset(name: str, /, **given: Value) -> Policy:
    """A policy that comes with csroute, perhaps with other values of its parameters. ConfigError if there is none."""
    if given:
        return load(preset_file(name), **given)
    preset_file(name)
    policy = importlib.import_module(f"csroute.presets.{name}").policy
    assert isinstance(policy, Policy)  # noqa: S101 - the package's own
    return policy


def preset_file(name: str) -> Path:
    """The file of a preset. ConfigError if there is none."""
    file = Path(__file__).parents[1] / "presets" / f"{name}.py"
    if not file.is_file() or "\npolicy = " not in file.read_text(encoding="utf-8"):
        raise ConfigError(f"policy {name}: there is no such file, and no such preset in csroute.presets")
    return file


def read(path: str | Path, given: Values) -> tuple[Policy, dict[str, Parameter]]:
    """The policy of a file, and the parameters that it declares, in order."""
    file = Path(path)
    found: dict[str, Parameter] = {}
    try:
        with reading(given) as found:
            policy = _run(file)
    except ValueError as error:
        raise _refused(file, 0, str(error)) from None
    return policy, found


def _run(file: Path) -> Policy:
    if not file.is_file():
        raise _refused(file, 0, "there is no such file")
    name = f"csroute_policy_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise _refused(file, 0, "a policy is a Python file, named *.py")
    module = importlib.util.module_from_spec(spec)
    before = sys.modules.get(name)
    sys.modules[name] = module  # annotations are looked up there while the file runs
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise _refused(Path(error.filename or file), error.lineno or 0, f"{error.msg}") from error
    except Exception as error:
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
        cause = error.__cause__ or error  # Python 3.11 wraps what goes wrong while a class names its members
        raise _refused(file, (lines or [0])[-1] or 0, f"{type(cause).__name__}: {cause}") from error
    finally:
        _put_back(name, before)
    policy = getattr(module, "policy", None)
    if not isinstance(policy, Policy):
        found = "there is none" if policy is None else f"it is {policy!r}"
        raise _refused(file, 0, f"a policy's file names it `policy = Policy(…)`; {found}")
    return policy


def _put_back(name: str, before: ModuleType | None) -> None:
    if before is None:
        sys.modules.pop(name, None)
    else:
        sys.modules[name] = before


def _refused(file: Path, line: int, message: str) -> PolicyError:
    return PolicyError([Finding(Origin(str(file), line), "policy", message)])
