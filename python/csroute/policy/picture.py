"""A policy drawn for people who route no tickets: each queue with who serves it as time goes by, then every layer.

```python
Path("night.html").write_text(html(policy.compile()))
Path("night.svg").write_text(svg(policy.compile()))
```

Both are self-contained: no script, no font, no address of elsewhere. Active scenes are drawn as they change the policy.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html import escape
from textwrap import wrap

from csroute.policy.switch import resolved
from csroute.policy.words import ago, at_of, of_condition, of_effects, of_needs, of_queue_condition, of_step
from csroute.v1 import policy_pb2 as pb

__all__ = ["Box", "Picture", "Queue", "Row", "Section", "drawn", "html", "svg"]


@dataclass(frozen=True)
class Box:
    """Who serves a queue from some moment on."""

    when: str
    who: str
    kind: str
    """`first`, `later`, `alert`, `leaves` or `full`: how it is coloured."""


@dataclass(frozen=True)
class Queue:
    """A rule of the first layer, as time goes by."""

    name: str
    when: str
    why: str
    boxes: tuple[Box, ...]
    asleep: bool


@dataclass(frozen=True)
class Row:
    """A rule: its name, for whom, what it gives, why."""

    name: str
    when: str
    gives: tuple[tuple[str, str], ...]
    why: str


@dataclass(frozen=True)
class Section:
    """A titled list."""

    title: str
    note: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Picture:
    """What is drawn."""

    title: str
    scenes: tuple[str, ...]
    """Those that are on."""
    queues: tuple[Queue, ...]
    sections: tuple[Section, ...]


def drawn(compiled: bytes) -> Picture:
    """A compiled policy as a picture, its active scenes made."""
    tables = resolved(pb.CompiledPolicy.FromString(compiled))
    first = tables.layers[0]
    return Picture(
        tables.name,
        tuple(tables.active_scenes),
        tuple(_queue(rule) for rule in first.rules),
        tuple(section for section in _sections(tables) if section.rows),
    )


def _queue(rule: pb.RuleTable) -> Queue:
    effects = rule.effects
    boxes = [Box("at once", of_needs(effects.needs), "first")]
    boxes += [Box(at_of(step), of_step(step), _kind(step)) for step in effects.steps]
    boxes += [Box(of_queue_condition(each.when), of_needs(each.needs), "full") for each in effects.overlays]
    return Queue(rule.name, _for_whom(rule), rule.why, tuple(boxes), rule.dormant)


def _kind(step: pb.StepTable) -> str:
    if step.overflow_to or step.move_to:
        return "leaves"
    return "alert" if step.alert else "later"


def _for_whom(rule: pb.RuleTable) -> str:
    return of_condition(rule.when) if rule.HasField("when") else "everyone else"


def _rule(rule: pb.RuleTable) -> Row:
    said = f"{rule.why} (asleep until a scene wakes it)" if rule.dormant else rule.why
    return Row(rule.name, _for_whom(rule), tuple(of_effects(rule.effects)), said)


def _sections(tables: pb.CompiledPolicy) -> Iterator[Section]:
    for place, layer in enumerate(tables.layers):
        kind = "all that hold apply" if layer.every else "the first that holds applies"
        yield Section(layer.name, f"{'the queues; ' if place == 0 else ''}{kind}", tuple(map(_rule, layer.rules)))
    defaults = tuple(of_effects(tables.defaults))
    yield Section("Defaults", "what no rule gave", (Row("defaults", "", defaults, ""),) if defaults else ())
    clocks = (Row(c.name, f"from {c.starts} to {c.stops}", _clock(c), "") for c in tables.clocks)
    yield Section("Clocks", "what is promised; hard ones go before targets", tuple(clocks))
    yield Section(
        "Goals", "what figures are held against", tuple(Row(g.name, g.clock, _goal(g), "") for g in tables.goals)
    )
    reserves = (Row(r.name, r.skill.skill, (("released", of_queue_condition(r.open)),), "") for r in tables.reserves)
    yield Section("Reserves", "agents kept from everyone until released", tuple(reserves))
    yield Section("Scenes", "switched on as a whole, and off again", tuple(map(_scene, tables.scenes)))
    by = (Row(t.name, f"by {t.attribute}", (("at most", f"{t.keys_max:,} keys"),), "") for t in tables.tables)
    yield Section("Tables of the hour", "changed while the policy stands", tuple(by))
    channels = (
        Row(c.name, f"{c.cost} units a ticket", (("at most", f"{c.limit} an agent"),), "") for c in tables.channels
    )
    yield Section("Channels", "", tuple(channels))


def _clock(clock: pb.ClockTable) -> tuple[tuple[str, str], ...]:
    return (("kind", "hard" if clock.hard else "target"), *((("pause", "never"),) if clock.unpausable else ()))


def _goal(goal: pb.GoalTable) -> tuple[tuple[str, str], ...]:
    if goal.mean_ms:
        return (("mean", ago(goal.mean_ms)),)
    return ((f"{goal.share_milli / 10:g} %", f"within {ago(goal.within_ms)}"),)


def _scene(scene: pb.SceneTable) -> Row:
    gives = []
    for change in scene.changes:
        rule = f"{change.layer}.{change.rule}" if change.layer else "defaults"
        said = "; ".join(f"{word}: {it}" for word, it in of_effects(change.effects))
        gives.append((rule, "wakes" if change.wake else said or f"no {', '.join(change.fields)}"))
    return Row(scene.name, "", tuple(gives), scene.why)


# --- SVG --------------------------------------------------------------------------------------------------------------

_COLOURS = {"first": "#d7ecd9", "later": "#e3ecf7", "alert": "#fbe8cf", "leaves": "#f6d5d5", "full": "#ece3f5"}
_LEGEND = (("first", "at once"), ("later", "others help"), ("alert", "somebody is told"), ("leaves", "it leaves"),
           ("full", "while the queue is too full"))  # fmt: skip
_NAME_PX, _BOX_PX, _GAP_PX, _LINE_PX, _CHARS = 250, 210, 26, 15, 33


def svg(compiled: bytes) -> str:
    """The queues as a graph: each in a row, with who serves it, from left to right as time goes by."""
    return _svg(drawn(compiled))


def _svg(picture: Picture) -> str:
    widest = max((len(queue.boxes) for queue in picture.queues), default=1)
    width = _NAME_PX + widest * (_BOX_PX + _GAP_PX)
    parts, y = [], 64
    for queue in picture.queues:
        row, height = _row(queue, y)
        parts.append(row)
        y += height + 14
    on = f" · on: {', '.join(picture.scenes)}" if picture.scenes else ""
    head = f'<text x="8" y="24" class="t">{escape(picture.title)}{escape(on)}</text>'
    for place, (kind, said) in enumerate(_LEGEND):
        x = 8 + 190 * place
        head += f'<rect x="{x}" y="36" width="12" height="12" rx="2" fill="{_COLOURS[kind]}" stroke="#889"/>'
        head += f'<text x="{x + 18}" y="46">{said}</text>'
    style = (
        "text{font:12px system-ui,sans-serif;fill:#223}.t{font-size:17px;font-weight:600}.n{font-weight:600}"
        ".w{fill:#667;font-size:11px}.z{opacity:.45}"
    )
    frame = f'viewBox="0 0 {width} {y}" width="{width}" height="{y}" role="img"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {frame} aria-label="{escape(picture.title)}"><style>{style}</style>'
        '<defs><marker id="a" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 8 4 0 8z" fill="#889"/></marker></defs>'
        f'<rect width="100%" height="100%" fill="#fff"/>{head}{"".join(parts)}</svg>\n'
    )


def _row(queue: Queue, y: int) -> tuple[str, int]:
    """A queue's row at `y`, and its height."""
    told = [wrap(box.who, _CHARS) or [""] for box in queue.boxes]
    asked = wrap(queue.when, 40)
    height = 34 + _LINE_PX * max(len(asked), *map(len, told))
    found = [_text(8, y + 18, queue.name + (" (asleep)" if queue.asleep else ""), "n")]
    found += [_text(8, y + 34 + _LINE_PX * line, said, "w") for line, said in enumerate(asked)]
    for place, (box, lines) in enumerate(zip(queue.boxes, told, strict=True)):
        x = _NAME_PX + place * (_BOX_PX + _GAP_PX)
        if place:
            dashed = ' stroke-dasharray="3 3"' if box.kind == "full" else ""
            path = f'd="M{x - _GAP_PX} {y + height // 2}H{x - 2}" stroke="#889" fill="none"{dashed}'
            found.append(f'<path {path} marker-end="url(#a)"/>')
        size = f'x="{x}" y="{y}" width="{_BOX_PX}" height="{height}" rx="6"'
        found.append(f'<rect {size} fill="{_COLOURS[box.kind]}" stroke="#889"/>')
        found.append(_text(x + 8, y + 16, wrap(box.when, _CHARS + 3)[0], "w"))
        found += [_text(x + 8, y + 33 + _LINE_PX * line, said, "b") for line, said in enumerate(lines)]
    group = '<g class="z">' if queue.asleep else "<g>"
    return f"{group}<title>{escape(queue.why)}</title>{''.join(found)}</g>", height


def _text(x: int, y: int, said: str, style: str) -> str:
    return f'<text x="{x}" y="{y}" class="{style}">{escape(said)}</text>'


# --- HTML -------------------------------------------------------------------------------------------------------------

_STYLE = """
body{font:15px/1.45 system-ui,sans-serif;color:#223;margin:2rem auto;max-width:76rem;padding:0 1rem}
h1{font-size:1.6rem}h2{font-size:1.15rem;margin:2rem 0 .3rem}.note{color:#667;margin:0 0 .5rem}
table{border-collapse:collapse;width:100%}
td,th{border-top:1px solid #dde;padding:.4rem .6rem;text-align:left;vertical-align:top}
th{font-weight:600;white-space:nowrap}
dl{margin:0;display:grid;grid-template-columns:max-content 1fr;gap:.1rem .8rem}
dt{color:#667}dd{margin:0}.why{color:#667;font-style:italic}
.graph{overflow-x:auto;border:1px solid #dde;border-radius:8px}
"""
_GUIDE = "Each row is a queue: for whom it is, who serves it at once, and whom else as a ticket waits."


def html(compiled: bytes) -> str:
    """One page: the graph of the queues, then a table a layer."""
    picture = drawn(compiled)
    on = f"<p>Scenes that are on: <b>{escape(', '.join(picture.scenes))}</b></p>" if picture.scenes else ""
    body = "".join(_section(section) for section in picture.sections)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(picture.title)}</title>'
        f"<style>{_STYLE}</style></head><body>\n<h1>{escape(picture.title)}</h1>{on}"
        f'<p class="note">{_GUIDE}</p>'
        f'<div class="graph">{_svg(picture)}</div>\n{body}</body></html>\n'
    )


def _section(section: Section) -> str:
    rows = "".join(
        f"<tr><th>{escape(row.name)}</th><td>{escape(row.when)}</td><td>{_list(row.gives)}</td>"
        f'<td class="why">{escape(row.why)}</td></tr>\n'
        for row in section.rows
    )
    note = f'<p class="note">{escape(section.note)}</p>' if section.note else ""
    return f"<h2>{escape(section.title)}</h2>{note}\n<table>{rows}</table>\n"


def _list(gives: Iterable[tuple[str, str]]) -> str:
    return f"<dl>{''.join(f'<dt>{escape(word)}</dt><dd>{escape(said)}</dd>' for word, said in gives)}</dl>"
