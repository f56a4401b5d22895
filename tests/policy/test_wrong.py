"""A gallery of wrong policies, each with the exact message that it gets."""

from __future__ import annotations

from pathlib import Path

import pytest

from csroute.policy import PolicyError, load

BEFORE = """\
from typing import Literal
from csroute.policy import *

class Ticket(Attributes):
    channel: Attr[Literal["chat", "phone"]]
    topic: Detected[Literal["order", "parcel"]] = detected(at=0.6)
    tier: Attr[Literal["vip", "ordinary"]] = optional()
    shop: Attr[str] = optional()

class S(Skills):
    general: Skill
    parcels: Skill
    lang: Family[Literal["zh", "en"]]

class Clocks:
    reply = Clock(starts="arrival", stops="first_reply")
    done = Clock(starts="arrival", stops="completion")

class Who(Layer):
    parcels = Rule(Ticket.topic.is_("parcel"), needs=S.parcels)
    others = Otherwise(needs=S.general)

CHANNELS = {"chat": Channel(cost=20, limit=5), "phone": Channel(cost=100, limit=1)}
COMMON = dict(attributes=Ticket, skills=S, clocks=Clocks, channels=CHANNELS)
"""
VIP = 'vip = Rule(Ticket.tier.is_("vip"), '


def layer(*lines: str, name: str = "Who", options: str = "") -> str:
    """A policy of one layer, or of Who and another one; its rules begin on line 2."""
    layers = "[Who]" if name == "Who" else f"[Who, {name}]"
    body = "".join(f"    {line}\n" for line in lines)
    return f"class {name}(Layer{options}):\n{body}policy = Policy('wrong', layers={layers}, **COMMON)\n"


def policy(**changes: str) -> str:
    """A policy of which these arguments are wrong."""
    given = {
        "attributes": "Ticket",
        "skills": "S",
        "clocks": "Clocks",
        "channels": "CHANNELS",
        "layers": "[Who]",
    } | changes
    return f"policy = Policy({given.pop('name', repr('wrong'))}, {', '.join(f'{k}={v}' for k, v in given.items())})\n"


REST = "others = Otherwise(needs=S.general)"

# What is wrong, and what `check` says; "line: " counts within the text, from 1.
ERRORS = {
    # What a policy declares
    "no name": (policy(name="''"), ["1: name: the policy's name '' has 0 bytes: give it 1 to 64"]),
    "no layer": (policy(layers="[]"), ["1: layers: there are 0: give 1 to 16"]),
    "a layer twice": (policy(layers="[Who, Who]"), ["1: layers: Who is there 2 times: give each layer its own name"]),
    "no channel in the ticket": (
        "class Bare(Attributes):\n    tier: Attr[str] = optional()\nclass Who(Layer):\n    all = Otherwise()\n"
        + policy(attributes="Bare"),
        ["5: attributes: Bare must say its channel: declare `channel: Attr[Literal[…]]`, without a default"],
    ),
    "a channel without terms": (
        policy(channels='{"chat": Channel(cost=20, limit=5)}'),
        ["1: channels: Ticket.channel can be 'phone', which is not here: give it a Channel(cost=…, limit=…)"],
    ),
    "a channel that is none": (
        policy(channels='CHANNELS | {"fax": Channel(cost=1, limit=1)}'),
        ["1: channels: 'fax' is no value of Ticket.channel: add it there, or remove it here"],
    ),
    "a free channel": (
        policy(channels='CHANNELS | {"chat": Channel(cost=0, limit=5)}'),
        ["1: channels: chat's cost is 0: give 1 to 100000"],
    ),
    "a limit of none": (
        policy(limits="Limits(waiting_max=0)"),
        ["1: limits: waiting_max is 0: give 1 to 4294967295, or leave it out for the engine's own"],
    ),
    "a grace of two years": (
        policy(lost_grace="hours(24 * 730)"),
        ["1: lost_grace: it is 730 d: give 0 s to 365 d"],
    ),
    "a clock that never runs": (
        "class Clocks:\n    reply = Clock(starts='arrival', stops='arrival')\n" + policy(),
        ["2: clock reply: it starts at arrival and stops at arrival, so it never runs: let it stop at a later moment"],
    ),
    # Layers
    "queues of which several apply": (
        layer(REST, options=", every=True"),
        [
            "1: Who: the first layer's rules are the queues, and a ticket stands in one: leave out every=True, or put another first"
        ],
    ),
    "no Otherwise": (
        layer(VIP + "needs=S.general)"),
        ["1: Who: it has no Otherwise: end it with `name = Otherwise()`, for tickets that no rule holds for"],
    ),
    "a rule after Otherwise": (
        layer(REST, VIP + "needs=S.general)"),
        [
            "3: Who.vip: it is never reached: Who.others, an Otherwise, always holds and stands above: put Otherwise last, once"
        ],
    ),
    "a rule behind a wider one": (
        layer(
            VIP + "needs=S.general)",
            'late = Rule(Ticket.tier.is_("vip") & Ticket.shop.is_("a"), needs=S.parcels)',
            REST,
        ),
        ["3: Who.late: it never applies: where it holds, Who.vip does, above it: move it up"],
    ),
    "a rule that cannot hold": (
        layer('odd = Rule(Ticket.tier.is_("vip") & Ticket.tier.missing(), needs=S.general)', REST),
        ["2: Who.odd: when: no ticket meets it: its tests exclude each other"],
    ),
    "all values, and the rest": (
        layer('any = Rule(Ticket.channel.is_("chat", "phone"), needs=S.parcels)', VIP + "needs=S.general)", REST),
        ["3: Who.vip: it never applies: where it holds, Who.any does, above it: move it up"],
    ),
    "one field from two layers": (
        "class Ask(Layer):\n    all = Otherwise(cost=10)\nclass Pay(Layer):\n    all = Otherwise(cost=20)\n"
        + policy(layers="[Who, Ask, Pay]"),
        ["4: Pay.all: cost: Ask gives cost too (Ask.all), and one layer's alone would count: keep cost in one layer"],
    ),
    "two layers that override a clock": (
        "class Ask(Layer):\n    all = Otherwise(clocks=[Clocks.reply.off()])\n"
        "class Pay(Layer):\n    all = Otherwise(clocks=[Clocks.reply.exactly(minutes(1))])\n"
        + policy(layers="[Who, Ask, Pay]"),
        ["4: Pay.all: clocks: Ask.all sets reply with exactly() or off() too: keep those for a clock in one layer"],
    ),
    "two rules at once that override a clock": (
        layer(
            VIP + "clocks=[Clocks.reply.exactly(minutes(1))])",
            "shop = Rule(Ticket.shop.present(), clocks=[Clocks.reply.off()])",
            "others = Otherwise()",
            name="Rank",
            options=", every=True",
        ),
        [
            "3: Rank.shop: clocks: Rank.vip sets reply with exactly() or off() too, and both can hold: say it in one of them"
        ],
    ),
    "33 steps for one ticket": (
        layer("others = Otherwise(steps=[After(seconds(n), boost=seconds(n)) for n in range(33)])"),
        ["3: layers: one ticket can get 33 of steps, all layers together: at most 32"],
    ),
    "head starts that add up": (
        layer(
            VIP + "head_start=hours(200_000))",
            "again = Rule(Ticket.shop.present(), head_start=hours(100_000))",
            "others = Otherwise()",
            name="Rank",
            options=", every=True",
        ),
        ["5: layers: one ticket can get 12500 d of head_start, all layers together: at most 11574 d 1 h 46 min 40 s"],
    ),
    # A rule
    "an attribute of something else": (
        "class Old(Attributes):\n    tier: Attr[str]\n"
        + layer('vip = Rule(Old.tier.is_("vip"), needs=S.general)', REST),
        ["4: Who.vip: when: Old.tier is no attribute of Ticket, the policy's: use that"],
    ),
    "a skill of something else": (
        "class Old(Skills):\n    general: Skill\n" + layer("others = Otherwise(needs=Old.general)"),
        ["4: Who.others: needs: Old.general is no skill of S, the policy's: use that"],
    ),
    "nested too deep": (
        "when = Ticket.tier.is_('vip')\nfor _ in range(4):\n"
        "    when = (when & Ticket.shop.present()) | Ticket.topic.is_('order')\n"
        + layer("vip = Rule(when, needs=S.general)", REST),
        ["5: Who.vip: when: it nests 9 deep, at most 8: write it flatter"],
    ),
    "nine groups": (
        layer("others = Otherwise(needs=" + " & ".join(f"S.general.at_least({n})" for n in range(1, 10)) + ")"),
        ["2: Who.others: needs: it and-s 9 groups: at most 8"],
    ),
    "a slope too steep": (
        layer("others = Otherwise(slope=101)"),
        ["2: Who.others: slope: it is 0 to 100 in steps of 0.001, not 101"],
    ),
    "a slope between thousandths": (
        layer("others = Otherwise(slope=1.0005)"),
        ["2: Who.others: slope: it is 0 to 100 in steps of 0.001, not 1.0005"],
    ),
    "a deadline without a target": (
        layer("others = Otherwise(urgency=earliest_deadline(Clocks.reply, otherwise=minutes(3)))"),
        [
            "2: Who.others: head_start: clock reply has no target anywhere: give it one, like clocks=[Clocks.reply.within(minutes(3))]"
        ],
    ),
    "a ticket that costs nothing": (
        layer("others = Otherwise(cost=0)"),
        ["2: Who.others: cost: it is 0: give 1 to 100000 units"],
    ),
    "an offer that has expired": (
        layer("others = Otherwise(offer=Offer(seconds(0)))"),
        ["2: Who.others: offer: ttl: it is 0 s: give 1 ms to 1 h"],
    ),
    "an offer of a day": (
        layer("others = Otherwise(offer=Offer(hours(24)))"),
        ["2: Who.others: offer: ttl: it is 1 d: give 1 ms to 1 h"],
    ),
    "a hold before it begins": (
        layer("others = Otherwise(affinity=Affinity(-seconds(1)))"),
        ["2: Who.others: affinity: hold: it is -1 s: give 0 s to 365 d"],
    ),
    "an order twice": (
        layer('others = Otherwise(order=["best_level", "best_level"])'),
        [
            "2: Who.others: order: 'best_level' is no agent order, or there twice: least_loaded, longest_idle, best_level, spare_generalists, round_robin, each once"
        ]
        * 2,
    ),
    # Steps
    "a step that does nothing": (
        layer("others = Otherwise(steps=[After(seconds(5))])"),
        ["2: Who.others: steps[0]: it does nothing: give it needs, boost, alert, overflow or move"],
    ),
    "a step that relaxes nothing": (
        layer("others = Otherwise(needs=S.general, steps=[After(seconds(5), needs=S.general)])"),
        ["2: Who.others: steps[0]: needs: it asks for what is asked already, general: leave it out"],
    ),
    "overflow and move": (
        layer(VIP + "steps=[After(seconds(5), overflow='away', move=lambda: Who.others)])", REST),
        ["2: Who.vip: steps[0]: it overflows and moves: a ticket does one of both"],
    ),
    "steps out of order": (
        layer("others = Otherwise(steps=[After(seconds(9), alert='a'), After(seconds(5), alert='b')])"),
        [
            "2: Who.others: steps[1]: its age, 5 s, is not past the one before, 9 s: list steps by age; of those taken, the last listed counts"
        ],
    ),
    "a step after the end": (
        layer("others = Otherwise(steps=[After(seconds(5), overflow='away'), After(seconds(9), alert='late')])"),
        ["2: Who.others: steps[1]: it is never taken: the ticket overflows at 5 s: put it before, or remove it"],
    ),
    "a step at no point of a clock": (
        layer("others = Otherwise(clocks=[Clocks.reply.within(minutes(3))], steps=[At(Clocks.reply, 1.5, alert='x')])"),
        ["2: Who.others: steps[0]: share: it is 0.001 to 1 in steps of 0.001, not 1.5"],
    ),
    "a step at a clock without a target": (
        layer("others = Otherwise(steps=[At(Clocks.reply, 0.5, alert='x')])"),
        [
            "2: Who.others: steps[0]: clock reply has no target anywhere: give it one, like clocks=[Clocks.reply.within(minutes(3))]"
        ],
    ),
    "a step at a clock of something else": (
        "other = Clock(starts='arrival', stops='done')\n"
        + layer("others = Otherwise(steps=[At(other, 0.5, alert='x')])"),
        [
            "3: Who.others: steps[0]: clock Clock(starts='arrival', stops='done') is none of the policy's: declare it in the class given as clocks="
        ],
    ),
    "a move to another layer": (
        layer(VIP + "steps=[After(seconds(5), move=Who.others)])", "others = Otherwise()", name="Rank"),
        ["2: Rank.vip: steps[0]: move: Who.others is no rule of Rank: a step replaces its own layer's rule"],
    ),
    "a move where several rules apply": (
        layer(
            VIP + "steps=[After(seconds(5), move=lambda: Rank.others)])",
            "others = Otherwise()",
            name="Rank",
            options=", every=True",
        ),
        [
            "2: Rank.vip: steps[0]: move: one rule takes another's place only where one applies: not in an every=True layer, nor in the defaults"
        ],
    ),
    "moves that come round": (
        layer(
            "slow = Rule(Ticket.shop.present(), steps=[After(seconds(5), move=lambda: Who.vip)])",
            VIP + "steps=[After(seconds(5), move=slow)])",
            "others = Otherwise()",
        ),
        [
            "2: Who.slow: steps[0]: move: moves come round: Who.slow → Who.vip → Who.slow: let one of them end it",
            "3: Who.vip: steps[0]: move: moves come round: Who.vip → Who.slow → Who.vip: let one of them end it",
        ],
    ),
    # Clocks
    "a warning after its deadline": (
        layer("others = Otherwise(clocks=[Clocks.reply.within(minutes(3), warn=[minutes(4)])])"),
        ["2: Who.others: clocks: reply: its warning at 4 min is not before its deadline, 3 min: warn earlier"],
    ),
    "warnings out of order": (
        layer("others = Otherwise(clocks=[Clocks.reply.within(minutes(3), warn=[minutes(2), minutes(1)])])"),
        ["2: Who.others: clocks: reply: its warning at 1 min does not come after the one at 2 min: list them in order"],
    ),
    "a clock twice": (
        layer("others = Otherwise(clocks=[Clocks.reply.within(minutes(3)), Clocks.reply.off()])"),
        ["2: Who.others: clocks: reply: it is there twice: say one thing of it"],
    ),
    "a target of nothing": (
        layer("others = Otherwise(clocks=[Clocks.reply.within(seconds(0))])"),
        ["2: Who.others: clocks: reply: it is 0 s: give 1 ms to 365 d"],
    ),
    # Cases
    "a case that gets something else": (
        policy() + "policy.case(Ticket(channel='chat', topic='parcel')).gets(Who.others)\n",
        ["2: case Ticket(channel='chat', topic='parcel'): it does not get Who.others; it gets Who.parcels"],
    ),
    "a case that is too weak": (
        layer(VIP + "head_start=seconds(60))", "others = Otherwise()", name="Rank")
        + "vip, plain = policy.case(Ticket(channel='chat', tier='vip')), policy.case(Ticket(channel='chat'))\n"
        + "vip.beats(plain, waited=seconds(60))\nvip.yields_to(plain, waited=seconds(59))\n",
        [
            "6: case Ticket(channel='chat', tier='vip'): not beats Ticket(channel='chat') after 1 min: it stands at 1 min, the other at 1 min",
            "7: case Ticket(channel='chat', tier='vip'): not yields_to Ticket(channel='chat') after 59 s: it stands at 1 min, the other at 59 s",
        ],
    ),
    "a case against one that has left": (
        layer("others = Otherwise(steps=[After(minutes(5), overflow='mailbox')])")
        + "one = policy.case(Ticket(channel='chat'))\none.yields_to(one, waited=minutes(6))\n",
        [
            "5: case Ticket(channel='chat'): not yields_to Ticket(channel='chat') after 6 min: that one has left for mailbox by then"
        ],
    ),
}

# What the page itself refuses: mypy says so first, and so does running it.
REFUSED = {
    "a wrong value": (
        layer('vip = Rule(Ticket.tier.is_("vpi"), needs=S.general)', REST),
        "2: policy: ValueError: Ticket.tier has no value 'vpi': it is one of vip, ordinary",
    ),
    "no value": (
        layer("vip = Rule(Ticket.tier.is_())", REST),
        "2: policy: TypeError: Ticket.tier: a test needs at least one value",
    ),
    "and between conditions": (
        layer('vip = Rule(Ticket.tier.is_("vip") and Ticket.shop.is_("a"))', REST),
        "2: policy: TypeError: a condition is not true or false by itself: join conditions with & and |, in parentheses",
    ),
    "and between skills": (
        layer("others = Otherwise(needs=S.general and S.parcels)"),
        "2: policy: TypeError: a requirement is not true or false by itself: join skills with &, | and ~",
    ),
    "an or of ands": (
        layer("others = Otherwise(needs=S.general | (S.general & S.parcels))"),
        "2: policy: TypeError: | joins skills, and (general & parcels) is no skill: a requirement is an `and` of `or`s",
    ),
    "an attribute as a condition": (
        layer("vip = Rule(Ticket.tier)", REST),
        "2: policy: TypeError: a rule begins with its condition, like Ticket.tier.is_('vip'), not Ticket.tier",
    ),
    "a number for a duration": (
        layer("others = Otherwise(head_start=60)"),
        "2: policy: TypeError: head_start is Duration or ByDeadline, not 60",
    ),
    "a name for a skill": (
        layer("others = Otherwise(needs='general')"),
        "2: policy: TypeError: needs is Needs, not 'general'",
    ),
    "a step that is none": (
        layer("others = Otherwise(steps=[seconds(5)])"),
        "2: policy: TypeError: steps is a list of Step, not (Duration(ms=5000),)",
    ),
    "a level too high": (
        layer("others = Otherwise(needs=S.general.at_least(101))"),
        "2: policy: ValueError: a level is 1 to 100, not 101",
    ),
    "a family without that member": (
        layer("others = Otherwise(needs=S.lang['fr'])"),
        "2: policy: ValueError: lang has no 'fr': it has zh, en",
    ),
    "a family by another attribute": (
        layer("others = Otherwise(needs=S.lang[Ticket.tier])"),
        "2: policy: ValueError: Ticket.tier can be ordinary, vip, and lang has only zh, en",
    ),
    "half a millisecond": (
        layer("others = Otherwise(head_start=seconds(0.0005))"),
        "2: policy: ValueError: 0.0005 × 1000 ms is no whole number of milliseconds",
    ),
    "urgency twice": (
        layer("others = Otherwise(head_start=seconds(5), urgency=fifo())"),
        "2: policy: TypeError: urgency stands instead of head_start and slope: give one or the other",
    ),
    "one rule in two places": (
        layer("others = Otherwise()", "rest = others"),
        "1: policy: TypeError: Who.rest: this rule is Who.others already; write another",
    ),
    "an attribute of no kind": (
        "class Ticket(Attributes):\n    channel: str\n",
        "1: policy: TypeError: Ticket.channel: declare it as Attr[…] or Detected[…], not <class 'str'>",
    ),
    "a guess without a threshold": (
        "class Ticket(Attributes):\n    topic: Detected[str]\n",
        "1: policy: TypeError: Ticket.topic: a Detected needs its threshold: `= detected(at=0.6)`",
    ),
    "a fact with a threshold": (
        "class Ticket(Attributes):\n    topic: Attr[str] = detected(at=0.6)\n",
        "1: policy: TypeError: Ticket.topic: an Attr has no default (always there) or `= optional()`",
    ),
    "a threshold of nothing": (
        "class Ticket(Attributes):\n    topic: Detected[str] = detected(at=0)\n",
        "2: policy: ValueError: at is 0.001 to 1 in steps of 0.001, not 0",
    ),
    "an open family": (
        "class S(Skills):\n    lang: Family[str]\n",
        "1: policy: TypeError: S.lang: a family of any text says how many: `= family(keys_max=500)`",
    ),
    "a case without its channel": (
        policy() + "policy.case(Ticket(tier='vip'))\n",
        "2: policy: TypeError: Ticket.channel must be given: a ticket always has it",
    ),
    "a case with a wrong value": (
        policy() + "policy.case(Ticket(channel='chat', tier='vpi'))\n",
        "2: policy: ValueError: Ticket.tier has no value 'vpi': it is one of vip, ordinary",
    ),
    "a case with a stray attribute": (
        policy() + "policy.case(Ticket(channel='chat', teir='vip'))\n",
        "2: policy: TypeError: Ticket has no 'teir': it has channel, topic, tier, shop",
    ),
    "a fact as a guess": (
        policy() + "policy.case(Ticket(channel='chat', tier=guess('vip', 0.9)))\n",
        "2: policy: TypeError: Ticket.tier is a fact, not a guess: give the value alone",
    ),
}

# What may be meant.
WARNINGS = {
    "a guard that a missing value evades": (
        layer(VIP + "needs=S.parcels)", "others = Otherwise()", name="Guard"),
        [
            "2: warning: Guard.vip: needs: it is not asked where Ticket.tier is missing: say what holds then, by a rule with Ticket.tier.missing()"
        ],
    ),
    "a guard that says what holds then": (
        layer(VIP + "needs=S.parcels)", "unknown = Rule(Ticket.tier.missing())", "others = Otherwise()", name="Guard"),
        [],
    ),
    "unequal slopes": (
        layer(VIP + "slope=2)", REST),
        [
            "2: warning: Who.vip: slope: slopes differ between tickets, so that in overload the flatter ones can wait without end: head starts bound how long anyone is overtaken"
        ],
    ),
    "equal slopes": (layer(VIP + "slope=2)", REST.replace(")", ", slope=2)")), []),
    "a winner that hides a field": (
        layer(
            VIP + "cost=5)",
            "shop = Rule(Ticket.shop.present(), cost=6)",
            "others = Otherwise()",
            name="Rank",
            options=", every=True",
        ),
        ["3: warning: Rank.shop: cost: Rank.vip gives cost too, and both can hold; then the first alone counts"],
    ),
    "defaults that few get": (
        layer(VIP + "clocks=[Clocks.reply.within(minutes(1))])", REST)
        + policy(defaults="Otherwise(clocks=[Clocks.done.within(hours(3))])"),
        [
            "5: warning: defaults: clocks: only tickets get them to which no rule gives any, and Who.vip does: put what everyone gets into a layer of its own, as its Otherwise"
        ],
    ),
}


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "wrong.py"
    path.write_text(BEFORE + text)
    return path


def shown(error: PolicyError | list[str], path: Path) -> list[str]:
    """The messages, their lines counted within the text."""
    lines = str(error).splitlines() if isinstance(error, PolicyError) else error
    found = []
    for message in lines:
        file, line, rest = message.split(":", 2)
        assert file == str(path)
        found.append(f"{int(line) - BEFORE.count(chr(10))}:{rest}")
    return found


@pytest.mark.parametrize("name", ERRORS)
def test_a_wrong_policy_is_told_what_is_wrong(name: str, tmp_path: Path) -> None:
    text, messages = ERRORS[name]
    path = written(tmp_path, text)
    policy = load(path)
    assert shown([str(finding) for finding in policy.check() if not finding.warning], path) == messages
    with pytest.raises(PolicyError) as no:
        policy.compile()
    assert shown(no.value, path) == messages


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_meant_is_refused_where_it_stands(name: str, tmp_path: Path) -> None:
    text, message = REFUSED[name]
    path = written(tmp_path, text)
    with pytest.raises(PolicyError) as no:
        load(path)
    assert shown(no.value, path) == [message]


@pytest.mark.parametrize("name", WARNINGS)
def test_what_may_be_meant_is_doubted(name: str, tmp_path: Path) -> None:
    text, messages = WARNINGS[name]
    path = written(tmp_path, text)
    policy = load(path)
    assert shown([str(finding) for finding in policy.check()], path) == messages
    assert policy.compile()


def test_a_layer_too_wide_to_try_is_doubted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("csroute.policy.reach.TRIES_MAX", 3)
    path = written(
        tmp_path, layer(VIP + "needs=S.general)", 'shop = Rule(Ticket.shop.is_("a"), needs=S.parcels)', REST)
    )
    assert shown([str(finding) for finding in load(path).check()], path) == [
        "1: warning: Who: its values and rules combine in too many ways to try which rules are reached: split it where it can be"
    ]
