"""The naive router: a second reading of rust_core/DESIGN.md, that the engine is compared with, event by event.

    oracle = Oracle()
    oracle.call("OpenSession", agent_pb2.OpenSessionRequest(session="desk"), now_us=1_000_000)
    oracle.events        # every Event so far, each field filled

Clarity over speed: everything is found by looking at everything. `policy.py` makes classes of tickets, `state.py` is
what is remembered, `router.py` the life of tickets, `settling.py` agents and matches, `timers.py` what is due,
`commands.py` the commands, `oracle.py` the way in.

Conventions: where DESIGN.md can be read in more than one way, this is the way it is read here.

Events
- session: the agent's after the change. While it goes offline, all that this does tells the session it leaves
  (PresenceChanged, Queued, Closed); afterwards, at a grace's end too, none.
- agent and attempt: Offered, Assigned, Completed, Closed, Cancelled (when offered), Queued (from an agent),
  Transferred, Marked; ExclusionEnded and HoldEnded: the agent alone; all others: neither.
- class: Transferred the old, its Queued the new; StepTaken the step's own; Classified the new.
- times: Scheduled has the rounded due time; waited_ms and elapsed_ms are rounded down.
- contexts: Offered carries the ticket's, and Assigned if there was no offer.
- the reason of a presence that the router itself changed is empty.
- preferred: the ticket was eligible for its preferred agent alone (candidates is 1); a supervisor's match: false.

Classes
- key: policy version, rules after a replacement, channel, values of the families in force, own skills as a set,
  the requirement as sent. That a ticket was moved is no part of it.
- defaults: head_start_ms and by_deadline are two fields; a list gives something if not empty, a number without
  presence if not 0.
- install: empty classes go first; then tickets one by one: class, Classified, steps. Ended tickets have no class.
- whose policy: for a step's move and a transfer the ticket's; for an update, a supervisor's move, limits and graces
  the current one. Forgetting is due when a ticket ended + the current closed_keep_ms.
- transfer: to an agent the class as it was; to a requirement its rules as they were; to a queue natural, replaced.
- an update's checks are of the attributes as they would be; a required guess below its threshold is there.
- a step's move that finds no room for its class: the step is taken, the class stays.

Steps
- already due: raw due ≤ now; by (raw due, index).
- a decline begins after the steps passed while offered were taken; a transfer's exclusion before the steps begin.
- unstaffed: stage 0 is looked at right after Queued; nothing is looked at after a step that moved.
- reached: by the time run, also if the clock is paused or stopped since.

Others
- exclusions: one timer a ticket; those due end in the order made, then one settling; a newer one of the same agent
  replaces the older; a removed agent's ends silently.
- named agents are found when the ticket is submitted; one that is removed and comes back is another.
- no hold without a preferred agent, nor of 0 ms; a transfer to an agent without one ends the one that ran.
- a clock that is stopped after a lower target made it late is breached first, at that very µs; else it fires at the
  next whole ms.
- a clock that comes back after its stop moment is stopped, silently.
- a channel that the current policy has not got is closed for everybody.
- verbs: unknown ticket; then attempt, replay, state; then what the request names. A cancel while active is no
  answered complete. A mark on an ended ticket: the moments of the current policy.
"""

from .oracle import Oracle
from .router import OracleRejection

__all__ = ["Oracle", "OracleRejection"]
