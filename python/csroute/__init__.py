"""A low-latency router for customer-service tickets: Rust decides, Python explains the rules to it.

    csroute.policy            the language that routing rules are written in
    csroute.Router            the same node in process: for tests and notebooks
    csroute.Client            a server's client, that blocks; AsyncClient awaits
    csroute.types, .errors    what they take, give and raise
    csroute.v1                the wire itself

What stands here is loaded when it is first used: a policy's file does not load gRPC.

>>> import csroute
>>> csroute.Ticket("t1", "chat").channel
'chat'
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from csroute.client import AsyncClient, Client, Retry
    from csroute.errors import CsrouteError, RejectedError
    from csroute.router import Router
    from csroute.types import AgentSpec, Guess, Ticket

    __version__: str

__all__ = [
    "AgentSpec",
    "AsyncClient",
    "Client",
    "CsrouteError",
    "Guess",
    "RejectedError",
    "Retry",
    "Router",
    "Ticket",
    "__version__",
]

_HOMES = {
    "csroute.client": ("AsyncClient", "Client", "Retry"),
    "csroute.errors": ("CsrouteError", "RejectedError"),
    "csroute.router": ("Router",),
    "csroute.types": ("AgentSpec", "Guess", "Ticket"),
}


def __getattr__(name: str) -> object:
    if name == "__version__":
        return importlib.import_module("importlib.metadata").version("csroute")
    for home, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(home), name)
    raise AttributeError(f"module 'csroute' has no attribute {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return __all__
