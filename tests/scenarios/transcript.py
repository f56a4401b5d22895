"""Transcripts: what people do, and everything that the router says to it. A policy engineer can read and write them.

    R4. A VIP goes before those who came in the same minute.

    policy double11
    > agent li order=2 lang[zh]=1
    > route t1 chat language=zh
      00:00 t1 Queued cause=arrived
      00:00 t1 Offered -> li expires=00:20 candidates=1
      = offered
    > 00:20 accept t1 1
      ...

A line with `>` is a command, with the time since the start before it if time has passed; time alone just passes. The
indented lines below it are all events since the command before it, each with its own time, and the answer (`=`) or the
rejection (`!`). Everything else is prose, but for `policy`: a preset, or a file beside the transcript.

`python -m tests.scenarios.transcript FILE…` writes the answers anew: read the difference before you believe it.
"""

from __future__ import annotations

import dataclasses
import re
import shlex
import sys
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from csroute.errors import RejectedError
from csroute.router import Router
from csroute.types import AgentSpec, Event, Guess, MatchReason, Presence, Requirement, Ticket

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["HERE", "perform"]

HERE = Path(__file__).parent
START_US = 1_731_254_400_000_000
SESSION = "desk"
LEASE_MS = 3_600_000
OPTIONS = {"after", "agent", "capacity", "channels", "customer", "needs", "not", "prefer", "queue", "source"}
HIDDEN = {"urgency_milli_us", "slope_milli", "seniority_us"}  # sums of what is shown


def perform(text: str) -> str:
    """The transcript with its answers written anew."""
    stage: Stage | None = None
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith("policy "):
            stage = Stage(line.removeprefix("policy ").strip())
        if line.startswith("  "):
            continue
        lines.append(line)
        if line.startswith(">"):
            assert stage is not None, "a transcript names its policy before the first command"
            lines += [f"  {answer}" for answer in stage.do(line.removeprefix(">").strip())]
    return "\n".join(lines) + "\n"


class Stage:
    """A router on a virtual clock, and the short words for its commands."""

    def __init__(self, policy: str) -> None:
        source = HERE / policy if policy.endswith(".py") else policy
        self.router = Router(source, clock="virtual", start=START_US)
        self.router.open_session(SESSION, LEASE_MS)
        self.seen = self.router.events()[-1].sequence

    def do(self, line: str) -> list[str]:
        words = shlex.split(line)
        if words and re.fullmatch(r"[\d:.]+", words[0]):
            self.pass_time_to(_us(words.pop(0)))
        answer: list[str] = []
        if words:
            try:
                answer = self.command(words[0], words[1:])
            except RejectedError as no:
                answer = [f"! {no.name} ({no.code})"]
        events = self.router.events(self.seen)
        if events:
            self.seen = events[-1].sequence
        if words and words[0] == "agent":  # the cast comes on: no news
            events = [event for event in events if event.ticket]
        return [_told(event) for event in events] + answer

    def pass_time_to(self, until_us: int) -> None:
        """The desk's lease is renewed on the way."""
        router, half_us = self.router, LEASE_MS * 500
        while until_us - router.now_us > half_us:
            router.advance(to=router.now_us + half_us)
            router.renew_lease(SESSION)
        router.advance(to=until_us)

    def command(self, verb: str, words: list[str]) -> list[str]:
        options = dict(word.split(":", 1) for word in words if word.partition(":")[0] in OPTIONS)
        words = [word for word in words if word.partition(":")[0] not in OPTIONS]
        pairs = dict(word.split("=", 1) for word in words if "=" in word)
        plain = [word for word in words if "=" not in word]
        return (
            getattr(self, f"do_{verb}")(plain, pairs, options)
            if hasattr(self, f"do_{verb}")
            else self.short(verb, plain)
        )

    def short(self, verb: str, words: list[str]) -> list[str]:
        """Commands whose words are their arguments: a ticket, an attempt, …"""
        call: Callable[..., Any] = getattr(self.router, SHORT[verb])
        return [_answer(call(*[int(word) if word.isdecimal() else word for word in words]))]

    def do_agent(self, plain: list[str], pairs: dict[str, str], options: dict[str, str]) -> list[str]:
        channels = {channel: 0 for channel in options.get("channels", "").split(",") if channel}
        skills = {skill: int(level) for skill, level in pairs.items()}
        spec = AgentSpec(plain[0], skills, int(options.get("capacity", "0")), channels)
        for result in self.router.upsert_agents([spec]):
            if isinstance(result, RejectedError):
                raise result
        presence = Presence[plain[1].upper()] if len(plain) > 1 else Presence.AVAILABLE
        if presence != Presence.OFFLINE:
            self.router.login(SESSION, plain[0], presence)
        return []

    def do_route(self, plain: list[str], pairs: dict[str, str], options: dict[str, str]) -> list[str]:
        ticket = Ticket(
            plain[0],
            plain[1],
            customer=options.get("customer", ""),
            source=options.get("source", ""),
            attributes=_attributes(pairs),
            skills=_skills(options.get("needs", "")),
            preferred_agent=options.get("prefer", ""),
            excluded_agents=tuple(name for name in options.get("not", "").split(",") if name),
            not_before_us=_us(options["after"]) if "after" in options else 0,
        )
        return [_answer(self.router.route(ticket))]

    def do_update(self, plain: list[str], pairs: dict[str, str], _: dict[str, str]) -> list[str]:
        return [_answer(self.router.update(plain[0], int(plain[1]), _attributes(pairs)))]

    def do_transfer(self, plain: list[str], _: dict[str, str], options: dict[str, str]) -> list[str]:
        needs = _skills(options.get("needs", ""))
        requirement = Requirement(needs=tuple({skill: level} for skill, level in needs.items())) if needs else None
        to = {key: options[key] for key in ("agent", "queue") if key in options}
        return [_answer(self.router.transfer(plain[0], int(plain[1]), requirement=requirement, **to))]

    def do_presence(self, plain: list[str], _: dict[str, str], __: dict[str, str]) -> list[str]:
        return [_answer(self.router.set_presence(SESSION, plain[0], Presence[plain[1].upper()], *plain[2:]))]

    def do_session(self, plain: list[str], _: dict[str, str], __: dict[str, str]) -> list[str]:
        return [_answer(self.router.open_session(plain[0], int(plain[1]) * 1000 if len(plain) > 1 else 0))]

    def do_remove(self, plain: list[str], _: dict[str, str], __: dict[str, str]) -> list[str]:
        return [_answer(result) for result in self.router.remove_agents(plain)]

    def do_install(self, plain: list[str], _: dict[str, str], __: dict[str, str]) -> list[str]:
        self.router.install(HERE / plain[0], reclassify="reclassify" in plain)
        return []

    def do_place(self, plain: list[str], _: dict[str, str], __: dict[str, str]) -> list[str]:
        return [f"= {p.id} place {p.place}, waits {_span(p.age_ms)}" for p in self.router.get_positions(plain)]

    def do_show(self, plain: list[str], _: dict[str, str], __: dict[str, str]) -> list[str]:
        ticket = self.router.get_ticket(plain[0])
        return [f"= {ticket.class_path}, step {ticket.step}, came {_clock(ticket.arrival_us)}"]

    def do_explain(self, plain: list[str], _: dict[str, str], __: dict[str, str]) -> list[str]:
        why = self.router.explain(plain[0])
        rules = [f"= {hit.layer}.{hit.rule}" + (f": {hit.why}" if hit.why else "") for hit in why.rules]
        return [*rules, f"= needs {' and '.join(why.needs)}; {why.able_count} able, {why.eligible_count} eligible"]


SHORT = {
    **{name: name for name in ("cancel", "suspend", "resume", "accept", "decline", "complete", "mark", "end_wrap_up")},
    **{name: name for name in ("assign", "move", "login", "renew_lease", "close_session")},
    "pause": "pause_clock",
    "unpause": "resume_clock",
}


def _attributes(pairs: dict[str, str]) -> dict[str, str | Guess]:
    """tier=vip is a fact, emotion=angry~0.9 a guess."""
    sure = {name: value.partition("~") for name, value in pairs.items()}
    return {name: Guess(value, float(how)) if how else value for name, (value, _, how) in sure.items()}


def _skills(text: str) -> dict[str, int]:
    return {name: int(level or 1) for name, _, level in (part.partition("=") for part in text.split(",") if part)}


def _us(text: str) -> int:
    *hours, minutes, seconds = (float(part) for part in text.split(":"))
    return START_US + round(((hours[0] if hours else 0) * 3600 + minutes * 60 + seconds) * 1_000_000)


def _clock(us: int) -> str:
    seconds, rest = divmod(us - START_US, 1_000_000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    fraction = f"{rest / 1e6:.6f}"[1:].rstrip("0").rstrip(".")
    return (f"{hours}:" if hours else "") + f"{minutes:02}:{seconds:02}{fraction}"


def _span(ms: int) -> str:
    return f"{ms / 1000:g}s"


def _told(event: Event) -> str:
    about = event.ticket or event.agent or event.session
    to = f" -> {event.agent}" if event.ticket and event.agent else ""
    details = " ".join(_details(event.kind))
    return f"{_clock(event.at_us)} {about} {type(event.kind).__name__}{to} {details}".replace("  ", " ").rstrip()


def _details(kind: Any) -> list[str]:
    """The fields that say something, times as on the transcript's clock."""
    words: list[str] = []
    for field in dataclasses.fields(kind):
        value, name = getattr(kind, field.name), field.name
        if isinstance(value, MatchReason):
            words += _details(value)
        elif name in HIDDEN:
            continue
        elif value is True:
            words.append(name)
        elif value and isinstance(value, IntEnum):
            words.append(f"{name}={value.name.lower()}")
        elif value and name.endswith("_us"):
            words.append(f"{name.removesuffix('_us')}={_clock(value) if value > START_US else value}")
        elif value and name.endswith("_ms"):
            words.append(f"{name.removesuffix('_ms')}={_span(value)}")
        elif value or (name == "point" and value == 0):
            words.append(f"{name}={value}")
    return words


def _answer(result: Any) -> str:
    if isinstance(result, RejectedError):
        return f"! {result.name} ({result.code})"
    state = f" {result.state.name.lower()}" if result.state else ""
    place = f" place {result.place}" if getattr(result, "place", 0) else ""
    return f"={state}{place}{' (replayed)' if result.replayed else ''}" if state or result.replayed else "= done"


if __name__ == "__main__":
    for name in sys.argv[1:]:
        Path(name).write_text(perform(Path(name).read_text(encoding="utf-8")), encoding="utf-8")
