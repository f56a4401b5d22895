"""The boundary itself: what `_csroute.pyi` says of tokens, the descriptor, exceptions and figures."""

from __future__ import annotations

import gc
import json
import os
import select
import threading
import time
from pathlib import Path

import pytest
from google.rpc import error_details_pb2, status_pb2

from csroute._csroute import Core, Node, Rejected, codes, methods

UNKNOWN_METHOD, UNIMPLEMENTED, RESOURCE_EXHAUSTED, UNAVAILABLE = 9999, 12, 8, 14
METHODS = {path.rsplit("/", 1)[1]: number for number, path, _ in methods()}
Answer = tuple[int, int, bytes]


def answers(node: Node, number: int, timeout_s: float = 30) -> list[Answer]:
    """Waits for so many answers."""
    got: list[Answer] = []
    while len(got) < number:
        assert select.select([node.fileno()], [], [], timeout_s)[0], f"{len(got)} of {number} came"
        got += node.completions()
    return got


def reason(status: bytes) -> str:
    info = error_details_pb2.ErrorInfo()
    assert status_pb2.Status.FromString(status).details[0].Unpack(info)
    return info.reason


def test_tables_have_each_number_and_name_once() -> None:
    for table in (methods(), codes()):
        assert len({row[0] for row in table}) == len({row[1] for row in table}) == len(table) > 0
    assert {kind for _, _, kind in methods()} == {"unary", "stream", "watch", "work", "internal"}


def test_each_token_is_answered_once_whoever_submits() -> None:
    node, threads, each = Node(in_flight_max=100_000), 4, 2000

    def submit(first: int) -> None:
        for token in range(first, first + each):
            node.submit(UNKNOWN_METHOD, "t", "c", b"", token, 0)

    callers = [threading.Thread(target=submit, args=(number * each,)) for number in range(threads)]
    for caller in callers:
        caller.start()
    got = answers(node, threads * each)
    for caller in callers:
        caller.join()
    assert sorted(token for token, _, _ in got) == list(range(threads * each))
    assert {code for _, code, _ in got} == {UNIMPLEMENTED}
    assert not select.select([node.fileno()], [], [], 0)[0], "taken: nothing is to be read"


def test_past_the_bound_the_answer_is_busy_with_a_hint() -> None:
    node = Node(in_flight_max=1)
    for token in range(1000):
        node.submit(UNKNOWN_METHOD, "t", "c", b"", token, 0)
    got = answers(node, 1000)
    busy = [status for _, code, status in got if code == RESOURCE_EXHAUSTED]
    assert busy
    assert reason(busy[0]) == "BUSY"
    assert len(status_pb2.Status.FromString(busy[0]).details) == 2


def test_a_stopped_node_says_so_and_keeps_its_figures() -> None:
    node = Node()
    node.submit(METHODS["GetStats"], "t", "c", b"", 1, 0)
    node.stop()
    node.stop()
    assert [code for _, code, _ in answers(node, 1)] == [0]
    node.submit(METHODS["GetStats"], "t", "c", b"", 2, 0)
    ((_, code, status),) = answers(node, 1)
    assert (code, reason(status)) == (UNAVAILABLE, "DRAINING")
    figures = json.loads(node.metrics())
    assert not figures["failed"]
    for name in ("decision_us", "end_to_end_us"):
        assert len(figures[name]["counts"]) == len(figures[name]["bounds"]) + 1
    assert sum(figures["end_to_end_us"]["counts"]) == 1


def test_dropping_a_node_ends_its_thread_and_closes_its_descriptor() -> None:
    def writers() -> int:
        return sum(name.read_text() == "csroute-writer\n" for name in Path("/proc/self/task").glob("*/comm"))

    node = Node()
    descriptor = node.fileno()
    node.submit(UNKNOWN_METHOD, "t", "c", b"", 1, 0)
    answers(node, 1)  # the thread is there, and has its name
    before = writers()
    del node
    gc.collect()
    ends = time.monotonic() + 10
    while writers() == before and time.monotonic() < ends:
        time.sleep(0.01)  # joined, but the kernel may still be tidying up
    assert writers() == before - 1
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_a_rejection_carries_its_code_and_status() -> None:
    with pytest.raises(Rejected) as caught:
        Core().call(UNKNOWN_METHOD, "t", "c", b"", 0)
    no = caught.value
    assert no.args == (no.grpc_code, no.status)
    assert (no.grpc_code, reason(no.status)) == (UNIMPLEMENTED, "UNKNOWN_METHOD")


@pytest.mark.parametrize("snapshot", [b"", b"\0" * 64, b"\xff" * 4096])
def test_a_damaged_snapshot_is_refused_and_changes_nothing(snapshot: bytes) -> None:
    core = Core()
    before = core.state_hash("t")
    with pytest.raises(Rejected):
        core.restore("t", snapshot)
    assert core.state_hash("t") == before
    core.restore("t", core.snapshot("t"))
    assert core.state_hash("t") == before


def test_handles_and_tenants_of_any_kind_are_refused_by_number() -> None:
    core = Core()
    for request in (b"", b"1234567", b"123456789", b"\xff" * 8):
        with pytest.raises(Rejected):
            core.call(METHODS["WatchNext"], "t", "c", request, 0)
    for tenant, caller in (("", "c"), ("x" * 1000, "c"), ("t", "c" * 1000)):
        with pytest.raises(Rejected):
            core.call(METHODS["GetStats"], tenant, caller, b"", 0)
