"""The Python door: tickets a second in batches, and one call at a time against an echo on the same server.

    make bench ARGS="-k wire"

Client and server share the machine; the client's bytes are made before the clock starts. What a batch measures: gRPC
both ways, the node's queue, decoding, classification under the Double-11 preset, a place in line, clocks armed, events,
the reply. Nobody is logged in, so tickets wait, and the backlog grows from round to round; assignments are the engine's
benches and the demo. A unary call and the echo are sent by turns, by the same number of callers, with messages as long.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from itertools import count, islice
from pathlib import Path
from typing import Any

import grpc
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from csroute.demo.encode import TicketBytes
from csroute.demo.plan import new_ticket
from csroute.presets.double11_workload import tickets
from csroute.v1 import ticket_pb2

ROUTING = "/csroute.v1.RoutingService/"
BATCH, BATCHES, IN_FLIGHT = 256, 100, 8
CALLS, CALLERS = 1_000, 16
ROUNDS, WARM_UP = 12, 2
prefixes = count()


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    script = Path(__file__).with_name("wire_server.py")
    with subprocess.Popen([sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        yield server.stdout.readline().strip()
        server.stdin.close()


class Wire:
    """One channel on a loop of its own: a round is a coroutine run to its end."""

    def __init__(self, address: str) -> None:
        self.loop = asyncio.new_event_loop()
        self.channel = self.run(self._open(address))

    async def _open(self, address: str) -> grpc.aio.Channel:
        return grpc.aio.insecure_channel(address)

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    def close(self) -> None:
        self.run(self.channel.close())
        self.loop.close()


@pytest.fixture
def wire(address: str) -> Iterator[Wire]:
    wire = Wire(address)
    yield wire
    wire.close()


def batches(number: int = BATCHES) -> list[bytes]:
    """Batches of tickets that nobody has seen, as bytes."""
    name = f"b{next(prefixes):03}"
    maker = TicketBytes(name, [new_ticket(sample, name).to_wire() for sample in islice(tickets(11), 2048)])
    return [maker.batch(first * BATCH, BATCH) for first in range(number)]


def all_taken(reply: bytes) -> bool:
    results = ticket_pb2.RouteBatchReply.FromString(reply).results
    return len(results) == BATCH and all(result.HasField("reply") for result in results)


def measure(benchmark: Any, work: Callable[[list[bytes]], Any], setup: Callable[[], Any]) -> Any:
    """What the last round returned."""
    return benchmark.pedantic(work, setup=setup, rounds=ROUNDS, warmup_rounds=WARM_UP)


def report(benchmark: BenchmarkFixture, what: str, per_round: int) -> None:
    """Rates beside pytest-benchmark's times."""
    measured: Any = benchmark.stats
    rates = sorted(per_round / seconds for seconds in measured.stats.data)
    benchmark.extra_info[what] = [round(rates[0]), round(statistics.median(rates)), round(rates[-1])]
    print(f"\n{what}: {rates[0]:,.0f} / {statistics.median(rates):,.0f} / {rates[-1]:,.0f} (min / median / max)")


def test_route_stream_of_256(benchmark: BenchmarkFixture, wire: Wire) -> None:
    async def stream(requests: list[bytes]) -> bytes:
        call: Any = wire.channel.stream_stream(ROUTING + "RouteStream")()
        room = asyncio.Semaphore(IN_FLIGHT)

        async def write() -> None:
            for request in requests:
                await room.acquire()
                await call.write(request)
            await call.done_writing()

        writing, last = asyncio.ensure_future(write()), b""
        while (reply := await call.read()) is not grpc.aio.EOF:
            room.release()
            last = reply
        await writing
        return last

    last = measure(benchmark, lambda requests: wire.run(stream(requests)), lambda: ((batches(),), {}))
    assert all_taken(last)
    if not benchmark.disabled:
        report(benchmark, "RouteStream of 256, tickets/s", BATCH * BATCHES)


def test_route_batch_of_256(benchmark: BenchmarkFixture, wire: Wire) -> None:
    async def calls(requests: list[bytes]) -> bytes:
        call: Any = wire.channel.unary_unary(ROUTING + "RouteBatch")
        left, last = iter(requests), b""

        async def caller() -> None:
            nonlocal last
            for request in left:
                last = await call(request)

        await asyncio.gather(*(caller() for _ in range(IN_FLIGHT)))
        return last

    last = measure(benchmark, lambda requests: wire.run(calls(requests)), lambda: ((batches(),), {}))
    assert all_taken(last)
    if not benchmark.disabled:
        report(benchmark, "RouteBatch of 256, tickets/s", BATCH * BATCHES)


def test_unary_against_an_echo(benchmark: BenchmarkFixture, wire: Wire) -> None:
    route: Any = wire.channel.unary_unary(ROUTING + "Route")
    echo: Any = wire.channel.unary_unary("/bench.Echo/Echo")

    async def calls(call: Any, requests: list[bytes]) -> float:
        left = iter(requests)

        async def caller() -> None:
            for request in left:
                await call(request)

        begun = time.perf_counter()
        await asyncio.gather(*(caller() for _ in range(CALLERS)))
        return len(requests) / (time.perf_counter() - begun)

    def singles() -> list[bytes]:
        many = (ticket_pb2.RouteBatchRequest.FromString(batch).tickets for batch in batches(-(-CALLS // BATCH)))
        found = [ticket_pb2.RouteRequest(ticket=ticket).SerializeToString() for some in many for ticket in some]
        return found[:CALLS]

    shares: list[float] = []
    echoes: list[float] = []

    def turn(requests: list[bytes]) -> None:
        shares.append(wire.run(calls(route, requests)))

    def setup() -> tuple[tuple[list[bytes]], dict[str, Any]]:
        requests = singles()
        echoes.append(wire.run(calls(echo, requests)))
        return (requests,), {}

    measure(benchmark, turn, setup)
    if not benchmark.disabled:
        report(benchmark, "unary Route, calls/s", CALLS)
        echoes, shares = echoes[WARM_UP:], shares[WARM_UP:]
        of_echo = sorted(one / other for one, other in zip(shares, echoes, strict=True))
        echo, middle = statistics.median(echoes), statistics.median(of_echo)
        benchmark.extra_info["echo, calls/s"] = round(echo)
        benchmark.extra_info["of an echo"] = [round(each, 3) for each in (of_echo[0], middle, of_echo[-1])]
        print(f"echo: {echo:,.0f} calls/s; Route is {middle:.1%} of it ({of_echo[0]:.1%} to {of_echo[-1]:.1%})")
