"""A seeded random walk over all commands: the oracle and the engine side by side, until they differ.

    python tests/random_walk.py --seed 7 --commands 2000 --policies 3
    python tests/random_walk.py --seed 7 --runs 100          # seeds 7..106
    python tests/random_walk.py --seed 7 --alone             # the oracle by itself, audited

At the first difference it prints the command, both answers and both lists of events, then the shortest list of
commands (found by leaving out what is not needed) that still differs, then the policies used. The seed repeats it.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from random import Random
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from google.protobuf import text_format

from csroute.v1 import event_pb2, policy_pb2
from tests.audit import Audit
from tests.oracle import Oracle, OracleRejection
from tests.random_commands import CROWD, FEW, START_US, Command, Draw, Names, random_command, random_policy

__all__ = ["Difference", "answers_of", "compare", "shortest", "walk"]

# Estimates are the engine's own; they are bounded elsewhere, not compared.
ESTIMATES = ("wait_low_ms", "wait_high_ms")
KIND_WIDTH = 46


@dataclass
class Difference:
    """The first command whose outcome differs, and both outcomes."""

    place: int
    command: Command
    oracle: list[str]
    engine: list[str]
    # The engine's last rejection, in its own words.
    said: str

    def __str__(self) -> str:
        lines = [f"command {self.place}: {self.command}"]
        for expected, actual in zip_longest(self.oracle, self.engine):
            if expected == actual:
                lines.append(f"  = {expected}")
            else:
                lines += [f"  {mark} {line}" for mark, line in (("-", expected), ("+", actual)) if line is not None]
        return "\n".join(lines)


def one_line(message: Any) -> str:
    return text_format.MessageToString(message, as_one_line=True, print_unknown_fields=True)


def told(event: event_pb2.Event) -> str:
    """An event in one line, its kind first."""
    kind = event.WhichOneof("kind")
    assert kind is not None
    rest = event_pb2.Event()
    rest.CopyFrom(event)
    rest.ClearField("kind")
    rest.ClearField("at_us")
    at = f"{(event.at_us - START_US) / 1e6:+.6f}s"
    return f"{kind} {{{one_line(getattr(event, kind))}}} at {at} {one_line(rest)}"


def plain(reply: Any) -> str:
    """A reply as it is compared: a rejection by its code's name, without estimates."""
    if hasattr(reply, "results"):
        return " | ".join(
            f"rejected {rejected(each.rejection)}" if each.HasField("rejection") else plain(each.reply)
            for each in reply.results
        )
    same = type(reply)()
    same.CopyFrom(reply)
    for name in ESTIMATES:
        if name in same.DESCRIPTOR.fields_by_name:
            same.ClearField(name)
    if getattr(same, "state", 0) in (7, 8, 9) and "ticket_class" in same.DESCRIPTOR.fields_by_name:
        same.ClearField("ticket_class")  # an ended ticket has none
    return f"{type(reply).__name__} {{{one_line(same)}}}"


def rejected(status: Any) -> str:
    if not status.details:
        return str(status.message)  # the oracle's
    from tests.real_engine import code_of

    return code_of(status)


def answers_of(router: Any, command: Command) -> list[str]:
    """What came of a command: its answer, then its events, each in one line."""
    before = len(router.events)
    try:
        if command.method == "advance":
            while not router.advance(command.at_us, command.request)[1]:
                pass
            answer = "advanced"
        elif command.method == "resume":
            router.resume(command.at_us, command.request)
            answer = "resumed"
        else:
            answer = plain(router.call(command.method, command.request, command.at_us))
    except OracleRejection as rejection:
        answer = f"rejected {rejection.code}"
    return [answer, *map(told, router.events[before:])]


def compare(commands: Sequence[Command], make_engine: Callable[[], Any]) -> Difference | None:
    """Plays the commands on both, up to the first difference. An exception of the engine's is a difference too."""
    oracle, engine, audit = Oracle(), make_engine(), Audit()
    for place, command in enumerate(commands):
        heard = len(oracle.events)
        expected = answers_of(oracle, command)
        try:
            for event in oracle.events[heard:]:
                audit.hear(event)
            actual = answers_of(engine, command) if engine else expected
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001 - a Rust panic is no Exception
            actual = [f"{type(error).__name__}: {error}"]
        if actual != expected:
            return Difference(place, command, expected, actual, getattr(engine, "said", ""))
    return None


def shortest(commands: Sequence[Command], fails: Callable[[Sequence[Command]], bool]) -> list[Command]:
    """A list that still fails, of which no single command can be left out (delta debugging)."""
    kept, size = list(commands), max(1, len(commands) // 2)
    while True:
        place, shrunk = 0, False
        while place < len(kept):
            without = kept[:place] + kept[place + size :]
            if fails(without):
                kept, shrunk = without, True
            else:
                place += size
        if size == 1 and not shrunk:
            return kept
        size = max(1, size // 2)


def walk(seed: int, count: int, policies: Sequence[bytes], grid_us: int = 1, names: Names = FEW) -> list[Command]:
    """The commands of a seed: drawn by looking at the oracle's state alone."""
    oracle, commands = Oracle(), []
    draw = Draw(Random(seed), oracle, names)
    for _ in range(count):
        command = random_command(draw, policies, grid_us)
        commands.append(command)
        answers_of(oracle, command)
    return commands


def random_policies(seed: int, count: int) -> list[bytes]:
    rng = Random(-1 - seed)
    return [random_policy(rng, f"policy-{number}").SerializeToString() for number in range(count)]


def report(seed: int, commands: Sequence[Command], make_engine: Callable[[], Any]) -> str:
    """Everything there is to know about the difference in these commands."""

    def fails(some: Sequence[Command]) -> bool:
        return compare(some, make_engine) is not None

    first = compare(commands, make_engine)
    assert first is not None
    short = shortest(commands[: first.place + 1], fails)
    last = compare(short, make_engine)
    assert last is not None
    lines = [f"seed {seed}: they differ at command {first.place} of {len(commands)}: {first.command}", ""]
    lines += [f"The shortest replay: {len(short)} commands"]
    oracle = Oracle()
    for command in short:
        lines.append(f"  {command}")
        if command is not short[-1]:
            lines += [f"        {line}" for line in answers_of(oracle, command)]
    lines += ["", f"There they differ ( = same, - oracle only, + engine only), at {last}"]
    lines += ["", f"The engine's last rejection said: {last.said}"] if last.said else []
    for command in short:
        if command.method == "InstallPolicy":
            lines += ["", text_format.MessageToString(policy_pb2.CompiledPolicy.FromString(command.request.policy))]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description="Random commands to the oracle and the engine, until they differ.")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--runs", type=int, default=1, help="so many seeds, from --seed on")
    parser.add_argument("--commands", type=int, default=2000)
    parser.add_argument("--policies", type=int, default=3, help="how many random policies a run installs")
    parser.add_argument("--grid-us", type=int, default=1, help="1000: commands come at whole ms only")
    parser.add_argument("--crowd", action="store_true", help="40 tickets and 12 agents; else 6 and 4")
    parser.add_argument("--alone", action="store_true", help="the oracle by itself, audited")
    options = parser.parse_args()

    def no_engine() -> None:
        return None

    make_engine: Callable[[], Any] = no_engine
    if not options.alone:
        from tests.real_engine import RealEngine

        make_engine = RealEngine
    started = time.monotonic()
    for seed in range(options.seed, options.seed + options.runs):
        policies, names = (
            random_policies(seed, options.policies),
            CROWD if options.crowd else FEW,
        )
        commands = walk(seed, options.commands, policies, options.grid_us, names)
        if compare(commands, make_engine):
            print(report(seed, commands, make_engine))  # noqa: T201
            return 1
    done = options.runs * options.commands
    print(f"{done} commands, no difference, {time.monotonic() - started:.0f} s")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
