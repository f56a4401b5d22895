"""Whom nobody can serve: the classes of a policy against the agents that there are.

```python
policy.check(roster=[AgentSpec("ana", skills={"general": 2})], traffic=[Ticket(channel="chat")])
```

With `traffic` the classes are those that it meets, with their share of it, and what nobody can serve is wrong. Without,
one ticket of each kind is tried that the rules tell apart, and it is doubtful: not every kind need come.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from csroute.policy.evaluate import Requirement, classify, resolve
from csroute.policy.policy import Finding
from csroute.policy.reach import combinations

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from csroute.policy.attributes import Attributes
    from csroute.policy.evaluate import Class
    from csroute.policy.policy import AgentLike, Policy

__all__ = ["Profile", "check_roster", "profiles", "stages"]

TOLD_MAX = 20
"""Findings; the rest is counted."""


@dataclass(frozen=True)
class Profile:
    """Agents who can do the same."""

    skills: Mapping[str, int]
    channels: frozenset[str]
    """Those open; none: all."""
    units: int
    count: int

    def opens(self, channel: str) -> bool:
        """Whether they take it."""
        return not self.channels or channel in self.channels


def profiles(roster: Sequence[AgentLike]) -> list[Profile]:
    """A roster's profiles, in the order in which they are met."""
    found: Counter[tuple[tuple[tuple[str, int], ...], frozenset[str], int]] = Counter()
    for agent in roster:
        skills = dict(agent.skills)
        units = getattr(agent, "capacity", 0) or 100
        found[tuple(sorted(skills.items())), frozenset(agent.channels), units] += 1
    return [Profile(dict(skills), channels, units, count) for (skills, channels, units), count in found.items()]


def stages(policy: Policy, found: Class, seen: frozenset[str] = frozenset()) -> Iterator[Requirement]:
    """Every requirement that a class can come to: by steps, in their order, overlays, reserves and moves."""
    parts = list(found.needs)
    kept = found.kept_from(frozenset(found.reserves))
    yield sum(parts, Requirement()) + kept
    for part, _, needs in found.overlays:
        yield sum([*parts[:part], needs, *parts[part + 1 :]], Requirement()) + kept
    for part, step in found.steps:
        if step.needs is not None:
            parts[part] = resolve(step.needs, found.values)
            yield sum(parts, Requirement()) + kept
        target = step.target()
        if target is not None and str(target) not in seen:
            moved = classify(policy, found.values, {policy.layers[part].__name__: target})
            yield from stages(policy, moved, seen | {str(target)})


def check_roster(policy: Policy, roster: Sequence[AgentLike], traffic: Sequence[Attributes]) -> Iterator[Finding]:
    """The classes that none of these agents can ever serve, or only one who is never busy."""
    if not roster:
        return
    able = profiles(roster)
    classes: dict[str, tuple[Class, int]] = {}
    for found in _classes(policy, traffic):
        classes[found.path] = (found, classes.get(found.path, (found, 0))[1] + 1)
    unserved: defaultdict[str, list[tuple[Class, int]]] = defaultdict(list)
    for found, count in classes.values():
        if any(step.overflow for _, step in found.steps):
            continue  # it leaves
        if (why := _unserved(policy, found, able)) is not None:
            unserved[why].append((found, count))
    told = sorted(unserved.items(), key=lambda item: -sum(count for _, count in item[1]))
    for why, those in told[:TOLD_MAX]:
        share = sum(count for _, count in those) / max(1, len(traffic)) * 100
        most, _ = max(those, key=lambda each: each[1])
        queue = most.rules[0]
        which = most.path + (f" and {len(those) - 1} more" if len(those) > 1 else "")
        much = f", {share:.1f} % of the traffic" if traffic else ""
        message = f"nobody in the roster can ever serve {which}{much}: {why}"
        yield Finding(queue.origin, str(queue), message, warning=not traffic)
    if len(told) > TOLD_MAX:
        wrong = f"{len(told) - TOLD_MAX} more reasons for which nobody serves a class: mend these first"
        yield Finding(policy.origin, "roster", wrong, warning=not traffic)
    yield from _crowded_out(policy, able, [found for found, _ in classes.values()])


def _classes(policy: Policy, traffic: Sequence[Attributes]) -> Iterator[Class]:
    if traffic:
        yield from (classify(policy, ticket) for ticket in traffic)
        return
    asking = [
        layer
        for layer in policy.layers
        if any(r.needs is not None or r.steps or r.overlays or r.reserves or r.cost for r in policy.rules(layer))
    ]
    for values in combinations(policy, asking or policy.layers[:1]):
        for channel in [values["channel"]] if values.get("channel") in policy.channels else policy.channels:
            yield classify(policy, values | {"channel": channel})


def _unserved(policy: Policy, found: Class, able: Sequence[Profile]) -> str | None:
    """Why nobody can serve a class; None if somebody can."""
    channel, skills = found.values["channel"], [profile.skills for profile in able]
    opens = [profile for profile in able if profile.opens(channel)]
    if not opens:
        return f"no agent opens {channel}: let some"
    asked = list(dict.fromkeys(stages(policy, found)))
    if any(needs.met_by(profile.skills) and profile.units >= found.cost for profile in opens for needs in asked):
        return None
    if any(needs.met_by(profile.skills) for profile in opens for needs in asked):
        return f"it costs {found.cost} units, and none who could take it has so many: lower its cost"
    last = asked[-1]
    for group in last.groups:
        if not any(Requirement((group,)).met_by(profile.skills) for profile in opens):
            said = " | ".join(f"{skill}>={level}" if level > 1 else skill for skill, level in group)
            who = f"of those who open {channel} nobody" if any(map(Requirement((group,)).met_by, skills)) else "nobody"
            return f"{who} has {said or 'the skill of an attribute that is missing'}"
    who = f"of those who open {channel} nobody" if any(map(last.met_by, skills)) else "nobody"
    return f"{who} has all of {last} at once"


def _crowded_out(policy: Policy, able: Sequence[Profile], classes: Sequence[Class]) -> Iterator[Finding]:
    """Tickets that need (nearly) all units of agents who are kept busy with cheaper ones."""
    costs = {name: channel.cost for name, channel in policy.channels.items()}
    told: set[str] = set()
    for found in classes:
        channel = found.values["channel"]
        takers = [profile for profile in able if profile.opens(channel) and found.needs]
        takers = [p for p in takers if any(needs.met_by(p.skills) for needs in stages(policy, found))]
        cheaper = [name for name, cost in costs.items() if cost < found.cost and name != channel]
        if channel in told or not takers or not cheaper:
            continue
        if all(p.units < found.cost + min(costs[c] for c in cheaper) and any(map(p.opens, cheaper)) for p in takers):
            told.add(channel)
            wrong = (
                f"a {channel} ticket costs {found.cost} units, and all who take it are open for {' and '.join(cheaper)}"
            )
            right = f"one kept busy with those never has so many free: give {channel} seats of its own"
            yield Finding(policy.origin, f"channel {channel}", f"{wrong} too: {right}", warning=True)
