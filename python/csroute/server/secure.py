"""What both doors share: certificates, and which credentials are taken.

    [[keys]]                               # the file of the setting `credentials`
    sha256 = "41ef4bb0b2…"                 # printf %s "$KEY" | sha256sum; the key itself stands nowhere
    tenant = "default"                     # "*": any, the call names it
    caller = "gateway-1"
    role = "gateway"                       # gateway, agent_gateway, policy or admin

    [[certificates]]                       # with tls_client_ca
    name = "spiffe://shop/desk-gateway"    # a subject alternative name, DNS or URI
    tenant = "default"
    caller = "desk-gateway"
    role = "agent_gateway"

    [jwt]                                  # claims: sub (caller), exp, iss, aud, csroute_tenant, csroute_role
    algorithm = "EdDSA"                    # or ES256, RS256, HS256
    key_file = "issuer.pem"                # its public key; with HS256 the secret
    issuer = "https://login.example"
    audience = "csroute"

A client sends a key or a token as metadata `authorization: Bearer …`. Health and reflection ask for none.
"""

from __future__ import annotations

import json
import ssl
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc

from csroute.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from csroute.config import Config

__all__ = ["Certificates", "certificates", "credentials", "server_credentials"]


@dataclass(frozen=True)
class Certificates:
    """The server's certificate chain and key, and who signs its clients': PEM."""

    certificate: bytes
    key: bytes
    client_ca: bytes | None

    def pems(self) -> tuple[bytes, bytes, bytes | None]:
        """As the native door takes them."""
        return self.certificate, self.key, self.client_ca


def certificates(config: Config) -> Certificates | None:
    """Reads them; None: there are none. Raises ConfigError."""
    if not config.tls_certificate:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(config.tls_certificate, config.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"tls_certificate {config.tls_certificate}, tls_key {config.tls_key}: {error}") from None
    client_ca = _read("tls_client_ca", config.tls_client_ca) if config.tls_client_ca else None
    return Certificates(_read("tls_certificate", config.tls_certificate), _read("tls_key", config.tls_key), client_ca)


def credentials(config: Config) -> bytes:
    """The file as the node takes it: JSON, with the issuer's key in it. Raises ConfigError."""
    if not config.credentials:
        return b"{}"
    file = Path(config.credentials)
    try:
        listed: dict[str, Any] = tomllib.loads(_read("credentials", str(file)).decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"credentials: {file} is not TOML: {error}") from None
    if not listed:
        raise ConfigError(f"credentials: {file} names none: nobody could call; leave the setting away to let everyone")
    jwt = listed.get("jwt")
    if isinstance(jwt, dict) and "key_file" in jwt:
        key_file = file.parent / str(jwt.pop("key_file"))
        jwt["key"] = _read("credentials: jwt.key_file", str(key_file)).decode(errors="replace")
    return json.dumps(listed).encode()


def server_credentials(current: Callable[[], Certificates]) -> grpc.ServerCredentials:
    """For the Python door: each handshake goes by what is current."""

    def configuration() -> Any:  # noqa: ANN401 (gRPC's own, opaque)
        now = current()
        return grpc.ssl_server_certificate_configuration([(now.key, now.certificate)], now.client_ca)

    return grpc.dynamic_ssl_server_credentials(
        configuration(), configuration, require_client_authentication=current().client_ca is not None
    )


def _read(setting: str, file: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise ConfigError(f"{setting}: {file}: {error.strerror}") from None
