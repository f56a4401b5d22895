"""The Rust core: bytes in, bytes out. Requests and replies are the protobuf messages of `csroute.v1`.

    node = Node()
    loop.add_reader(node.fileno(), deliver)            # deliver() takes node.completions()
    node.submit(ROUTE_BATCH, "default", "gateway-1", request, token=7, deadline_us=0)

Method numbers come from `methods()`, rejection codes from `codes()`. Internal methods have numbers from 1000:

    internal/InstallPolicy  InstallPolicyRequest → InstallPolicyReply
    internal/WatchOpen      WatchRequest → handle
    internal/WatchNext      handle → WatchReply; parked until there is something, or ~15 s: then an empty one
    internal/WatchClose     handle → nothing
    internal/WorkOpen       WorkRequest (its session) → handle, then a WorkReply with the opening
    internal/WorkAct        WorkRequest (its actions) → WorkReply with their results
    internal/WorkNext       handle → WorkReply with events; parked like WatchNext
    internal/WorkClose      handle → nothing

A handle is 8 bytes. One WatchNext or WorkNext of a handle waits at a time: a second one is BUSY. A watcher that was
closed, or cut, is unknown: SESSION_UNKNOWN; the cut itself is told once, as WATCHER_SLOW with the last sequence seen.
"""

from typing import Final, final

__all__: Final[list[str]] = ["Core", "Node", "Rejected", "Simulation", "codes", "methods"]

class Rejected(Exception):
    """A numbered no. `args` is `(grpc_code, status)`."""

    def __init__(self, grpc_code: int, status: bytes) -> None: ...
    @property
    def grpc_code(self) -> int:
        """The gRPC status code, as a number."""

    @property
    def status(self) -> bytes:
        """A serialized `google.rpc.Status`, with ErrorInfo and, where a retry helps, RetryInfo."""

@final
class Core:
    """The node without a thread or a clock: each call answers at once, at the time given (Unix µs, never going back).

    Nothing is parked: a Route with wait_ms, a WatchNext and a WorkNext answer with what there is. Not for several
    threads at a time.
    """

    def __new__(
        cls, *, tenants_max: int = 64, ring_events_max: int = 262_144, message_bytes_max: int = 4_194_304
    ) -> Core: ...
    def call(self, method: int, tenant: str, caller: str, request: bytes, now_us: int) -> bytes:
        """The reply's bytes. Raises Rejected."""

    def advance(self, tenant: str, until_us: int, timers_max: int) -> tuple[int, bool]:
        """Fires at most so many timers due until `until_us`: (how many did, none is left). Raises Rejected."""

    def resume(self, tenant: str, now_us: int, grace_ms: int) -> None:
        """The node came back: no lease or offer ends before now + grace. Raises Rejected."""

    def events(self, tenant: str, after_sequence: int, events_max: int) -> bytes:
        """A WatchReply with the events after that sequence. Raises Rejected (SEQUENCE_GONE) past the ring's end."""

    def next_due_us(self, tenant: str) -> int | None:
        """A lower bound of when the next timer is due, Unix µs; None: there is none.

        Never later than it, and exact once it is less than 64 ms away: `advance` to this may fire nothing; ask again.
        """

    def state_hash(self, tenant: str) -> int:
        """Equal states, equal hashes."""

    def snapshot(self, tenant: str) -> bytes:
        """The tenant's whole state."""

    def restore(self, tenant: str, snapshot: bytes) -> None:
        """Replaces the tenant's state; its events begin after the snapshot's sequence. Raises Rejected."""

@final
class Node:
    """One writer thread behind a bounded queue. No method but `stop` makes its caller wait."""

    def __new__(
        cls,
        *,
        in_flight_max: int = 8192,
        tenants_max: int = 64,
        ring_events_max: int = 262_144,
        message_bytes_max: int = 4_194_304,
        watchers_max: int = 4096,
    ) -> Node: ...
    def fileno(self) -> int:
        """Readable while completions wait; for `loop.add_reader`. Valid until the node is dropped."""

    def submit(self, method: int, tenant: str, caller: str, request: bytes, token: int, deadline_us: int) -> None:
        """Queues one call. Its answer comes as one completion with this token, a refusal too: never as an exception.

        deadline_us: Unix µs, 0 is none; past it the call is not begun (DEADLINE_PASSED). Past in_flight_max calls
        that are not answered yet, or 256 MiB of their requests: BUSY. Submissions by one thread begin in the order
        submitted. Parked calls (WatchNext, WorkNext, a waiting Route) are not in flight; they have bounds of their own.
        """

    def completions(self) -> list[tuple[int, int, bytes]]:
        """All answers since the last call: (token, grpc_code, reply or google.rpc.Status). Clears the descriptor."""

    def drain(self, on: bool) -> None:
        """Refuse new tickets (DRAINING), or take them again. All else goes on."""

    def stop(self) -> None:
        """Finishes what is queued, answers parked calls, joins the thread. Later calls are refused (DRAINING)."""

    def metrics(self) -> bytes:
        """Figures as JSON, at most about a second old:

            {"in_flight": 0, "parked": 0, "watchers": 0, "draining": false, "failed": false, "clock_jumps": 0,
             "rejections": {"BUSY": 1},                      # those that belong to no tenant
             "tenants": {"default": {"waiting": 3, …, "queues": [{"queue": "vip", …}], "clocks": [{"clock": …}],
                                     "rejections": {"STALE": 2}}},   # the fields of GetStatsReply
             "decision_us": {"bounds": [0.128, …], "counts": […], "sum": 0},   # one command's time in the engine
             "end_to_end_us": {…}}                           # from submit to completion, parked calls left out

        counts are a bucket each, not cumulative: counts[i] is those ≤ bounds[i], the last those above all bounds.
        """

@final
class Simulation:
    """The engine under a virtual clock, with customers and agents around it. `csroute.simulate` is the way to use it.

    `setup` is JSON: the fields of `csroute_sim::setup::Setup`. Arrivals and rows are the bytes of numpy's structured
    arrays, `csroute.simulate.arrays.ARRIVAL` and `ROW`. Times are µs since the start. Wrong input raises ValueError;
    what the engine refuses, Rejected. Not for several threads at a time; `run` lets others have the GIL.
    """

    def __new__(cls, policy: bytes, setup: str) -> Simulation: ...
    def feed(self, arrivals: bytes) -> None:
        """Arrivals to come, in order of time, after all fed before."""

    def run(self, until_us: int) -> None:
        """Plays everything up to then, that moment included."""

    def take(self) -> bytes:
        """Rows of the tickets that ended since the last call, in that order."""

    def finish(self) -> bytes:
        """The end: hours are counted, and tickets under way become rows too."""

    def seconds(self) -> tuple[int, bytes]:
        """(kinds of hours, float64 by kind, group, interval): paid, there, busy, load; whole after `finish`."""

    def under_way(self) -> tuple[int, int]:
        """(arrivals fed and not yet come, tickets under way)."""

    def queue_names(self) -> list[str]:
        """By the number in a row."""

    def class_paths(self) -> list[str]:
        """By the number in a row; empty: never met."""

    def state_hash(self) -> int:
        """The engine's."""

    def traced(self) -> list[tuple[int, str, str, str, str, int]]:
        """Commands given, if the setup has `trace`: (Unix µs, verb, id, with, customer, number)."""

    def traced_events(self) -> bytes:
        """The events of a WatchReply, if the setup has `trace`."""

def methods() -> list[tuple[int, str, str]]:
    """(number, "/csroute.v1.RoutingService/Route" or "internal/WatchOpen", unary, stream, watch, work or internal)."""

def codes() -> list[tuple[int, str, int, int | None]]:
    """(number, name, grpc code, retry_after_ms) of every rejection."""
