"""Whether a policy's cases hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from csroute.policy.durations import Duration, seconds
from csroute.policy.evaluate import classify, wait
from csroute.policy.policy import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from csroute.policy.policy import Case, Expectation, Policy

__all__ = ["check_cases"]


def check_cases(policy: Policy) -> Iterator[Finding]:
    """What does not hold of a sound policy's cases."""
    for case in policy.cases:
        for expected in case.expectations:
            other = expected.other
            messages = _gets(case, expected) if other is None else _order(case, expected, other)
            yield from (Finding(expected.origin, f"case {case.ticket!r}", message) for message in messages)


def _gets(case: Case, expected: Expectation) -> Iterator[str]:
    found = classify(case.now, case.ticket, hour=case.hour)
    for rule in expected.gets:
        if case.now.now(rule) not in found.rules:
            yield f"it does not get {rule}; it gets {', '.join(map(str, found.rules))}"


def _order(case: Case, expected: Expectation, other: Case) -> Iterator[str]:
    mine = wait(case.now, case.ticket, seconds(0), hour=case.hour)
    theirs = wait(case.now, other.ticket, expected.waited, hour=other.hour)
    said = f"{'beats' if expected.ahead else 'yields_to'} {other.ticket!r} after {expected.waited}"
    # Of equal urgency the greater seniority goes first; of equal seniority the one that came first: the other.
    ahead = (mine.urgency_milli_us, mine.seniority_us) > (theirs.urgency_milli_us, theirs.seniority_us)
    if theirs.overflow:
        yield f"not {said}: that one has left for {theirs.overflow} by then"
    elif ahead != expected.ahead:
        stands = (Duration(waiting.urgency_milli_us // 1_000_000) for waiting in (mine, theirs))
        yield "not {}: it stands at {}, the other at {}".format(said, *stands)
