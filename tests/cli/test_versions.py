"""`csroute policy apply | list | rollback | scene` and `csroute override`, against a real server."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csroute.cli.overriding import changes_of, duration_ms, said
from csroute.client import Client
from csroute.errors import ConfigError
from csroute.presets import double11
from csroute.types import Ticket
from tests.cli.test_command import run

SHOP = Path(__file__).parents[2] / "examples" / "shop.py"


def told(server: str, *arguments: str, code: int = 0) -> str:
    """What a command says, on one line."""
    done = run(*arguments, "--server", server, COLUMNS="240")
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return " ".join((done.stdout + done.stderr).split())


def test_a_night(server: str) -> None:
    """What an operator does: looks, overrides, undoes, switches, applies, goes back."""
    with Client(server) as client:
        client.route(Ticket("v1", "chat", attributes={"tier": "vip"}))
        first = client.versions().current
    assert "is in force" in told(server, "policy", "list")

    would = told(server, "override", "vip", "head_start=+120s", "--for", "15m", "--dry-run")
    assert "tickets wait" in would
    assert "override" in would
    assert "is over" in would
    done = told(server, "override", "vip", "head_start=+120s", "--for", "15m", "--why", "the queue is long", "--yes")
    number = first + 1
    assert f"version {number} is in force" in done
    assert f"undo: csroute override --undo {number}" in done
    assert "vip: head start +2 min" in told(server, "override", "--list")
    told(server, "override", "--undo", str(number), "--yes")
    assert "No override stands." in told(server, "override", "--list")

    scene = next(scene.name for scene in double11.policy.declared_scenes() if not scene.dates)
    assert scene in told(server, "policy", "scene")
    told(server, "policy", "scene", scene, "--yes", "--why", "here they come")
    assert f"{scene} │ on" in told(server, "policy", "scene")
    told(server, "policy", "scene", "--off", "--yes")

    assert "nothing to do" in told(server, "policy", "apply", "double11", "--yes")
    back = told(server, "policy", "rollback", str(first + 3), "--yes", "--why", "it was better")
    assert f"version {first + 5} is in force" in back
    listed = told(server, "policy", "list")
    for word in ("override over", "the queue is long", "here they come", f"rollback {first + 3}", "it was better"):
        assert word in listed or word == "override over"


def test_nothing_is_done_unless_it_is_meant(server: str) -> None:
    with Client(server) as client:
        before = client.versions().current
    assert "nothing was done" in told(server, "override", "vip", "head_start=1s", "--for", "1m", code=1)
    with Client(server) as client:
        assert client.versions().current == before


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["policy", "apply", str(SHOP), "--yes"], 2, "case"),
        (["policy", "apply", "missing.py", "--yes"], 2, "missing.py"),
        (["policy", "rollback", "9999", "--yes"], 4, "version 9999 is not kept: there are 1 to"),
        (["policy", "scene", "flood", "--yes"], 4, 'no scene "flood"'),
        (["policy", "scene", "flood", "--off"], 2, "one of both"),
        (["override", "vpi", "head_start=+1s", "--for", "1m", "--yes"], 4, 'no rule or layer "vpi"'),
        (["override", "vip", "head_start=+1s"], 2, "say --for 15m"),
        (["override", "vip", "head_start=soon", "--for", "1m"], 2, "'soon' is no duration"),
        (["override", "vip", "colour=red", "--for", "1m"], 2, "write head_start=+120s"),
        (["override"], 2, "--undo NUMBER"),
        (["override", "--undo", "9999", "--yes"], 4, "no override 9999 stands"),
    ],
)
def test_what_goes_wrong_is_said(server: str, arguments: list[str], code: int, words: str) -> None:
    assert words in told(server, *arguments, code=code)


def test_nobody_there() -> None:
    done = run("policy", "list", "--server", "127.0.0.1:1")
    assert done.returncode == 3
    assert "no server answers at 127.0.0.1:1" in done.stderr


@given(st.lists(st.text(max_size=20), max_size=4), st.text(max_size=8))
def test_no_settings_panic(settings: list[str], target: str) -> None:
    with contextlib.suppress(ConfigError):
        assert all(said(change) for change in changes_of(target, settings))


def test_durations() -> None:
    texts = ("500ms", "90s", "1.5m", "2h", "1d", "+1min", "-2s")
    assert [duration_ms(text) for text in texts] == [500, 90_000, 90_000, 7_200_000, 86_400_000, 60_000, -2000]
    for wrong in ("", "15", "m", "1.0001ms", "1 fortnight", "∞s"):
        with pytest.raises(ConfigError):
            duration_ms(wrong)
