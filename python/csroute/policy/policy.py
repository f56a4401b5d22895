"""A policy: its layers, with all that they speak of, and the cases that it must meet.

`check` says what is wrong, `compile` makes the bytes that the engine is given. Both only read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol

from csroute.errors import CsrouteError
from csroute.policy.attributes import Attributes, Fact
from csroute.policy.clocks import Clock, Goal, clocks_of, goals_of
from csroute.policy.conditions import Reserve, reserves_of
from csroute.policy.durations import Duration, minutes, seconds
from csroute.policy.layers import Layer, Otherwise, Rule, rules_of
from csroute.policy.origin import Origin, here
from csroute.policy.scenes import Change, Dates, Scene, changed, scenes_of
from csroute.policy.skills import Skills
from csroute.policy.tables import Table, Tables, tables_of

__all__ = ["Cap", "Case", "Channel", "Expectation", "Fairness", "Finding", "Limits", "Policy", "PolicyError"]


Hour = Mapping[Table[Any], Mapping[str, str]]
"""What tables hold: a value a key."""


class AgentLike(Protocol):
    """What a roster says of an agent: `AgentSpec` does, and so may rows of one's own."""

    @property
    def skills(self) -> Mapping[str, int] | Iterable[tuple[str, int]]:
        """Levels by skill."""

    @property
    def channels(self) -> Mapping[str, int] | Iterable[str]:
        """Those open; none: all."""


@dataclass(frozen=True)
class Channel:
    """A channel: what one of its tickets costs (in units, where no rule says), and how many an agent may hold."""

    cost: int
    limit: int


@dataclass(frozen=True)
class Cap:
    """How many tickets may wait for each value of an attribute: one merchant's flood is not everyone's."""

    by: Fact[str]
    waiting_max: int
    of: Mapping[str, int] = field(default_factory=dict)
    """Values with a cap of their own."""


@dataclass(frozen=True)
class Fairness:
    """What is promised to those at the back."""

    overtaken_max: Duration
    """Nobody is overtaken by anyone who arrives this much later, in any scene."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The engine's bounds for this tenant; None: the engine's own default."""

    waiting_max: int | None = None
    classes_max: int | None = None
    agents_max: int | None = None
    sessions_max: int | None = None
    closed_max: int | None = None
    closed_keep: Duration | None = None
    """How long an ended ticket's id is remembered."""
    owner_max: int | None = None
    """Customers whose agent is remembered (see Affinity.owner); past it the longest unrenewed goes."""
    caps: Sequence[Cap] = ()


@dataclass(frozen=True)
class Finding:
    """Something that `check` found: where, what is wrong, and what would be right."""

    origin: Origin
    subject: str
    """The rule and its field, or whatever else it is about."""
    message: str
    warning: bool = False

    def __str__(self) -> str:
        return f"{self.origin}: {'warning: ' if self.warning else ''}{self.subject}: {self.message}"


class PolicyError(CsrouteError):
    """A policy that cannot be used. Its text is one finding a line."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        super().__init__("\n".join(map(str, findings)))
        self.findings = tuple(findings)


@dataclass(frozen=True, kw_only=True, eq=False)
class Policy:
    """How tickets find agents. See the package for an example.

    Durations: `lost_grace`: active tickets of an agent who went offline wait so long for the same agent;
    `suspend`: how long a suspended ticket keeps its place; `short_abandon`: tickets abandoned sooner do not count in
    the service level; `answer_target`: answered within this is met, for tickets without a clock from arrival to an
    answer.
    """

    name: str = field(kw_only=False)
    attributes: type[Attributes]
    skills: type[Skills]
    layers: Sequence[type[Layer]]
    channels: Mapping[str, Channel]
    clocks: type | None = None
    reserves: type | None = None
    scenes: type | None = None
    tables: type[Tables] | None = None
    defaults: Otherwise = field(default_factory=Otherwise)
    limits: Limits = Limits()
    fairness: Fairness | None = None
    dates: Dates = Dates()  # noqa: RUF009 - a value
    lost_grace: Duration = seconds(30)  # noqa: RUF009
    suspend: Duration = minutes(5)  # noqa: RUF009
    short_abandon: Duration = seconds(5)  # noqa: RUF009
    answer_target: Duration = seconds(30)  # noqa: RUF009
    changes: tuple[Change, ...] = ()
    """What `but` changed."""
    active: tuple[Scene, ...] = ()
    """The scenes that `under` switched on."""
    cases: list[Case] = field(default_factory=list, init=False, repr=False)
    origin: Origin = field(default_factory=here, init=False, repr=False)

    def case(self, ticket: Attributes, *, hour: Hour | None = None, under: Sequence[Scene] = ()) -> Case:
        """A ticket of which something must hold; `check` tries it.

        Args:
            ticket: what it says of itself.
            hour: what the tables hold then.
            under: the scenes that are on then.
        """
        if not isinstance(ticket, self.attributes):
            raise TypeError(f"a case of {self.name} is a {self.attributes.__name__}, not {ticket!r}")
        case = Case(self, ticket, dict(hour or {}), self.under(*under) if under else self)
        self.cases.append(case)
        return case

    def under(self, *scenes: Scene) -> Policy:
        """The same policy with these scenes switched on, and no others. It has no cases of its own."""
        for scene in scenes:
            if scene not in self.declared_scenes():
                raise ValueError(f"{scene!r} is no scene of {self.name}: declare it in the class given as scenes=")
        active = tuple(scene for scene in self.declared_scenes() if scene in scenes)
        return self._like(replace(self, active=active))

    def but(self, *changes: Change, name: str) -> Policy:
        """A variant, for another tenant: the same policy with these changes. It has no cases: state its own."""
        return replace(self, changes=(*self.changes, *changes), name=name)

    def _like(self, other: Policy) -> Policy:
        object.__setattr__(other, "origin", self.origin)
        return other

    def rules(self, layer: type[Layer]) -> tuple[Rule | Otherwise, ...]:
        """A layer's rules as they are now: with what variants and active scenes changed."""
        return tuple(self.now(rule) for rule in rules_of(layer))

    def now(self, rule: Rule | Otherwise) -> Rule | Otherwise:
        """A rule of a layer as it is now."""
        return self._now.get(rule, rule)

    @property
    def otherwise(self) -> Otherwise:
        """The defaults as they are now."""
        return changed(self.defaults, self._changes)

    @cached_property
    def _changes(self) -> tuple[Change, ...]:
        return (*self.changes, *(change for scene in self.active for change in scene.changes))

    @cached_property
    def _now(self) -> Mapping[Rule | Otherwise, Rule | Otherwise]:
        rules = dict.fromkeys(change.rule for change in self._changes)
        return {rule: changed(rule, self._changes) for rule in rules}

    def check(
        self, *, roster: Iterable[AgentLike] = (), traffic: Iterable[Attributes] = (), applying: bool = False
    ) -> list[Finding]:
        """Everything wrong (`warning` False) or doubtful (True) with this policy, its cases included.

        Args:
            roster: agents: what none of them can serve is found too.
            traffic: tickets as they come: what nobody can serve is told by its share of them.
            applying: a policy that is to be applied states cases.
        """
        from csroute.policy.check import check  # noqa: PLC0415 - it reads policies

        return check(self, roster=roster, traffic=traffic, applying=applying)

    def compile(self) -> bytes:
        """The engine's tables as bytes: the same policy, the same bytes. PolicyError with all that is wrong."""
        from csroute.policy.compile import compile_policy  # noqa: PLC0415 - it reads policies

        errors = [finding for finding in self.check() if not finding.warning]
        if errors:
            raise PolicyError(errors)
        return compile_policy(self)

    def declared_clocks(self) -> tuple[Clock, ...]:
        """The clocks, in order."""
        return clocks_of(self.clocks)

    def declared_goals(self) -> tuple[Goal, ...]:
        """The goals, in order."""
        return goals_of(self.clocks)

    def declared_reserves(self) -> tuple[Reserve, ...]:
        """The reserves, in order."""
        return reserves_of(self.reserves)

    def declared_scenes(self) -> tuple[Scene, ...]:
        """The scenes, in order: of two that say different things, the later wins."""
        return scenes_of(self.scenes)

    def declared_tables(self) -> Mapping[str, Table[str]]:
        """The tables of the hour's facts, in order."""
        return tables_of(self.tables)


@dataclass(frozen=True)
class Expectation:
    """One thing said of a case: exactly one of `gets` and `other` is there."""

    origin: Origin
    gets: tuple[Rule | Otherwise, ...] = ()
    other: Case | None = None
    waited: Duration = seconds(0)  # noqa: RUF009 - a value
    ahead: bool = True


@dataclass(eq=False)
class Case:
    """A ticket and what must hold of it; each method says one more thing and returns the case."""

    policy: Policy = field(repr=False)
    ticket: Attributes
    hour: Hour = field(repr=False)
    now: Policy = field(repr=False)
    """The policy with the scenes that are on."""
    expectations: list[Expectation] = field(default_factory=list, init=False, repr=False)
    origin: Origin = field(default_factory=here, init=False, repr=False)

    def gets(self, *rules: Rule | Otherwise) -> Case:
        """These rules apply to it, among others."""
        self.expectations.append(Expectation(here(), gets=rules))
        return self

    def beats(self, other: Case, *, waited: Duration = seconds(0)) -> Case:  # noqa: B008 - a value
        """Arriving now, it goes before the other, which has waited so long."""
        return self._against(other, waited, ahead=True)

    def yields_to(self, other: Case, *, waited: Duration = seconds(0)) -> Case:  # noqa: B008 - a value
        """Arriving now, it goes after the other, which has waited so long."""
        return self._against(other, waited, ahead=False)

    def _against(self, other: Case, waited: Duration, *, ahead: bool) -> Case:
        if other.policy is not self.policy or other.now.active != self.now.active:
            raise ValueError(f"a case stands against one of the same policy under the same scenes, not {other!r}")
        self.expectations.append(Expectation(here(), other=other, waited=waited, ahead=ahead))
        return self
