"""Every error that csroute raises: one tree, for the in-process router, the server and the clients.

The engine's, the wire's and the node's numbered rejections travel as `google.rpc.Status` bytes (with `ErrorInfo`, and
`RetryInfo` where a retry may help). Here, and nowhere else, they become exceptions:

    CsrouteError
    ├── ConfigError            a setting is wrong: names the key, where it came from, and what would be right
    ├── PolicyError            a policy is wrong (csroute.policy)
    ├── JournalError           the data folder cannot be used, or failed: says what is wrong and what to do
    └── RejectedError          a numbered no
        ├── InvalidError       1xx: the request itself
        │   └── PolicyRejectedError    500, 501: a compiled policy that contradicts itself, or asks too much
        ├── NotFoundError      2xx: a ticket, agent, session, queue, clock, channel, moment, version or scene
        ├── ConflictError      300: the id is known with other content; 308: another version of the policy is in force
        ├── StateError         301..399: not in this state, stale attempt, superseded session
        ├── LimitError         400..404, 406, 408, 410, 411: a bound is reached
        ├── UnavailableError   405, 407, 409, 412, 413, and a transport that fails: try again
        ├── CredentialError    6xx: who calls is not known, or may not do this
        └── InternalError      900, and whatever else: a fault of the node

>>> from google.rpc import error_details_pb2, status_pb2
>>> status = status_pb2.Status(code=9, message="attempt 1 is not the newest, which is 2")
>>> info = error_details_pb2.ErrorInfo(reason="STALE", domain="csroute", metadata={"code": "302", "subject": "t1"})
>>> status.details.add().Pack(info)
>>> no = rejection(status.SerializeToString())
>>> type(no).__name__, no.code, no.name, no.subject
('StateError', 302, 'STALE', 't1')
>>> print(no)
STALE (302) t1: attempt 1 is not the newest, which is 2
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, cast

from google.protobuf.message import DecodeError
from google.rpc import code_pb2, error_details_pb2, status_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "ConfigError",
    "ConflictError",
    "CredentialError",
    "CsrouteError",
    "InternalError",
    "InvalidError",
    "JournalError",
    "LimitError",
    "NotFoundError",
    "PolicyRejectedError",
    "RejectedError",
    "StateError",
    "UnavailableError",
    "rejection",
    "rejection_from_rpc",
]

DETAILS_KEY = "grpc-status-details-bin"
"""The trailing metadata in which gRPC carries a `google.rpc.Status`."""


class CsrouteError(Exception):
    """The root: whatever csroute raises on purpose."""


class ConfigError(CsrouteError):
    """A setting is wrong. The message names the key, where it came from, and what would be right."""


class JournalError(CsrouteError):
    """The journal cannot be read or written: nothing is acknowledged any more. The message says what to do."""


class RejectedError(CsrouteError):
    """A numbered no.

    Attributes:
        message: what is wrong and what would be right, for a person.
        code: the number, which never changes its meaning; 0 where only the transport spoke.
        name: the code's name ("STALE"); without a code, gRPC's ("UNAVAILABLE").
        grpc_code: gRPC's own code, as a number.
        subject: the field or name that it is about; may be empty.
        retry_after_ms: after so many ms the same call may go through; None: not by waiting alone.
    """

    def __init__(
        self,
        message: str,
        *,
        code: int = 0,
        name: str = "",
        grpc_code: int = 2,
        subject: str = "",
        retry_after_ms: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.name = name or _grpc_name(grpc_code)
        self.grpc_code = grpc_code
        self.subject = subject
        self.retry_after_ms = retry_after_ms

    def __str__(self) -> str:
        number = f" ({self.code})" if self.code else ""
        subject = f" {self.subject}" if self.subject else ""
        return f"{self.name}{number}{subject}: {self.message}"

    @property
    def retryable(self) -> bool:
        """Whether the same call, with the same ids, may be sent again."""
        return self.retry_after_ms is not None or isinstance(self, UnavailableError)


class InvalidError(RejectedError):
    """The request itself is wrong: sending it again changes nothing."""


class PolicyRejectedError(InvalidError):
    """The engine refused a compiled policy; the message says where it contradicts itself."""


class NotFoundError(RejectedError):
    """What the request names is not known."""


class ConflictError(RejectedError):
    """The id is known with other content, or another version of the policy is in force than was expected."""


class StateError(RejectedError):
    """It is not in this state: wrong state, stale attempt, superseded session, no capacity, no policy."""


class LimitError(RejectedError):
    """A bound is reached. `retry_after_ms` says whether waiting may help."""


class UnavailableError(RejectedError):
    """Not now: busy, draining, past the deadline, or not reachable."""


class CredentialError(RejectedError):
    """The credential is not known, or its role or tenant is not for this call."""


class InternalError(RejectedError):
    """A fault of the node itself."""


# By number: the exact ones, then the hundreds.
_FAMILY: dict[int, type[RejectedError]] = {
    300: ConflictError,
    308: ConflictError,  # POLICY_CONFLICT
    405: UnavailableError,  # BUSY
    407: UnavailableError,  # DRAINING
    409: UnavailableError,  # DEADLINE_PASSED
    412: UnavailableError,  # RECOVERING
    413: UnavailableError,  # JOURNAL_FAILED
    500: PolicyRejectedError,
    501: PolicyRejectedError,  # POLICY_UNSUPPORTED
}
_HUNDREDS: dict[int, type[RejectedError]] = {
    1: InvalidError,
    2: NotFoundError,
    3: StateError,
    4: LimitError,
    6: CredentialError,
}

# By gRPC's code, where the transport or another server spoke and no number came along.
_GRPC_FAMILY: dict[int, type[RejectedError]] = {
    code_pb2.CANCELLED: UnavailableError,
    code_pb2.INVALID_ARGUMENT: InvalidError,
    code_pb2.DEADLINE_EXCEEDED: UnavailableError,
    code_pb2.NOT_FOUND: NotFoundError,
    code_pb2.ALREADY_EXISTS: ConflictError,
    code_pb2.RESOURCE_EXHAUSTED: LimitError,
    code_pb2.FAILED_PRECONDITION: StateError,
    code_pb2.OUT_OF_RANGE: LimitError,
    code_pb2.PERMISSION_DENIED: CredentialError,
    code_pb2.UNAUTHENTICATED: CredentialError,
    code_pb2.UNIMPLEMENTED: InvalidError,
    code_pb2.UNAVAILABLE: UnavailableError,
}


def rejection(status: bytes | status_pb2.Status) -> RejectedError:
    """The exception that a `google.rpc.Status` stands for. Bytes that are none become an InternalError."""
    if isinstance(status, bytes):
        try:
            return rejection(status_pb2.Status.FromString(status))
        except DecodeError:
            return InternalError(f"an error came without a readable status ({len(status)} bytes)", grpc_code=13)
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    for detail in status.details:
        _ = detail.Unpack(info) or detail.Unpack(retry)
    digits = info.metadata.get("code", "")
    code = int(digits) if digits.isdecimal() else 0
    family = _FAMILY.get(code) or _HUNDREDS.get(code // 100)
    return (family or (InternalError if code else _GRPC_FAMILY.get(status.code, InternalError)))(
        status.message,
        code=code,
        name=info.reason,
        grpc_code=status.code,
        subject=info.metadata.get("subject", ""),
        retry_after_ms=retry.retry_delay.ToMilliseconds() if retry.HasField("retry_delay") else None,
    )


class _FailedCall(Protocol):
    """What gRPC's errors, of both kinds, can be asked."""

    def code(self) -> object: ...
    def details(self) -> str | None: ...
    def trailing_metadata(self) -> Iterable[tuple[str, str | bytes]] | None: ...


def rejection_from_rpc(error: Exception) -> RejectedError:
    """The exception that a failed gRPC call (`grpc.RpcError`, `grpc.aio.AioRpcError`) stands for."""
    call = cast("_FailedCall", error)
    for key, value in call.trailing_metadata() or ():
        if key == DETAILS_KEY and isinstance(value, bytes):
            return rejection(value)
    number = getattr(call.code(), "value", (code_pb2.UNKNOWN,))[0]
    return rejection(status_pb2.Status(code=number, message=call.details() or "the call failed, and nothing says why"))


def _grpc_name(number: int) -> str:
    """The name that gRPC gives a code; its number where it has none."""
    return next((name for name, value in code_pb2.Code.items() if value == number), str(number))
