"""The policy language: routing rules as ordinary, typed Python.

```python
from typing import Literal
from csroute.policy import *

class Ticket(Attributes):
    channel: Attr[Literal["chat", "phone"]]
    tier: Attr[Literal["vip", "ordinary"]] = optional()

class S(Skills):
    general: Skill

class Who(Layer):
    vip = Rule(Ticket.tier.is_("vip"), needs=S.general.at_least(2), head_start=seconds(60), why="VIPs are promised it")
    everyone = Otherwise(needs=S.general)

policy = Policy("hello", attributes=Ticket, skills=S, layers=[Who],
                channels={"chat": Channel(cost=20, limit=5), "phone": Channel(cost=100, limit=1)})
```

References are objects, never strings: editors complete them, and mypy refuses wrong ones. `policy.check()` says what is
wrong beyond types, `policy.compile()` makes the engine's tables, `load(path)` reads a policy's file.
"""

from csroute.policy.attributes import Attr, Attributes, Condition, Detected, detected, guess, never, optional
from csroute.policy.clocks import Clock, Goal
from csroute.policy.compile import version
from csroute.policy.conditions import QueueCondition, Reserve, While, oldest_wait, queue_length
from csroute.policy.durations import Duration, hours, milliseconds, minutes, seconds
from csroute.policy.layers import Affinity, After, At, AutoAccept, Fit, Layer, Offer, Otherwise, Rule
from csroute.policy.load import load, preset
from csroute.policy.parameters import parameter
from csroute.policy.policy import Cap, Case, Channel, Fairness, Finding, Limits, Policy, PolicyError
from csroute.policy.scenes import Change, Dates, Scene, change, wake
from csroute.policy.skills import Family, Needs, Skill, Skills, family
from csroute.policy.tables import Table, Tables, looked_up
from csroute.policy.urgency import ByDeadline, Urgency, ageing, earliest_deadline, fifo, strict_priority, weighted

__all__ = [
    "Affinity",
    "After",
    "At",
    "Attr",
    "Attributes",
    "AutoAccept",
    "ByDeadline",
    "Cap",
    "Case",
    "Change",
    "Channel",
    "Clock",
    "Condition",
    "Dates",
    "Detected",
    "Duration",
    "Fairness",
    "Family",
    "Finding",
    "Fit",
    "Goal",
    "Layer",
    "Limits",
    "Needs",
    "Offer",
    "Otherwise",
    "Policy",
    "PolicyError",
    "QueueCondition",
    "Reserve",
    "Rule",
    "Scene",
    "Skill",
    "Skills",
    "Table",
    "Tables",
    "Urgency",
    "While",
    "ageing",
    "change",
    "detected",
    "earliest_deadline",
    "family",
    "fifo",
    "guess",
    "hours",
    "load",
    "looked_up",
    "milliseconds",
    "minutes",
    "never",
    "oldest_wait",
    "optional",
    "parameter",
    "preset",
    "queue_length",
    "seconds",
    "strict_priority",
    "version",
    "wake",
    "weighted",
]
