"""Stopping: what is in flight is finished, streams are told, and the process ends by itself."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from csroute.v1 import event_pb2, ticket_pb2
from csroute.v1.routing_service_pb2_grpc import RoutingServiceStub
from tests.server.rig import POLICY, new_ticket, rejected, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

RUN = "from csroute.config import load_config; from csroute.server import run; run(load_config())"


async def test_stopping_answers_what_is_in_flight_and_ends_streams(door: str) -> None:
    async with running(door, drain_grace_ms=1000) as rig:
        stream = rig.routing.RouteStream()
        await stream.write(ticket_pb2.RouteBatchRequest(tickets=[new_ticket("a")]))
        await stream.read()
        watch = rig.routing.Watch(event_pb2.WatchRequest())
        await watch.initial_metadata()
        held = asyncio.ensure_future(rig.routing.Route(ticket_pb2.RouteRequest(ticket=new_ticket("b"), wait_ms=60_000)))
        await asyncio.sleep(0.1)
        stopping = asyncio.create_task(rig.server.stop())
        assert (await held).state == ticket_pb2.TICKET_STATE_WAITING
        for ended in (stream, watch):
            no = await rejected(_to_the_end(ended))
            assert (no.name, no.retryable) == ("DRAINING", True)
        await stopping


@contextlib.asynccontextmanager
async def process(door: str) -> AsyncIterator[tuple[Any, int]]:
    """A server as a process of its own, and its door's port."""
    settings = {"LISTEN": "127.0.0.1:0", "NATIVE_LISTEN": "127.0.0.1:0", "METRICS_LISTEN": "off"}
    settings |= {"POLICY": str(POLICY), "DRAIN_GRACE_MS": "3000"}
    environ = {f"CSROUTE_{key}": value for key, value in settings.items()}
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", RUN, env=environ | _paths(), stderr=asyncio.subprocess.PIPE
    )
    assert child.stderr is not None
    try:
        while json.loads(line := await child.stderr.readline())["event"] != "listening":
            pass
        yield child, json.loads(line)[{"python": "port", "native": "native_port"}[door]]
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()


def _paths() -> dict[str, str]:
    return {"PYTHONPATH": ":".join(path for path in sys.path if path)}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_drains(number: signal.Signals, door: str) -> None:
    async with process(door) as (child, port), grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        routing: Any = RoutingServiceStub(channel)
        health: Any = health_pb2_grpc.HealthStub(channel)
        states = health.Watch(health_pb2.HealthCheckRequest())
        assert (await states.read()).status == health_pb2.HealthCheckResponse.SERVING
        held = asyncio.ensure_future(
            routing.Route(ticket_pb2.RouteRequest(ticket=new_ticket("held"), wait_ms=1000), timeout=30)
        )
        watch = routing.Watch(event_pb2.WatchRequest())
        await watch.initial_metadata()
        await asyncio.sleep(0.1)
        child.send_signal(number)
        assert (await states.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
        assert (await held).state == ticket_pb2.TICKET_STATE_WAITING
        no = await rejected(_to_the_end(watch))
        assert no.grpc_code == grpc.StatusCode.UNAVAILABLE.value[0]
        assert await asyncio.wait_for(child.wait(), 20) == 0
        left = (await child.stderr.read()).decode()
        assert [json.loads(line)["event"] for line in left.splitlines()][-1] == "stopped"
        assert "Traceback" not in left


async def _to_the_end(stream: Any) -> None:
    while await stream.read() is not grpc.aio.EOF:
        pass
