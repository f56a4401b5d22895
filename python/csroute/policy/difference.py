"""What differs between two compiled policies, in words, rule by rule.

```python
for change in difference(old.compile(), new.compile()):
    print(change)                  # Who.vip: after 20 s: vip → vip or order
```
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf import text_format
from google.protobuf.message import Message

from csroute.policy.words import ago, of_condition, of_effects, of_queue_condition
from csroute.v1 import policy_pb2 as pb

__all__ = ["Difference", "difference"]

ORDER = "order of the page"
Compare = Callable[[str, Any, Any], Iterator["Difference"]]


@dataclass(frozen=True)
class Difference:
    """One thing that changed; of what came new there is no `old`, of what is gone no `new`."""

    where: str
    old: str
    new: str

    def __str__(self) -> str:
        if not self.old:
            return f"+ {self.where}: {self.new}"
        return f"- {self.where}: {self.old}" if not self.new else f"~ {self.where}: {self.old} → {self.new}"


def difference(old: bytes, new: bytes) -> list[Difference]:
    """Every difference, in the order of the page. None: the same policy, but perhaps for its cases."""
    mine, theirs = pb.CompiledPolicy.FromString(old), pb.CompiledPolicy.FromString(new)
    found: list[Difference] = []
    for field in pb.CompiledPolicy.DESCRIPTOR.fields:
        if field.name in {"format", "skills", "cases"}:
            continue
        one, other = getattr(mine, field.name), getattr(theirs, field.name)
        if field.name == "layers":
            found += _named("", one, other, _layer)
        elif field.name == "defaults":
            found += _effects("defaults", one, other)
        elif field.name == "scenes":
            found += _named("scene ", one, other, _scene)
        elif field.is_repeated and field.message_type is not None:
            found += _named(f"{field.name}: ", one, other, _plain)
        elif one != other:
            found.append(Difference(field.name, _shown(field.name, one), _shown(field.name, other)))
    return found


def _name(item: Message) -> str:
    return str(getattr(item, "name", "") or getattr(item, "attribute", ""))


def _named(prefix: str, one: Sequence[Any], other: Sequence[Any], compare: Compare) -> Iterator[Difference]:
    """Things that have names: those gone, new, changed; and whether the order of the others is another."""
    mine, theirs = {_name(item): item for item in one}, {_name(item): item for item in other}
    for name, item in mine.items():
        if name in theirs:
            yield from compare(f"{prefix}{name}", item, theirs[name])
        else:
            yield Difference(f"{prefix}{name}", _whole(item), "")
    for name, item in theirs.items():
        if name not in mine:
            yield Difference(f"{prefix}{name}", "", _whole(item))
    kept = [[name for name in names if name in mine and name in theirs] for names in (mine, theirs)]
    if kept[0] != kept[1]:
        yield Difference(f"{prefix}{ORDER}", ", ".join(kept[0]), ", ".join(kept[1]))


def _layer(where: str, one: pb.LayerTable, other: pb.LayerTable) -> Iterator[Difference]:
    if one.every != other.every:
        said = [f"{'every rule' if layer.every else 'the first rule'} that holds" for layer in (one, other)]
        yield Difference(where, *said)
    yield from _named(f"{where}.", one.rules, other.rules, _rule)


def _rule(where: str, one: pb.RuleTable, other: pb.RuleTable) -> Iterator[Difference]:
    for what, mine, theirs in (
        ("when", _when(one), _when(other)),
        ("why", one.why, other.why),
        ("dormant", str(one.dormant), str(other.dormant)),
    ):
        if mine != theirs:
            yield Difference(f"{where}: {what}", mine, theirs)
    yield from _effects(where, one.effects, other.effects)


def _effects(where: str, one: pb.Effects, other: pb.Effects) -> Iterator[Difference]:
    mine, theirs = _grouped(one), _grouped(other)
    for word in dict.fromkeys([*mine, *theirs]):
        if mine.get(word) != theirs.get(word):
            yield Difference(f"{where}: {word}", mine.get(word, ""), theirs.get(word, ""))


def _grouped(effects: pb.Effects) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    for word, said in of_effects(effects):
        found.setdefault(word, []).append(said)
    return {word: " + ".join(said) for word, said in found.items()}


def _scene(where: str, one: pb.SceneTable, other: pb.SceneTable) -> Iterator[Difference]:
    mine, theirs = (_changes(scene) for scene in (one, other))
    for rule in dict.fromkeys([*mine, *theirs]):
        if mine.get(rule) != theirs.get(rule):
            yield Difference(f"{where}: {rule}", mine.get(rule, ""), theirs.get(rule, ""))
    for what in ("why", "starts_us", "ends_us"):
        if getattr(one, what) != getattr(other, what):
            yield Difference(f"{where}: {what}", str(getattr(one, what)), str(getattr(other, what)))


def _changes(scene: pb.SceneTable) -> dict[str, str]:
    found = {}
    for change in scene.changes:
        said = [f"{word}: {it}" for word, it in of_effects(change.effects)]
        gone = [] if said or change.wake else [f"no {', '.join(change.fields)}"]
        rule = f"{change.layer}.{change.rule}" if change.layer else "defaults"
        found[rule] = "; ".join(["wakes"] * change.wake + said + gone)
    return found


def _plain(where: str, one: Message, other: Message) -> Iterator[Difference]:
    if one != other:
        yield Difference(where, _whole(one), _whole(other))


def _when(rule: pb.RuleTable) -> str:
    return of_condition(rule.when) if rule.HasField("when") else "otherwise"


def _whole(item: Message) -> str:
    match item:
        case pb.RuleTable():
            said = "; ".join(f"{word}: {it}" for word, it in of_effects(item.effects))
            return f"{_when(item)}{f': {said}' if said else ''}"
        case pb.LayerTable():
            return ", ".join(rule.name for rule in item.rules)
        case pb.SceneTable():
            return "; ".join(f"{rule}: {said}" for rule, said in _changes(item).items())
        case pb.ReserveTable():
            return f"{item.skill.skill}, {of_queue_condition(item.open)}"
    return text_format.MessageToString(item, as_one_line=True)


def _shown(name: str, value: object) -> str:
    if isinstance(value, Message):
        return text_format.MessageToString(value, as_one_line=True)
    if name.endswith("_ms") and isinstance(value, int):
        return ago(value)
    return ", ".join(map(str, value)) if isinstance(value, Iterable) and not isinstance(value, str) else str(value)
