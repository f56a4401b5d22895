"""A client process of a load test, seen from inside: it hands orders to the generator, and its figures back."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gc
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from csroute._csroute import LoadGenerator
from csroute.demo.child import pack
from csroute.load.source import Source

if TYPE_CHECKING:
    from csroute.demo.child import Link

__all__ = ["client"]

_LOOK_S: Final = 0.5
_NICE: Final = -10
"""What a generator asks for, where it may: it stands for clients on machines of their own."""


async def client(settings: dict[str, Any], link: Link) -> None:
    """Sends from `start` to the end of its time, works until `stop`, then reports its ledger."""
    with contextlib.suppress(PermissionError):
        os.nice(_NICE - os.nice(0))
    source = Source.read(Path(settings["source"]))
    size: int = settings["generator"]["batch"]
    due = source.recorded_ns[size - 1 :: size]  # a call is due when its last ticket has come
    generator = LoadGenerator(json.dumps(settings["generator"]), source.samples, due)
    del source, due
    gc.collect()
    link.tell("ready")
    await link.wait_for("start")
    generator.begin()
    stop = asyncio.create_task(link.wait_for("stop"))
    over = False
    while not stop.done():
        await asyncio.wait([stop], timeout=_LOOK_S)
        figures: dict[str, Any] = json.loads(generator.look())
        link.tell("progress", **figures)
        if not over and (figures["over"] or figures["trouble"]):
            over = True
            link.tell("over")
    counts, histograms, given, told = generator.finish()
    await stop
    link.tell(
        "ledger",
        nice=os.nice(0),
        counts=json.loads(counts),
        histograms={name: base64.b64encode(part).decode() for name, part in histograms},
        given=pack(given),
        told={str(process): [pack(assigned), pack(completed)] for process, assigned, completed in told},
    )
