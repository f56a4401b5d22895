"""The server's settings: from a TOML file and the environment, checked, with errors that name the key.

A setting `in_flight_max` is a key of the file, or `CSROUTE_IN_FLIGHT_MAX` in the environment, which wins. What is given
nowhere has its default; a key that is not known is refused, not passed over.

>>> load_config(environ={"CSROUTE_LISTEN": "127.0.0.1:0"}).listen
'127.0.0.1:0'
>>> load_config(environ={"CSROUTE_STREAMS_MAX": "many"})
Traceback (most recent call last):
    ...
csroute.errors.ConfigError: CSROUTE_STREAMS_MAX in the environment: input should be a valid integer, unable to parse \
string as an integer; it is 'many', the default is 2048
"""

from __future__ import annotations

import difflib
import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError

from csroute.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Config", "hash_key", "load_config"]

_PREFIX = "CSROUTE_"


def _address(value: str) -> str:
    host, _, port = value.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65_535:
        raise ValueError('an address is "host:port", such as "127.0.0.1:7700", or "[::1]:7700"')
    return value


def _names(value: object) -> object:
    return [name.strip() for name in value.split(",") if name.strip()] if isinstance(value, str) else value


Address = Annotated[str, AfterValidator(_address)]
Names = Annotated[tuple[Annotated[str, Field(min_length=1, max_length=64)], ...], BeforeValidator(_names)]
"""A list of names; in the environment with commas between them."""

_KEY_BYTES_MIN = 16
_RECORD_BYTES_MAX = 67_108_864 // 2
"""What the journal takes as one record, with room to spare."""


class Config(BaseModel):
    """Every setting, with its default and range."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    listen: Address = "127.0.0.1:7700"
    """Where gRPC listens. Port 0: any free one."""
    native_listen: Address | Literal["off"] = "127.0.0.1:7701"
    """Where the native door listens: the same API without Python on its way; "off": nowhere."""
    metrics_listen: Address | Literal["off"] = "127.0.0.1:7780"
    """Where the Prometheus endpoint listens; "off": nowhere."""
    policy: str = ""
    """The default tenant's policy: a .py, a compiled policy's file, or a preset's name. Empty: none is installed."""
    tenants: dict[str, str] = {}
    """Further tenants and their policies (in the file alone)."""

    tls_certificate: str = ""
    """The server's certificate and those that lead to its root: a PEM file. Empty: no TLS. Both doors use it."""
    tls_key: str = ""
    """The certificate's key: a PEM file."""
    tls_client_ca: str = ""
    """Who signs the clients' certificates: a PEM file. With it every client must show one."""
    credentials: str = ""
    """A TOML file: which keys, tokens and client certificates are taken, and as whom. Empty: whoever calls, may."""

    in_flight_max: Annotated[int, Field(ge=1, le=1_000_000)] = 8192
    """Calls taken and not answered yet; past it: BUSY."""
    tenants_max: Annotated[int, Field(ge=1, le=65_536)] = 64
    """Tenants of a node; past it: TENANTS_FULL."""
    ring_events_max: Annotated[int, Field(ge=1024, le=67_108_864)] = 262_144
    """Events kept per tenant for those who watch."""
    message_bytes_max: Annotated[int, Field(ge=4096, le=268_435_456)] = 4_194_304
    """The largest request; past it: MESSAGE_TOO_LARGE."""
    watchers_max: Annotated[int, Field(ge=1, le=65_536)] = 4096
    """Watch and Work streams of a node."""
    streams_max: Annotated[int, Field(ge=1, le=65_536)] = 2048
    """Open streams of all kinds at this door; past it: BUSY."""
    connection_calls_max: Annotated[int, Field(ge=1, le=65_536)] = 1024
    """Calls and streams at a time on one connection; more wait at the client."""
    stream_window: Annotated[int, Field(ge=1, le=1024)] = 8
    """Messages of one stream that are read and not answered yet."""
    native_calls_max: Annotated[int, Field(ge=1, le=1_000_000)] = 4096
    """Unary calls in flight at the native door; past it: BUSY, before their bytes are read."""
    native_connections_max: Annotated[int, Field(ge=1, le=1_000_000)] = 4096
    """Connections of the native door; past it they are closed as they come."""
    native_stream_window: Annotated[int, Field(ge=1, le=8192)] = 512
    """As stream_window, at the native door: one-ticket messages need more of them under way."""
    write_timeout_ms: Annotated[int, Field(ge=10, le=3_600_000)] = 30_000
    """A client that reads nothing for so long is cut."""
    drain_grace_ms: Annotated[int, Field(ge=0, le=600_000)] = 10_000
    """On SIGTERM or SIGINT: how long what is in flight may take."""

    data_dir: str = ""
    """The folder of the journal and its snapshots, made if it is not there. Empty: everything is in memory alone."""
    durability: Literal["fsync", "interval", "none"] = "fsync"
    """When an answer may leave: once its command is on the disk; or with the system, and on the disk within
    `durability_interval_ms`; or with the system, which writes when it likes."""
    durability_interval_ms: Annotated[int, Field(ge=1, le=60_000)] = 100
    """What a power cut may take under durability "interval"."""
    resume_grace_ms: Annotated[int, Field(ge=0, le=3_600_000)] = 30_000
    """After a restart no lease and no offer ends sooner than this."""
    segment_bytes: Annotated[int, Field(ge=65_536, le=4_294_967_296)] = 268_435_456
    """A file of the journal is closed at this size."""
    disk_reserve_bytes: Annotated[int, Field(ge=0, le=68_719_476_736)] = 67_108_864
    """Space held back for finishing what is under way when the disk is full; new tickets are then DISK_FULL."""
    pending_bytes_max: Annotated[int, Field(ge=1_048_576, le=4_294_967_296)] = 67_108_864
    """Bytes of the journal that are not durable yet; past it nothing more is decided until the disk follows."""
    snapshot_every_s: Annotated[int, Field(ge=0, le=31_536_000)] = 600
    """A snapshot after this time, if anything happened. 0: not by time."""
    snapshot_bytes: Annotated[int, Field(ge=0, le=1_099_511_627_776)] = 1_073_741_824
    """A snapshot after so much journal. 0: not by size."""
    snapshots_kept: Annotated[int, Field(ge=1, le=1000)] = 3
    """Snapshots that stay, and the journal since the oldest of them."""
    history_s: Annotated[int, Field(ge=0, le=3_153_600_000)] = 0
    """The journal stays at least this long, for explaining, and restoring to a time. 0: as long as the snapshots."""

    versions_kept: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """Versions of a tenant's policy that stay, never fewer than 3. 0: all, up to 1 GiB of their tables."""

    attributes_drop: Names = ()
    """Attributes that are taken off every ticket before anything sees them; "customer" is the ticket's customer."""
    attributes_hash: Names = ()
    """Attributes of which only a keyed hash is known (HMAC-SHA-256, 16 bytes): equal stays equal, nothing else does."""
    attributes_hash_key: SecretStr = SecretStr("")
    """The key of those, at least 16 bytes; better in the environment than in a file with all else."""
    attributes_hash_key_file: str = ""
    """A file whose bytes are the key, instead."""

    controller: str = ""
    """Python that steers the default tenant's policy, in a process of its own: "module:name" or "file.py:name" of a
    `csroute.controllers.Controller`. Empty: none."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """What is logged; debug logs every call."""
    rejections_logged_per_s: Annotated[int, Field(ge=0, le=10_000)] = 20
    """Rejections logged a second; the others are counted."""


def load_config(path: str | Path | None = None, *, environ: Mapping[str, str] | None = None, **given: object) -> Config:
    """The settings: defaults, then the file, then the environment, then what is `given` (None: not given).

    Raises ConfigError for whatever is wrong, naming each key, where it came from, and what would be right.
    """
    at: dict[str, str] = {}  # where each key's value came from
    values: dict[str, Any] = {}
    for key, value in (_read(Path(path)) if path is not None else {}).items():
        values[key], at[key] = value, f"{key} in {path}"
    for name, value in (os.environ if environ is None else environ).items():
        if (setting := _environment_key(name)) is not None:
            values[setting], at[setting] = value, f"{name} in the environment"
    for key, value in given.items():
        if value is not None:
            values[key], at[key] = value, key
    try:
        config = Config.model_validate(values)
    except ValidationError as error:
        raise ConfigError("; ".join(_problem(problem, at) for problem in error.errors())) from None
    _agree(config, at)
    return config


def hash_key(config: Config) -> bytes:
    """The key of `attributes_hash`, from wherever the settings have it; empty: there is none. Raises ConfigError."""
    if not (file := config.attributes_hash_key_file):
        return config.attributes_hash_key.get_secret_value().encode()
    try:
        return Path(file).read_bytes().strip()
    except OSError as error:
        raise ConfigError(f"attributes_hash_key_file: {file}: {error.strerror}") from None


def _agree(config: Config, at: Mapping[str, str]) -> None:
    """What no key can say alone."""
    if config.attributes_hash and len(hash_key(config)) < _KEY_BYTES_MIN:
        raise ConfigError(
            f"{at.get('attributes_hash', 'attributes_hash')}: hashing needs attributes_hash_key, or "
            f"attributes_hash_key_file, with at least {_KEY_BYTES_MIN} bytes"
        )
    if both := set(config.attributes_drop) & set(config.attributes_hash):
        raise ConfigError(f"attributes_drop and attributes_hash both name {', '.join(sorted(both))}: one of them")
    if config.controller and not all(config.controller.rpartition(":")[::2]):
        raise ConfigError(f'{at.get("controller", "controller")}: "module:name" or "file.py:name" is wanted')
    if bool(config.tls_certificate) != bool(config.tls_key) or (config.tls_client_ca and not config.tls_key):
        raise ConfigError("tls_certificate, tls_key: both or none; tls_client_ca needs them")
    if config.data_dir and config.message_bytes_max > _RECORD_BYTES_MAX:
        raise ConfigError(
            f"{at.get('message_bytes_max', 'message_bytes_max')}: with a data_dir at most {_RECORD_BYTES_MAX}; "
            f"it is {config.message_bytes_max}"
        )


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from None


def _environment_key(name: str) -> str | None:
    """The setting that a variable names; None: it is none of ours. A near miss is an error: it was meant for us."""
    key = name.removeprefix(_PREFIX).lower()
    if not name.startswith(_PREFIX) or key == "tenants":
        return None
    if key in Config.model_fields:
        return key
    for meant in difflib.get_close_matches(key, Config.model_fields, n=1, cutoff=0.8):
        raise ConfigError(f"{name} in the environment is no setting; {_PREFIX}{meant.upper()} is meant, perhaps")
    return None


def _problem(problem: Any, at: Mapping[str, str]) -> str:  # noqa: ANN401 (pydantic's ErrorDetails)
    key = str(problem["loc"][0])
    where = at.get(key, key)
    if problem["type"] == "extra_forbidden":
        meant = difflib.get_close_matches(key, Config.model_fields, n=1)
        return f"{where} is no setting; {meant[0] + ' is meant, perhaps' if meant else 'they are ' + _all()}"
    message = problem["msg"].removeprefix("Value error, ")
    default = Config.model_fields[key].get_default(call_default_factory=True)
    return f"{where}: {message[0].lower()}{message[1:]}; it is {problem['input']!r}, the default is {default!r}"


def _all() -> str:
    return ", ".join(Config.model_fields)
