"""The naive router: a second reading of rust_core/DESIGN.md, that the engine is compared with, event by event.

    oracle = Oracle()
    oracle.call("OpenSession", agent_pb2.OpenSessionRequest(session="desk"), now_us=1_000_000)
    oracle.events        # every Event so far, each field filled

Clarity over speed: everything is found by looking at everything. `policy.py` makes classes of tickets, `state.py` is
what is remembered, `router.py` is what happens, `oracle.py` the commands and timers.

Conventions: where DESIGN.md can be read in more than one way, this is the way it is read here.

| events | |
|---|---|
| session | the agent's after the change; empty once it is offline: also in the Queued and Closed that follow. PresenceChanged(offline): the one it left |
| agent, attempt | Offered, Assigned, Completed, Closed, Cancelled (when offered), Queued (from an agent), Transferred, Marked; ExclusionEnded, HoldEnded: the agent alone; else none |
| class | Transferred: the old, its Queued: the new. StepTaken: the step's own. Classified: the new |
| times | Scheduled: the rounded due time. waited_ms and elapsed_ms are rounded down |
| contexts | Offered and Assigned carry the ticket's |
| reasons | of a presence that the router itself changed: empty |
| preferred | the ticket was eligible for its preferred agent alone (candidates is 1). A supervisor's match: false, candidates 0 |

| classes | |
|---|---|
| key | policy version, rules after a replacement, channel, values of the families in force, own skills as a set, requirement as sent. That a ticket was moved is no part of it |
| defaults | head_start_ms and by_deadline are two fields; a list gives something if not empty, a number without presence if not 0 |
| install | empty classes go first; then tickets one by one: class, Classified, steps; ended tickets have no class |
| which policy | a step's move and a transfer: the ticket's; an update, a supervisor's move, limits, graces: the current one |
| transfer | to an agent: the class as it was. To a requirement: its rules as they were. To a queue: natural, replaced |
| checks | an update's: the attributes as they would be. A required guess below its threshold is there |
| full | a step's move that finds no room for its class: the step is taken, the class stays |

| steps | |
|---|---|
| already due | raw due ≤ now; by (raw due, index) |
| declines | one begins after the steps passed while offered were taken; a transfer's exclusion before the steps begin again |
| unstaffed | stage 0 is looked at right after Queued; nothing is looked at after a step that moved |
| reached | a clock's point counts as reached by the time run, also when it is paused or stopped since |

| other | |
|---|---|
| exclusions | one timer a ticket; those due end in the order made, then one settling; a newer one of the same agent replaces the older; a removed agent's ends silently |
| named agents | found when submitted; one that is removed and comes back is another |
| holds | none without a preferred agent, or of 0 ms; a transfer to an agent without a hold ends the one that ran |
| clocks | one that comes back after its stop moment is stopped, silently |
| channels | closed for everybody if the current policy has not got it |
| verbs | unknown ticket, then the attempt, replay, state; then what the request names |
| cancel while active | is no answered complete |
"""

from .oracle import Oracle
from .router import OracleRejection

__all__ = ["Oracle", "OracleRejection"]
