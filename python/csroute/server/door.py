"""The gRPC door: every method of the three services as raw bytes, from the node's own table.

No message is decoded here and no Python object is made per ticket: bytes go to the node, bytes come back. What a call's
metadata says (tenant, caller) is read in `Door._who`, and nowhere else; how a refusal leaves is in `Door._refuse`.

| kind | what happens |
|---|---|
| unary | one call |
| stream (RouteStream) | each message is a call; at most `stream_window` in flight; answered in the order sent |
| watch (Watch) | WatchOpen, then WatchNext again and again; WatchClose, however it ends |
| work (Work) | WorkOpen; actions in → WorkAct, in order; beside it WorkNext → events out; WorkClose |

A stream whose client ends its side is answered to its end and closed. One whose client does not read is cut.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol

import grpc
from google.rpc import error_details_pb2, status_pb2

from csroute import _csroute
from csroute.errors import DETAILS_KEY, InternalError, rejection
from csroute.server.pump import Pump, Refused
from csroute.v1 import agent_pb2

if TYPE_CHECKING:
    from csroute.config import Config
    from csroute.logs import CallLog

__all__ = ["CALLER_KEY", "TENANT_KEY", "Door", "Listener", "deadline_us"]

TENANT_KEY = "csroute-tenant"
CALLER_KEY = "csroute-caller"
TENANT_DEFAULT = "default"
_HANDLE = 8
_CUT_S = 1.0
"""How long a refusal may take to leave, where the client does not read."""
_STATUS_CODES = {code.value[0]: code for code in grpc.StatusCode}

Context = Any  # grpc.aio.ServicerContext, generic over messages; here all are bytes
Handler = Any  # grpc.RpcMethodHandler, likewise
Write = Callable[[bytes], Awaitable[None]]


class Listener(Protocol):
    """Who wants to know what came through the door."""

    async def failed(self) -> None:
        """The node says that it failed."""


class Door:
    """The handlers, and what they share: the pump, the bounds, and which streams are open."""

    def __init__(self, pump: Pump, config: Config, log: CallLog, listener: Listener) -> None:
        self._pump = pump
        self._log = log
        self._listener = listener
        self._logs_calls = config.log_level == "debug"
        self._streams_max = config.streams_max
        self._window = config.stream_window
        self._write_timeout_s = config.write_timeout_ms / 1000
        self._numbers = {path: number for number, path, _ in _csroute.methods()}
        self._codes = {name: (number, grpc_code, retry) for number, name, grpc_code, retry in _csroute.codes()}
        self._readers: set[asyncio.Task[None]] = set()
        self._streams = 0
        self._calls = 0
        self._quiet = asyncio.Event()

    def handlers(self) -> list[grpc.GenericRpcHandler]:
        """One handler a service, from the node's table of methods."""
        kinds = {"unary": self._unary, "stream": self._route_stream, "watch": self._watch, "work": self._work}
        services: dict[str, dict[str, Handler]] = {}
        for number, path, kind in _csroute.methods():
            if kind in kinds:
                _, service, method = path.split("/")
                services.setdefault(service, {})[method] = kinds[kind](number, path)
        return [grpc.method_handlers_generic_handler(name, methods) for name, methods in services.items()]

    def set_limits(self, streams_max: int) -> None:
        """Another bound, from now on."""
        self._streams_max = streams_max

    async def quiet(self, *, streams: bool = False) -> None:
        """Waits until no unary call is in flight; with `streams`: no stream either."""
        while self._calls or (streams and self._streams):
            self._quiet.clear()
            await self._quiet.wait()

    def stop_reading(self) -> None:
        """Streams take no more messages: what was read is answered, then they end as DRAINING."""
        for reader in self._readers:
            reader.cancel()

    # --- the kinds -------------------------------------------------------------------------------------------------

    def _unary(self, number: int, path: str) -> Handler:
        call, who = self._pump.call, self._who
        logged = self._log.called if self._logs_calls else None

        async def handle(request: bytes, context: Context) -> bytes:
            tenant = caller = ""
            self._calls += 1
            try:
                tenant, caller = who(context, path)
                reply = await call(number, tenant, caller, request, deadline_us(context))
                if logged is not None:
                    logged(path, tenant, caller, request)
            except Refused as no:
                return await self._refuse(context, no, path, (tenant, caller), request)
            else:
                return reply
            finally:
                self._calls -= 1
                if not self._calls:
                    self._quiet.set()

        return grpc.unary_unary_rpc_method_handler(handle)

    def _route_stream(self, _: int, path: str) -> Handler:
        batch = self._numbers["/csroute.v1.RoutingService/RouteBatch"]

        async def handle(_: object, context: Context) -> None:
            async def body(tenant: str, caller: str) -> None:
                await self._answer_in_order(batch, tenant, caller, context, self._writer(context))

            await self._streaming(path, b"", context, body)

        return grpc.stream_stream_rpc_method_handler(handle)

    def _watch(self, _: int, path: str) -> Handler:
        opens, closes = self._numbers["internal/WatchOpen"], self._numbers["internal/WatchClose"]
        follows = self._numbers["internal/WatchNext"]

        async def handle(request: bytes, context: Context) -> None:
            async def body(tenant: str, caller: str) -> None:
                handle = await self._pump.call(opens, tenant, caller, request, deadline_us(context))
                try:
                    await context.send_initial_metadata(())  # the client knows: from here on nothing is missed
                    await self._follow(follows, tenant, caller, handle, self._writer(context))
                finally:
                    self._pump.post(closes, tenant, caller, handle)

            await self._streaming(path, request, context, body)

        return grpc.unary_stream_rpc_method_handler(handle)

    def _work(self, _: int, path: str) -> Handler:
        opens, closes = self._numbers["internal/WorkOpen"], self._numbers["internal/WorkClose"]
        acts, follows = self._numbers["internal/WorkAct"], self._numbers["internal/WorkNext"]

        async def handle(_: object, context: Context) -> None:
            async def body(tenant: str, caller: str) -> None:
                first = await context.read()
                if first is grpc.aio.EOF:
                    raise self._no("FIELD_MISSING", "the first message of a Work stream names its session", "session")
                opened = await self._pump.call(opens, tenant, caller, first, deadline_us(context))
                handle, opening = opened[:_HANDLE], opened[_HANDLE:]
                write = _one_at_a_time(self._writer(context))
                try:
                    await write(opening)
                    if agent_pb2.WorkRequest.FromString(first).actions:
                        await write(await self._pump.call(acts, tenant, caller, first, 0))
                    await _either(
                        self._answer_in_order(acts, tenant, caller, context, write),
                        self._follow(follows, tenant, caller, handle, write),
                    )
                finally:
                    self._pump.post(closes, tenant, caller, handle)

            await self._streaming(path, b"", context, body)

        return grpc.stream_stream_rpc_method_handler(handle)

    # --- what streams share ----------------------------------------------------------------------------------------

    async def _streaming(
        self, path: str, request: bytes, context: Context, body: Callable[[str, str], Awaitable[None]]
    ) -> None:
        tenant = caller = ""
        self._streams += 1
        try:
            tenant, caller = self._who(context, path)
            if self._streams > self._streams_max:
                raise self._no("BUSY", f"{self._streams_max} streams are open, and no more are taken (streams_max)")
            await body(tenant, caller)
        except Refused as no:
            await self._refuse(context, no, path, (tenant, caller), request)
        finally:
            self._streams -= 1
            self._quiet.set()

    async def _answer_in_order(self, method: int, tenant: str, caller: str, context: Context, write: Write) -> None:
        """Each message in is a call, a bounded number in flight; the answers go out in the order sent."""
        answers: asyncio.Queue[asyncio.Future[bytes] | None] = asyncio.Queue()
        window = asyncio.Semaphore(self._window)

        async def read() -> None:
            await window.acquire()
            while (message := await context.read()) is not grpc.aio.EOF:
                answers.put_nowait(self._pump.call(method, tenant, caller, message, deadline_us(context)))
                await window.acquire()

        reader = asyncio.create_task(read())
        self._readers.add(reader)
        reader.add_done_callback(lambda _: answers.put_nowait(None))
        try:
            while (answer := await answers.get()) is not None:
                await write(await answer)
                window.release()
            if reader.cancelled():
                raise self._no("DRAINING", "the node is stopping; open the stream again elsewhere, with the same ids")
            reader.result()
        finally:
            self._readers.discard(reader)
            reader.cancel()
            while not answers.empty():
                if (left := answers.get_nowait()) is not None:
                    left.cancel()

    async def _follow(self, method: int, tenant: str, caller: str, handle: bytes, write: Write) -> None:
        """Asks for what is next, and sends it, until the node or the client ends it. Empty: nothing came."""
        while True:
            if reply := await self._pump.call(method, tenant, caller, handle, 0):
                await write(reply)

    def _writer(self, context: Context) -> Write:
        async def write(reply: bytes) -> None:
            try:
                async with asyncio.timeout(self._write_timeout_s):
                    await context.write(reply)
            except TimeoutError:
                text = (
                    f"nothing was read for {self._write_timeout_s:g} s (write_timeout_ms); go on from the last sequence"
                )
                raise self._no("WATCHER_SLOW", text) from None

        return write

    # --- who calls, and how a refusal leaves -----------------------------------------------------------------------

    def _who(self, context: Context, path: str) -> tuple[str, str]:
        """Tenant and caller, as the node's front says: the one place where the call's metadata is read."""
        tenant, caller, authorization = None, "", ""
        for key, value in context.invocation_metadata() or ():
            if key == TENANT_KEY:
                tenant = value
            elif key == CALLER_KEY:
                caller = value
            elif key == "authorization":
                authorization = value
        names = [name.decode() for name in context.auth_context().get("x509_subject_alternative_name", ())]
        try:
            return self._pump.node.admit(path, authorization, names, tenant, caller or context.peer())
        except _csroute.Rejected as no:
            raise Refused(no.grpc_code, no.status) from None

    def _no(self, name: str, message: str, subject: str = "") -> Refused:
        """A refusal of the door's own, by a code of the one table."""
        number, grpc_code, retry_after_ms = self._codes[name]
        status = status_pb2.Status(code=grpc_code, message=message)
        metadata = {"code": str(number), "subject": subject}
        status.details.add().Pack(error_details_pb2.ErrorInfo(reason=name, domain="csroute", metadata=metadata))
        if retry_after_ms is not None:
            retry = error_details_pb2.RetryInfo()
            retry.retry_delay.FromMilliseconds(retry_after_ms)
            status.details.add().Pack(retry)
        return Refused(grpc_code, status.SerializeToString())

    async def _refuse(
        self, context: Context, refused: Refused, path: str, who: tuple[str, str], request: bytes
    ) -> bytes:
        no = rejection(refused.status)
        self._log.rejected(path, *who, request, no)
        if isinstance(no, InternalError):
            await self._listener.failed()
        try:
            async with asyncio.timeout(_CUT_S):
                await context.abort(_STATUS_CODES[refused.grpc_code], no.message, ((DETAILS_KEY, refused.status),))
        except TimeoutError:
            raise asyncio.CancelledError from None  # it does not leave: the call is dropped
        return b""


def deadline_us(context: Context) -> int:
    """The caller's deadline, Unix µs; 0: none."""
    left_s = context.time_remaining()
    return 0 if left_s is None else int((time.time() + left_s) * 1e6)


def _one_at_a_time(write: Write) -> Write:
    """GRPC takes one write of a stream at a time."""
    lock = asyncio.Lock()

    async def locked(reply: bytes) -> None:
        async with lock:
            await write(reply)

    return locked


async def _either(*bodies: Awaitable[None]) -> None:
    """Runs them side by side until one ends; its end, good or bad, is the end of all."""
    tasks = [asyncio.ensure_future(body) for body in bodies]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
