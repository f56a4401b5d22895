"""A policy's file, read."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from pathlib import Path
from types import ModuleType

from csroute.policy.origin import Origin
from csroute.policy.policy import Finding, Policy, PolicyError

__all__ = ["load"]


def load(path: str | Path) -> Policy:
    """Runs a policy's file and returns its `policy`. PolicyError with file and line where it cannot be run."""
    file = Path(path)
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
