"""Logs: JSON lines on stderr, one an event of the server's life or a rejection; nothing per ticket on the hot path.

    {"event": "rejected", "method": "/csroute.v1.AgentService/Accept", "code": 302, "name": "STALE", "ticket": "t1",
     "tenant": "default", "caller": "desk-7", "message": "attempt 1 is not the newest, which is 2", "level": "info", …}

Rejections are logged up to a rate; how many were left out stands in the next one that is logged. Which ticket a call
was about is read from its bytes only then. A batch's own items are counted in the metrics, by code, not logged.
"""

from __future__ import annotations

import functools
import logging
import sys
import time
from typing import TYPE_CHECKING, Any, TextIO

import structlog
from google.protobuf import message_factory
from google.protobuf.message import DecodeError, Message

from csroute.v1 import admin_service_pb2, agent_service_pb2, policy_service_pb2, routing_service_pb2

if TYPE_CHECKING:
    from collections.abc import Callable

    from csroute.errors import RejectedError

__all__ = ["CallLog", "configure_logs"]


def configure_logs(level: str, file: TextIO = sys.stderr) -> None:
    """Sends structlog's lines, and the standard library's (gRPC's), to `file`, as JSON. For a process's entry."""
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        structlog.processors.dict_tracebacks,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(file),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(file)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.basicConfig(level=number, handlers=[handler], force=True)


class CallLog:
    """Logs rejected calls, at most `per_s_max` a second; at debug level every call."""

    def __init__(self, per_s_max: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = structlog.get_logger("csroute.server")
        self._per_s_max = per_s_max
        self._clock = clock
        self._second = 0
        self._logged = 0
        self._left_out = 0

    def rejected(self, path: str, tenant: str, caller: str, request: bytes, no: RejectedError) -> None:
        """One call's rejection."""
        second = int(self._clock())
        if second != self._second:
            self._second, self._logged = second, 0
        if self._logged >= self._per_s_max:
            self._left_out += 1
            return
        self._logged += 1
        left_out, self._left_out = self._left_out, 0
        more: dict[str, Any] = {"left_out": left_out} if left_out else {}
        self._log.info(
            "rejected",
            method=path,
            code=no.code,
            name=no.name,
            message=no.message,
            tenant=tenant,
            caller=caller,
            **subjects(path, request),
            **more,
        )

    def called(self, path: str, tenant: str, caller: str, request: bytes) -> None:
        """One call that was answered."""
        self._log.debug("called", method=path, tenant=tenant, caller=caller, **subjects(path, request))


def subjects(path: str, request: bytes) -> dict[str, str]:
    """Which ticket, agent and session a request names. Nothing of what cannot be read.

    >>> from csroute.v1 import agent_pb2
    >>> subjects("/csroute.v1.AgentService/Accept", agent_pb2.AcceptRequest(ticket="t1").SerializeToString())
    {'ticket': 't1'}
    """
    try:
        message: Any = _request_type(path).FromString(request)
    except (DecodeError, KeyError):
        return {}
    found = {}
    for name, field in (("ticket", "id"), ("ticket", "ticket"), ("agent", "agent"), ("session", "session")):
        value = getattr(message, field, "")
        value = getattr(value, "id", value)
        if value and isinstance(value, str):
            found[name] = value[:128]
    return found


@functools.cache
def _request_type(path: str) -> type[Message]:
    service, method = path.lstrip("/").split("/")
    for file in (routing_service_pb2, agent_service_pb2, admin_service_pb2, policy_service_pb2):
        found: Any = file.DESCRIPTOR.services_by_name.get(service.rpartition(".")[2])
        if found is not None:
            return message_factory.GetMessageClass(found.methods_by_name[method].input_type)
    raise KeyError(path)
