"""Certificates, credentials and roles: the same at both doors, and replaced without a restart."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import ssl
import time
from typing import TYPE_CHECKING, Any

import grpc
import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from grpc_health.v1 import health_pb2, health_pb2_grpc

from csroute.errors import ConfigError
from csroute.server.door import TENANT_KEY
from csroute.v1 import admin_pb2, agent_pb2, stats_pb2, ticket_pb2
from tests.server.rig import Rig, new_ticket, rejected, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

GATEWAY, ADMIN, ELSEWHERE = "the gateway's key", "the admin's key", "another tenant's key"
ISSUER = Ed25519PrivateKey.generate()
CLAIMS = {"iss": "https://login.example", "aud": "csroute", "sub": "gateway-9", "csroute_tenant": "default"}


@pytest.fixture(params=["python", "native"])
def door(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def listed(*keys: tuple[str, str, str]) -> str:
    """The file of credentials, with these keys: (key, tenant, role)."""
    parts = [
        f'[[keys]]\nsha256 = "{hashlib.sha256(key.encode()).hexdigest()}"\n'
        f'tenant = "{tenant}"\ncaller = "a {role}"\nrole = "{role}"\n'
        for key, tenant, role in keys
    ]
    parts += [
        f'[[certificates]]\nname = "{name}.shop.example"\ntenant = "default"\ncaller = "{name}"\nrole = "{role}"\n'
        for name, role in (("gateway", "gateway"), ("desk", "agent_gateway"))
    ]
    parts.append('[jwt]\nalgorithm = "EdDSA"\nkey_file = "issuer.pem"\naudience = "csroute"\n')
    return "\n".join(parts) + 'issuer = "https://login.example"\n'


def write(file: Path, text: str) -> None:
    file.write_text(text)


@pytest.fixture
def credentials(tmp_path: Path) -> Path:
    public = ISSUER.public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "issuer.pem").write_bytes(pem)
    file = tmp_path / "credentials.toml"
    write(file, listed((GATEWAY, "default", "gateway"), (ADMIN, "*", "admin"), (ELSEWHERE, "other", "gateway")))
    return file


def token(key: Ed25519PrivateKey = ISSUER, **more: Any) -> str:
    claims = {**CLAIMS, "exp": int(time.time()) + 600, "csroute_role": "gateway", **more}
    parts = [json.dumps(part).encode() for part in ({"alg": "EdDSA", "typ": "JWT"}, claims)]
    signed = b".".join(_base64(part) for part in parts)
    return (signed + b"." + _base64(key.sign(signed))).decode()


def _base64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def bearer(key: str, *more: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {key}"), *more)


def route(rig: Rig, key: str | None, *more: tuple[str, str]) -> Any:
    metadata = bearer(key, *more) if key is not None else more
    return rig.routing.Route(ticket_pb2.RouteRequest(ticket=new_ticket("t")), metadata=metadata, timeout=10)


async def first_of(stream: Any) -> Any:
    """What a stream answers to a batch."""
    await stream.write(ticket_pb2.RouteBatchRequest(tickets=[new_ticket("t")]))
    return await stream.read()


async def refused(call: Any) -> tuple[str, int, int]:
    no = await rejected(call)
    return no.name, no.code, no.grpc_code


# --- keys, tokens, roles, tenants -------------------------------------------------------------------------------------


async def test_a_key_says_who_calls_and_what_it_may(door: str, credentials: Path) -> None:
    async with running(door, credentials=str(credentials)) as rig:
        assert (await route(rig, GATEWAY)).state == ticket_pb2.TICKET_STATE_WAITING
        assert await refused(route(rig, None)) == ("UNAUTHENTICATED", 600, 16)
        assert await refused(route(rig, "no such key")) == ("UNAUTHENTICATED", 600, 16)
        drain = admin_pb2.DrainRequest(on=False)
        assert await refused(rig.admin.Drain(drain, metadata=bearer(GATEWAY))) == ("FORBIDDEN", 601, 7)
        login = agent_pb2.LoginRequest(session="s", agent="a")
        assert await refused(rig.agents.Login(login, metadata=bearer(GATEWAY))) == ("FORBIDDEN", 601, 7)
        await rig.admin.Drain(drain, metadata=bearer(ADMIN))
        # Only read: a write that crosses with the refusal would hide it from a grpc.aio client.
        assert await refused(rig.routing.RouteStream().read()) == ("UNAUTHENTICATED", 600, 16)


async def test_a_key_is_its_tenants(door: str, credentials: Path) -> None:
    other = (TENANT_KEY, "other")
    async with running(door, credentials=str(credentials), tenants={"other": "double11"}) as rig:
        await route(rig, GATEWAY)
        assert await refused(route(rig, GATEWAY, other)) == ("FORBIDDEN", 601, 7)
        get = ticket_pb2.GetTicketRequest(id="t")
        assert (await rejected(rig.routing.GetTicket(get, metadata=bearer(ELSEWHERE)))).name == "TICKET_UNKNOWN"
        for metadata, name in ((bearer(ADMIN), "desk"), (bearer(ADMIN, other), "double11")):
            stats = await rig.admin.GetStats(stats_pb2.GetStatsRequest(), metadata=metadata)
            assert stats.policy_name == name


async def test_a_token_says_the_same(door: str, credentials: Path) -> None:
    async with running(door, credentials=str(credentials)) as rig:
        for _ in range(2):  # verified, then remembered
            assert (await route(rig, token())).state == ticket_pb2.TICKET_STATE_WAITING
        wrong = (
            token(exp=int(time.time()) - 60),
            token(aud="another"),
            token(iss="another"),
            token(csroute_role="king"),
            token(Ed25519PrivateKey.generate()),
            token().rpartition(".")[0] + ".",
        )
        for each in wrong:
            assert await refused(route(rig, each)) == ("UNAUTHENTICATED", 600, 16)
        assert await refused(route(rig, token(csroute_role="agent_gateway"))) == ("FORBIDDEN", 601, 7)


async def test_health_asks_for_no_credential(door: str, credentials: Path) -> None:
    async with running(door, credentials=str(credentials)) as rig:
        health: Any = health_pb2_grpc.HealthStub(rig.channel)
        reply = await health.Check(health_pb2.HealthCheckRequest())
        assert reply.status == health_pb2.HealthCheckResponse.SERVING


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "names none"),
        ("[[keys]]\nsha256 = 'x'\ntenant = 't'\ncaller = 'c'\nrole = 'gateway'", r"keys\[0\].sha256"),
        (listed((GATEWAY, "default", "king")), r"keys\[0\].role: gateway, agent_gateway, policy, admin"),
        (listed((GATEWAY, "a", "gateway"), (GATEWAY, "b", "gateway")), "twice"),
        ("[jwt]\nalgorithm = 'none'\nkey = ''\nissuer = ''\naudience = ''", r"jwt\.algorithm"),
        ("colour = 1", "colour"),
        ("= 1", "not TOML"),
    ],
)
async def test_a_file_that_is_wrong_is_said(credentials: Path, text: str, says: str) -> None:
    write(credentials, text)
    with pytest.raises(ConfigError, match=says):
        async with running(credentials=str(credentials)):
            pass


# --- certificates -----------------------------------------------------------------------------------------------------


class Pems:
    """A server's certificate in files, by an authority of its own."""

    def __init__(self, folder: Path) -> None:
        self.ca = trustme.CA()
        self.folder = folder
        self.issue()
        self.ca.cert_pem.write_to_path(str(folder / "ca.pem"))
        self.settings: dict[str, Any] = {
            "tls_certificate": str(folder / "server.pem"),
            "tls_key": str(folder / "server.key"),
        }
        self.mutual: dict[str, Any] = {**self.settings, "tls_client_ca": str(folder / "ca.pem")}

    def issue(self) -> None:
        issued = self.ca.issue_cert("127.0.0.1")
        issued.private_key_pem.write_to_path(str(self.folder / "server.key"))
        (self.folder / "server.pem").write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))

    def client(self, name: str = "") -> grpc.ChannelCredentials:
        if not name:
            return grpc.ssl_channel_credentials(self.ca.cert_pem.bytes())
        issued = self.ca.issue_cert(name)
        chain = b"".join(pem.bytes() for pem in issued.cert_chain_pems)
        return grpc.ssl_channel_credentials(self.ca.cert_pem.bytes(), issued.private_key_pem.bytes(), chain)


@pytest.fixture
def pems(tmp_path: Path) -> Pems:
    return Pems(tmp_path)


@contextlib.asynccontextmanager
async def channel(rig: Rig, credentials: grpc.ChannelCredentials) -> AsyncIterator[Rig]:
    """The same server through a channel with these credentials."""
    port = rig.server.port if rig.door == "python" else rig.server.native_port
    async with grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials) as opened:
        yield Rig(rig.server, opened, rig.door)


async def test_tls(door: str, pems: Pems) -> None:
    async with running(door, **pems.settings) as rig:
        async with channel(rig, pems.client()) as secured:
            assert (await route(secured, None)).state == ticket_pb2.TICKET_STATE_WAITING
        async with channel(rig, grpc.ssl_channel_credentials(trustme.CA().cert_pem.bytes())) as strange:
            assert (await rejected(route(strange, None))).grpc_code == 14
        assert (await rejected(route(rig, None))).grpc_code == 14, "and nobody without it"


async def test_a_client_is_known_by_its_certificate(door: str, pems: Pems, credentials: Path) -> None:
    async with running(door, credentials=str(credentials), **pems.mutual) as rig:
        async with channel(rig, pems.client()) as nobody:
            assert (await rejected(route(nobody, None))).grpc_code == 14
        async with channel(rig, pems.client("gateway.shop.example")) as gateway:
            assert (await route(gateway, None)).state == ticket_pb2.TICKET_STATE_WAITING
        async with channel(rig, pems.client("desk.shop.example")) as desk:
            await desk.agents.OpenSession(agent_pb2.OpenSessionRequest(session="s", lease_ms=60_000))
            assert await refused(route(desk, None)) == ("FORBIDDEN", 601, 7)
        async with channel(rig, pems.client("stranger.shop.example")) as stranger:
            assert await refused(route(stranger, None)) == ("UNAUTHENTICATED", 600, 16)
            assert (await route(stranger, GATEWAY)).replayed, "a key counts, whoever's certificate it comes with"


# --- without a restart ------------------------------------------------------------------------------------------------


async def test_keys_and_limits_are_reloaded(door: str, credentials: Path) -> None:
    async with running(door, credentials=str(credentials)) as rig:
        await route(rig, GATEWAY)
        write(credentials, listed(("a new key", "default", "gateway")))
        rig.server.reload(rig.server.config.model_copy(update={"in_flight_max": 64, "streams_max": 1}))
        assert await refused(route(rig, GATEWAY)) == ("UNAUTHENTICATED", 600, 16)
        assert (await route(rig, "a new key")).replayed
        stream = rig.routing.RouteStream(metadata=bearer("a new key"))
        assert (await first_of(stream)).results
        assert await refused(rig.routing.RouteStream(metadata=bearer("a new key")).read()) == ("BUSY", 405, 8)
        stream.cancel()
        write(credentials, "[[keys]]")
        with pytest.raises(ConfigError, match="credentials"):
            rig.server.reload(rig.server.config)
        assert (await route(rig, "a new key")).replayed, "what was wrong changed nothing"


async def test_certificates_are_reloaded(door: str, pems: Pems) -> None:
    async with running(door, **pems.settings) as rig:
        port = rig.server.port if door == "python" else rig.server.native_port
        shown: Callable[[], str] = lambda: ssl.get_server_certificate(("127.0.0.1", port))  # noqa: E731
        first = await _aside(shown)
        async with channel(rig, pems.client()) as before:
            await route(before, None)
            pems.issue()
            rig.server.reload(rig.server.config)
            assert await _aside(shown) != first
            assert (await route(before, None)).replayed, "a connection that stands goes on"
        async with channel(rig, pems.client()) as after:
            assert (await route(after, None)).replayed
        second = await _aside(shown)
        write(pems.folder / "server.pem", "no certificate")
        with pytest.raises(ConfigError, match="tls_certificate"):
            rig.server.reload(rig.server.config)
        assert await _aside(shown) == second


async def _aside(work: Callable[[], str]) -> str:
    import asyncio

    return await asyncio.to_thread(work)
