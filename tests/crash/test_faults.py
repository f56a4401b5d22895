"""What else happens to a server: it stands still, its disk is full, somebody starts a second one, a snapshot is bad."""

from __future__ import annotations

import asyncio
import resource
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from csroute.v1 import ticket_pb2
from csroute.v1.routing_service_pb2_grpc import RoutingServiceStub
from tests.crash.clients import Floor, batch
from tests.crash.rig import ServerProcess
from tests.server.rig import rejected

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow
SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


def files(folder: Path, ending: str) -> list[Path]:
    return sorted(folder.glob(f"*.{ending}"))


async def test_standing_still_changes_nothing(tmp_path: Path) -> None:
    async with ServerProcess(tmp_path) as server:
        await server.start()
        floor = Floor(server.port)
        await floor.open()
        for _ in range(3):
            await asyncio.sleep(0.3)
            server.process.send_signal(signal.SIGSTOP)
            # Its folder is still its own.
            second = ServerProcess(tmp_path)
            try:
                await second.start()
            except AssertionError:
                assert await second.ended() == 5
                assert "is in use by process" in second.rest
            else:
                raise AssertionError("two processes on one folder")
            server.process.send_signal(signal.SIGCONT)
        await floor.close()
        await floor.audit()
        floor.check()
        await floor.leave()


async def test_a_disk_that_is_full(tmp_path: Path) -> None:
    """The process's own bound on a file's size: an append past it fails as on a full disk, until it is lifted."""
    bound = 256 << 10
    settings = {"disk_reserve_bytes": 0, "segment_bytes": 1 << 30}
    async with ServerProcess(tmp_path, **settings) as server:
        await server.start()
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (bound, resource.RLIM_INFINITY))
        floor = Floor(server.port)
        await floor.open()
        line = await server.logged("disk_space")
        assert (line["space"], line["level"]) == ("full", "error")
        async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            health: Any = health_pb2_grpc.HealthStub(channel)
            states = health.Watch(health_pb2.HealthCheckRequest())
            while (await asyncio.wait_for(states.read(), 10)).status != NOT_SERVING:
                pass
            routing: Any = RoutingServiceStub(channel)
            no = await rejected(routing.RouteBatch(batch(["t999999999"]), timeout=10))
            assert (no.name, no.retryable) == ("DISK_FULL", True)
            resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
            while (await asyncio.wait_for(states.read(), 10)).status != SERVING:
                pass
            states.cancel()
        await asyncio.sleep(0.2)
        await server.end(signal.SIGKILL)
        await server.start()
        await floor.close()
        await floor.audit()
        floor.check()
        await floor.leave()
        assert floor.refused["DISK_FULL"] or floor.refused["DEADLINE_EXCEEDED"] or floor.refused["UNAVAILABLE"]


async def test_an_old_snapshot_and_a_newer_journal(tmp_path: Path) -> None:
    async with ServerProcess(tmp_path / "data", snapshots_kept=10) as server:
        await server.start()
        floor = Floor(server.port)
        await floor.open()
        for _ in range(3):
            await asyncio.sleep(0.3)
            server.process.send_signal(signal.SIGUSR1)
            await server.logged("snapshot")
            server.lines.clear()
        await server.end(signal.SIGKILL)
        newest = files(tmp_path / "data", "snapshot")[1:]
        for snapshot in newest:
            snapshot.unlink()
        await server.start()
        recovered = await server.logged("recovered")
        assert recovered["snapshot"] > 0
        assert recovered["records"] > 0
        await floor.close()
        await floor.audit()
        floor.check()
        await floor.leave()
        assert await server.end(signal.SIGTERM) == 0


async def test_damage_ends_the_process_and_says_what_to_do(tmp_path: Path) -> None:
    async with ServerProcess(tmp_path) as server:
        await server.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            routing: Any = RoutingServiceStub(channel)
            for number in range(40):
                await routing.Route(ticket_pb2.RouteRequest(ticket=batch([f"t{number}"]).tickets[0]))
        await server.end(signal.SIGKILL)
        segment = min(files(tmp_path, "journal"))
        whole = bytearray(segment.read_bytes())
        whole[len(whole) // 2] ^= 1
        segment.write_bytes(whole)
        try:
            await server.start()
        except AssertionError:
            assert await server.ended() == 5
        assert "is damaged at byte" in server.rest
        assert "csroute journal repair" in server.rest
        assert "Traceback" not in server.rest
        assert segment.read_bytes() == whole, "nothing was changed"


def test_a_folder_that_cannot_be_made() -> None:
    command = [
        sys.executable,
        "-m",
        "csroute.cli",
        "serve",
        "--data-dir",
        "/proc/csroute",
        "--native",
        "off",
        "--metrics",
        "off",
    ]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert run.returncode == 5, run.stderr
    assert run.stderr.startswith("csroute: data_dir: "), run.stderr
