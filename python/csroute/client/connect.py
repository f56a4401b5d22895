"""What both clients need to reach a server: the channel's options, the calls' metadata, the streams' first message.

>>> metadata("acme", "gateway-7")
(('csroute-tenant', 'acme'), ('csroute-caller', 'gateway-7'))
"""

from __future__ import annotations

from typing import Final

from csroute.v1 import agent_pb2, event_pb2

__all__ = ["OPTIONS", "PACKAGE", "TARGET", "metadata", "watch_request", "work_request"]

TARGET: Final = "127.0.0.1:7700"
"""Where a server listens unless told otherwise."""
PACKAGE: Final = "/csroute.v1."
OPTIONS: Final = (
    ("grpc.max_receive_message_length", 16 * 1024 * 1024),  # a page of 1000 tickets, each with its contexts
    ("grpc.enable_retries", 0),  # ours know the ids; two layers of retries would multiply
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2000),
)


def metadata(tenant: str, caller: str) -> tuple[tuple[str, str], ...]:
    """Who calls; what is empty is the server's default."""
    return tuple((key, value) for key, value in (("csroute-tenant", tenant), ("csroute-caller", caller)) if value)


def watch_request(sources: tuple[str, ...], queues: tuple[str, ...], after_sequence: int, batch_max: int) -> bytes:
    """The one message of a Watch."""
    request = event_pb2.WatchRequest(sources=sources, queues=queues, after_sequence=after_sequence, batch_max=batch_max)
    return request.SerializeToString()


def work_request(session: str) -> bytes:
    """The first message of a Work stream."""
    return agent_pb2.WorkRequest(session=session).SerializeToString()
