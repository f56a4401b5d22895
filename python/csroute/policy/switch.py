"""Scenes on compiled tables: the bytes of a policy to the bytes of the same policy with scenes switched on or off.

```python
night = switch(policy.compile(), ["surge", "hotline"])     # the same as policy.under(…).compile()
```

So whoever holds a policy's bytes alone (a server, a kept version) can switch its scenes. `resolved` shows what then
holds: the rules with their changes made, which is how the engine reads them.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, cast

from csroute.errors import CsrouteError
from csroute.v1 import policy_pb2 as pb

__all__ = ["SceneError", "resolved", "switch"]

_WIRE = {
    "head_start": ("head_start_ms", "by_deadline"),
    "slope": ("slope_milli",),
    "wrap_up": ("wrap_up_ms",),
    "decline_exclude": ("decline_exclude_ms",),
}
"""Fields whose names on the wire differ."""


class SceneError(CsrouteError):
    """A policy has no such scene."""


def switch(compiled: bytes, scenes: Collection[str]) -> bytes:
    """The policy with these scenes on, and no others. SceneError for one that it has not."""
    tables = pb.CompiledPolicy.FromString(compiled)
    known = [scene.name for scene in tables.scenes]
    for name in sorted(set(scenes) - set(known)):
        raise SceneError(f"{tables.name} has no scene {name!r}: it has {', '.join(known) or 'none'}")
    tables.active_scenes[:] = [name for name in known if name in scenes]
    return tables.SerializeToString(deterministic=True)


def resolved(tables: pb.CompiledPolicy) -> pb.CompiledPolicy:
    """A copy of the tables with the changes of their active scenes made, in the order of the page."""
    now = pb.CompiledPolicy()
    now.CopyFrom(tables)
    for scene in (scene for scene in now.scenes if scene.name in now.active_scenes):
        for change in scene.changes:
            rule = _rule(now, change)
            rule.dormant = rule.dormant and not change.wake
            replaced = {wire for name in change.fields for wire in _WIRE.get(name, (name,))}
            kept, new = _only(rule.effects, replaced, keep=False), _only(change.effects, replaced, keep=True)
            rule.effects.CopyFrom(kept)
            rule.effects.MergeFrom(new)
            if not change.layer:
                now.defaults.CopyFrom(rule.effects)
    return now


def _only(effects: pb.Effects, names: set[str], *, keep: bool) -> pb.Effects:
    """The effects with these fields alone, or with all others."""
    found: Any = pb.Effects()
    found.CopyFrom(effects)
    for field in pb.Effects.DESCRIPTOR.fields:
        if (field.name in names) != keep:
            found.ClearField(field.name)
    return cast("pb.Effects", found)


def _rule(tables: pb.CompiledPolicy, change: pb.ChangeTable) -> pb.RuleTable:
    if not change.layer:
        return pb.RuleTable(effects=tables.defaults)
    layer = next(layer for layer in tables.layers if layer.name == change.layer)
    return next(rule for rule in layer.rules if rule.name == change.rule)
