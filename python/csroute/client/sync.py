"""The blocking client, over plain grpc: the same calls as `AsyncClient`.

    with Client("127.0.0.1:7700") as client:
        for result in client.route_batch([Ticket("t1", "chat"), Ticket("t2", "phone")]):
            ...
        with client.session("desk-1") as session:
            session.login("anna")
            for item in session.work():
                match item:
                    case Offer():
                        session.accept(item)
                    case Assignment():
                        session.complete(item)

A client may be used by several threads at once. Leaving an iterator (break, or its `close()`) ends its stream.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, TypeVar

import grpc

from csroute.client.calls import Blocking, Calls, batch_request, batch_results
from csroute.client.connect import OPTIONS, PACKAGE, TARGET, address, metadata, watch_request, work_request
from csroute.client.retry import Retry
from csroute.client.session import SessionCalls
from csroute.client.work import WorkItem, read_work
from csroute.errors import NotFoundError, RejectedError, UnavailableError, rejection_from_rpc
from csroute.types import Event, EventBatch
from csroute.v1 import event_pb2

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Sequence
    from types import TracebackType
    from typing import Self

    from csroute.client.calls import Ask
    from csroute.types import RouteResult, Ticket

__all__ = ["Client", "Session"]

R = TypeVar("R")


class Client(Calls, Blocking):
    """A connection to a csroute server. One is enough for a process.

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
        where, more = address(target)
        options = [*OPTIONS, *more]
        self._channel = (
            grpc.insecure_channel(where, options)
            if credentials is None
            else grpc.secure_channel(where, credentials, options)
        )
        self._unary: dict[str, Any] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connection; calls under way are cancelled."""
        self._channel.close()

    def _ask(self, ask: Ask[R]) -> R:
        request = ask.request.SerializeToString()
        end = time.monotonic() + self._timeout_s + ask.wait_ms / 1000
        tries = 0
        while True:
            tries += 1
            try:
                call = self._method(ask.rpc)
                return ask.read(call(request, timeout=end - time.monotonic(), metadata=self._metadata))
            except grpc.RpcError as error:
                failed = rejection_from_rpc(error)
            pause_s = self._retry.pause_s(tries, failed)
            if pause_s is None or time.monotonic() + pause_s >= end:
                raise failed
            time.sleep(pause_s)

    def watch(
        self,
        *,
        sources: Iterable[str] = (),
        queues: Iterable[str] = (),
        after_sequence: int | None = None,
        batch_max: int = 0,
    ) -> Generator[Event, None, None]:
        """Events as they happen, of these sources or queues (none named: all), without end.

        A stream that breaks is resumed after the last event seen. To go on after a restart of your own, keep
        `event.sequence` and give it as `after_sequence`; None begins now. LimitError (SEQUENCE_GONE) if that is
        further back than the server remembers: list the tickets, and go on from the page's `sequence`.
        """
        batches = self.watch_batches(sources=sources, queues=queues, after_sequence=after_sequence, batch_max=batch_max)
        for batch in batches:
            yield from batch.events

    def watch_batches(
        self,
        *,
        sources: Iterable[str] = (),
        queues: Iterable[str] = (),
        after_sequence: int | None = None,
        batch_max: int = 0,
    ) -> Generator[EventBatch, None, None]:
        """The same by the batch. A batch's `sequence` is the resume token, past what the filter left out."""
        sources, queues = tuple(sources), tuple(queues)
        if after_sequence is None:
            after_sequence = self._ask(Calls.stats.ask()).sequence
        failures = 0
        while True:
            stream: Any = self._channel.unary_stream(PACKAGE + "RoutingService/Watch")
            call = stream(watch_request(sources, queues, after_sequence, batch_max), metadata=self._metadata)
            try:
                for reply in call:
                    failures = 0
                    batch = EventBatch.from_wire(event_pb2.WatchReply.FromString(reply))
                    after_sequence = max(after_sequence, batch.sequence)
                    yield batch
                failed: RejectedError = _ended("Watch")
            except grpc.RpcError as error:
                failed = rejection_from_rpc(error)
            finally:
                call.cancel()
            failures = self._pause(failures, failed)

    def route_stream(
        self, batches: Iterable[Sequence[Ticket]], *, in_flight_max: int = 8
    ) -> Generator[list[RouteResult | RejectedError], None, None]:
        """Submits batch after batch in one stream: the results of each, in order.

        At most `in_flight_max` batches are sent ahead of their answers; they are taken from `batches` in a thread of
        gRPC's. If the stream breaks, those without an answer are sent again: known ids change nothing.
        """
        sending = _Sending(batches, in_flight_max)
        failures = 0
        try:
            while not sending.done:
                stream: Any = self._channel.stream_stream(PACKAGE + "RoutingService/RouteStream")
                call = stream(sending.requests(), metadata=self._metadata)
                failed: RejectedError = _ended("RouteStream")
                try:
                    for reply in call:
                        failures = 0
                        sending.answered()
                        yield batch_results(reply)
                except grpc.RpcError as error:
                    if sending.fault is not None:
                        raise sending.fault from None
                    failed = rejection_from_rpc(error)
                finally:
                    call.cancel()
                if not sending.done:
                    failures = self._pause(failures, failed)
        finally:
            sending.stop()

    def session(self, name: str, *, lease_ms: int = 30_000) -> Session:
        """An agent gateway's session: `with` opens it, renews its lease, and closes it."""
        return Session(self, name, lease_ms)

    def _method(self, rpc: str) -> Any:  # noqa: ANN401 (bytes in, bytes out)
        if rpc not in self._unary:
            self._unary[rpc] = self._channel.unary_unary(PACKAGE + rpc)
        return self._unary[rpc]

    def _pause(self, failures: int, failed: RejectedError) -> int:
        """Waits before a stream is opened again, or gives up: the failures in a row now."""
        failures += 1
        pause_s = self._retry.pause_s(failures, failed)
        if pause_s is None:
            raise failed
        time.sleep(pause_s)
        return failures


class _Sending:
    """The batches of a stream: taken in gRPC's thread, answered in the caller's."""

    def __init__(self, batches: Iterable[Sequence[Ticket]], in_flight_max: int) -> None:
        self.fault: BaseException | None = None
        self._source = iter(batches)
        self._room = threading.Semaphore(in_flight_max)
        self._taking = threading.Lock()
        self._unanswered: deque[bytes] = deque()
        self._stream = 0
        self._exhausted = False

    @property
    def done(self) -> bool:
        """All were sent and answered."""
        return self._exhausted and not self._unanswered

    def requests(self) -> Iterator[bytes]:
        """The requests of a new stream: first those without an answer. Those of an older stream end."""
        self._stream += 1
        return self._requests(self._stream)

    def _requests(self, stream: int) -> Iterator[bytes]:
        with self._taking:  # an older stream's thread may still be taking a batch: it counts as unanswered
            again = tuple(self._unanswered)
        yield from again
        while (request := self._take(stream)) is not None:
            yield request

    def _take(self, stream: int) -> bytes | None:
        while not self._room.acquire(timeout=0.1):
            if self._stream != stream:
                return None
        with self._taking:
            request = None
            if self._stream == stream and not self._exhausted:
                try:
                    request = batch_request(next(self._source)).SerializeToString()
                    self._unanswered.append(request)
                except StopIteration:
                    self._exhausted = True
                except BaseException as error:
                    self.fault = error
                    raise
            if request is None:
                self._room.release()
            return request

    def answered(self) -> None:
        """The oldest has its answer."""
        self._unanswered.popleft()
        self._room.release()

    def stop(self) -> None:
        """No stream takes any more."""
        self._stream += 1


class Session(SessionCalls, Blocking):
    """An agent gateway's session, kept alive by a thread while it is open."""

    def __init__(self, client: Client, name: str, lease_ms: int) -> None:
        self.name = name
        self._client = client
        self._lease_ms = lease_ms
        self._closed = threading.Event()

    def __enter__(self) -> Self:
        self._client.open_session(self.name, lease_ms=self._lease_ms)
        threading.Thread(target=self._renew, name=f"csroute-{self.name}", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed.set()
        with contextlib.suppress(RejectedError):  # a session that is gone is closed
            self._client.close_session(self.name)

    def work(self) -> Generator[WorkItem, None, None]:
        """Offers, assignments and all other events of the session's agents, without end. See `csroute.client.work`.

        Raises NotFoundError (SESSION_UNKNOWN) once the session is over: open another, and log the agents in again.
        """
        failures = 0
        while True:
            over = threading.Event()
            method: Any = self._client._channel.stream_stream(PACKAGE + "AgentService/Work")
            call = method(self._opening(over), metadata=self._client._metadata)
            try:
                for reply in call:
                    failures = 0
                    yield from read_work(reply)
                failed: RejectedError = _ended("Work")
            except grpc.RpcError as error:
                failed = rejection_from_rpc(error)
            finally:
                over.set()
                call.cancel()
            failures = self._client._pause(failures, failed)

    def _opening(self, over: threading.Event) -> Iterator[bytes]:
        """The stream's one message; then it stays open until the reader is done."""
        yield work_request(self.name)
        over.wait()

    def _ask(self, ask: Ask[R]) -> R:
        return self._client._ask(ask)

    def _renew(self) -> None:
        while not self._closed.wait(self._lease_ms / 3000):
            try:
                self._client.renew_lease(self.name)
            except NotFoundError:  # the lease ended: `work` and every action say so
                return
            except (RejectedError, ValueError):  # not now, or the channel was closed: the next may get through
                continue


def _ended(stream: str) -> RejectedError:
    """A server that stops ends its streams without a complaint: that is a reason to come back."""
    return UnavailableError(f"the server ended the {stream} stream", grpc_code=14)
