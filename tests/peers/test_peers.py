"""Redis and Postgres do the reduced work exactly as csroute and the oracle do: who gets what, ticket by ticket.

`make peers` fetches them and runs this; it is part of `.ci/run`. A failure says its seed: CSROUTE_SEED repeats it.
"""

from __future__ import annotations

import os
import random
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benches.peers.by_csroute import Csroute, act, route_batch, staff
from benches.peers.by_postgres import Postgres
from benches.peers.by_redis import Redis, all_requests
from benches.peers.reduced import START_US, Block, World, policy, workload
from benches.peers.servers import REDIS_DURABLE, REDIS_IN_MEMORY, postgres, redis
from csroute.v1 import agent_pb2, policy_pb2
from tests.oracle import Oracle

pytestmark = pytest.mark.peers

SEED = int(os.environ.get("CSROUTE_SEED", secrets.randbits(32)))
SMALL = World(agents=24, skills=8, skills_an_agent=3, profiles=7)
# Nobody waits; few wait, so that agents run free now and then; many wait.
CASES = {"free": 0, "few": 3, "many": 200}


def blocks_of(case: str, world: World = SMALL) -> list[Block]:
    rng = random.Random(SEED)
    return list(workload(world, waiting=CASES[case], blocks=60, size=rng.randrange(1, 9), seed=SEED))


def expected(blocks: list[Block]) -> list[tuple[int, int]]:
    return [match for block in blocks for match in block.matches]


@pytest.fixture(params=CASES)
def blocks(request: pytest.FixtureRequest) -> list[Block]:
    found = blocks_of(request.param)
    assert expected(found), f"somebody got something; seed {SEED}"
    return found


def test_the_model_is_the_oracles(blocks: list[Block]) -> None:
    oracle: Any = Oracle()
    oracle.call(
        "InstallPolicy", policy_pb2.InstallPolicyRequest(policy=policy(SMALL).SerializeToString()), START_US - 9
    )
    kinds: dict[str, Any] = {
        "OpenSession": agent_pb2.OpenSessionRequest,
        "UpsertAgents": agent_pb2.UpsertAgentsRequest,
        "Act": agent_pb2.ActRequest,
    }
    for method, request in staff(SMALL):
        oracle.call(method, kinds[method].FromString(request), START_US - 9)
    for block in blocks:
        oracle.call(
            *(("RouteBatch", route_batch(block)) if block.kind == "submit" else ("Act", act(block))), block.now_us
        )
    told = [event for event in oracle.events if event.WhichOneof("kind") == "assigned"]
    assert [(int(event.ticket[1:]), int(event.agent[1:])) for event in told] == expected(blocks), f"CSROUTE_SEED={SEED}"


def test_csroute(blocks: list[Block]) -> None:
    core = Csroute(SMALL)
    core.run(core.requests(blocks))
    assert core.matches() == expected(blocks), f"CSROUTE_SEED={SEED}"


@pytest.mark.parametrize("options", [REDIS_IN_MEMORY, REDIS_DURABLE], ids=["in memory", "durable"])
@pytest.mark.parametrize("size", [1, 256])
def test_redis(blocks: list[Block], tmp_path: Path, options: tuple[str, ...], size: int) -> None:
    with redis(tmp_path, *options) as (path, _):
        peer = Redis(path, SMALL)
        assert peer.run(all_requests(peer, blocks, size), in_flight=16) == expected(blocks), f"CSROUTE_SEED={SEED}"
        peer.close()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with postgres(tmp_path_factory.mktemp("postgres")) as psql:
        yield psql


def test_postgres(blocks: list[Block], cluster: Any) -> None:
    cluster("drop schema public cascade; create schema public;")
    peer = Postgres(cluster, SMALL)
    script = peer.prepare(blocks, cluster.folder / "blocks.sql")
    assert peer.run(script) == expected(blocks), f"CSROUTE_SEED={SEED}"
