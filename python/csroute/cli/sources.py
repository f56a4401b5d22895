"""What is named on the command line, read: policies, scenes, tickets, rosters. ConfigError says what is wrong."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from csroute.errors import ConfigError
from csroute.policy import Policy, guess, load, preset
from csroute.policy.attributes import facts_of
from csroute.types import AgentSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from csroute.policy import Scene
    from csroute.policy.attributes import Attributes
    from csroute.policy.parameters import Value

__all__ = ["policy_of", "roster_of", "scenes_of", "ticket_of", "values_of"]


def policy_of(source: str, **given: Value) -> Policy:
    """A policy's file, or a preset, perhaps with other parameters. Compiled bytes have no rules any more."""
    if source.endswith(".py"):
        return load(source, **given)
    if source.isidentifier() and not Path(source).exists():
        return preset(source, **given)
    raise ConfigError(f"policy {source}: give the .py that it is written in, or a preset's name")


def values_of(texts: Sequence[str]) -> dict[str, str]:
    """Parameters' values, from `name=value`."""
    pairs = [text.partition("=") for text in texts]
    if wrong := [text for text, (name, equals, _) in zip(texts, pairs, strict=True) if not (name and equals)]:
        raise ConfigError(f"{wrong[0]!r}: write a parameter's NAME=VALUE, as release=60s")
    return {name: value for name, _, value in pairs}


def scenes_of(policy: Policy, names: Sequence[str]) -> list[Scene]:
    """The scenes of these names."""
    known = {scene.name: scene for scene in policy.declared_scenes()}
    for name in names:
        if name not in known:
            raise ConfigError(f"{policy.name} has no scene {name!r}: it has {', '.join(known) or 'none'}")
    return [known[name] for name in names]


def ticket_of(policy: Policy, values: Sequence[str]) -> Attributes:
    """A ticket from `name=value`, or `name=value:confidence` for a guess."""
    facts, given = facts_of(policy.attributes), dict[str, Any]()
    for text in values:
        name, equals, value = text.partition("=")
        if not equals or name not in facts:
            known = ", ".join(facts)
            raise ConfigError(f"{text!r} is no NAME=VALUE of a ticket: the policy's attributes are {known}")
        given[name] = value
        word, colon, sure = value.rpartition(":")
        if colon and facts[name].threshold_milli:
            try:
                given[name] = guess(word, float(sure))
            except ValueError as error:
                raise ConfigError(f"{text!r}: {error}") from None
    try:
        return policy.attributes(**given)
    except (TypeError, ValueError) as error:
        raise ConfigError(str(error)) from None


def roster_of(source: str | None) -> list[AgentSpec]:
    """Agents from TOML, each `count` times (1); the Double-11 night's by its name; none for None."""
    if source is None:
        return []
    if source == "double11" and not Path(source).exists():
        from csroute.presets import double11_workload  # noqa: PLC0415

        return [
            AgentSpec(each.id, dict(each.skills), each.capacity, dict.fromkeys(each.channels, 0))
            for each in double11_workload.roster()
        ]
    try:
        rows = tomllib.loads(Path(source).read_text(encoding="utf-8"))["agents"]
        return [agent for row in rows for agent in _agents(row)]
    except OSError as error:
        raise ConfigError(f"roster {source}: {error.strerror}") from None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        right = '[[agents]] with id = "ana", skills = { general = 3 }, and perhaps channels, capacity, count'
        raise ConfigError(f"roster {source}: {error}; write {right}") from None


def _agents(row: dict[str, Any]) -> list[AgentSpec]:
    channels, count = dict.fromkeys(row.get("channels", ()), 0), int(row.get("count", 1))
    names = [row["id"]] if count == 1 else [f"{row['id']}-{number}" for number in range(1, count + 1)]
    return [AgentSpec(name, dict(row.get("skills", {})), int(row.get("capacity", 0)), channels) for name in names]
