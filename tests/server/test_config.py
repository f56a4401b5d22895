"""Settings: the file, then the environment, then what is given; errors name the key and where it came from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from csroute.config import Config, load_config
from csroute.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


def test_defaults_listen_on_loopback() -> None:
    config = load_config(environ={})
    assert (config.listen, config.metrics_listen) == ("127.0.0.1:7700", "127.0.0.1:7780")
    assert config == Config()


def test_what_wins(tmp_path: Path) -> None:
    file = tmp_path / "csroute.toml"
    file.write_text('listen = "0.0.0.0:1"\nin_flight_max = 10\nstreams_max = 20\n[tenants]\nacme = "acme.py"\n')
    environ = {"CSROUTE_IN_FLIGHT_MAX": "11", "CSROUTE_STREAMS_MAX": "21", "HOME": "/", "CSROUTE_SOMETHING_ELSE": "1"}
    config = load_config(file, environ=environ, streams_max=22, policy=None)
    assert (config.listen, config.in_flight_max, config.streams_max) == ("0.0.0.0:1", 11, 22)
    assert config.tenants == {"acme": "acme.py"}


@pytest.mark.parametrize(
    ("toml", "environ", "says"),
    [
        (
            "in_flight_max = -5",
            {},
            r"in_flight_max in .*csroute.toml: .* or equal to 1; it is -5, the default is 8192",
        ),
        ('listen = "everywhere"', {}, r'listen in .*: an address is "host:port", .* it is \'everywhere\''),
        ('listen = "127.0.0.1:99999"', {}, r'listen in .*: an address is "host:port"'),
        (
            'log_level = "loud"',
            {},
            r"log_level in .*: input should be 'debug', 'info', .*; it is 'loud'",
        ),
        ("in_flite_max = 1", {}, r"in_flite_max in .* is no setting; in_flight_max is meant, perhaps"),
        ("colour = 1", {}, r"colour in .* is no setting; they are listen, native_listen"),
        ("tenants = 3", {}, r"tenants in .*: input should be a valid dictionary"),
        ("listen = ", {}, r"csroute.toml is not TOML"),
        (
            "",
            {"CSROUTE_DRAIN_GRACE_MS": "soon"},
            r"CSROUTE_DRAIN_GRACE_MS in the environment: .* it is 'soon', the default is 10000",
        ),
        (
            "",
            {"CSROUTE_LISTN": "x"},
            r"CSROUTE_LISTN in the environment .* CSROUTE_LISTEN is meant",
        ),
        (
            'durability = "sometimes"',
            {},
            r"durability in .*: input should be 'fsync', 'interval' or 'none'; it is 'somet",
        ),
        ("snapshots_kept = 0", {}, r"snapshots_kept in .*: .* or equal to 1; it is 0, the default is 3"),
        ("", {"CSROUTE_ATTRIBUTES_HASH": "a,b"}, r"CSROUTE_ATTRIBUTES_HASH in the .* at least 16 bytes"),
        ('attributes_hash_key = "short"\nattributes_hash = ["a"]', {}, r"attributes_hash in .* at least 16 bytes"),
        (
            'attributes_hash_key_file = "nowhere"\nattributes_hash = ["a"]',
            {},
            r"attributes_hash_key_file: nowhere: No such",
        ),
        (
            'attributes_drop = ["a", "b"]\nattributes_hash = ["b"]\nattributes_hash_key = "0123456789abcdef"',
            {},
            r"attributes_drop and attributes_hash both name b",
        ),
        (
            'data_dir = "d"\nmessage_bytes_max = 67108864',
            {},
            r"message_bytes_max in .*: with a data_dir at most 33554432",
        ),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, toml: str, environ: dict[str, str], says: str) -> None:
    file = tmp_path / "csroute.toml"
    file.write_text(toml)
    with pytest.raises(ConfigError, match=says):
        load_config(file, environ=environ)


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(ConfigError, match=r"CSROUTE_IN_FLIGHT_MAX .*; CSROUTE_STREAMS_MAX "):
        load_config(environ={"CSROUTE_IN_FLIGHT_MAX": "0", "CSROUTE_STREAMS_MAX": "0"})


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load_config(tmp_path / "nothing.toml", environ={})
