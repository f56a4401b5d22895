"""What an agent gateway does in its session: written once, for `Session` and `AsyncSession`.

What the work stream yields is answered whole: `session.accept(offer)`, `session.complete(assignment)`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from csroute.client.calls import Ask, Calls, both
from csroute.types import Action, ActionResult, Presence, Requirement

if TYPE_CHECKING:
    from collections.abc import Iterable

    from csroute.client.work import Assignment, Offer
    from csroute.errors import RejectedError

__all__ = ["SessionCalls"]


class SessionCalls:
    """The agent's side of the wire, for one session."""

    name: str

    @both
    def login(self, agent: str, presence: Presence = Presence.AVAILABLE, reason: str = "") -> Ask[ActionResult]:
        """The agent belongs to this session now. StateError (SUPERSEDED) if a newer session has the agent."""
        return Calls.login.ask(self.name, agent, presence, reason)

    @both
    def set_presence(self, agent: str, presence: Presence, reason: str = "") -> Ask[ActionResult]:
        """Whether the agent takes work, and why."""
        return Calls.set_presence.ask(self.name, agent, presence, reason)

    @both
    def accept(self, offer: Offer, context: bytes = b"") -> Ask[ActionResult]:
        """The agent takes the offer; `context` goes to the ticket's side."""
        return Calls.accept.ask(offer.ticket, offer.attempt, context)

    @both
    def decline(self, offer: Offer, reason: str = "") -> Ask[ActionResult]:
        """The agent refuses the offer."""
        return Calls.decline.ask(offer.ticket, offer.attempt, reason)

    @both
    def complete(self, work: Offer | Assignment, outcome: str = "", context: bytes = b"") -> Ask[ActionResult]:
        """The work is done (an offer's: after it was accepted)."""
        return Calls.complete.ask(work.ticket, work.attempt, outcome, context)

    @both
    def transfer(
        self,
        work: Offer | Assignment,
        *,
        agent: str = "",
        queue: str = "",
        requirement: Requirement | None = None,
    ) -> Ask[ActionResult]:
        """Hands the ticket on: to exactly one of an agent, a queue, a requirement."""
        return Calls.transfer.ask(work.ticket, work.attempt, agent=agent, queue=queue, requirement=requirement)

    @both
    def mark(self, work: Offer | Assignment, moment: str) -> Ask[ActionResult]:
        """A moment came that the policy's clocks name: first_reply, …"""
        return Calls.mark.ask(work.ticket, work.attempt, moment)

    @both
    def end_wrap_up(self, work: Offer | Assignment) -> Ask[ActionResult]:
        """The agent has written it up and is free again."""
        return Calls.end_wrap_up.ask(work.ticket, work.attempt)

    @both
    def act(self, actions: Iterable[Action]) -> Ask[list[ActionResult | RejectedError]]:
        """Up to 4096 actions in one call: one result each, in order."""
        return Calls.act.ask(actions)
