"""Skills, and what a ticket asks of an agent.

```python
class S(Skills):
    logistics: Skill
    general: Skill
    trainee: Skill
    lang: Family[Literal["zh", "en"]]      # lang[zh], lang[en]
    brand: Family[str] = family(keys_max=500)   # any text; so many members at most

S.logistics.at_least(2)                    # a level: a >= 2 | b would misparse
S.logistics.at_least(2) | S.general        # any of
(S.logistics | S.general) & S.lang["en"]   # all of such groups
S.general & ~S.trainee                     # none of
S.lang[Ticket.language]                    # the member that the ticket's language names
```

A requirement is and-ed any-of groups, and none-of skills. Other shapes, such as `(a & b) | c`, have no meaning here,
and the types refuse them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from inspect import get_annotations
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Generic,
    Literal,
    NamedTuple,
    NoReturn,
    TypeVar,
    get_args,
    get_origin,
    get_type_hints,
)

from csroute.policy.attributes import Fact
from csroute.policy.limits import LEVEL_MAX

__all__ = ["AnyOf", "Entry", "Family", "Needs", "Skill", "Skills", "Term", "family", "skills_of"]

T = TypeVar("T", bound=str)


class Term(NamedTuple):
    """One skill at a level. With a fact: the family's member which the ticket's value of it names."""

    skill: str
    level: int
    fact: Fact[str] | None
    owner: type[Skills]

    def __str__(self) -> str:
        name = f"{self.skill}[{self.fact!r}]" if self.fact else self.skill
        return f"{name}>={self.level}" if self.level > 1 else name


@dataclass(frozen=True)
class Needs:
    """And-ed any-of groups, and none-of skills."""

    groups: tuple[tuple[Term, ...], ...]
    none_of: tuple[Term, ...] = ()

    def __and__(self, other: Needs) -> Needs:
        return Needs(self.groups + other.groups, self.none_of + other.none_of)

    def __str__(self) -> str:
        groups = [" | ".join(map(str, group)) for group in self.groups]
        return " & ".join([*groups, *(f"~{term}" for term in self.none_of)])

    if not TYPE_CHECKING:  # mypy's truthy-bool refuses `and` and `or` only where it sees no __bool__

        def __bool__(self) -> NoReturn:
            raise TypeError("a requirement is not true or false by itself: join skills with &, | and ~")


class AnyOf(Needs):
    """At least one of these skills."""

    def __or__(self, other: AnyOf) -> AnyOf:
        if not isinstance(other, AnyOf):
            raise TypeError(f"| joins skills, and ({other}) is no skill: a requirement is an `and` of `or`s")
        return AnyOf((self.groups[0] + other.groups[0],))

    def __invert__(self) -> Needs:
        return Needs((), self.groups[0])


class Entry(AnyOf):
    """One skill at a level."""


class Skill(Entry):
    """A declared skill; by itself: at level 1."""

    def at_least(self, level: int) -> Entry:
        """This skill at `level` (1 to 100) or above."""
        if not 1 <= level <= LEVEL_MAX:
            raise ValueError(f"a level is 1 to {LEVEL_MAX}, not {level}")
        return Entry(((self.groups[0][0]._replace(level=level),),))


@dataclass(frozen=True)
class Family(Generic[T]):
    """Skills of one kind, one a key: languages, products, regions."""

    name: str
    keys: tuple[str, ...]
    """Those there are; empty: any text."""
    owner: type[Skills]
    keys_max: int = 0
    """Members at most, where any text is one."""

    def __getitem__(self, key: T | Fact[T]) -> Skill:
        if isinstance(key, Fact):
            foreign = set(key.values) - set(self.keys)
            if self.keys and (foreign or not key.values):
                found = ", ".join(sorted(foreign)) or "any text"
                raise ValueError(f"{key!r} can be {found}, and {self.name} has only {', '.join(self.keys)}")
            return Skill(((Term(self.name, 1, key, self.owner),),))
        if not isinstance(key, str):
            raise TypeError(f"{self.name}[…] takes a text, or the attribute that says it, not {key!r}")
        if self.keys and key not in self.keys:
            raise ValueError(f"{self.name} has no {key!r}: it has {', '.join(self.keys)}")
        return Skill(((Term(f"{self.name}[{key}]", 1, None, self.owner),),))


@dataclass(frozen=True)
class _Open:
    keys_max: int


def family(*, keys_max: int) -> Any:  # noqa: ANN401 - stands where a Family[str] does
    """A family whose members are any texts, at most `keys_max` (1 to 60,000) of them."""
    return _Open(keys_max)


class Skills:
    """The base of a policy's skills. Subclass it once."""

    _skills: ClassVar[Mapping[str, Skill | Family[Any]]] = {}

    def __init_subclass__(cls) -> None:
        skills = dict(cls._skills)
        hints = get_type_hints(cls)
        for name in get_annotations(cls):
            if not name.startswith("_"):
                skills[name] = _declare(cls, name, hints[name], cls.__dict__.get(name))
                setattr(cls, name, skills[name])
        cls._skills = skills


def _declare(owner: type[Skills], name: str, hint: object, default: object) -> Skill | Family[Any]:
    if hint is Skill and default is None:
        return Skill(((Term(name, 1, None, owner),),))
    if get_origin(hint) is Family:
        (keys,) = get_args(hint)
        if keys is str and isinstance(default, _Open):
            return Family(name, (), owner, default.keys_max)
        if keys is str:
            raise TypeError(f"{owner.__name__}.{name}: a family of any text says how many: `= family(keys_max=500)`")
        if get_origin(keys) is Literal and all(isinstance(key, str) and key for key in get_args(keys)):
            return Family(name, get_args(keys), owner)
    raise TypeError(f"{owner.__name__}.{name}: declare it as Skill or Family[Literal[…]], not {hint!r}")


def skills_of(skills: type[Skills]) -> Mapping[str, Skill | Family[Any]]:
    """The declared skills and families by name, in order."""
    return skills._skills
