"""What both clients need to reach a server: the channel's options, the calls' metadata, the streams' first message.

>>> metadata("acme", "gateway-7")
(('csroute-tenant', 'acme'), ('csroute-caller', 'gateway-7'))
"""

from __future__ import annotations

import socket
from typing import Final

from csroute.errors import ConfigError
from csroute.v1 import agent_pb2, event_pb2

__all__ = ["OPTIONS", "PACKAGE", "TARGET", "address", "metadata", "watch_request", "work_request"]

TARGET: Final = "127.0.0.1:7700"
"""Where a server listens unless told otherwise."""
PACKAGE: Final = "/csroute.v1."
OPTIONS: Final = (
    ("grpc.max_receive_message_length", 16 * 1024 * 1024),  # a page of 1000 tickets, each with its contexts
    ("grpc.enable_retries", 0),  # ours know the ids; two layers of retries would multiply
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2000),
)


def address(target: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """A target as gRPC takes it, and the options that go with it.

    Several addresses with commas between them are tried in order, and the next is taken when one breaks: gRPC's own
    pick_first. They are looked up now; a single one, as gRPC does it, whenever it connects.

    >>> address("127.0.0.1:7701,127.0.0.2:7701")[0]
    'ipv4:127.0.0.1:7701,127.0.0.2:7701'
    """
    several = [part.strip() for part in target.split(",") if part.strip()]
    if len(several) < 2:
        return target, ()
    found = [_looked_up(one) for one in several]
    family = "ipv6" if any(address.startswith("[") for address in found) else "ipv4"
    # What a certificate must say: the first one's name, as all stand for one service.
    return f"{family}:{','.join(found)}", (("grpc.default_authority", several[0]),)


def _looked_up(one: str) -> str:
    host, _, port = one.rpartition(":")
    try:
        number = int(port)
        family, _, _, _, where = socket.getaddrinfo(host.strip("[]"), number, type=socket.SOCK_STREAM)[0]
    except (OSError, ValueError) as error:
        raise ConfigError(f"{one!r} is no address that can be looked up: {error}") from None
    return f"[{where[0]}]:{number}" if family == socket.AF_INET6 else f"{where[0]}:{number}"


def metadata(tenant: str, caller: str, token: str = "") -> tuple[tuple[str, str], ...]:
    """Who calls; what is empty is the server's default."""
    bearer = f"Bearer {token}" if token else ""
    said = (("csroute-tenant", tenant), ("csroute-caller", caller), ("authorization", bearer))
    return tuple((key, value) for key, value in said if value)


def watch_request(sources: tuple[str, ...], queues: tuple[str, ...], after_sequence: int, batch_max: int) -> bytes:
    """The one message of a Watch."""
    request = event_pb2.WatchRequest(sources=sources, queues=queues, after_sequence=after_sequence, batch_max=batch_max)
    return request.SerializeToString()


def work_request(session: str) -> bytes:
    """The first message of a Work stream."""
    return agent_pb2.WorkRequest(session=session).SerializeToString()
