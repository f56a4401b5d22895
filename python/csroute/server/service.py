"""The server's life: start, serve, drain, stop.

    server = Server(load_config("csroute.toml"))
    await server.start()
    ...
    await server.stop()

Stopping drains: health says NOT_SERVING and new tickets are refused; what is in flight is finished, up to a grace;
streams end as DRAINING; then the node stops.

With a `data_dir` the port opens at once, but until the journal is read health says NOT_SERVING, calls are RECOVERING.
When the journal fails, nothing is acknowledged any more: health says NOT_SERVING, and `serve` ends with JournalError.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import signal
from typing import TYPE_CHECKING

import grpc
import structlog
import uvloop
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from csroute import _csroute
from csroute.config import hash_key
from csroute.errors import ConfigError, JournalError, rejection
from csroute.logs import CallLog, configure_logs
from csroute.metrics import NodeCollector, serve_metrics
from csroute.router import policy_bytes
from csroute.server.door import TENANT_DEFAULT, Door
from csroute.server.life import Life
from csroute.server.pump import Pump, Refused
from csroute.server.secure import Certificates, certificates, credentials, server_credentials
from csroute.server.steering import Steersman
from csroute.server.watched import CanaryWatch
from csroute.v1 import (
    admin_service_pb2,
    agent_service_pb2,
    policy_service_pb2,
    routing_service_pb2,
    version_pb2,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from wsgiref.simple_server import WSGIServer

    from csroute.config import Config

__all__ = ["SERVICES", "Server", "run", "serve"]

SERVICES = tuple(
    service.full_name
    for file in (routing_service_pb2, agent_service_pb2, admin_service_pb2, policy_service_pb2)
    for service in file.DESCRIPTOR.services_by_name.values()
)
_METADATA_BYTES_MAX = 16_384
_KEEPALIVE_MS = 30_000
_ENDING_S = 2.0
"""How long the last words of streams may take to leave, past the grace."""
_LAST_S = 0.5
"""How long the last replies may take to leave, once all handlers have ended."""


RELOADED = frozenset(
    ("tls_certificate", "tls_key", "tls_client_ca", "credentials", "in_flight_max", "native_calls_max", "streams_max")
)
"""What `Server.reload` takes over; certificates' and keys' files are read again though their names stay."""


class Server:
    """One node behind two doors, Python's and the native one, with health, reflection and the Prometheus endpoint.

    Args:
        config: the settings.
        handlers: further gRPC handlers on the same port.
        native_echo: the native door answers an echo too, for benches.
    """

    def __init__(
        self, config: Config, *, handlers: Sequence[grpc.GenericRpcHandler] = (), native_echo: bool = False
    ) -> None:
        self.config = config
        self._native_echo = native_echo
        self._more_handlers = handlers
        self._log = structlog.get_logger("csroute.server")
        self.port = 0
        """The port of gRPC, once started."""
        self.native_port = 0
        """The port of the native door, once started; 0: it is off."""
        self.metrics_port = 0
        """The port of the Prometheus endpoint, once started; 0: it is off."""
        self._stopped = False
        self._watching: asyncio.Task[None] | None = None
        self._steersman: Steersman | None = None
        self._canaries: CanaryWatch | None = None
        self.over = asyncio.Event()
        """Set when the node failed: it must be started again."""
        self.why = ""
        """Why, and what to do."""

    async def start(self) -> None:
        """Reads the journal, if there is one, installs the policies and listens.

        ConfigError, PolicyError: a setting is wrong; JournalError: the data folder cannot be used. Nothing stays open.
        """
        config = self.config
        policies = {TENANT_DEFAULT: config.policy} if config.policy else {}
        compiled = {tenant: policy_bytes(source) for tenant, source in {**policies, **config.tenants}.items()}
        self._certificates = certificates(config)
        self._node = _node(config)
        self._life = Life(self._node)
        self._pump = Pump(self._node, asyncio.get_running_loop())
        self._door = Door(self._pump, config, CallLog(config.rejections_logged_per_s), self)
        self._health = health.aio.HealthServicer()
        self._metrics: WSGIServer | None = None
        self._native: _csroute.NativeDoor | None = None
        self._server = self._grpc_server()
        try:
            self._set_access(config)
            self._listen_for_metrics()
            await self._set_health(serving=False)
            if config.data_dir:
                await self._listen()
                await self._life.recovered()
            for tenant, policy in compiled.items():
                await self._install(tenant, policy)
            if not config.data_dir:
                await self._listen()
        except BaseException:
            await self.stop(grace_s=0)
            raise
        await self._set_health(serving=True)
        self._watching = asyncio.create_task(self._watch())
        if config.controller:
            self._steersman = Steersman(config.controller, self._steer)
            self._steersman.start()
        self._canaries = CanaryWatch(compiled, self._see_canary)
        self._canaries.start()
        ports = {"port": self.port, "native_port": self.native_port, "metrics_port": self.metrics_port}
        self._log.info("listening", **ports, tenants=sorted(compiled))

    async def stop(self, grace_s: float | None = None) -> None:
        """Drains and stops: see above. The grace is the settings', unless given. A second time does nothing."""
        if self._stopped:
            return
        self._stopped = True
        grace_s = self.config.drain_grace_ms / 1000 if grace_s is None else grace_s
        self._log.info("draining", grace_s=grace_s)
        if self._watching is not None:
            self._watching.cancel()
        for beside in (self._steersman, self._canaries):
            if beside is not None:
                await beside.stop()
        await self._health.enter_graceful_shutdown()
        self._node.drain(True)
        stopping = asyncio.create_task(self._server.stop(grace_s + _ENDING_S))  # no new calls from here on
        if self._native is not None:
            self._native.serving(False)
            self._native.drain()
        await asyncio.sleep(0)
        await self._quiet(grace_s)
        self._door.stop_reading()
        if self._native is not None:
            self._native.stop_reading()
        await asyncio.to_thread(self._node.stop)  # answers what is parked: streams end
        await self._quiet(_ENDING_S, streams=True)
        if (state := self._life.state())["stage"] == "failed":
            self.why = state["message"]
        await self._server.stop(_LAST_S)  # those who watch health are not waited for
        await stopping
        if self._native is not None:
            await asyncio.to_thread(self._native.stop, int(_LAST_S * 1000))
        self._pump.close()
        if self._metrics is not None:
            self._metrics.shutdown()
            self._metrics.server_close()
        self._log.info("stopped")

    async def _quiet(self, patience_s: float, *, streams: bool = False) -> None:
        """Waits until nothing is in flight at either door, or for so long."""
        waiting: list[Awaitable[object]] = [asyncio.wait_for(self._door.quiet(streams=streams), patience_s)]
        if self._native is not None:
            waiting.append(asyncio.to_thread(self._native.quiet, int(patience_s * 1000), streams=streams))
        await asyncio.gather(*waiting, return_exceptions=True)

    # --- parts -----------------------------------------------------------------------------------------------------

    def _grpc_server(self) -> grpc.aio.Server:
        config = self.config
        server = grpc.aio.server(
            options=[
                # Twice: what is a little too large gets a numbered rejection; what is far too large is cut by gRPC.
                ("grpc.max_receive_message_length", 2 * config.message_bytes_max),
                ("grpc.max_send_message_length", -1),
                ("grpc.max_concurrent_streams", config.connection_calls_max),
                ("grpc.max_metadata_size", _METADATA_BYTES_MAX),
                ("grpc.so_reuseport", 0),  # a second server on the port is an error, not a share of the calls
                ("grpc.keepalive_time_ms", _KEEPALIVE_MS),
                ("grpc.keepalive_timeout_ms", _KEEPALIVE_MS // 3),
                ("grpc.http2.min_ping_interval_without_data_ms", _KEEPALIVE_MS // 3),
                ("grpc.keepalive_permit_without_calls", 1),
            ]
        )
        server.add_generic_rpc_handlers((*self._door.handlers(), *self._more_handlers))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        reflection.enable_server_reflection((*SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME), server)
        return server

    async def _install(self, tenant: str, policy: bytes) -> None:
        """Applies it, unless it is what was installed at the last start: what operators did since then stands."""
        request = version_pb2.ApplyRequest(policy=policy, at_start=True, why="the server's setting")
        await self._ask("/csroute.v1.PolicyService/Apply", tenant, request.SerializeToString())

    async def _ask(self, path: str, tenant: str, request: bytes, *, caller: str = "server") -> bytes:
        number = next(number for number, name, _ in _csroute.methods() if name == path)
        try:
            return await self._pump.call(number, tenant, caller, request, 0)
        except Refused as no:
            raise rejection(no.status) from None

    async def _steer(self, path: str, request: bytes) -> bytes:
        return await self._ask(path, TENANT_DEFAULT, request, caller="controller")

    async def _see_canary(self, path: str, tenant: str, request: bytes) -> bytes:
        return await self._ask(path, tenant, request, caller="canary")

    async def _listen(self) -> None:
        try:
            if self._certificates is None:
                self.port = self._server.add_insecure_port(self.config.listen)
            else:
                self.port = self._server.add_secure_port(self.config.listen, server_credentials(self._current))
        except RuntimeError as error:
            raise ConfigError(f"listen: {self.config.listen} cannot be listened on: {error}") from None
        await self._server.start()
        self._listen_natively()

    def _listen_natively(self) -> None:
        config = self.config
        if config.native_listen == "off":
            return
        try:
            self._native = _csroute.NativeDoor(
                self._node,
                config.native_listen,
                calls_max=config.native_calls_max,
                connections_max=config.native_connections_max,
                connection_calls_max=config.connection_calls_max,
                streams_max=config.streams_max,
                stream_window=config.native_stream_window,
                message_bytes_max=config.message_bytes_max,
                write_timeout_ms=config.write_timeout_ms,
                rejections_logged_per_s=config.rejections_logged_per_s if config.log_level in {"debug", "info"} else 0,
                echo=self._native_echo,
                tls=None if self._certificates is None else self._certificates.pems(),
            )
        except OSError as error:
            at = config.native_listen
            raise ConfigError(f"native_listen: {at} cannot be listened on: {error.strerror or error}") from None
        self.native_port = self._native.port()

    def _current(self) -> Certificates:
        assert self._certificates is not None  # noqa: S101 (TLS does not come or go while a server runs)
        return self._certificates

    def _set_access(self, config: Config) -> None:
        try:
            self._node.set_access(credentials(config))
        except ValueError as error:
            raise ConfigError(f"credentials: {config.credentials}: {error}") from None

    def reload(self, config: Config) -> None:
        """Certificates, keys, credentials and limits as they are now, without a restart; all or nothing.

        ConfigError: something is wrong, and all stays as it was. What else differs needs a restart, and is logged.
        """
        if bool(config.tls_certificate) != bool(self.config.tls_certificate):
            raise ConfigError("tls_certificate: TLS comes and goes with a restart alone")
        fresh, before = certificates(config), self._certificates
        self._set_native_tls(fresh)
        try:
            self._set_access(config)
        except ConfigError:
            self._set_native_tls(before)  # or the doors would show different ones
            raise
        self._certificates = fresh
        self._node.set_in_flight_max(config.in_flight_max)
        self._door.set_limits(config.streams_max)
        if self._native is not None:
            self._native.set_limits(config.native_calls_max, config.streams_max)
        differs = {name for name, value in config if value != getattr(self.config, name)}
        self.config = self.config.model_copy(update={name: getattr(config, name) for name in differs & RELOADED})
        self._log.info("reloaded", changed=sorted(differs & RELOADED), needs_restart=sorted(differs - RELOADED))

    def _set_native_tls(self, certificates: Certificates | None) -> None:
        if self._native is None or certificates is None:
            return
        try:
            self._native.set_tls(certificates.pems())
        except ValueError as error:
            raise ConfigError(str(error)) from None

    def _listen_for_metrics(self) -> None:
        if self.config.metrics_listen == "off":
            return
        host, _, port = self.config.metrics_listen.rpartition(":")
        try:
            figures = NodeCollector(
                self._node.metrics, lambda: self._native.figures() if self._native else b"{}", self._steered
            )
            self._metrics, _thread = serve_metrics(figures, host.strip("[]"), int(port))
        except OSError as error:
            at = self.config.metrics_listen
            raise ConfigError(f"metrics_listen: {at} cannot be listened on: {error.strerror}") from None
        self.metrics_port = self._metrics.server_port

    def _steered(self) -> dict[str, int]:
        return self._steersman.figures if self._steersman is not None else {}

    def snapshot(self) -> None:
        """Asks for a snapshot of all that is decided by now."""
        self._node.snapshot()

    async def _watch(self) -> None:
        async def serving(well: bool) -> None:
            await self._set_health(serving=well)

        self.why = await self._life.watch(serving)
        self._log.critical("journal_failed", message=self.why)
        self.over.set()

    async def failed(self) -> None:
        """The node reported a fault; if it has stopped on it, health says so: this process must be started again."""
        if json.loads(self._node.metrics())["failed"]:
            self._log.error("the node failed: start the server again")
            await self._set_health(serving=False)

    async def _set_health(self, *, serving: bool) -> None:
        states = health_pb2.HealthCheckResponse
        status = states.SERVING if serving else states.NOT_SERVING
        for service in (health.OVERALL_HEALTH, *SERVICES):
            await self._health.set(service, status)
        if self._native is not None:
            self._native.serving(serving)


def _node(config: Config) -> _csroute.Node:
    """Its settings are the server's, by the same names."""
    names = (
        ("in_flight_max", "tenants_max", "ring_events_max", "message_bytes_max", "watchers_max"),
        ("attributes_drop", "attributes_hash", "durability", "durability_interval_ms", "resume_grace_ms"),
        ("segment_bytes", "disk_reserve_bytes", "pending_bytes_max", "snapshot_every_s", "snapshot_bytes"),
        ("snapshots_kept", "history_s", "versions_kept"),
    )
    settings = {name: getattr(config, name) for name in itertools.chain.from_iterable(names)}
    try:
        return _csroute.Node(data_dir=config.data_dir or None, attributes_hash_key=hash_key(config), **settings)
    except OSError as error:
        raise JournalError(f"data_dir: {error}") from None


async def serve(config: Config, *, again: Callable[[], Config] | None = None) -> None:
    """Serves until SIGTERM or SIGINT, then drains. A second signal does not wait. SIGUSR1 asks for a snapshot.

    SIGHUP reloads what `Server.reload` says, from what `again` reads. Raises JournalError when the journal fails:
    nothing was acknowledged after that.
    """
    loop = asyncio.get_running_loop()
    server = Server(config)

    def reload() -> None:
        try:
            server.reload(again() if again is not None else config)
        except ConfigError as error:
            structlog.get_logger("csroute.server").error("not_reloaded", message=str(error))

    signals = (signal.SIGTERM, signal.SIGINT)
    for number in signals:
        loop.add_signal_handler(number, server.over.set)
    await server.start()
    loop.add_signal_handler(signal.SIGUSR1, server.snapshot)
    loop.add_signal_handler(signal.SIGHUP, reload)
    await server.over.wait()
    for number in signals:
        loop.remove_signal_handler(number)
    await server.stop(grace_s=0 if server.why else None)
    if server.why:
        raise JournalError(server.why)


def run(config: Config, *, again: Callable[[], Config] | None = None) -> None:
    """Serves in this process until it is told to stop: logs to stderr, uvloop."""
    configure_logs(config.log_level)
    uvloop.run(serve(config, again=again))
