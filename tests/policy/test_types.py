"""mypy refuses what a policy cannot mean, and takes what it can: each line of these pages by itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

MISTAKES = """\
Ticket.tier.is_("vpi")
Ticket.tier.is_not("vip", "vpi")
Ticket.category.is_("vip")
Ticket.teir.is_("vip")
Ticket.tier == "vip" and 1
Ticket.tier.is_(None)
Ticket.tier.is_("vip") and Ticket.language.is_("en")
Ticket.tier.is_("vip") or Ticket.language.is_("en")
not Ticket.tier.is_("vip")
Ticket.tier.is_("vip") & S.general
Ticket.tier.is_("vip") & "vip"
Ticket(channel="chat", tier="vpi")
Ticket(tier="vip")
Ticket(channel="fax")
Ticket(channel="chat", teir="vip")
Ticket(channel="chat", category="vip")
Ticket(channel="chat", category=guess("vip", 0.9))
Ticket(channel="chat", tier=guess("vip", 0.9))
Ticket("chat")
S.genral
S.general.at_least("2")
S.general >= 2
S.general and S.logistics
S.general | 2
S.general | "logistics"
S.general | (S.general & S.logistics)
(S.general & S.logistics) | S.general
~(S.general & S.logistics)
S.lang["fr"]
S.lang[Ticket.tier]
S.lang["en"] | S.lang
seconds("5")
seconds(5) + 5
seconds(5) * seconds(5)
seconds(5) > 4
Clocks.leagl
Clocks.legal.within(180)
Clocks.legal.within(minutes(3), warn=minutes(2))
Clock(starts="arrival")
After(20)
After(seconds(20), needs="general")
After(seconds(20), boost=30)
After(seconds(20), move="general")
After(seconds(20), move=Ticket.tier)
At("legal", 0.8)
At(Clocks.legal)
Rule()
Rule(Ticket.tier)
Rule("vip")
Rule(Ticket.tier.is_("vip"), needs="general")
Rule(Ticket.tier.is_("vip"), needs=S.lang)
Rule(Ticket.tier.is_("vip"), head_start=60)
Rule(Ticket.tier.is_("vip"), slope="2")
Rule(Ticket.tier.is_("vip"), order=["oldest"])
Rule(Ticket.tier.is_("vip"), steps=After(seconds(5), needs=S.general))
Rule(Ticket.tier.is_("vip"), clocks=[Clocks.legal])
Rule(Ticket.tier.is_("vip"), offer=seconds(5))
Rule(Ticket.tier.is_("vip"), affinity=seconds(5))
Rule(Ticket.tier.is_("vip"), priority=5)
Otherwise(Ticket.tier.is_("vip"))
Fit(S.general | S.logistics, seconds(5))
Offer(20)
Policy("p", attributes=Ticket, skills=S, layers=[Who])
Policy("p", attributes=S, skills=S, layers=[Who], channels={})
Policy("p", attributes=Ticket, skills=S, layers=Who, channels={})
Policy("p", attributes=Ticket, skills=S, layers=[Ticket], channels={})
Policy("p", attributes=Ticket, skills=S, layers=[Who], channels={"chat": 5})
policy.case("chat")
policy.case(Ticket(channel="chat")).gets("general")
policy.case(Ticket(channel="chat")).gets(Who.genral)
policy.case(Ticket(channel="chat")).beats(Ticket(channel="chat"))
policy.case(Ticket(channel="chat")).beats(policy.case(Ticket(channel="chat")), waited=60)
Limits(waiting_max="many")
earliest_deadline(Clocks.legal)
strict_priority("high")
Hour.segment.is_("silver")
Hour.segment == "gold" and 1
looked_up("merchant", keys_max=5)
looked_up(Ticket.tier)
family(500)
S.brand[5]
oldest_wait(over=60, until=20)
oldest_wait(over=seconds(60))
queue_length(over=seconds(60), until=seconds(20))
Reserve(S.spare, open=seconds(60))
Reserve(S.spare | S.general, open=queue_length(over=50, until=20))
Reserve("spare", open=queue_length(over=50, until=20))
While(seconds(60), needs=S.general)
While(queue_length(over=50, until=20), needs="general")
Otherwise(reserves=[S.spare])
Otherwise(reserves=Reserves.spare)
Otherwise(overlays=[queue_length(over=50, until=20)])
Otherwise(waiting_max=seconds(5))
Affinity(seconds(15), owner=24)
Rule(Ticket.tier.is_("vip"), dormant="yes")
Otherwise(dormant=True)
change(Who.logistics, colour="red")
change(Who.logistics, head_start=60)
change(Who.logistics, needs="general")
change(Who.logistics, why="because")
change("Who.logistics", head_start=seconds(60))
wake(Who.general)
wake(Who.genral)
Scene(Who.logistics)
Scene("failure")
Scene(wake(Who.logistics), dates="tonight")
Dates(starts="2024-11-11")
policy.under("failure")
policy.under(Scenes.failre)
policy.but(Scenes.failure, name="x")
policy.but(change(Who.logistics, cost=5))
policy.case(Ticket(channel="chat"), under=Scenes.failure)
policy.case(Ticket(channel="chat"), hour={"segment": {"acme": "gold"}})
Goal(Clocks.legal, mean=90)
Goal("legal", mean=minutes(2))
Cap("merchant", waiting_max=5)
Cap(Ticket.tier, waiting_max=seconds(5))
Fairness(overtaken_max=240)
Limits(caps=Cap(Ticket.tier, waiting_max=5))
Policy("p", attributes=Ticket, skills=S, layers=[Who], channels={}, scenes=Scenes.failure)
Policy("p", attributes=Ticket, skills=S, layers=[Who], channels={}, tables=Ticket)
"""

MEANT = """\
Ticket.tier.is_("vip", "ordinary") & (Ticket.language.missing() | Ticket.category.present())
Ticket(channel="chat", category=guess("order", 0.5), language="en")
(S.general | S.logistics.at_least(2)) & S.lang["en"] & S.lang[Ticket.language] & ~S.trainee & ~(S.general | S.trainee)
S.lang[Ticket.language].at_least(2) | S.general
Rule(never(), urgency=strict_priority(2), order=["best_level", "longest_idle"], offer=AutoAccept())
Otherwise(fits=[Fit(S.general.at_least(3), seconds(5))], head_start=-minutes(1), slope=1.5)
After(seconds(20), move=lambda: Who.general)
2 * seconds(0.5) - milliseconds(1) < hours(1)
Hour.segment.is_("gold") & Hour.segment.present() | Ticket.tier.missing()
S.brand["any"] & S.brand[Ticket.customer].at_least(2) & ~S.brand["x"]
Reserve(S.spare.at_least(2), open=queue_length(over=50, until=20, of=lambda: [Who.general]))
Otherwise(overlays=[While(oldest_wait(over=seconds(60), until=seconds(20), of=[Who.general]), needs=S.general)])
Otherwise(affinity=Affinity(seconds(15), owner=hours(24)), waiting_max=500, reserves=[Reserves.spare])
Scene(change(Who.logistics, needs=None, steps=[], urgency=fifo()), dates=Dates(starts=datetime.now(UTC)), why="x")
policy.under(Scenes.failure).but(change(Rank.vip, head_start=minutes(2)), name="shop-x").under()
policy.case(Ticket(channel="chat"), hour={Hour.segment: {"acme": "gold"}}, under=[Scenes.failure]).gets(Who.general)
Goal(Clocks.legal, share=0.9, within=minutes(2))
Limits(owner_max=5, caps=[Cap(Ticket.tier, waiting_max=5, of={"vip": 6})])
wake(Rule(Ticket.tier.is_("vip"), dormant=True))
"""

MORE = """
from datetime import UTC, datetime

class Hour(Tables):
    segment: Table[Literal["gold", "plain"]] = looked_up(Ticket.customer, keys_max=10_000)
"""
SKETCH = (ROOT / "tests/policy/sketch.py").read_text()
FULLER = {
    "general: Skill": "general: Skill; trainee: Skill; brand: Family[str] = family(keys_max=500)",
    'channel: Attr[Literal["chat", "phone"]] ': 'customer: Attr[str] = optional(); channel: Attr[Literal["chat", "phone"]] ',
}
for plain, fuller in FULLER.items():
    assert plain in SKETCH
    SKETCH = SKETCH.replace(plain, fuller)
PAGE = f"{SKETCH}{MORE}\n"


def errors_on(lines: list[str], tmp_path: Path) -> set[str]:
    """The lines that mypy refuses, each a statement on the sketch's page."""
    path = tmp_path / "page.py"
    path.write_text(PAGE + "".join(f"{line}\n" for line in lines))
    checks = ["--strict", "--enable-error-code", "truthy-bool", "--no-error-summary"]
    found = subprocess.run(
        [sys.executable, "-m", "mypy", *checks, "--cache-dir", str(tmp_path / "cache"), "--config-file", "", str(path)],
        cwd=tmp_path,
        env={"MYPYPATH": str(ROOT / "python"), "PATH": os.environ.get("PATH", "")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert not found.stderr, found.stderr
    refused = {
        int(line.split(":")[1])
        for line in found.stdout.splitlines()
        if line.startswith(path.name) and " error: " in line
    }
    first = PAGE.count("\n") + 1
    assert not [line for line in refused if line < first], found.stdout
    return {lines[line - first] for line in refused}


def test_mypy_refuses_each_mistake_and_nothing_else(tmp_path: Path) -> None:
    mistakes, meant = MISTAKES.splitlines(), MEANT.splitlines()
    # A statement that is only refused for having no effect would prove nothing: these are refused with their values used.
    used = {f"_{at} = {line}": line for at, line in enumerate([*mistakes, *meant])}
    refused = {used[line] for line in errors_on(list(used), tmp_path)}
    assert sorted(set(mistakes) - refused) == [], "mypy lets these pass"
    assert sorted(refused - set(mistakes)) == [], "mypy refuses these"
