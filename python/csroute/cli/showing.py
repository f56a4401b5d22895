"""A policy, and a ticket that was tried, as a person sees them in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from csroute.policy.words import ago

if TYPE_CHECKING:
    from csroute.policy.attributes import Attributes
    from csroute.policy.picture import Picture, Section
    from csroute.policy.trial import Trial

__all__ = ["rendered", "tried"]

_STYLES = {"first": "green", "later": "cyan", "alert": "yellow", "leaves": "red", "full": "magenta"}


def rendered(picture: Picture) -> RenderableType:
    """The queues as a tree, as time goes by; then a table a layer."""
    on = f" · on: {', '.join(picture.scenes)}" if picture.scenes else ""
    tree = Tree(Text(f"{picture.title}{on}", style="bold"))
    for queue in picture.queues:
        name = Text.assemble((queue.name, "bold"), f" · {queue.when}", (" · asleep" if queue.asleep else "", "dim"))
        branch = tree.add(name, style="dim" if queue.asleep else "")
        for box in queue.boxes:
            branch.add(Text.assemble((f"{box.when}: ", "dim"), (box.who, _STYLES[box.kind])))
    return Group(tree, *(_section(section) for section in picture.sections))


def _section(section: Section) -> Table:
    table = Table(
        title=Text(section.title, style="bold"), title_justify="left", caption=section.note, show_header=False
    )
    table.caption_justify = "left"
    table.add_column(style="bold", no_wrap=True)
    for ratio in (2, 4, 2):
        table.add_column(ratio=ratio)
    for row in section.rows:
        gives = Text("\n").join(Text.assemble((f"{word}: ", "dim"), said) for word, said in row.gives)
        table.add_row(row.name, Text(row.when), gives, Text(row.why, style="italic dim"))
    return table


def tried(ticket: Attributes, played: Trial, roster: int) -> RenderableType:
    """What a ticket got, and what became of it while nobody was free."""
    why = played.explanation
    rules = Table.grid(padding=(0, 2))
    for hit in why.rules:
        rules.add_row(Text(f"{hit.layer}.{hit.rule}", style="bold"), Text(hit.why, style="italic dim"))
    head = Text(f"class {why.ticket.class_path}, queue {why.ticket.queue}")
    clocks = ", ".join(f"{clock.clock} {ago(clock.target_ms)}" for clock in why.ticket.clocks)
    table = Table(expand=True)
    for name, ratio in (("after", 2), ("what happens", 3), ("for whom", 7), ("able, all free", 3), ("first", 2)):
        table.add_column(name, ratio=ratio, overflow="fold")
    before = ""
    for moment in played.moments:
        able = f"{moment.able:,} of {roster:,}" if roster and moment.needs else ""
        needs = "as before" if moment.needs == before else moment.needs
        before = moment.needs
        stands = f"\nstands at {ago(moment.urgency_ms)}" if moment.needs else ""
        said = Text.assemble("\n".join(moment.said), (stands, "dim"))
        table.add_row(ago(moment.at_ms), said, Text(needs), able, moment.first)
    promised = Text(f"clocks: {clocks}" if clocks else "no clocks")
    group = Group(head, promised, Text(), rules, Text(), table, Text(played.outcome))
    return Panel(group, title=Text(repr(ticket)), title_align="left", expand=False)
