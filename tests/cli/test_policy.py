"""`csroute policy`: check, show, diff, try."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from csroute.policy import load
from csroute.policy.difference import difference
from csroute.policy.picture import drawn, html, svg
from csroute.presets import double11
from csroute.presets.double11 import policy
from tests.cli.test_command import run

SHOP = Path(__file__).parents[2] / "examples" / "shop.py"
WRONG = Path(__file__).parents[1] / "policy" / "gallery"


def test_check_says_that_all_is_well() -> None:
    done = run("policy", "check", "double11", "--roster", "double11", "--applying")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"double11 [0-9a-f]{16}: \d+ rules, \d+ cases hold, [\d,]+ bytes\n", done.stdout)


def test_check_names_file_line_and_rule() -> None:
    done = run("policy", "check", str(WRONG / "round.py"), PYTHONPATH=str(WRONG.parents[2]))
    assert done.returncode == 2
    assert re.search(r"gallery/round\.py:\d+: Who\.vip: steps\[0\]: move: moves come round", done.stderr)
    assert done.stderr.endswith("2 wrong, 0 doubtful\n")


def test_doubts_fail_only_where_that_is_asked() -> None:
    page = str(WRONG / "starving.py")
    assert run("policy", "check", page, PYTHONPATH=str(WRONG.parents[2])).returncode == 0
    assert run("policy", "check", page, "--strict", PYTHONPATH=str(WRONG.parents[2])).returncode == 2
    assert run("policy", "check", str(SHOP), "--applying").returncode == 2  # it states no case


def test_show_draws_queues_layers_and_reasons() -> None:
    done = run("policy", "show", str(SHOP))
    assert done.returncode == 0
    for word in ("refunds", "category is refund", "after 20 s", "those who may move", "everyone else"):
        assert word in done.stdout


def test_show_writes_a_page_and_a_graph(tmp_path: Path) -> None:
    page, graph = tmp_path / "night.html", tmp_path / "night.svg"
    done = run("policy", "show", "double11", "--scene", "hotline", "--html", str(page), "--svg", str(graph))
    assert done.returncode == 0
    assert "Scenes that are on: <b>hotline</b>" in page.read_text()
    assert page.read_text().count("<h2>") >= 8
    root = ET.fromstring(graph.read_text())
    told = " ".join("".join(text.itertext()) for text in root.iter("{http://www.w3.org/2000/svg}text"))
    for rule in double11.policy.rules(double11.Who):
        assert rule.name in told
    assert "emergency (asleep)" not in told
    assert "isolated (asleep)" in told


@pytest.mark.parametrize("draw", [html, svg])
def test_what_is_drawn_needs_nothing_from_elsewhere(draw: object) -> None:
    assert callable(draw)
    text = draw(policy.compile())
    assert not re.search(r"<script|src=|@import|url\((?!#)", text)
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text)


def test_every_rule_and_reason_is_drawn() -> None:
    page = html(policy.compile())
    picture = drawn(policy.compile())
    assert {row.name for row in picture.sections[0].rows} == {rule.name for rule in policy.rules(double11.Who)}
    for layer in policy.layers:
        for rule in policy.rules(layer):
            assert rule.why.replace("'", "&#x27;") in page


def test_diff_says_what_changed_rule_by_rule(tmp_path: Path) -> None:
    other = tmp_path / "other.py"
    text = SHOP.read_text()
    changes = {
        "seconds(20)": "seconds(25)",
        "head_start=minutes(1)": "head_start=minutes(2)",
        "    ordinary = Otherwise()": "    new = Rule(Ticket.tier.missing(), cost=5)\n    ordinary = Otherwise()",
        "cost=100": "cost=50",
    }
    for before, after in changes.items():
        assert before in text
        text = text.replace(before, after)
    other.write_text(text)
    done = run("policy", "diff", str(SHOP), str(other))
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        '~ channels: phone: name: "phone" cost: 100 limit: 1 → name: "phone" cost: 50 limit: 1',
        "- Who.refunds: after 20 s: refunds or general",
        "+ Who.refunds: after 25 s: refunds or general",
        "~ Rank.vip: place in line: 1 min ahead → 2 min ahead",
        "+ Rank.new: tier is not known: costs: 5 units",
    ]
    assert run("policy", "diff", str(SHOP), str(SHOP)).returncode == 0


def test_a_moved_rule_and_a_scene_are_differences() -> None:
    one, other = load(SHOP).compile(), policy.under(double11.Scenes.surge).compile()
    assert [str(each) for each in difference(policy.compile(), other)] == ["+ active_scenes: surge"]
    assert difference(one, one) == []


def test_try_plays_one_ticket_on_the_router(tmp_path: Path) -> None:
    roster = tmp_path / "roster.toml"
    roster.write_text(
        '[[agents]]\nid = "ana"\nskills = { general = 3 }\ncount = 3\n'
        '[[agents]]\nid = "lee"\nskills = { refunds = 2 }\nchannels = ["chat"]\n'
    )
    ticket = ["channel=chat", "category=refund:0.7", "tier=vip"]
    done = run("policy", "try", str(SHOP), *ticket, "--roster", str(roster), COLUMNS="140")
    assert done.returncode == 0, done.stderr
    for word in (
        "class refunds/vip@chat",
        "Who.refunds",
        "those who may move money",
        "1 of 4",
        "4 of 4",
        "step 1",
        "lee",
    ):
        assert word in done.stdout, done.stdout


def test_try_without_a_roster_and_under_a_scene() -> None:
    done = run("policy", "try", "double11", "channel=chat", "kind=emergency", "--scene", "hotline", COLUMNS="140")
    assert "queue emergency" in done.stdout
    assert "is told" in done.stdout
    done = run("policy", "try", str(SHOP), "channel=chat")
    assert "class everyone@chat" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["check", "nowhere.py"], "there is no such file"),
        (["check", "nothing"], "no such file, and no such preset"),
        (["check", "double11", "--roster", "nowhere.toml"], "No such file"),
        (["show", "double11", "--scene", "nihgt"], "double11 has no scene 'nihgt'"),
        (["try", "double11", "channel=chat", "--scene", "nihgt"], "double11 has no scene 'nihgt'"),
        (["try", "double11", "chanel=chat"], "'chanel=chat' is no NAME=VALUE"),
        (["try", "double11", "channel=fax"], "Ticket.channel has no value 'fax'"),
        (["try", "double11", "tier=vip"], "Ticket.channel must be given"),
        (["try", "double11", "channel=chat", "emotion=angry:much"], "could not convert"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(arguments: list[str], words: str) -> None:
    done = run("policy", *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("csroute: ")
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
