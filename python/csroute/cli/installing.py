"""Versions of a policy in a terminal: the list, the preview, what was done; and a policy made ready."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from csroute.cli.overriding import said
from csroute.errors import ConfigError
from csroute.policy import PolicyError
from csroute.types import Installed, Override, Version, VersionPage
from csroute.v1 import policy_pb2

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["done", "listed", "overrides", "preview", "ready", "scenes"]

_SHOWN = 40
"""Differences that a preview shows."""


def ready(policy: str, on: Sequence[str], roster: str | None) -> tuple[bytes, str]:
    """A policy's compiled bytes and source, checked as for applying. PolicyError or ConfigError: what is wrong."""
    from csroute.cli.sources import policy_of, roster_of, scenes_of  # noqa: PLC0415 - only this one needs policies
    from csroute.policy.switch import switch  # noqa: PLC0415

    path = Path(policy)
    if path.is_file() and path.suffix != ".py":
        compiled = path.read_bytes()
        if not policy_pb2.CompiledPolicy.FromString(compiled).cases:
            raise ConfigError(f"policy {policy}: it was compiled without a case; state some, and compile it again")
        return (switch(compiled, on) if on else compiled), ""
    found = policy_of(policy)
    wrong = [each for each in found.check(roster=roster_of(roster), applying=True) if not each.warning]
    if wrong:
        raise PolicyError(wrong)
    source = path.read_text(encoding="utf-8") if path.is_file() else ""
    return found.under(*scenes_of(found, on)).compile() if on else found.compile(), source


def _at(at_us: int) -> str:
    return datetime.fromtimestamp(at_us / 1e6, UTC).astimezone().isoformat(sep=" ", timespec="seconds")


def _cause(version: Version) -> str:
    word = version.cause.name.lower().replace("_", " ")
    return f"{word} {version.of}" if version.of else word


def listed(page: VersionPage) -> RenderableType:
    """The versions, then what stands and follows."""
    if not page.current:
        return Text("No policy was installed yet: csroute policy apply POLICY")
    table = Table(title=f"version {page.current} is in force; {page.kept} kept, {page.kept_bytes:,} bytes")
    for name in ("version", "when", "who", "what", "policy", "scenes", "bytes", "why"):
        table.add_column(name, overflow="fold", justify="right" if name in ("version", "bytes") else "left")
    for version in page.versions:
        table.add_row(
            str(version.number),
            _at(version.installed_us),
            version.by,
            _cause(version),
            f"{version.label or version.name} {version.hash:016x}",
            ", ".join(version.scenes),
            f"{version.bytes:,}",
            version.why,
            style="bold" if version.number == page.current else "",
        )
    parts: list[RenderableType] = [table]
    if page.overrides:
        parts.append(overrides(page))
    parts += _planned(page)
    return Group(*parts)


def overrides(page: VersionPage) -> RenderableType:
    """The overrides that stand."""
    if not page.overrides:
        return Text("No override stands.")
    table = Table(title="overrides that stand")
    for name in ("number", "what", "until", "who", "why"):
        table.add_column(name, overflow="fold")
    for each in page.overrides:
        table.add_row(str(each.number), _changes(each), _at(each.until_us), each.by, each.why)
    return Group(table, Text("csroute override --undo NUMBER ends one now", style="dim"))


def _changes(override: Override) -> str:
    return "; ".join(said(each.change) for each in override.changes)


def scenes(page: VersionPage) -> RenderableType:
    """The scenes of the policy in force."""
    if not page.scenes:
        return Text("The policy in force has no scenes.")
    table = Table(title="scenes")
    for name in ("scene", "", "dates", "why"):
        table.add_column(name, overflow="fold")
    for each in page.scenes:
        dates = " … ".join(_at(at) if at else "" for at in (each.starts_us, each.ends_us))
        on = Text("on", style="green") if each.on else Text("off", style="dim")
        table.add_row(each.name, on, dates.strip(" …"), each.why)
    return table


def _planned(found: VersionPage | Installed) -> list[RenderableType]:
    return [Text(f"by itself at {_at(each.at_us)}: {each.what}", style="cyan") for each in found.planned]


def preview(would: Installed, before: VersionPage, what: str) -> RenderableType:
    """What would change."""
    assert would.version is not None  # noqa: S101 - every install names it
    head = f"version {would.version.number}, after {before.current}{f': {what}' if what else ''}"
    parts: list[RenderableType] = [Text(head, style="bold")]
    for each in would.differences[:_SHOWN]:
        style = "green" if not each.old else "red" if not each.new else "yellow"
        arrow = f"{each.old} → {each.new}" if each.old and each.new else each.new or each.old
        sign = "+" if not each.old else "-" if not each.new else "~"
        parts.append(Text(f"{sign} {each.where}: {arrow}", style=style))
    if more := max(len(would.differences) - _SHOWN, 0) + would.differences_more:
        parts.append(Text(f"… and {more} more: csroute policy diff says it in words", style="dim"))
    if not would.differences:
        parts.append(Text("the tables stay as they are"))
    stand = {each.number: each for each in before.overrides}
    ended = [f"override {number}: {_changes(stand[number])}" for number in would.overrides_ended if number in stand]
    parts += [Text(f"ends: {each}", style="yellow") for each in ended]
    parts += _planned(would)
    unfit = f", {would.unfit:,} keep their class: they have no place in it" if would.unfit else ""
    parts.append(Text(f"{would.waiting:,} tickets wait; {would.changed:,} of them would change their class{unfit}"))
    return Group(*parts)


def done(found: Installed) -> RenderableType:
    """What was done, and how to undo it."""
    assert found.version is not None  # noqa: S101 - every install names it
    version = found.version
    moved = f"{version.reclassified:,} tickets changed their class"
    if found.left:
        moved += f" so far, {found.left:,} at most are still looked at"
    told = f"version {version.number} is in force ({version.hash:016x}); {moved}"
    parts: list[RenderableType] = [Text(told, style="green"), *_planned(found)]
    standing = version.cause.name == "OVERRIDE" and not version.of
    back = f"csroute override --undo {version.number}" if standing else f"csroute policy rollback {version.number - 1}"
    if version.number > 1:
        parts.append(Text(f"undo: {back}", style="dim"))
    return Group(*parts)
