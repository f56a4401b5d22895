"""What operators see: the Prometheus endpoint's figures and labels, and the log's lines."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import urllib.request
from typing import Any

import pytest
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client.parser import text_string_to_metric_families

from csroute.errors import StateError
from csroute.logs import CallLog, configure_logs, subjects
from csroute.metrics import QUEUES_MAX, NodeCollector
from csroute.v1 import agent_pb2, ticket_pb2
from tests.server.rig import new_ticket, rejected, running

Samples = dict[tuple[str, tuple[str, ...]], float]


def samples(text: str) -> Samples:
    families: Any = text_string_to_metric_families(text)
    return {
        (sample.name, tuple(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


async def scrape(port: int) -> Samples:
    def read() -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as reply:
            return str(reply.read().decode())

    return samples(await asyncio.to_thread(read))


async def test_the_endpoint_counts_what_happened() -> None:
    async with running(metrics_listen="127.0.0.1:0") as rig:
        await rig.staff("ann", capacity=100)
        for number in range(3):
            await rig.route(f"t{number}")
        await rig.agents.Accept(agent_pb2.AcceptRequest(ticket="t0", attempt=1))
        await rig.agents.Mark(agent_pb2.MarkRequest(ticket="t0", attempt=1, moment="first_reply"))
        await rejected(rig.agents.Accept(agent_pb2.AcceptRequest(ticket="t0", attempt=7)))
        found: Samples = {}
        for _ in range(100):  # the node's figures are up to a second old
            found = await scrape(rig.server.metrics_port)
            if found.get(("csroute_rejections_total", ("STALE", "default"))):
                break
            await asyncio.sleep(0.1)
    expected = {
        ("csroute_queue_waiting", ("bill", "default")): 1,
        ("csroute_queue_arrived_total", ("bill", "default")): 3,
        ("csroute_queue_answered_total", ("bill", "default")): 1,
        ("csroute_queue_service_level_ratio", ("bill", "default")): 1,
        ("csroute_tickets", ("active", "default")): 1,
        ("csroute_tickets_submitted_total", ("default",)): 3,
        ("csroute_agents", ("available", "default")): 1,
        ("csroute_occupancy_ratio", ("default",)): 1,
        ("csroute_service_level_ratio", ("default",)): 1,
        ("csroute_draining", ()): 0,
        ("csroute_failed", ()): 0,
        ("csroute_clocks_met_total", ("reply", "default")): 1,
    }
    assert {key: found.get(key) for key in expected} == expected
    assert found[("csroute_end_to_end_seconds_count", ())] >= 8
    assert found[("csroute_decision_seconds_bucket", ("+Inf",))] == found[("csroute_decision_seconds_count", ())]


def figures(queues: int) -> bytes:
    names = ("waiting", "oldest_wait_ms", "arrived", "answered", "met", "abandoned", "short_abandoned")
    counters = dict.fromkeys((*names, "overflowed", "completed", "wait_total_ms"), 1)
    fields = """scheduled waiting suspended offered active wrapping remembered submitted assigned completed closed
        cancelled overflowed agents_available agents_away agents_draining agents_offline units_used units_total
        service_level_milli"""
    tenant = dict.fromkeys(fields.split(), 0)
    histogram = {"bounds": [10.0, 20.0], "counts": [3, 2, 1], "sum": 75.0}
    return json.dumps(
        {
            "in_flight": 0,
            "parked": 0,
            "watchers": 0,
            "draining": False,
            "failed": False,
            "clock_jumps": 0,
            "rejections": {"BUSY": 2},
            "tenants": {
                "default": {
                    **tenant,
                    "queues": [{"queue": f"q{number}", **counters, "arrived": number} for number in range(queues)],
                    "clocks": [],
                    "rejections": {},
                }
            },
            "decision_us": histogram,
            "end_to_end_us": histogram,
        }
    ).encode()


def test_labels_are_bounded() -> None:
    families = {family.name: family for family in NodeCollector(lambda: figures(QUEUES_MAX + 50)).collect()}
    arrived = families["csroute_queue_arrived"].samples
    assert len(arrived) == QUEUES_MAX + 1
    assert sum(sample.value for sample in arrived) == sum(range(QUEUES_MAX + 50))
    others = {s.labels["queue"]: s.value for s in families["csroute_queue_oldest_wait_seconds"].samples}
    assert others["(others)"] == 0.001
    buckets = [(s.labels.get("le"), s.value) for s in families["csroute_decision_seconds"].samples]
    assert buckets == [("1e-05", 3), ("2e-05", 5), ("+Inf", 6), (None, 6), (None, pytest.approx(75e-6))]


@pytest.fixture
def lines() -> Any:
    """The log's lines, read as JSON; afterwards logging is as it was."""
    file, root = io.StringIO(), logging.getLogger()
    before, level = root.handlers[:], root.level
    configure_logs("info", file)
    yield lambda: [json.loads(line) for line in file.getvalue().splitlines()]
    structlog.reset_defaults()
    root.handlers[:], root.level = before, level


def test_a_rejection_says_who_and_what(lines: Any) -> None:
    request = agent_pb2.AcceptRequest(ticket="t1", attempt=1).SerializeToString()
    no = StateError("attempt 1 is not the newest", code=302, name="STALE", grpc_code=9)
    CallLog(20).rejected("/csroute.v1.AgentService/Accept", "acme", "desk-7", request, no)
    [line] = lines()
    assert line.pop("at")
    assert line == {
        "event": "rejected",
        "level": "info",
        "method": "/csroute.v1.AgentService/Accept",
        "code": 302,
        "name": "STALE",
        "message": "attempt 1 is not the newest",
        "tenant": "acme",
        "caller": "desk-7",
        "ticket": "t1",
    }


def test_rejections_are_logged_up_to_a_rate(lines: Any) -> None:
    now = 0.0
    log = CallLog(3, clock=lambda: now)
    for _ in range(100):
        log.rejected("/csroute.v1.AgentService/Accept", "acme", "desk-7", b"", StateError("no"))
    assert len(lines()) == 3
    now = 1.0
    log.rejected("/csroute.v1.AgentService/Accept", "acme", "desk-7", b"", StateError("no"))
    assert lines()[-1]["left_out"] == 97


def test_the_standard_librarys_lines_are_json_too(lines: Any) -> None:
    logging.getLogger("grpc").warning("the channel %s", "broke")
    assert (lines()[0]["event"], lines()[0]["level"]) == ("the channel broke", "warning")


async def test_at_debug_every_call_is_logged() -> None:
    with structlog.testing.capture_logs() as lines:
        async with running(log_level="debug") as rig:
            await rig.route("t1")
    called = [line for line in lines if line["event"] == "called"]
    assert [(line["method"], line["ticket"]) for line in called] == [("/csroute.v1.RoutingService/Route", "t1")]


async def test_a_node_that_failed_is_not_serving() -> None:
    async with running() as rig:
        health: Any = health_pb2_grpc.HealthStub(rig.channel)
        await rig.server.failed()
        assert (await health.Check(health_pb2.HealthCheckRequest())).status == health_pb2.HealthCheckResponse.SERVING
        node = rig.server._node
        rig.server._node = Failed()  # type: ignore[assignment]
        await rig.server.failed()
        assert (
            await health.Check(health_pb2.HealthCheckRequest())
        ).status == health_pb2.HealthCheckResponse.NOT_SERVING
        rig.server._node = node


class Failed:
    def metrics(self) -> bytes:
        return b'{"failed": true}'


@pytest.mark.parametrize(
    ("method", "request_", "found"),
    [
        ("RoutingService/Route", ticket_pb2.RouteRequest(ticket=new_ticket("t1")), {"ticket": "t1"}),
        ("RoutingService/Cancel", ticket_pb2.CancelRequest(id="t1"), {"ticket": "t1"}),
        ("AgentService/Login", agent_pb2.LoginRequest(session="s", agent="a"), {"agent": "a", "session": "s"}),
        ("RoutingService/RouteBatch", ticket_pb2.RouteBatchRequest(), {}),
        ("NoService/NoMethod", ticket_pb2.RouteBatchRequest(), {}),
    ],
)
def test_what_a_request_is_about(method: str, request_: Any, found: dict[str, str]) -> None:
    assert subjects(f"/csroute.v1.{method}", request_.SerializeToString()) == found


def test_what_cannot_be_read_is_about_nothing() -> None:
    assert subjects("/csroute.v1.RoutingService/Route", b"\xff\xff") == {}
