"""A policy: its layers, with all that they speak of, and the cases that it must meet.

`check` says what is wrong, `compile` makes the bytes that the engine is given. Both only read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from csroute.errors import CsrouteError
from csroute.policy.attributes import Attributes
from csroute.policy.clocks import Clock, clocks_of
from csroute.policy.durations import Duration, minutes, seconds
from csroute.policy.layers import Layer, Otherwise, Rule
from csroute.policy.origin import Origin, here
from csroute.policy.skills import Skills

__all__ = ["Case", "Channel", "Expectation", "Finding", "Limits", "Policy", "PolicyError"]


@dataclass(frozen=True)
class Channel:
    """A channel: what one of its tickets costs (in units, where no rule says), and how many an agent may hold."""

    cost: int
    limit: int


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
    defaults: Otherwise = field(default_factory=Otherwise)
    limits: Limits = Limits()
    lost_grace: Duration = seconds(30)  # noqa: RUF009
    suspend: Duration = minutes(5)  # noqa: RUF009
    short_abandon: Duration = seconds(5)  # noqa: RUF009
    answer_target: Duration = seconds(30)  # noqa: RUF009
    cases: list[Case] = field(default_factory=list, init=False, repr=False)
    origin: Origin = field(default_factory=here, init=False, repr=False)

    def case(self, ticket: Attributes) -> Case:
        """A ticket of which something must hold; `check` tries it."""
        if not isinstance(ticket, self.attributes):
            raise TypeError(f"a case of {self.name} is a {self.attributes.__name__}, not {ticket!r}")
        case = Case(self, ticket)
        self.cases.append(case)
        return case

    def check(self) -> list[Finding]:
        """Everything wrong (`warning` False) or doubtful (True) with this policy, its cases included."""
        from csroute.policy.check import check  # noqa: PLC0415 - it reads policies

        return check(self)

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
        if other.policy is not self.policy:
            raise ValueError(f"a case of {self.policy.name} stands against one of the same policy, not {other!r}")
        self.expectations.append(Expectation(here(), other=other, waited=waited, ahead=ahead))
        return self
