"""One ticket at a time for the caller, batches on the wire: what comes within a millisecond goes in one message.

    async with AsyncClient("127.0.0.1:7701") as client, Batching(client) as batching:
        answer = await batching.route(Ticket("t1", "chat"))

All go over one stream, in the order asked. If it breaks, what has no answer is sent again: known ids change nothing.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from csroute.errors import RejectedError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from types import TracebackType
    from typing import Self

    from csroute.client.aio import AsyncClient
    from csroute.types import RouteResult, Ticket

__all__ = ["Batching"]

Answer = asyncio.Future["RouteResult"]


class Batching:
    """Gathers tickets into batches.

    Args:
        client: whose stream they go over.
        linger_ms: how long the first of a batch waits for others; at most 1.
        batch_max: tickets of a batch; a full one does not wait.
        in_flight_max: batches sent ahead of their answers.
        waiting_max: tickets without an answer; past it `route` waits before it begins.
    """

    def __init__(
        self,
        client: AsyncClient,
        *,
        linger_ms: float = 1.0,
        batch_max: int = 256,
        in_flight_max: int = 8,
        waiting_max: int = 16_384,
    ) -> None:
        if not 0 <= linger_ms <= 1:
            raise ValueError(f"linger_ms is 0 to 1, not {linger_ms}")
        if not 1 <= batch_max <= 4096:
            raise ValueError(f"batch_max is 1 to 4096, not {batch_max}")
        self._client = client
        self._linger_s = linger_ms / 1000
        self._batch_max = batch_max
        self._in_flight_max = in_flight_max
        self._room = asyncio.Semaphore(waiting_max)
        self._waiting: deque[tuple[Ticket, Answer]] = deque()
        self._sent: deque[list[Answer]] = deque()
        self._came = asyncio.Event()
        self._full = asyncio.Event()
        self._closing = False
        self._running: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._running = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """What was asked is answered, then the stream ends; after an error it ends at once."""
        self._closing = True
        self._came.set()
        if self._running is not None:
            if error is not None:
                self._running.cancel()
            await asyncio.wait([self._running])

    async def route(self, ticket: Ticket) -> RouteResult:
        """Submits a ticket; its answer. Raises RejectedError: the ticket's own, or why the stream ended."""
        async with self._room:
            if self._closing or self._running is None or self._running.done():
                raise UnavailableError("the stream is closed: open another one", grpc_code=14)
            answer: Answer = asyncio.get_running_loop().create_future()
            self._waiting.append((ticket, answer))
            self._came.set()
            if len(self._waiting) >= self._batch_max:
                self._full.set()
            return await answer

    async def _batches(self) -> AsyncGenerator[list[Ticket], None]:
        while True:
            await self._came.wait()
            if not self._closing and len(self._waiting) < self._batch_max:
                self._full.clear()
                try:
                    async with asyncio.timeout(self._linger_s):
                        await self._full.wait()
                except TimeoutError:
                    pass
            batch = [self._waiting.popleft() for _ in range(min(self._batch_max, len(self._waiting)))]
            if not self._waiting and not self._closing:
                self._came.clear()
            if batch:
                self._sent.append([answer for _, answer in batch])
                yield [ticket for ticket, _ in batch]
            elif self._closing:
                return

    async def _run(self) -> None:
        failed: RejectedError = UnavailableError("the stream was closed before this was answered", grpc_code=14)
        try:
            async for results in self._client.route_stream(self._batches(), in_flight_max=self._in_flight_max):
                for answer, result in zip(self._sent.popleft(), results, strict=True):
                    _give(answer, result)
        except RejectedError as error:
            failed = error
        finally:
            left = [answer for answers in self._sent for answer in answers] + [answer for _, answer in self._waiting]
            for answer in left:
                _give(answer, failed)


def _give(answer: Answer, result: RouteResult | RejectedError) -> None:
    if answer.done():
        return  # its caller is gone
    if isinstance(result, RejectedError):
        answer.set_exception(result)
    else:
        answer.set_result(result)
