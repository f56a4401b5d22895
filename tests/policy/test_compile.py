"""The same policy gives the same bytes, and the bytes say what the policy says."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf import text_format

from csroute.policy import limits, load, version
from csroute.v1 import policy_pb2 as pb

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    "tests/policy/sketch.py",
    "examples/shop.py",
    "examples/rules/r07_quality.py",
    "examples/rules/r20_fairness.py",
]
PAGES.append("python/csroute/presets/double11.py")

RULE = """
name: "logistics"
why: "R1"
when { test { attribute: "category" op: OP_IN values: "logistics" } }
effects {
  needs { groups { any_of { skill: "logistics" level: 2 } } }
  steps { age_ms: 20000 needs { groups { any_of { skill: "logistics" level: 1 } any_of { skill: "general" level: 1 } } } }
  steps { clock: "legal" share_milli: 800 alert: "supervisor" }
}
"""
RANK = """
name: "Rank" every: true
rules { name: "angry" why: "R3" when { test { attribute: "emotion" op: OP_IN values: "angry" } } effects { head_start_ms: 90000 } }
rules {
  name: "vip" why: "R4" when { test { attribute: "tier" op: OP_IN values: "vip" } }
  effects { head_start_ms: 60000 affinity { hold_ms: 15000 transfer_hold_ms: 15000 } }
}
rules { name: "ordinary" effects {} }
"""
REST = """
format: 1 name: "double11"
attributes { name: "category" threshold_milli: 600 values: "order" values: "logistics" }
attributes { name: "emotion" threshold_milli: 800 values: "neutral" values: "angry" }
attributes { name: "tier" values: "vip" values: "ordinary" }
attributes { name: "language" values: "zh" values: "en" }
channels { name: "chat" cost: 20 limit: 5 }
channels { name: "phone" cost: 100 limit: 1 }
clocks { name: "legal" starts: "arrival" stops: "first_reply" hard: true }
defaults { clocks { clock: "legal" mode: MODE_WITHIN target_ms: 180000 } reserves: "spare" }
limits { waiting_max: 1200000 classes_max: 20000 }
lost_grace_ms: 30000 suspend_ms: 300000 short_abandon_ms: 5000 answer_target_ms: 30000
skills: "logistics" skills: "general" skills: "spare" skills: "lang[*]" cases: 2
reserves { name: "spare" skill { skill: "spare" level: 1 }
  open { measure: MEASURE_OLDEST_WAIT over: 60000 until: 20000 } }
scenes { name: "failure" why: "§4" changes { layer: "Who" rule: "logistics" fields: "head_start"
  effects { by_deadline { clock: "legal" otherwise_ms: 240000 } } } }
overtaken_max_ms: 240000
"""


def test_the_tables_say_what_the_page_says() -> None:
    tables = pb.CompiledPolicy.FromString(load(ROOT / "tests/policy/sketch.py").compile())
    assert tables.layers[0].rules[0] == text_format.Parse(RULE, pb.RuleTable())
    assert tables.layers[2] == text_format.Parse(RANK, pb.LayerTable())
    assert [layer.name for layer in tables.layers] == ["Who", "Speak", "Rank"]
    foreign = tables.layers[1].rules[0].effects.needs.groups[0].any_of[0]
    assert foreign == pb.Need(skill="lang", level=1, attribute="language")
    del tables.layers[:]
    assert tables == text_format.Parse(REST, pb.CompiledPolicy())


@pytest.mark.parametrize("page", PAGES)
def test_the_same_policy_gives_the_same_bytes_whoever_compiles_it(page: str) -> None:
    compiled = load(ROOT / page).compile()
    assert compiled == load(ROOT / page).compile()
    script = "import sys; from csroute.policy import load; sys.stdout.buffer.write(load(sys.argv[1]).compile())"
    for seed in ("1", "2"):
        env = os.environ | {"PYTHONPATH": str(ROOT / "python"), "PYTHONHASHSEED": seed}
        other = subprocess.run(
            [sys.executable, "-c", script, str(ROOT / page)], env=env, capture_output=True, check=True
        )
        assert other.stdout == compiled


def test_the_version_is_the_hash_of_the_bytes() -> None:
    compiled = load(ROOT / "examples/shop.py").compile()
    assert f"{version(compiled):016x}" == hashlib.sha256(compiled).hexdigest()[:16]


def test_nothing_that_counts_is_left_out_of_the_version(tmp_path: Path) -> None:
    page = (ROOT / "examples/shop.py").read_text()
    changes = {
        "at_least(2)": "at_least(3)",
        "seconds(20)": "seconds(21)",
        '"vip", "ordinary"': '"vip", "plain"',
        "cost=20": "cost=21",
    }
    changes |= {"a minute before": "a little before", "Rank": "Order", '"shop"': '"shed"', "at=0.6": "at=0.7"}
    versions = set()
    for old, new in [("", ""), *changes.items()]:
        assert old in page
        changed = tmp_path / "shop.py"
        changed.write_text(page.replace(old, new) if old else page)
        versions.add(version(load(changed).compile()))
    assert len(versions) == len(changes) + 1


def test_there_are_no_maps_in_the_tables() -> None:
    """A map's order on the wire is nobody's promise."""
    todo, seen = [pb.CompiledPolicy.DESCRIPTOR], set()
    while todo:
        message = todo.pop()
        seen.add(message.full_name)
        assert not message.GetOptions().map_entry
        todo += [
            field.message_type
            for field in message.fields
            if field.message_type and field.message_type.full_name not in seen
        ]
    assert len(seen) > 15


def test_the_bounds_are_the_engines_and_the_wires() -> None:
    sources = "".join(
        (ROOT / path).read_text()
        for path in ("rust_core/engine/src/limits.rs", "rust_core/wire/src/policy.rs", "rust_core/wire/src/scenes.rs")
    )
    theirs = {name: eval(value) for name, value in re.findall(r"const (\w+): \w+ = ([\d_ <]+);", sources)}
    mine = {name: value for name, value in vars(limits).items() if name.isupper()}
    assert mine == {name: theirs[name] for name in mine}
    assert len(mine) > 15
