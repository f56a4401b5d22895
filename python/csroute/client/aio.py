"""The awaiting client, over grpc.aio.

    async with AsyncClient("127.0.0.1:7700") as client:
        answer = await client.route(Ticket("t1", "chat", attributes={"tier": "vip"}), wait_ms=2000)
        async for event in client.watch(sources=["shop"]):
            ...

An agent gateway opens a session, which is kept alive as long as the block runs:

    async with client.session("desk-1") as session:
        await session.login("anna")
        async for item in session.work():
            match item:
                case Offer():
                    await session.accept(item)
                case Assignment():
                    await session.complete(item)
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from typing import TYPE_CHECKING, Any, TypeVar

import grpc.aio

from csroute.client.calls import Awaiting, Calls, batch_request, batch_results
from csroute.client.connect import OPTIONS, PACKAGE, TARGET, address, metadata, watch_request, work_request
from csroute.client.retry import Retry
from csroute.client.session import SessionCalls
from csroute.client.work import WorkItem, read_work
from csroute.errors import InternalError, NotFoundError, RejectedError, UnavailableError, rejection_from_rpc
from csroute.types import Event, EventBatch
from csroute.v1 import event_pb2

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable, Sequence
    from types import TracebackType
    from typing import Self

    from csroute.client.calls import Ask
    from csroute.types import RouteResult, Ticket

__all__ = ["AsyncClient", "AsyncSession"]

R = TypeVar("R")


class AsyncClient(Calls, Awaiting):
    """A connection to a csroute server. One is enough for a process; it may be used by many tasks at once.

    Args:
        target: "host:port" of the server; several, with commas between them: the next when one breaks.
        tenant, caller: whom the calls are for and from; empty: the server's defaults.
        token: an API key or a JWT, where the server asks for one.
        timeout_s: how long a call may take, all its tries together (a held reply's `wait_ms` comes on top).
        retry: how often, and after which pause, a call is sent again.
        credentials: for TLS; None: a plain connection.
    """

    def __init__(
        self,
        target: str = TARGET,
        *,
        tenant: str = "",
        caller: str = "",
        timeout_s: float = 10.0,
        retry: Retry | None = None,
        credentials: grpc.ChannelCredentials | None = None,
        token: str = "",
    ) -> None:
        self.target = target
        self._metadata = metadata(tenant, caller, token)
        self._timeout_s = timeout_s
        self._retry = retry or Retry()
        self._credentials = credentials
        self._open: grpc.aio.Channel | None = None
        self._unary: dict[str, Any] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends the connection; calls under way are cancelled."""
        if self._open is not None:
            await self._open.close()
            self._open = None
            self._unary.clear()

    async def _ask(self, ask: Ask[R]) -> R:
        request = ask.request.SerializeToString()
        end = time.monotonic() + self._timeout_s + ask.wait_ms / 1000
        tries = 0
        while True:
            tries += 1
            try:
                call = self._method(ask.rpc)
                return ask.read(await call(request, timeout=end - time.monotonic(), metadata=self._metadata))
            except grpc.aio.AioRpcError as error:
                failed = rejection_from_rpc(error)
            pause_s = self._retry.pause_s(tries, failed)
            if pause_s is None or time.monotonic() + pause_s >= end:
                raise failed
            await asyncio.sleep(pause_s)

    async def watch(
        self,
        *,
        sources: Iterable[str] = (),
        queues: Iterable[str] = (),
        after_sequence: int | None = None,
        batch_max: int = 0,
    ) -> AsyncGenerator[Event, None]:
        """Events as they happen, of these sources or queues (none named: all), without end.

        A stream that breaks is resumed after the last event seen. To go on after a restart of your own, keep
        `event.sequence` and give it as `after_sequence`; None begins now. LimitError (SEQUENCE_GONE) if that is
        further back than the server remembers: list the tickets, and go on from the page's `sequence`.
        """
        watching = self.watch_batches(
            sources=sources, queues=queues, after_sequence=after_sequence, batch_max=batch_max
        )
        async with contextlib.aclosing(watching) as batches:
            async for batch in batches:
                for event in batch.events:
                    yield event

    async def watch_batches(
        self,
        *,
        sources: Iterable[str] = (),
        queues: Iterable[str] = (),
        after_sequence: int | None = None,
        batch_max: int = 0,
    ) -> AsyncGenerator[EventBatch, None]:
        """The same by the batch. A batch's `sequence` is the resume token, past what the filter left out."""
        sources, queues = tuple(sources), tuple(queues)
        if after_sequence is None:
            after_sequence = (await self._ask(Calls.stats.ask())).sequence
        failures = 0
        while True:
            stream: Any = self._channel().unary_stream(PACKAGE + "RoutingService/Watch")
            call = stream(watch_request(sources, queues, after_sequence, batch_max), metadata=self._metadata)
            try:
                async for reply in call:
                    failures = 0
                    batch = EventBatch.from_wire(event_pb2.WatchReply.FromString(reply))
                    after_sequence = max(after_sequence, batch.sequence)
                    yield batch
                failed: RejectedError = _ended("Watch")
            except grpc.aio.AioRpcError as error:
                failed = rejection_from_rpc(error)
            finally:
                call.cancel()
            failures = await self._pause(failures, failed)

    async def route_stream(
        self,
        batches: AsyncIterable[Sequence[Ticket]] | Iterable[Sequence[Ticket]],
        *,
        in_flight_max: int = 8,
    ) -> AsyncGenerator[list[RouteResult | RejectedError], None]:
        """Submits batch after batch in one stream: the results of each, in order.

        At most `in_flight_max` batches are sent ahead of their answers. If the stream breaks, those without an answer
        are sent again: known ids change nothing.
        """
        waiting: asyncio.Queue[bytes | None] = asyncio.Queue()  # bounded by `room`
        room = asyncio.Semaphore(in_flight_max)
        unanswered: deque[bytes] = deque()
        all_sent = False

        async def feed() -> None:
            try:
                async for batch in _each(batches):
                    await room.acquire()
                    waiting.put_nowait(batch_request(batch).SerializeToString())
            finally:
                waiting.put_nowait(None)

        async def send(call: Any) -> None:  # noqa: ANN401 (generic over nothing we need)
            nonlocal all_sent
            for again in tuple(unanswered):
                await call.write(again)
            while not all_sent:
                if (request := await waiting.get()) is None:
                    all_sent = True
                else:
                    unanswered.append(request)
                    await call.write(request)
            await call.done_writing()

        feeder = asyncio.create_task(feed())
        failures = 0
        try:
            while not (all_sent and not unanswered):
                stream: Any = self._channel().stream_stream(PACKAGE + "RoutingService/RouteStream")
                call = stream(metadata=self._metadata)
                sender = asyncio.create_task(send(call))
                failed: RejectedError = _ended("RouteStream")
                try:
                    while (reply := await call.read()) is not grpc.aio.EOF:
                        failures = 0
                        unanswered.popleft()
                        room.release()
                        yield batch_results(reply)
                except grpc.aio.AioRpcError as error:
                    failed = _broken(error)
                finally:
                    sender.cancel()
                    with contextlib.suppress(asyncio.CancelledError, grpc.aio.AioRpcError, asyncio.InvalidStateError):
                        await sender
                    call.cancel()
                if unanswered or not all_sent:
                    failures = await self._pause(failures, failed)
            await feeder  # what went wrong in the caller's own batches is the caller's to hear
        finally:
            feeder.cancel()

    def session(self, name: str, *, lease_ms: int = 30_000) -> AsyncSession:
        """An agent gateway's session: `async with` opens it, renews its lease, and closes it."""
        return AsyncSession(self, name, lease_ms)

    def _channel(self) -> grpc.aio.Channel:
        if self._open is None:
            where, more = address(self.target)
            options = [*OPTIONS, *more]
            self._open = (
                grpc.aio.insecure_channel(where, options)
                if self._credentials is None
                else grpc.aio.secure_channel(where, self._credentials, options)
            )
        return self._open

    def _method(self, rpc: str) -> Any:  # noqa: ANN401 (bytes in, bytes out)
        if rpc not in self._unary:
            self._unary[rpc] = self._channel().unary_unary(PACKAGE + rpc)
        return self._unary[rpc]

    async def _pause(self, failures: int, failed: RejectedError) -> int:
        """Waits before a stream is opened again, or gives up: the failures in a row now."""
        failures += 1
        pause_s = self._retry.pause_s(failures, failed)
        if pause_s is None:
            raise failed
        await asyncio.sleep(pause_s)
        return failures


class AsyncSession(SessionCalls, Awaiting):
    """An agent gateway's session, kept alive while it is open."""

    def __init__(self, client: AsyncClient, name: str, lease_ms: int) -> None:
        self.name = name
        self._client = client
        self._lease_ms = lease_ms
        self._renewing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._client.open_session(self.name, lease_ms=self._lease_ms)
        self._renewing = asyncio.create_task(self._renew())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._renewing is not None:
            self._renewing.cancel()
        with contextlib.suppress(RejectedError):  # a session that is gone is closed
            await self._client.close_session(self.name)

    async def work(self) -> AsyncGenerator[WorkItem, None]:
        """Offers, assignments and all other events of the session's agents, without end. See `csroute.client.work`.

        Raises NotFoundError (SESSION_UNKNOWN) once the session is over: open another, and log the agents in again.
        """
        failures = 0
        while True:
            method: Any = self._client._channel().stream_stream(PACKAGE + "AgentService/Work")
            call = method(metadata=self._client._metadata)
            try:
                await call.write(work_request(self.name))
                while (reply := await call.read()) is not grpc.aio.EOF:
                    failures = 0
                    for item in read_work(reply):
                        yield item
                failed: RejectedError = _ended("Work")
            except grpc.aio.AioRpcError as error:
                failed = _broken(error)
            except asyncio.InvalidStateError:  # it failed before the first message was out
                failed = UnavailableError((await call.details()) or "the stream did not open", grpc_code=14)
            finally:
                call.cancel()
            failures = await self._client._pause(failures, failed)

    async def _ask(self, ask: Ask[R]) -> R:
        return await self._client._ask(ask)

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self._lease_ms / 3000)
            try:
                await self._client.renew_lease(self.name)
            except NotFoundError:  # the lease ended: `work` and every action say so
                return
            except RejectedError:  # not now: the next renewal may get through in time
                continue


def _ended(stream: str) -> RejectedError:
    """A server that stops ends its streams without a complaint: that is a reason to come back."""
    return UnavailableError(f"the server ended the {stream} stream", grpc_code=14)


def _broken(error: grpc.aio.AioRpcError) -> RejectedError:
    """Why a stream that we write to failed. A write that crosses with its end hides why: the next try hears."""
    failed = rejection_from_rpc(error)
    if isinstance(failed, InternalError) and not failed.code:
        return UnavailableError(failed.message, grpc_code=14)
    return failed


async def _each(
    batches: AsyncIterable[Sequence[Ticket]] | Iterable[Sequence[Ticket]],
) -> AsyncIterator[Sequence[Ticket]]:
    if hasattr(batches, "__aiter__"):
        async for batch in batches:
            yield batch
    else:
        for batch in batches:
            yield batch
