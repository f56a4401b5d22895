"""One tree, made from `google.rpc.Status` in one place: every code has its family, number and hint."""

from __future__ import annotations

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from csroute import _csroute
from csroute.errors import (
    ConflictError,
    CsrouteError,
    InternalError,
    InvalidError,
    LimitError,
    NotFoundError,
    PolicyRejectedError,
    RejectedError,
    StateError,
    UnavailableError,
    rejection,
    rejection_from_rpc,
)

FAMILIES = {
    "INVALID": InvalidError,
    "MALFORMED": InvalidError,
    "MESSAGE_TOO_LARGE": InvalidError,
    "TICKET_UNKNOWN": NotFoundError,
    "MOMENT_UNKNOWN": NotFoundError,
    "CONFLICT": ConflictError,
    "WRONG_STATE": StateError,
    "STALE": StateError,
    "NO_POLICY": StateError,
    "WAITING_FULL": LimitError,
    "SEQUENCE_GONE": LimitError,
    "WATCHER_SLOW": LimitError,
    "BUSY": UnavailableError,
    "DRAINING": UnavailableError,
    "DEADLINE_PASSED": UnavailableError,
    "POLICY_INVALID": PolicyRejectedError,
    "INTERNAL": InternalError,
}


def status(code: int, name: str, grpc_code: int, retry_after_ms: int | None) -> bytes:
    status = status_pb2.Status(code=grpc_code, message="what is wrong")
    metadata = {"code": str(code), "subject": "t1"}
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason=name, domain="csroute", metadata=metadata))
    if retry_after_ms is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromMilliseconds(retry_after_ms)
        status.details.add().Pack(retry)
    return status.SerializeToString()


@pytest.mark.parametrize(("code", "name", "grpc_code", "retry_after_ms"), _csroute.codes())
def test_every_code_has_its_exception(code: int, name: str, grpc_code: int, retry_after_ms: int | None) -> None:
    no = rejection(status(code, name, grpc_code, retry_after_ms))
    assert type(no) is not RejectedError
    assert isinstance(no, FAMILIES.get(name, RejectedError))
    assert (no.code, no.name, no.grpc_code, no.retry_after_ms, no.subject) == (
        code,
        name,
        grpc_code,
        retry_after_ms,
        "t1",
    )
    assert str(no) == f"{name} ({code}) t1: what is wrong"
    assert no.retryable == (retry_after_ms is not None or isinstance(no, UnavailableError))


def test_the_core_raises_what_the_table_says() -> None:
    core = _csroute.Core()
    with pytest.raises(_csroute.Rejected) as refused:
        core.call(1, "default", "test", b"\xff\xff\xff", 1_700_000_000_000_000)
    no = rejection(refused.value.status)
    assert (no.name, no.grpc_code) == ("MALFORMED", refused.value.grpc_code)
    with pytest.raises(_csroute.Rejected) as refused:
        core.call(999, "default", "test", b"", 1_700_000_000_000_000)
    assert rejection(refused.value.status).name == "UNKNOWN_METHOD"


def test_bytes_that_are_no_status_are_an_internal_error() -> None:
    assert isinstance(rejection(b"\xff\xff"), InternalError)
    assert isinstance(rejection(status_pb2.Status(code=2, message="?")), InternalError)


@pytest.mark.parametrize(
    ("code", "family"),
    [
        (grpc.StatusCode.UNAVAILABLE, UnavailableError),
        (grpc.StatusCode.DEADLINE_EXCEEDED, UnavailableError),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, LimitError),
        (grpc.StatusCode.UNIMPLEMENTED, InvalidError),
        (grpc.StatusCode.UNKNOWN, InternalError),
    ],
)
def test_where_only_the_transport_spoke(code: grpc.StatusCode, family: type[CsrouteError]) -> None:
    class Failed(grpc.RpcError):
        def code(self) -> grpc.StatusCode:
            return code

        def details(self) -> str | None:
            return None

        def trailing_metadata(self) -> tuple[()]:
            return ()

    no = rejection_from_rpc(Failed())
    assert type(no) is family
    assert (no.code, no.name) == (0, code.name)
