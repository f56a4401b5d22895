"""A handful of small policies that together use every feature of the tables; for random commands over the same names.

>>> [policy.name for policy in SAMPLES]
['steps', 'layers', 'affinity', 'clocks', 'limits']
"""

from __future__ import annotations

from google.protobuf import text_format

from csroute.v1 import policy_pb2

__all__ = ["SAMPLES"]

COMMON = """
format: 1
attributes { name: "kind" values: ["x", "y"] }
attributes { name: "mood" values: ["calm", "angry"] threshold_milli: 600 sticky: true }
attributes { name: "lang" }
channels { name: "chat" cost: 1 limit: 2 }
channels { name: "phone" cost: 2 limit: 1 }
clocks { name: "answer" starts: "arrival" stops: "assignment" }
clocks { name: "reply" starts: "arrival" stops: "first_reply" hard: true }
clocks { name: "solve" starts: "arrival" stops: "completion" }
clocks { name: "refund" starts: "refund_asked" stops: "refund_paid" }
lost_grace_ms: 2000 suspend_ms: 3000 short_abandon_ms: 1000 answer_target_ms: 2000
"""
KIND_X = 'when { test { attribute: "kind" op: OP_IN values: "x" } }'
KIND_Y = 'when { test { attribute: "kind" op: OP_IN values: "y" } }'
ANGRY = 'when { test { attribute: "mood" op: OP_IN values: "angry" } }'
SPEAKS = 'when { test { attribute: "lang" op: OP_PRESENT } }'

# Relax by age, escalate at a clock's point, move, overflow, skip what nobody meets.
STEPS = f"""
layers {{ name: "who"
  rules {{ name: "first" {KIND_X} effects {{
    needs {{ groups {{ any_of {{ skill: "bill" level: 2 }} }} groups {{ any_of {{ skill: "tech" level: 1 }} }} }}
    steps {{ age_ms: 1000 needs {{ groups {{ any_of {{ skill: "bill" level: 1 }} }} }} boost_ms: 500 }}
    steps {{ clock: "reply" share_milli: 500 alert: "lead" boost_ms: 3000 }}
    steps {{ age_ms: 3000 needs {{}} move_to: "second" }}
    steps {{ age_ms: 5000 overflow_to: "partner" }}
    skip_unstaffed: true offer {{ ttl_ms: 1000 }}
  }} }}
  rules {{ name: "second" {KIND_Y} effects {{
    needs {{ groups {{ any_of {{ skill: "tech" level: 2 }} any_of {{ skill: "lang[en]" level: 1 }} }} }}
    steps {{ age_ms: 0 alert: "lead" needs {{ groups {{ any_of {{ skill: "tech" level: 1 }} }} }} }}
    steps {{ clock: "answer" share_milli: 800 move_to: "rest" }}
    steps {{ age_ms: 5000 overflow_to: "voicemail" }}
  }} }}
  rules {{ name: "rest" effects {{ steps {{ age_ms: 2000 boost_ms: 1000 }} }} }}
}}
defaults {{
  clocks {{ clock: "reply" mode: MODE_WITHIN target_ms: 4000 warnings_ms: [1000, 2000] }}
  clocks {{ clock: "answer" mode: MODE_WITHIN target_ms: 5000 }}
  wrap_up_ms: 1000 decline_exclude_ms: 2000
}}
"""
# Three layers, one of them every; a family; slopes, fits, head starts, a deadline; own order of agents.
LAYERS = f"""
layers {{ name: "who"
  rules {{ name: "x" {KIND_X} effects {{
    needs {{ groups {{ any_of {{ skill: "bill" level: 1 }} }} }} order: [BEST, SPARE] cost: 2 }} }}
  rules {{ name: "rest" effects {{ order: [ROBIN] }} }}
}}
layers {{ name: "speak"
  rules {{ name: "foreign" {SPEAKS} effects {{
    needs {{ groups {{ any_of {{ skill: "lang" level: 1 attribute: "lang" }} any_of {{ skill: "bill" level: 3 }} }}
      none_of {{ skill: "tech" level: 3 }} }}
    steps {{ age_ms: 2000 needs {{}} }}
    fits {{ skill {{ skill: "lang" level: 2 attribute: "lang" }} fit_ms: 1500 }}
  }} }}
  rules {{ name: "native" }}
}}
layers {{ name: "rank" every: true
  rules {{ name: "angry" {ANGRY} effects {{ head_start_ms: 2000 slope_milli: 2000
    steps {{ age_ms: 1000 boost_ms: 2000 alert: "lead" }}
    clocks {{ clock: "reply" mode: MODE_EXACTLY target_ms: 3000 }} }} }}
  rules {{ name: "y" {KIND_Y} effects {{ head_start_ms: -500 slope_milli: 500
    clocks {{ clock: "solve" mode: MODE_OFF }}
    by_deadline {{ clock: "reply" otherwise_ms: 4000 }} }} }}
  rules {{ name: "ordinary" effects {{ fits {{ skill {{ skill: "tech" level: 1 }} fit_ms: 500 }} }} }}
}}
defaults {{ offer {{ ttl_ms: 2000 away_on_expiry: true }} order: [LOADED, IDLE]
  clocks {{ clock: "reply" mode: MODE_WITHIN target_ms: 5000 }}
  clocks {{ clock: "solve" mode: MODE_WITHIN target_ms: 5000 }} }}
"""
# Preferred agents with holds, one with a (lower) requirement of its own.
AFFINITY = f"""
layers {{ name: "who"
  rules {{ name: "x" {KIND_X} effects {{
    needs {{ groups {{ any_of {{ skill: "bill" level: 3 }} }} }}
    affinity {{ hold_ms: 2000 transfer_hold_ms: 1000
      needs {{ groups {{ any_of {{ skill: "bill" level: 1 }} }} }} }} }} }}
  rules {{ name: "y" {KIND_Y} effects {{ affinity {{ transfer_hold_ms: 3000 }} cost: 2 offer {{ ttl_ms: 1000 }} }} }}
  rules {{ name: "rest" effects {{ affinity {{ hold_ms: 1000 }} steps {{ age_ms: 1000 }} }} }}
}}
defaults {{ offer {{ ttl_ms: 500 }} wrap_up_ms: 2000 decline_exclude_ms: 1000 order: [IDLE] }}
"""
# Every way a clock starts, stops and is given up; the classes differ in targets.
CLOCKS = f"""
layers {{ name: "who"
  rules {{ name: "x" {KIND_X} effects {{
    clocks {{ clock: "reply" mode: MODE_WITHIN target_ms: 2000 warnings_ms: [500, 1000] }}
    clocks {{ clock: "refund" mode: MODE_WITHIN target_ms: 1000 }} }} }}
  rules {{ name: "y" {KIND_Y} effects {{ clocks {{ clock: "reply" mode: MODE_OFF }}
    clocks {{ clock: "answer" mode: MODE_EXACTLY target_ms: 1000 warnings_ms: 1 }} }} }}
  rules {{ name: "rest" effects {{
    clocks {{ clock: "solve" mode: MODE_WITHIN target_ms: 3000 warnings_ms: [1000, 2000, 3000] }}
    steps {{ clock: "solve" share_milli: 333 boost_ms: 1000 }}
    steps {{ clock: "solve" share_milli: 1000 overflow_to: "away" }} }} }}
}}
layers {{ name: "rank"
  rules {{ name: "angry" {ANGRY} effects {{
    clocks {{ clock: "reply" mode: MODE_WITHIN target_ms: 1000 warnings_ms: 500 }} }} }}
  rules {{ name: "calm" }}
}}
"""
# Bounds that small commands reach; the phone is closed.
LIMITS = """
layers { name: "who" rules { name: "rest" effects { offer { ttl_ms: 1000 } wrap_up_ms: 1000
  needs { groups { any_of { skill: "lang" level: 1 attribute: "lang" } any_of { skill: "bill" level: 1 } } } } } }
limits { waiting_max: 3 classes_max: 2 agents_max: 3 sessions_max: 1 closed_max: 2 closed_keep_ms: 2000 }
"""
ORDERS = {
    "LOADED": "AGENT_ORDER_LEAST_LOADED",
    "IDLE": "AGENT_ORDER_LONGEST_IDLE",
    "BEST": "AGENT_ORDER_BEST_LEVEL",
    "SPARE": "AGENT_ORDER_SPARE_GENERALISTS",
    "ROBIN": "AGENT_ORDER_ROUND_ROBIN",
}


def sample(name: str, text: str) -> policy_pb2.CompiledPolicy:
    for short, whole in ORDERS.items():
        text = text.replace(short, whole)
    policy = text_format.Parse(COMMON + text, policy_pb2.CompiledPolicy(name=name))
    if name == "limits":
        del policy.channels[1:]
    return policy


SAMPLES = [
    sample(name, text)
    for name, text in (
        ("steps", STEPS), ("layers", LAYERS), ("affinity", AFFINITY), ("clocks", CLOCKS), ("limits", LIMITS),
    )
]  # fmt: skip
