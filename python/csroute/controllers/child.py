"""The process that a controller runs in: `python -m csroute.controllers.child module:name`.

Frames on stdin and stdout, each four bytes of length (big-endian) and a body. First out: what it declares, as JSON.
Then for each `GetLiveReply` in, an answer as JSON out. What the controller prints goes to stderr. It ends with its
stdin.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from csroute.controllers.state import Controller

__all__ = ["answered", "declaration", "find", "main"]


def find(named: str) -> Controller:
    """The controller of "module:name" or "file.py:name". Raises TypeError, ImportError or AttributeError."""
    from csroute.controllers.state import Controller  # noqa: PLC0415

    where, _, name = named.rpartition(":")
    if where.endswith(".py"):
        spec = importlib.util.spec_from_file_location(Path(where).stem, where)
        if spec is None or spec.loader is None:
            raise ImportError(f"{where} cannot be read as Python")
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
    else:
        sys.path.insert(0, str(Path.cwd()))
        module = importlib.import_module(where)
    found = getattr(module, name)
    if not isinstance(found, Controller):
        raise TypeError(
            f"{named} is a {type(found).__name__}; a csroute.controllers.Controller is wanted: it has ranges"
        )
    return found


def main(named: str) -> int:
    """Serves until stdin ends."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what is printed is not an answer
    try:
        steered = find(named)
        _send(out, declaration(steered))
    except Exception as error:  # noqa: BLE001 (whatever a module of somebody's raises)
        _send(out, {"error": _short(error)})
        return 1
    return _serve(steered, out)


def _serve(steered: Controller, out: BinaryIO) -> int:
    from csroute.controllers.state import Memory  # noqa: PLC0415
    from csroute.v1 import live_pb2  # noqa: PLC0415

    memory = Memory(steered)
    while (request := _receive(sys.stdin.buffer)) is not None:
        live = live_pb2.GetLiveReply.FromString(request)
        try:
            answer = answered(steered, memory, live)
        except Exception as error:  # noqa: BLE001
            answer = {"error": _short(error)}
        _send(out, answer)
    return 0


def answered(steered: Controller, memory: Any, live: Any) -> dict[str, Any]:  # noqa: ANN401 (so that numpy loads late)
    """What the controller says, as JSON holds it; shapes and values are checked elsewhere."""
    import numpy as np  # noqa: PLC0415

    from csroute.controllers.state import FIGURES, Steering  # noqa: PLC0415

    said = steered(memory.state(live))
    if said is None:
        said = Steering()
    if not isinstance(said, Steering):
        raise TypeError(f"a Steering, or None, is wanted, not a {type(said).__name__}")
    given = {figure: getattr(said, figure) for figure in FIGURES}
    lists = {figure: np.asarray(it, np.float64).tolist() for figure, it in given.items() if it is not None}
    return {**lists, "policy_version": live.policy_version}


def declaration(steered: Controller) -> dict[str, Any]:
    """What a controller declares, as JSON holds it."""
    return {"rules": [[str(rule), _figures(it)] for rule, it in steered.ranges.items()], "period_s": steered.period_s}


def _figures(it: Any) -> dict[str, list[float]]:  # noqa: ANN401
    from csroute.controllers.state import FIGURES  # noqa: PLC0415

    return {figure: list(getattr(it, figure)) for figure in FIGURES if getattr(it, figure) is not None}


def _short(error: Exception) -> str:
    return "".join(traceback.format_exception(error)[-2:])[-2000:].strip()


def _send(out: BinaryIO, said: dict[str, Any]) -> None:
    body = json.dumps(said).encode()
    out.write(len(body).to_bytes(4, "big") + body)
    out.flush()


def _receive(into: BinaryIO) -> bytes | None:
    head = into.read(4)
    return into.read(int.from_bytes(head, "big")) if len(head) == 4 else None


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1]))
