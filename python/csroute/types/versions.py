"""Policies as they follow each other. Documented field by field in `version.proto`.

>>> change = ShiftHeadStart("Rank.vip", 120_000, relative=True)
>>> override_request([change], duration_ms=900_000, why="the queue is long").changes[0].head_start.rule
'Rank.vip'
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from csroute.types.mirror import Mirror, Unknown
from csroute.v1 import version_pb2

__all__ = [
    "Change",
    "Difference",
    "Installed",
    "Override",
    "OverrideChange",
    "PlannedVersion",
    "SceneState",
    "ShiftHeadStart",
    "ShiftReserve",
    "ShiftSkill",
    "ShiftStep",
    "TableSet",
    "Version",
    "VersionCause",
    "VersionPage",
    "VersionTables",
    "apply_request",
    "override_request",
    "rollback_request",
    "scene_request",
    "table_request",
]


class VersionCause(IntEnum):
    """Why a version came."""

    UNSPECIFIED = 0
    START = 1
    APPLY = 2
    SCENE = 3
    ROLLBACK = 4
    OVERRIDE = 5
    OVERRIDE_OVER = 6
    DATE = 7


@dataclass(frozen=True, slots=True)
class Version(Mirror[version_pb2.Version]):
    """What was installed, when, by whom and why. `hash`: of the tables in force; events call it policy_version."""

    number: int
    hash: int
    installed_us: int
    by: str
    why: str
    cause: VersionCause
    name: str
    label: str
    bytes: int
    source_bytes: int
    scenes: tuple[str, ...]
    overrides: tuple[int, ...]
    of: int
    reclassified: int


@dataclass(frozen=True, slots=True)
class Difference(Mirror[version_pb2.Difference]):
    """One thing that differs. Of what came new there is no `old`, of what is gone no `new`."""

    where: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class PlannedVersion(Mirror[version_pb2.PlannedVersion]):
    """What will follow by itself."""

    at_us: int
    hash: int
    cause: VersionCause
    what: str


@dataclass(frozen=True, slots=True)
class ShiftHeadStart(Mirror[version_pb2.OverrideChange.HeadStart]):
    """A rule's head start ("Rank.vip", or "vip"), or that of each rule of a layer; `relative`: added to what it is."""

    rule: str
    head_start_ms: int
    relative: bool = False


@dataclass(frozen=True, slots=True)
class ShiftStep(Mirror[version_pb2.OverrideChange.Step]):
    """A rule's step (from 1): another age, another boost. None: as it is."""

    rule: str
    step: int
    age_ms: int | None = None
    boost_ms: int | None = None


@dataclass(frozen=True, slots=True)
class ShiftReserve(Mirror[version_pb2.OverrideChange.Reserve]):
    """A reserve that is released as soon as one ticket waits, or kept however long they do."""

    reserve: str
    released: bool


@dataclass(frozen=True, slots=True)
class ShiftSkill(Mirror[version_pb2.OverrideChange.Skill]):
    """Agents with the skill `group`, at `level`, may take whatever needs the skill `may`."""

    group: str
    may: str
    level: int = 1


Change = ShiftHeadStart | ShiftStep | ShiftReserve | ShiftSkill
"""One thing that an override changes."""


@dataclass(frozen=True, slots=True)
class OverrideChange(Mirror[version_pb2.OverrideChange]):
    """A change, as an override holds it."""

    change: ShiftHeadStart | ShiftStep | ShiftReserve | ShiftSkill | Unknown


@dataclass(frozen=True, slots=True)
class Override(Mirror[version_pb2.Override]):
    """A change that ends by itself. `number`: of the version that began it."""

    number: int
    changes: tuple[OverrideChange, ...]
    since_us: int
    until_us: int
    by: str
    why: str
    reclassify: bool


@dataclass(frozen=True, slots=True)
class SceneState(Mirror[version_pb2.SceneState]):
    """A scene of the policy in force. Dates in Unix µs; 0: open."""

    name: str
    why: str
    on: bool
    starts_us: int
    ends_us: int


@dataclass(frozen=True, slots=True)
class Installed(Mirror[version_pb2.InstallReply]):
    """What an apply, a scene, a rollback or an override came to; of a dry run: would come to.

    `waiting`, `changed`, `unfit`: a dry run's count of tickets that wait, that would change their class, and that have
    no place in the policy. `replayed`: it is in force already. `left`: tickets still to be classified again, at most.
    """

    version: Version | None
    differences: tuple[Difference, ...]
    differences_more: int
    planned: tuple[PlannedVersion, ...]
    overrides_ended: tuple[int, ...]
    waiting: int
    changed: int
    unfit: int
    dry_run: bool
    replayed: bool
    sequence: int
    left: int


@dataclass(frozen=True, slots=True)
class VersionPage(Mirror[version_pb2.ListVersionsReply]):
    """Versions, newest first; and what stands and follows."""

    versions: tuple[Version, ...]
    next_page_token: str
    current: int
    overrides: tuple[Override, ...]
    planned: tuple[PlannedVersion, ...]
    scenes: tuple[SceneState, ...]
    kept: int
    kept_bytes: int


@dataclass(frozen=True, slots=True)
class VersionTables(Mirror[version_pb2.GetVersionReply]):
    """A version with its compiled tables (scenes switched on, overrides made), and the source of the applied policy."""

    version: Version | None
    policy: bytes
    source: str


@dataclass(frozen=True, slots=True)
class TableSet(Mirror[version_pb2.SetTableReply]):
    """What a table's change came to. `left`: tickets still to be classified again, at most."""

    keys: int
    replayed: bool
    reclassified: int
    left: int
    sequence: int


def table_request(
    table: str, facts: Mapping[str, str], *, replace: bool = False, reclassify: bool = False, why: str = ""
) -> version_pb2.SetTableRequest:
    """The message that fills a table."""
    entries = [version_pb2.TableEntry(key=key, value=value) for key, value in facts.items()]
    return version_pb2.SetTableRequest(table=table, entries=entries, replace=replace, reclassify=reclassify, why=why)


def _terms(why: str, expected: int | None, reclassify: bool, dry_run: bool) -> dict[str, Any]:
    return {"why": why, "expected": expected, "reclassify": reclassify, "dry_run": dry_run}


def apply_request(
    policy: bytes,
    *,
    source: str = "",
    label: str = "",
    why: str = "",
    expected: int | None = None,
    reclassify: bool = False,
    dry_run: bool = False,
) -> version_pb2.ApplyRequest:
    """The message of an apply."""
    terms = _terms(why, expected, reclassify, dry_run)
    return version_pb2.ApplyRequest(policy=policy, source=source, label=label, **terms)


def scene_request(
    scenes: Iterable[str],
    *,
    why: str = "",
    expected: int | None = None,
    reclassify: bool = False,
    dry_run: bool = False,
) -> version_pb2.ActivateSceneRequest:
    """The message that switches scenes."""
    return version_pb2.ActivateSceneRequest(scenes=list(scenes), **_terms(why, expected, reclassify, dry_run))


def rollback_request(
    number: int, *, why: str = "", expected: int | None = None, reclassify: bool = False, dry_run: bool = False
) -> version_pb2.RollbackRequest:
    """The message of a rollback."""
    return version_pb2.RollbackRequest(number=number, **_terms(why, expected, reclassify, dry_run))


def override_request(
    changes: Iterable[Change] = (),
    *,
    duration_ms: int = 0,
    undo: int = 0,
    why: str = "",
    expected: int | None = None,
    reclassify: bool = False,
    dry_run: bool = False,
) -> version_pb2.OverrideRequest:
    """The message of an override, or of its end."""
    return version_pb2.OverrideRequest(
        changes=[OverrideChange(change).to_wire() for change in changes],
        duration_ms=duration_ms,
        undo=undo,
        **_terms(why, expected, reclassify, dry_run),
    )
