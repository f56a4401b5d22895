"""SIGHUP to a `csroute serve` that runs: certificates, keys and limits are read again, all of them or none."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import ssl
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from csroute.v1 import ticket_pb2
from csroute.v1.routing_service_pb2_grpc import RoutingServiceStub
from tests.door.test_secure import GATEWAY, Pems, bearer, first_of, listed, refused
from tests.server.rig import new_ticket

WITHIN_S = 30.0
KEY = "a key of later"


class Served:
    """A server process, and what it logs."""

    def __init__(self, process: asyncio.subprocess.Process, folder: Path, pems: Pems) -> None:
        self.process, self.folder, self.pems = process, folder, pems
        self.ports: dict[str, int] = {}

    async def logged(self, *events: str) -> dict[str, Any]:
        """The next line that tells one of these events."""
        assert self.process.stdout is not None
        async with asyncio.timeout(WITHIN_S):
            while line := await self.process.stdout.readline():
                found: dict[str, Any] = json.loads(line)
                if found["event"] in events:
                    return found
        raise AssertionError(f"it ended before it said any of {events}")

    async def hang_up(self) -> dict[str, Any]:
        os.kill(self.process.pid, signal.SIGHUP)
        return await self.logged("reloaded", "not_reloaded")

    async def shown(self) -> dict[str, str]:
        """The certificate at each door."""
        ports = self.ports.items()
        return {door: await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", port)) for door, port in ports}

    def channel(self, door: str) -> grpc.aio.Channel:
        return grpc.aio.secure_channel(f"127.0.0.1:{self.ports[door]}", self.pems.client())

    def write_config(self, streams_max: int) -> None:
        settings = {**self.pems.settings, "credentials": str(self.folder / "credentials.toml")}
        lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
        (self.folder / "csroute.toml").write_text("\n".join([*lines, f"streams_max = {streams_max}"]) + "\n")

    def write_keys(self, *keys: str, jwt: str = "") -> None:
        text = listed(*((key, "default", "gateway") for key in keys)).partition("[jwt]")[0]
        (self.folder / "credentials.toml").write_text(text + jwt)


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    command = ["serve", "--listen", "127.0.0.1:0", "--native", "127.0.0.1:0", "--metrics", "off"]
    pems = Pems(tmp_path)
    before = Served(None, tmp_path, pems)  # type: ignore[arg-type] # what it reads is there before it is
    before.write_config(streams_max=100)
    before.write_keys(GATEWAY)
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "csroute.cli", *command, "--config", str(tmp_path / "csroute.toml")],
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    served = Served(process, tmp_path, pems)
    try:
        said = await served.logged("listening")
        served.ports = {"python": said["port"], "native": said["native_port"]}
        yield served
    finally:
        process.terminate()
        await process.wait()


async def route(channel: grpc.aio.Channel, key: str) -> ticket_pb2.RouteReply:
    request = ticket_pb2.RouteRequest(ticket=new_ticket("t", kind="enquiry"))
    stub: Any = RoutingServiceStub(channel)
    reply: ticket_pb2.RouteReply = await stub.Route(request, metadata=bearer(key), timeout=WITHIN_S)
    return reply


async def test_all_of_it_is_read_again(served: Served) -> None:
    first = await served.shown()
    async with served.channel("python") as python, served.channel("native") as native:
        doors = {"python": python, "native": native}
        for channel in doors.values():
            assert not (await route(channel, GATEWAY)).agent, "nobody is there"
        served.pems.issue()
        served.write_keys(KEY)
        served.write_config(streams_max=1)
        said = await served.hang_up()
        assert (said["event"], said["changed"]) == ("reloaded", ["streams_max"])
        for door, channel in doors.items():
            assert await refused(route(channel, GATEWAY)) == ("UNAUTHENTICATED", 600, 16), door
            assert (await route(channel, KEY)).replayed, "a connection that stands goes on"
            stub: Any = RoutingServiceStub(channel)
            stream = stub.RouteStream(metadata=bearer(KEY))
            assert (await first_of(stream)).results
            assert (await refused(stub.RouteStream(metadata=bearer(KEY)).read()))[0] == "BUSY", door
            stream.cancel()
        now = await served.shown()
    assert all(now[door] != first[door] for door in now)
    for door in served.ports:
        async with served.channel(door) as fresh:
            assert (await route(fresh, KEY)).replayed


@pytest.mark.parametrize("wrong", ["a key that is none", "a certificate that is none", "a bound that is none"])
async def test_or_nothing(served: Served, wrong: str) -> None:
    first = await served.shown()
    served.write_keys(KEY)
    if wrong == "a certificate that is none":
        (served.folder / "server.pem").write_text("no certificate")
    else:
        served.pems.issue()  # good ones, which must not be taken either
    if wrong == "a key that is none":
        (served.folder / "issuer.pem").write_text("no key")
        jwt = '[jwt]\nalgorithm = "EdDSA"\nkey_file = "issuer.pem"\nissuer = "i"\naudience = "a"\n'
        served.write_keys(KEY, jwt=jwt)
    if wrong == "a bound that is none":
        served.write_config(streams_max=0)
    assert (await served.hang_up())["event"] == "not_reloaded"
    assert await served.shown() == first
    for door in served.ports:
        async with served.channel(door) as channel:
            assert (await route(channel, GATEWAY)).id == "t", "the key of before counts"
            assert (await refused(route(channel, KEY)))[0] == "UNAUTHENTICATED"
