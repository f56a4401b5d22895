"""What of a `Router` an operator and a controller use in the middle of a night."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, TypeVar

from google.protobuf.message import Message

from csroute.types import ActionResult, Canary, Live, QueueExplanation, RuleTuning
from csroute.v1 import canary_pb2, explain_pb2, live_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable

    from csroute.router import PolicySource

__all__ = ["Steered"]

R = TypeVar("R", bound=Message)


class Steered(ABC):
    """Queues explained, the live state, tunings, canaries; by one way in, which a `Router` has."""

    @abstractmethod
    def _call(self, name: str, request: Message, reply: type[R]) -> R: ...
    @abstractmethod
    def _action(self, name: str, request: Message) -> ActionResult: ...

    def explain_queue(self, queue: str) -> QueueExplanation:
        """What holds a queue up, and what would help. `print` it."""
        request = explain_pb2.ExplainQueueRequest(queue=queue)
        return QueueExplanation.from_wire(self._call("ExplainQueue", request, explain_pb2.ExplainQueueReply))

    def live(self) -> Live:
        """The live state as tables: what a controller steers by."""
        return Live.from_wire(self._call("GetLive", live_pb2.GetLiveRequest(), live_pb2.GetLiveReply))

    def tune(self, rules: Iterable[RuleTuning], *, lapse_ms: int = 0, policy_version: int = 0) -> ActionResult:
        """Moves these rules' figures, and no others', for so long (0: 10 s), whoever waits included; none: ends it.

        `policy_version`: what it was made for; ConflictError if another policy is installed by now. 0: any.
        """
        wire = [rule.to_wire() for rule in rules]
        request = live_pb2.TuneRequest(rules=wire, lapse_ms=lapse_ms, policy_version=policy_version)
        return self._action("Tune", request)

    def start_canary(
        self,
        policy: PolicySource,
        *,
        share: float = 0.1,
        margin: float = 0.02,
        error: float = 0.01,
        tickets_min: int = 100,
    ) -> ActionResult:
        """Tries a policy on `share` of the tickets, by a hash of the customer, else of the ticket. Whoever waits stays.

        It is behind when its service level is below the policy's by more than `margin`, with an error of `error` over
        all looks, from `tickets_min` tickets of either side on; then `csroute serve` stops it. Any install ends it.
        """
        from csroute.router import policy_bytes  # noqa: PLC0415 (it imports this module)

        request = canary_pb2.CanaryRequest(
            policy=policy_bytes(policy),
            share_milli=round(share * 1000),
            margin_milli=round(margin * 1000),
            error_milli=round(error * 1000),
            tickets_min=tickets_min,
        )
        return self._action("Canary", request)

    def stop_canary(self, *, reclassify: bool = True) -> ActionResult:
        """No more tickets for the canary; with `reclassify` those of its that wait go back to the policy."""
        return self._action("StopCanary", canary_pb2.StopCanaryRequest(reclassify=reclassify))

    def canary(self) -> Canary:
        """The canary that is on, and what came of both sides."""
        return Canary.from_wire(self._call("GetCanary", canary_pb2.GetCanaryRequest(), canary_pb2.GetCanaryReply))
