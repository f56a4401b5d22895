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

from collections.abc import Sequence
from os import PathLike
from typing import Final, final

__all__: Final[list[str]] = [
    "Core",
    "JournalReader",
    "LoadGenerator",
    "NativeDoor",
    "Node",
    "Rejected",
    "Replay",
    "Simulation",
    "codes",
    "histograms_merged",
    "journal_backup",
    "journal_repair",
    "journal_segments",
    "journal_snapshots",
    "methods",
]

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
        attributes_drop: Sequence[str] = ...,
        attributes_hash: Sequence[str] = ...,
        attributes_hash_key: bytes = ...,
        data_dir: PathLike[str] | str | None = None,
        durability: str = "fsync",
        durability_interval_ms: int = 100,
        resume_grace_ms: int = 30_000,
        segment_bytes: int = 268_435_456,
        disk_reserve_bytes: int = 67_108_864,
        pending_bytes_max: int = 67_108_864,
        snapshot_every_s: int = 600,
        snapshot_bytes: int = 1_073_741_824,
        snapshot_at_stop: bool = True,
        snapshots_kept: int = 3,
        history_s: int = 0,
        versions_kept: int = 0,
    ) -> Node:
        """In memory alone, or, with data_dir, keeping what it decides there; `csroute.config` says what each is.

        Raises OSError: the folder is in use, or cannot be opened or locked. What only reading the journal shows comes in `state`.
        """

    def fileno(self) -> int:
        """Readable while completions wait; for `loop.add_reader`. Valid until the node is dropped."""

    def submit(self, method: int, tenant: str, caller: str, request: bytes, token: int, deadline_us: int) -> None:
        """Queues one call. Its answer comes as one completion with this token, a refusal too: never as an exception.

        deadline_us: Unix µs, 0 is none; past it the call is not begun (DEADLINE_PASSED). Past in_flight_max calls
        that are not answered yet, or 256 MiB of their requests: BUSY. Submissions by one thread begin in the order
        submitted. With data_dir an answer comes when all that was applied before it is durable; JOURNAL_FAILED: whether the
        call is kept is not known. Parked calls (WatchNext, WorkNext, a waiting Route) are not in flight; they have bounds of their own.
        """

    def admit(
        self, path: str, authorization: str, names: Sequence[str], tenant: str | None, caller: str
    ) -> tuple[str, str]:
        """As whom a call of this path goes on: (tenant, caller). Raises Rejected (UNAUTHENTICATED, FORBIDDEN, …).

        authorization: that metadata, or empty; names: those in the client's verified certificate; tenant and caller:
        as the call's metadata names them (else None, and the client's address).
        """

    def set_access(self, credentials: bytes) -> None:
        """Which credentials are taken from now on, as JSON (`csroute.server.secure`). Raises ValueError: what is wrong."""

    def set_in_flight_max(self, calls: int) -> None:
        """Another in_flight_max, from now on."""

    def completions(self) -> list[tuple[int, int, bytes]]:
        """All answers since the last call: (token, grpc_code, reply or google.rpc.Status). Clears the descriptor."""

    def state(self) -> bytes:
        """Where it is in its life, as JSON:

        {"stage": "recovering",          # then serving; failed and stopped are the end. Calls before: RECOVERING
         "message": "",                  # failed: why, and what to do
         "blocks": 512, "records": 8192, "bytes": 1048576, "bytes_max": 4194304,     # how far it has read
         "snapshot": 41,                 # the block of the snapshot that it began with; 0: none
         "bad_snapshots": [], "cut": null,   # damaged ones; the torn tail that was cut
         "space": "ample"}               # of the disk: low: no new tickets (DISK_FULL); full: no command at all
        """

    def snapshot(self) -> None:
        """Ask for a snapshot of all that is applied by now; it is made beside the writer. Without data_dir: nothing."""

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
             "end_to_end_us": {…},                           # from submit to completion, parked calls left out
             "journal": {"blocks": 7, "bytes": 4096, …}}     # null without data_dir

        counts are a bucket each, not cumulative: counts[i] is those ≤ bounds[i], the last those above all bounds.
        """

@final
class JournalReader:
    """Reads a journal's blocks, all of them verified, beside any node. Raises OSError for damage, naming the place.

    A record is (kind, tenant, caller, now_us, method, value, request): kind is write, advance, resume, drain, give_back
    or unknown (then request is all of it); value is what the kind has: timers_max, grace_ms, on.
    """

    def __new__(cls, data_dir: PathLike[str] | str, *, from_block: int = 0) -> JournalReader: ...
    def blocks(
        self, bytes: int
    ) -> list[tuple[int, int, int, int, int, int, int, int, list[tuple[str, str, str, int, int, int, bytes]]]]:
        """The next blocks, about so many bytes of them; none at the end of what is there now. Each is

        (block, segment, offset, bytes, semantics, time_us, synced, events_hash, records).
        """

    def count(self, bytes: int) -> tuple[int, int, int]:
        """As `blocks`, only counted: (blocks, records, bytes)."""

    def position(self) -> int:
        """The last block read."""

    def tail(self) -> str:
        """What stands unfinished at the end, once it was reached; else empty."""

    def progress(self) -> tuple[int, int]:
        """Bytes read, and those there are."""

@final
class Replay:
    """Replays a journal beside any node, without changing it: the same decisions, with every event. Raises OSError.

    Begins at the newest snapshot not after since_us (Unix µs), else at the oldest place from which all can be replayed.
    """

    def __new__(cls, data_dir: PathLike[str] | str, *, since_us: int = 0) -> Replay: ...
    def step(
        self,
        bytes: int,
        *,
        until_us: int | None = None,
        events: bool = False,
        tenant: str | None = None,
        ticket: str | None = None,
    ) -> tuple[int, int, int, bool, list[tuple[int, str, str, str, int, bytes]]]:
        """Replays about so many bytes of blocks, none past until_us: (blocks, records, events, whether it ended, heard).

        Heard, with `events`, is each event of the tenant and ticket (None: all): (block, tenant, kind of record, caller,
        method, a WatchReply with the event).
        """

    def compared(self) -> list[tuple[str, int, list[str]]]:
        """The snapshots passed: (file, block, differences between its state and the replayed one)."""

    def states(self) -> list[tuple[str, int]]:
        """The tenants, and the hashes of their states."""

    def began(self) -> int:
        """The block of the snapshot that it began with; 0: the first block."""

    def block(self) -> int:
        """The last block replayed."""

    def damaged(self) -> list[str]:
        """Snapshots that are damaged, and why."""

    def tail(self) -> str:
        """What stands unfinished at the end, once it was reached; else empty."""

    def progress(self) -> tuple[int, int]:
        """Bytes read, and those there are."""

    def ask(self, method: int, tenant: str, request: bytes) -> bytes:
        """Answers a read as the node would have then. Raises Rejected."""

def journal_segments(data_dir: PathLike[str] | str) -> list[tuple[str, int, int, int, int]]:
    """(file, first block, semantics, time_us, bytes) of each segment, oldest first. Raises OSError."""

def journal_snapshots(data_dir: PathLike[str] | str) -> list[tuple[str, int, int, int, int, str]]:
    """(file, block, semantics, time_us, bytes, "") of each snapshot, oldest first, read to its end; of a damaged one
    (file, 0, 0, 0, 0, what is wrong). Raises OSError."""

def journal_repair(data_dir: PathLike[str] | str) -> tuple[list[str], int | None, list[str], int]:
    """Cuts the journal where it is damaged, and keeps copies: (damage, the last block now or None, files kept aside, bytes
    lost to the journal). Raises OSError: in use, or nothing to go on from."""

def journal_backup(
    data_dir: PathLike[str] | str, target: PathLike[str] | str, link: bool, until_us: int | None
) -> tuple[int, int, list[str], int, list[str]]:
    """A consistent copy in an empty folder, as of until_us if given: (last block, its time_us, files, bytes, damaged
    snapshots left out). Raises OSError."""

@final
class NativeDoor:
    """gRPC in front of a node on a thread of its own: no call of it takes the GIL.

    All methods of the three services, health and reflection; the bounds are the server's settings, by the same names.
    """

    def __new__(
        cls,
        node: Node,
        listen: str,
        *,
        calls_max: int = 4096,
        connections_max: int = 4096,
        connection_calls_max: int = 1024,
        streams_max: int = 2048,
        stream_window: int = 512,
        message_bytes_max: int = 4_194_304,
        write_timeout_ms: int = 30_000,
        rejections_logged_per_s: int = 20,
        echo: bool = False,
        tls: tuple[bytes, bytes, bytes | None] | None = None,
    ) -> NativeDoor:
        """Listens at once; health says NOT_SERVING. Raises OSError: it cannot listen there, or the PEMs are none.

        tls: certificate chain and key, as PEM, and who signs the clients' certificates; with it each must show one.

        calls_max: unary calls in flight; past it: BUSY. connections_max: past it they are closed as they come.
        echo: also answers /csroute.bench.Echo/Echo, for benches.
        """

    def port(self) -> int:
        """Where it listens."""

    def set_tls(self, tls: tuple[bytes, bytes, bytes | None] | None) -> None:
        """Other certificates, for connections that come from now on. Raises ValueError; those there were stay."""

    def set_limits(self, calls_max: int, streams_max: int) -> None:
        """Other bounds, from now on."""

    def serving(self, on: bool) -> None:
        """What health says, unless the node has failed."""

    def drain(self) -> None:
        """No new connections; the clients of the old ones are told to go. What is under way goes on."""

    def stop_reading(self) -> None:
        """Streams take no more messages: what was read is answered, then they end as DRAINING."""

    def quiet(self, patience_ms: int, *, streams: bool = False) -> bool:
        """Waits until no unary call is in flight; with streams: no stream either. False: it took too long."""

    def stop(self, patience_ms: int) -> None:
        """Waits for the last words to leave, then ends."""

    def figures(self) -> bytes:
        """What is open now, as JSON: {"calls": 0, "streams": 0, "connections": 0}."""

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

@final
class LoadGenerator:
    """Gateways and a desk of one process, on a thread of its own. `csroute.load` is the way to use it.

    `settings` is JSON: the fields of `csroute_load::Settings`; `samples` are NewTicket messages without id and context, sent
    in turn; `recorded_ns` says when each call is due after the beginning, where the loop is as recorded. Connects at once:
    OSError if nobody listens, ValueError for wrong settings, and for any call after `finish`.
    """

    def __new__(cls, settings: str, samples: list[bytes], recorded_ns: list[int] = ...) -> LoadGenerator: ...
    def begin(self) -> None:
        """Calls are due from now on."""

    def look(self) -> str:
        """Counts so far, and latencies since the last look, as JSON."""

    def finish(self) -> tuple[str, list[tuple[str, bytes]], bytes, list[tuple[int, bytes, bytes]]]:
        """Ends it: (counts as JSON, histograms by name, a mark for each of its tickets, what its desk was told).

        Histograms are HdrHistogram's V2, in ns. A mark is the state answered, 0xFE: no answer, 0xFF: refused. The desk was told
        (whose process, how often each of its tickets was assigned, how often completed).
        """

def histograms_merged(parts: list[bytes]) -> tuple[bytes, str]:
    """The sum of histograms, and it as JSON: count, mean, percentiles and buckets, in µs. ValueError: it is none."""

def methods() -> list[tuple[int, str, str]]:
    """(number, "/csroute.v1.RoutingService/Route" or "internal/WatchOpen", unary, stream, watch, work or internal)."""

def codes() -> list[tuple[int, str, int, int | None]]:
    """(number, name, grpc code, retry_after_ms) of every rejection."""
