"""Workloads and rosters from files, recorded tickets, reports."""

from __future__ import annotations

import json
import runpy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from csroute import simulate
from csroute.cli.app import app
from csroute.errors import ConfigError
from csroute.policy import PolicyError, preset
from csroute.simulate import Again, Class, Conduct, Exponential, Fixed, LogNormal, Never, Weibull
from csroute.simulate.compare import compare
from csroute.simulate.files import load_roster, load_workload
from csroute.simulate.html import page
from csroute.simulate.report import to_json
from csroute.simulate.staffing import erlang_start, fewest
from csroute.simulate.tables import recorded
from csroute.simulate.tune import tune, write

DESK = Path(__file__).parent / "data" / "service_desk.csv"
DAY = simulate.double11(0.002)
PEOPLE = simulate.double11_roster(0.002)
WORKLOAD = """
name = "weekday"
length = "2 h"
curve = [["0 h", 0.05], ["60 min", 0.02]]
[[kinds]]
channel = "phone"
share = 3
handle = { log_normal = [240, 0.8] }
patience = { weibull = [180, 1.5] }
attributes = { tier = "vip" }
marks = { first_reply = 5 }
[[kinds]]
channel = "chat"
handle = [60, 120.5]
"""
ROSTER = """
pace_by_level = { 1 = 1.2, 3 = 0.9 }
[[teams]]
group = "front"
size = 12
skills = { general = 2 }
shifts = [["0 h", "90 min"]]
breaks = [["1 h", "1.25 h"]]
answer = { exponential = 3 }
decline = 0.02
"""


def test_a_workload_and_a_roster_in_toml(tmp_path: Path) -> None:
    (tmp_path / "w.toml").write_text(WORKLOAD)
    (tmp_path / "r.toml").write_text(ROSTER)
    workload, roster = load_workload(tmp_path / "w.toml"), load_roster(tmp_path / "r.toml")
    assert workload.expected == pytest.approx(3600 * 0.07)
    first, second = workload.kinds
    assert (first.handle, first.patience) == (LogNormal(240.0, 0.8), Weibull(180.0, 1.5))
    assert (first.attributes, first.share, first.marks) == ({"tier": "vip"}, 3.0, {"first_reply": Fixed(5.0)})
    assert (second.handle.mean_s, second.patience) == (90.25, Never())
    assert len(roster.agents) == 12
    assert roster.agents[0].shifts == [(0.0, 5400.0)]
    assert roster.agents[0].conduct == Conduct(answer=Exponential(3.0), decline=0.02)
    assert roster.pace_by_level == {1: 1.2, 3: 0.9}


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('length = "2 h"', 'length = "2 parsecs"', "is no time"),
        ("share = 3", "shares = 3", "unknown shares; known:"),
        ("[60, 120.5]", "{ gamma = 3 }", "is no duration"),
        ('channel = "chat"', "share = 1", "channel is missing"),
        ("curve = ", "curve = [[1, 2]] #", "curve"),
    ],
)
def test_a_wrong_file_says_where(tmp_path: Path, old: str, new: str, says: str) -> None:
    (tmp_path / "w.toml").write_text(WORKLOAD.replace(old, new))
    if says == "curve":
        assert load_workload(tmp_path / "w.toml").curve == [(1.0, 2.0)]
        return
    with pytest.raises(ConfigError, match=says):
        load_workload(tmp_path / "w.toml")


def test_recorded_tickets_come_as_they_came(tmp_path: Path) -> None:
    columns = {"arrival_s": "arrival_s", "handle_s": "handle_s", "class": "skill", "priority": "priority"}
    workload = recorded(DESK, columns, channel=simulate.CHANNEL, segments=("class",))
    desks = sorted({kind.attributes["class"] for kind in workload.kinds})
    classes = {desk: Class(1.0, Fixed(1.0), [desk]) for desk in desks}
    policy, _, roster = simulate.network(classes, dict.fromkeys(desks, 200))
    result = simulate.run(policy, workload, roster, seed=1)
    rows = result.rows
    assert len(rows) == 500 == result.summary()["tickets"].mean
    assert np.all(np.diff(rows["arrival_us"]) >= 0)
    assert rows["arrival_us"][0] == 0
    assert workload.recorded is not None
    given = workload.recorded["work_us"]
    done = (rows["outcome"] == 1) & (given >= 0)
    assert done.sum() > 100
    assert np.array_equal(rows["handle_us"][done], given[done])
    table = result.to_arrow()
    assert set(table.column("class").to_pylist()) >= {f"{desk}@phone" for desk in desks}
    result.to_parquet(tmp_path / "rows.parquet")
    again = recorded(tmp_path / "rows.parquet", {"arrival_s": "arrival_us"}, channel="phone", handle=Fixed(1.0))
    assert again.expected == 500
    with pytest.raises(ConfigError, match="no column nonsense; the table has arrival_s"):
        recorded(DESK, {"arrival_s": "arrival_s", "x": "nonsense"}, channel="phone")


def test_people_leave_come_back_decline_and_hand_on() -> None:
    policy, workload, _ = simulate.network(
        {"a": Class(0.2, Exponential(60.0), ["all"], Exponential(120.0))}, {"all": 1}
    )
    again = Again(answered=0.2, abandoned=0.5, after=Exponential(300.0))
    kind = replace(workload.kinds[0], category="all", again=again, transfer=0.1, transfer_to="a")
    roster = simulate.team(
        14, "all", {"all": 2}, capacity=1, shifts=[(0, 9000), (10_000, 40_000)], breaks=[(3000, 3600), (20_000, 21_000)]
    )
    workload = replace(workload, kinds=[kind], length_s=40_000.0)
    result = simulate.run(policy, workload, replace(roster, pace_by_level={2: 0.5}), seed=2)
    rows, found = result.rows, result.summary()
    assert 0.15 < (rows["contact"] > 0).mean() < 0.5
    assert set(rows["outcome"].tolist()) >= {1, 2}
    assert 0.07 < (rows["transfers"] > 0)[rows["answered"]].mean() < 0.15
    assert found["handle_s"].mean == pytest.approx(60.0 * 0.5 * 1.1, rel=0.05)
    hours = result.replications[0].hours_s[:, 0].sum(axis=1) / 3600
    assert hours[0] == pytest.approx(14 * 39_000 / 3600, rel=0.01)  # 9,000 s and 30,000 s, and what was still in hand
    breaks = 14 * 1600 / 3600
    assert hours[0] - hours[1] == pytest.approx(breaks, rel=0.1)
    lone = rows[rows["arrival_us"] < 8_000e6]
    assert len({(int(row["ticket"]), int(row["contact"])) for row in lone}) == len(lone)


def test_a_policy_that_cannot_take_the_tickets_says_so() -> None:
    with pytest.raises(ConfigError, match="replications 0"):
        simulate.run("double11", DAY, PEOPLE, replications=0)
    with pytest.raises(simulate.RejectedError, match=r"CHANNEL_UNKNOWN.*submitting a ticket"):
        simulate.run("double11", replace(DAY, kinds=[simulate.Kind("fax")], length_s=600.0), PEOPLE)


def test_the_command_prints_and_writes(tmp_path: Path) -> None:
    html, data = tmp_path / "report.html", tmp_path / "report.json"
    arguments = [
        "simulate",
        "double11",
        "--scale",
        "0.001",
        "--against",
        "double11",
        "--html",
        str(html),
        "--json",
        str(data),
    ]
    found = CliRunner().invoke(app, arguments)
    assert found.exit_code == 0, found.output
    assert "Offered load ÷ capacity" in found.output
    report = json.loads(data.read_text())
    assert report["differences"]["service_level"] == {"mean": 0.0, "half_width": None}
    assert "abandonment unchanged" in report["sentence"]
    text = html.read_text()
    assert text.count("<svg") == 4
    assert "src=" not in text
    assert "Offered load" in text[: text.index("<table")]
    for words in (
        "By queue",
        "By tier",
        "Promises",
        "Fairness",
        "The largest classes",
        "Who answered what",
        "last step",
    ):
        assert words in text, words
        assert words in found.output, words
    assert "3 min" in report["targets"]["legal"]
    assert sum(one["arrived"] for one in report["classes"].values()) == report["summary"]["tickets"]["mean"]


def test_differences_are_of_pairs() -> None:
    workload = replace(DAY, length_s=1800.0)
    ours = simulate.run("double11", workload, PEOPLE, seed=4, replications=4)
    fewer = replace(PEOPLE, agents=PEOPLE.agents[::2])
    other = simulate.run("double11", workload, fewer, seed=4, replications=4)
    comparison = compare(ours, other)
    assert comparison.differences["service_level"].mean > 0
    assert comparison.differences["service_level"].half_width > 0
    assert "answers vip in time in" in comparison.sentence()
    assert to_json(ours, comparison)["offered_load"] > 1.0
    assert page(ours, comparison).startswith("<!doctype html>")
    assert "offered load" in ours._repr_html_()
    with pytest.raises(ConfigError, match="same workload, seed"):
        compare(ours, simulate.run("double11", workload, fewer, seed=5))


def test_the_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(Path(__file__).parents[2] / "examples" / "simulate_release.py"))
    said = capsys.readouterr().out
    assert "of callers wait, ±" in said
    assert "double11, release=60s" in said
    assert "answers vip in time in" in said


def test_staffing() -> None:
    def model(agents: int) -> simulate.Model:
        return simulate.queue(arrivals_per_s=0.1, handle_s=60.0, agents=agents, patience_s=120.0, hours=4.0)

    start = erlang_start(arrivals_per_s=0.1, handle_s=60.0, patience_s=120.0, answered=0.8, within_s=20.0)
    policy, workload, _ = model(1)
    found = fewest(policy, workload, lambda sizes: model(sizes["agents"])[2], {"agents": start}, replications=10)
    assert abs(found.sizes["agents"] - start) <= 1
    assert found.reached["service_level"].mean >= 0.8
    fewer = simulate.run(policy, workload, model(found.sizes["agents"] - 1)[2], replications=10)
    assert fewer.summary()["service_level"].mean < 0.8


def test_a_day_is_staffed_by_interval(tmp_path: Path) -> None:
    (tmp_path / "w.toml").write_text(
        'name = "day"\nlength = "3 h"\ncurve = [["0 h", 0.05], ["1 h", 0.2], ["2 h", 0.0]]\n'
        '[[kinds]]\nchannel = "phone"\nhandle = { exponential = 120 }\npatience = { exponential = 300 }\n'
        'attributes = { class = "calls" }\n'
    )
    (tmp_path / "r.toml").write_text('[[teams]]\ngroup = "agents"\nsize = 1\nskills = { agents = 1 }\ncapacity = 1\n')
    policy, _, _ = simulate.queue(arrivals_per_s=0.1, handle_s=60.0, agents=1)
    (tmp_path / "p.policy").write_bytes(policy)
    data = tmp_path / "plan.json"
    arguments = ["staff", str(tmp_path / "p.policy"), "--workload", str(tmp_path / "w.toml"), "--json", str(data)]
    found = CliRunner().invoke(
        app, [*arguments, "--roster", str(tmp_path / "r.toml"), "--target", "service_level:0.85"]
    )
    assert found.exit_code == 0, found.output
    assert "Fewest agents" in found.output
    plan = json.loads(data.read_text())
    calm, busy, nobody = (one["agents"] for one in plan["agents"])
    assert plan["reached"]["service_level"] >= 0.85
    for agents, rate in ((calm, 0.05), (busy, 0.2)):
        start = erlang_start(arrivals_per_s=rate, handle_s=120.0, patience_s=300.0, answered=0.85, within_s=20.0)
        assert abs(agents - start) <= 3
    assert nobody == 0
    assert plan["agent_hours"] == calm + busy
    wrong = CliRunner().invoke(app, [*arguments, "--roster", str(tmp_path / "r.toml"), "--target", "speed:2"])
    assert isinstance(wrong.exception, ConfigError)


def test_tuning_varies_what_a_page_declares(tmp_path: Path) -> None:
    page = tmp_path / "page.py"
    page.write_text(
        "from dataclasses import replace\n"
        "from csroute.policy import Limits, parameter\n"
        "from csroute.presets.double11 import policy as night\n"
        "most = parameter('most', 50, low=1, high=50)\n"
        "policy = replace(night, limits=Limits(waiting_max=most))\n"
    )
    day = replace(DAY, length_s=1800.0)
    tries = tune(page, day, PEOPLE, [("refused", False), ("asa_s", False)], days=8)
    assert len(tries) == 8
    assert tries[0].parameters == {"most": 50}
    assert 1 <= sum(one.best for one in tries) <= 8
    refused = {one.parameters["most"]: one.reached[0] for one in tries}
    assert refused[min(refused)] >= refused[max(refused)]
    found = tries[-1]
    write(found, page, tmp_path / "best.policy")
    write(found, page, tmp_path / "best.py")
    assert (
        simulate.policy_bytes(tmp_path / "best.policy") == found.policy == simulate.policy_bytes(tmp_path / "best.py")
    )
    with pytest.raises(ConfigError, match="declares no parameter"):
        tune(Path(__file__).parents[2] / "examples" / "rules" / "r14_reserve.py", day, PEOPLE, [("asa_s", False)])


def test_the_commands_vary_parameters(tmp_path: Path) -> None:
    best, html = tmp_path / "best.py", tmp_path / "pareto.html"
    arguments = ["tune", "double11", "--objective", "service_level:max", "--objective", "reserve:min"]
    arguments += ["--scale", "0.0005", "--days", "4", "--out", str(best), "--html", str(html)]
    found = CliRunner().invoke(app, arguments)
    assert found.exit_code == 0, found.output
    assert "that nothing beats" in found.output
    assert html.read_text().count("<svg") == 1
    checked = CliRunner().invoke(app, ["policy", "check", str(best)])
    assert checked.exit_code == 0, checked.output
    assert "14 cases hold" in checked.output
    arguments = ["simulate", "double11", "--set", "release=60s", "--against", "double11", "--scale", "0.0005"]
    found = CliRunner().invoke(app, arguments)
    assert found.exit_code == 0, found.output
    assert "double11, release=60s answers ordinary in time in" in " ".join(found.output.split())
    with pytest.raises(PolicyError, match="release is 1 h: it goes from 20 s to 5 min"):
        preset("double11", release="1 h")
    with pytest.raises(PolicyError, match="there is no parameter realese; declared: release"):
        preset("double11", realese="60s")
    with pytest.raises(PolicyError, match="write 60s"):
        preset("double11", release="soon")
