"""A server that answers as a test tells it to: for what a real one does only on a bad day."""

from __future__ import annotations

from concurrent import futures
from typing import TYPE_CHECKING, Any

import grpc
from google.rpc import error_details_pb2, status_pb2

from csroute.errors import DETAILS_KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STREAMS = {"RouteStream": "stream_stream", "Work": "stream_stream", "Watch": "unary_stream"}


class Refuse(Exception):  # noqa: N818 (it is an order, not an error)
    """Raised in a handler: the call is refused with this status."""

    def __init__(
        self, code: grpc.StatusCode, reason: str = "", number: int = 0, retry_after_ms: int | None = None
    ) -> None:
        super().__init__(reason)
        self.code = code
        self.status = status_pb2.Status(code=code.value[0], message="as the test wants it")
        if reason:
            info = error_details_pb2.ErrorInfo(reason=reason, domain="csroute", metadata={"code": str(number)})
            self.status.details.add().Pack(info)
        if retry_after_ms is not None:
            retry = error_details_pb2.RetryInfo()
            retry.retry_delay.FromMilliseconds(retry_after_ms)
            self.status.details.add().Pack(retry)

    def leave(self, context: grpc.ServicerContext) -> None:
        """Ends the call."""
        context.set_trailing_metadata(((DETAILS_KEY, self.status.SerializeToString()),))
        context.abort(self.code, "refused")


class Fake:
    """Handlers by RPC name: a function of the request's bytes (or an iterator of them) and the call's context."""

    def __init__(self, **handlers: Callable[[Any, grpc.ServicerContext], Any]) -> None:
        self.handlers = handlers
        self.seen: list[tuple[str, bytes]] = []
        """Every unary request, as it came."""
        self._server = grpc.server(futures.ThreadPoolExecutor(8))
        self._server.add_generic_rpc_handlers((_Router(self),))
        self.target = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"

    def __enter__(self) -> Fake:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(grace=None).wait()


class _Router(grpc.GenericRpcHandler):
    def __init__(self, fake: Fake) -> None:
        self._fake = fake

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        name = handler_call_details.method.rsplit("/", 1)[1]
        if (handler := self._fake.handlers.get(name)) is None:
            return None

        def unary(request: bytes, context: grpc.ServicerContext) -> bytes:
            self._fake.seen.append((name, request))
            try:
                reply: bytes = handler(request, context).SerializeToString()
            except Refuse as no:
                no.leave(context)
                raise
            return reply

        def stream(request: Any, context: grpc.ServicerContext) -> Iterator[bytes]:
            try:
                for reply in handler(request, context):
                    yield reply.SerializeToString()
            except Refuse as no:
                no.leave(context)

        kind = STREAMS.get(name, "unary_unary")
        make: Any = getattr(grpc, f"{kind}_rpc_method_handler")
        found: grpc.RpcMethodHandler[Any, Any] = make(unary if kind == "unary_unary" else stream)
        return found
