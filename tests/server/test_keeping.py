"""A server with a data folder: what it serves, tells and forgets on purpose."""

from __future__ import annotations

import json
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from csroute.config import load_config
from csroute.errors import JournalError
from csroute.server import Server
from csroute.v1 import admin_pb2, event_pb2, stats_pb2, ticket_pb2
from tests.server.rig import rejected, running

if TYPE_CHECKING:
    from pathlib import Path

    from tests.server.rig import Rig

SMALL = {"disk_reserve_bytes": 0, "segment_bytes": 65_536}


def kept(folder: Path) -> bytes:
    """All that stands in a data folder."""
    return b"".join(path.read_bytes() for path in folder.iterdir())


async def status(rig: Rig) -> int:
    health: Any = health_pb2_grpc.HealthStub(rig.channel)
    reply: health_pb2.HealthCheckResponse = await health.Check(health_pb2.HealthCheckRequest())
    return reply.status


async def test_a_restart_goes_on(tmp_path: Path) -> None:
    async with running(data_dir=str(tmp_path), **SMALL) as rig:
        await rig.staff("ana")
        first = await rig.route("t1")
        assert await status(rig) == health_pb2.HealthCheckResponse.SERVING
        before = (await rig.admin.GetStats(stats_pb2.GetStatsRequest())).sequence
    assert b"csrtsnap" in kept(tmp_path), "a stop leaves a snapshot"
    async with running(data_dir=str(tmp_path), **SMALL) as rig:
        again = await rig.route("t1")
        assert (again.replayed, again.agent, again.attempt) == (True, first.agent, first.attempt)
        watch = rig.routing.Watch(event_pb2.WatchRequest(after_sequence=before))
        reply = await watch.read()
        kinds = [event.WhichOneof("kind") for event in reply.events]
        assert kinds == ["node_resumed"], "the policy was there already, and nothing else happened"
        assert reply.events[0].sequence == before + 1
        watch.cancel()


async def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    async with running(data_dir=str(tmp_path), **SMALL):
        second = Server(load_config(environ={}, listen="127.0.0.1:0", metrics_listen="off", data_dir=str(tmp_path)))
        with pytest.raises(JournalError, match=r"data_dir: .* is in use by process"):
            await second.start()


async def test_the_journals_figures(tmp_path: Path) -> None:
    async with running(data_dir=str(tmp_path), metrics_listen="127.0.0.1:0", **SMALL) as rig:
        await rig.route("t1")
        at = f"http://127.0.0.1:{rig.server.metrics_port}/metrics"
        figures: dict[str, float] = {}
        while not figures.get("csroute_journal_fsync_seconds_count"):
            with urllib.request.urlopen(at, timeout=10) as reply:  # noqa: ASYNC210 (another thread answers)
                lines = [line for line in reply.read().decode().splitlines() if not line.startswith("#")]
            figures = {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}
            await rig.admin.GetStats(stats_pb2.GetStatsRequest())
        assert figures["csroute_journal_bytes_total"] > 100
        assert figures["csroute_journal_blocks_total"] >= 1
        assert figures["csroute_journal_disk_space"] == 0
        assert figures["csroute_journal_durable_seconds_count"] >= 1
        assert not [name for name in figures if "journal" in name and "{" in name and "le=" not in name], "no labels"


async def test_what_is_personal_is_not_kept(tmp_path: Path) -> None:
    key = "0123456789abcdef"
    private = {"attributes_drop": ["tone"], "attributes_hash": ["customer"], "attributes_hash_key": key}
    async with running(data_dir=str(tmp_path), **SMALL, **private) as rig:
        attributes = [
            ticket_pb2.Attribute(name="kind", value="bill"),
            ticket_pb2.Attribute(name="tone", value="loud-and-clear"),
        ]
        await rig.route("t1", customer="ann@example.com", attributes=attributes)
        seen = await rig.routing.GetTicket(ticket_pb2.GetTicketRequest(id="t1"))
        assert [attribute.name for attribute in seen.attributes] == ["kind"]
        assert len(seen.customer) == 32
        again = await rig.route("t1", customer="ann@example.com", attributes=attributes)
        assert again.replayed
        other = await rejected(rig.route("t1", customer="bob@example.com", attributes=attributes))
        assert other.name == "CONFLICT"
    folder = kept(tmp_path)
    assert seen.customer.encode() in folder
    for secret in (b"ann@example.com", b"loud-and-clear", key.encode()):
        assert secret not in folder


async def test_who_did_it_is_in_the_journal(tmp_path: Path) -> None:
    async with running(data_dir=str(tmp_path), **SMALL) as rig:
        await rig.admin.Drain(admin_pb2.DrainRequest(on=True), metadata=(("csroute-caller", "olga the operator"),))
        state = json.loads(rig.server._node.state())
        assert state["stage"] == "serving"
    folder = kept(tmp_path)
    assert b"olga the operator" in folder
    async with running(data_dir=str(tmp_path), **SMALL) as rig:
        assert (await rejected(rig.route("t2"))).name == "DRAINING", "and it lasts"
        await rig.admin.Drain(admin_pb2.DrainRequest(on=False))
        await rig.route("t2")
