"""PolicyService through gRPC, at both doors: who wins, who may, what a restart keeps and what ends after it."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING, Any

import pytest

from csroute.errors import ConflictError, CredentialError, PolicyRejectedError, RejectedError
from csroute.policy import load
from csroute.policy.switch import switch
from csroute.presets import double11
from csroute.v1 import policy_pb2, ticket_pb2
from csroute.v1 import version_pb2 as pb
from csroute.v1.policy_service_pb2_grpc import PolicyServiceStub
from tests.server.rig import POLICY, new_ticket, rejected, running

if TYPE_CHECKING:
    from pathlib import Path

    from tests.server.rig import Rig

DESK = load(POLICY).compile()
DOORS = pytest.mark.parametrize("door", ["python", "native"])
SMALL = {"disk_reserve_bytes": 0, "segment_bytes": 65_536}


def policy(rig: Rig) -> Any:
    return PolicyServiceStub(rig.channel)


def named(name: str) -> bytes:
    """The desk's policy under another name."""
    tables = policy_pb2.CompiledPolicy.FromString(DESK)
    tables.name = name
    return tables.SerializeToString(deterministic=True)


def slower(ms: int, lasts_ms: int) -> pb.OverrideRequest:
    """Every rule of the first layer gets this head start."""
    change = pb.OverrideChange(head_start=pb.OverrideChange.HeadStart(rule="Who", head_start_ms=ms))
    return pb.OverrideRequest(changes=[change], duration_ms=lasts_ms, reclassify=True)


@DOORS
async def test_a_version_a_call(door: str) -> None:
    async with running(door) as rig:
        stub = policy(rig)
        listed = await stub.List(pb.ListVersionsRequest())
        assert [(each.number, each.cause, each.by) for each in listed.versions] == [
            (1, pb.VERSION_CAUSE_START, "server")
        ]
        done = await stub.Apply(
            pb.ApplyRequest(policy=named("a"), expected=1, why="better"), metadata=(("csroute-caller", "ann"),)
        )
        assert (done.version.number, done.version.by, done.version.why) == (2, "ann", "better")
        assert [each.where for each in done.differences] == ["policy: name"]
        got = await stub.Get(pb.GetVersionRequest(number=1))
        assert got.policy == DESK
        diff = await stub.Diff(pb.DiffRequest(to=1))
        assert [(each.old, each.new) for each in diff.differences] == [('"a"', f'"{load(POLICY).name}"')]
        back = await stub.Rollback(pb.RollbackRequest(number=1))
        assert (back.version.number, back.version.hash) == (3, listed.versions[0].hash)


@DOORS
async def test_of_two_at_a_time_one_wins(door: str) -> None:
    async with running(door) as rig:
        stub = policy(rig)

        async def applies(name: str) -> pb.InstallReply | RejectedError:
            call = stub.Apply(pb.ApplyRequest(policy=named(name), expected=1, why=name))
            try:
                reply: pb.InstallReply = await call
            except Exception:  # noqa: BLE001 - the rig reads it
                return await rejected(call)
            return reply

        outcomes = await asyncio.gather(*(applies(f"policy-{number}") for number in range(8)))
        won = [each for each in outcomes if isinstance(each, pb.InstallReply)]
        lost = [each for each in outcomes if isinstance(each, ConflictError)]
        assert (len(won), len(lost)) == (1, 7)
        assert all(each.code == 308 and won[0].version.why in each.message for each in lost), "each hears who won"
        assert (await stub.List(pb.ListVersionsRequest())).current == 2


@DOORS
async def test_a_preview_is_no_install(door: str) -> None:
    async with running(door) as rig:
        stub = policy(rig)
        for number in range(600):
            await rig.route(f"t{number}")
        before = await rig.hash()
        would = await stub.Apply(pb.ApplyRequest(policy=double11.policy.compile(), dry_run=True))
        assert (would.dry_run, would.version.number, would.waiting) == (True, 2, 600)
        assert would.changed + would.unfit == 600
        assert await rig.hash() == before


@DOORS
async def test_scenes_switch_to_the_same_bytes_everywhere(door: str) -> None:
    compiled = double11.policy.compile()
    async with running(door, policy="double11") as rig:
        stub = policy(rig)
        scenes = [scene.name for scene in double11.policy.declared_scenes()]
        undated = [scene.name for scene in double11.policy.declared_scenes() if not scene.dates][:2]
        assert [each.name for each in (await stub.List(pb.ListVersionsRequest())).scenes] == scenes
        await stub.ActivateScene(pb.ActivateSceneRequest(scenes=undated[::-1]))
        assert (await stub.Get(pb.GetVersionRequest())).policy == switch(compiled, undated)


@DOORS
async def test_what_is_wrong_is_said(door: str) -> None:
    async with running(door) as rig:
        stub = policy(rig)
        assert isinstance(await rejected(stub.Apply(pb.ApplyRequest(policy=b"\x00"))), RejectedError)
        unsound = await rejected(stub.Apply(pb.ApplyRequest(policy=b"\x08\x09")))
        assert isinstance(unsound, PolicyRejectedError)
        for request, name in (
            (stub.Get(pb.GetVersionRequest(number=9)), "VERSION_UNKNOWN"),
            (stub.Rollback(pb.RollbackRequest()), "FIELD_MISSING"),
            (stub.ActivateScene(pb.ActivateSceneRequest(scenes=["x"])), "SCENE_UNKNOWN"),
            (stub.Override(pb.OverrideRequest()), "FIELD_MISSING"),
            (stub.Override(slower(1000, 10)), "OUT_OF_RANGE"),
            (stub.Override(pb.OverrideRequest(undo=7)), "VERSION_UNKNOWN"),
            (stub.List(pb.ListVersionsRequest(page_token="x")), "UNKNOWN_VALUE"),
        ):
            assert (await rejected(request)).name == name
        assert (await stub.List(pb.ListVersionsRequest())).current == 1


@DOORS
async def test_roles(door: str, tmp_path: Path) -> None:
    def key(role: str) -> str:
        sha256 = hashlib.sha256(role.encode()).hexdigest()
        return f'[[keys]]\nsha256 = "{sha256}"\ntenant = "default"\ncaller = "{role}-1"\nrole = "{role}"\n'

    keys = "".join(map(key, ("gateway", "agent_gateway", "policy", "admin")))
    (tmp_path / "keys.toml").write_text(keys)
    async with running(door, credentials=str(tmp_path / "keys.toml")) as rig:
        stub = policy(rig)
        for role, may in (("gateway", False), ("agent_gateway", False), ("policy", True), ("admin", True)):
            metadata = (("authorization", f"Bearer {role}"),)
            call = stub.Apply(pb.ApplyRequest(policy=named(role)), metadata=metadata)
            if may:
                assert (await call).version.by == f"{role}-1", "who it was is the credential's to say"
            else:
                assert isinstance(await rejected(call), CredentialError)


async def test_a_restart_keeps_versions_and_what_follows(tmp_path: Path) -> None:
    settings = {"data_dir": str(tmp_path), **SMALL}
    async with running("python", **settings) as rig:
        stub = policy(rig)
        await stub.Apply(pb.ApplyRequest(policy=named("night"), source="as written", why="the night"))
        await stub.Override(slower(60_000, 3_600_000))
        await stub.Override(slower(90_000, 1500))
        before = await stub.List(pb.ListVersionsRequest())
    async with running("native", **settings) as rig:
        stub = policy(rig)
        after = await stub.List(pb.ListVersionsRequest())
        assert after.versions[-4:] == before.versions[-4:]
        assert (await stub.Get(pb.GetVersionRequest(number=2))).source == "as written"
        over = after
        while over.versions[0].cause != pb.VERSION_CAUSE_OVERRIDE_OVER:
            await asyncio.sleep(0.05)
            over = await stub.List(pb.ListVersionsRequest())
        assert (over.versions[0].of, [each.number for each in over.overrides]) == (4, [3])
        assert over.versions[0].hash == before.versions[1].hash


async def test_the_setting_installs_again_only_if_it_is_another(tmp_path: Path) -> None:
    page = tmp_path / "one.policy"
    settings = {"data_dir": str(tmp_path / "data"), "policy": str(page), **SMALL}
    page.write_bytes(named("one"))
    async with running("python", **settings) as rig:
        await policy(rig).Apply(pb.ApplyRequest(policy=named("by hand")))
    async with running("python", **settings) as rig:
        assert (await policy(rig).List(pb.ListVersionsRequest())).versions[0].name == "by hand"
    page.write_bytes(named("two"))
    async with running("python", **settings) as rig:
        listed = await policy(rig).List(pb.ListVersionsRequest())
        assert [each.name for each in listed.versions] == ["two", "by hand", "one"]


async def test_versions_past_the_setting_go(tmp_path: Path) -> None:
    settings = {"data_dir": str(tmp_path), "versions_kept": 1, **SMALL}
    async with running("python", **settings) as rig:
        stub = policy(rig)
        for number in range(6):
            await stub.Apply(pb.ApplyRequest(policy=named(f"p{number}")))
        listed = await stub.List(pb.ListVersionsRequest())
        assert [each.number for each in listed.versions] == [7, 6, 5], "never fewer than three"
        assert listed.kept_bytes < 4 * len(DESK)
        gone = await rejected(stub.Rollback(pb.RollbackRequest(number=2)))
        assert "version 2 is not kept: there are 5 to 7" in gone.message
    async with running("python", **{**settings, "versions_kept": 0}) as rig:
        assert (await policy(rig).List(pb.ListVersionsRequest())).kept == 3


async def test_tenants_have_versions_of_their_own() -> None:
    async with running() as rig:
        stub = policy(rig)
        other = (("csroute-tenant", "other"),)
        assert (await stub.List(pb.ListVersionsRequest(), metadata=other)).current == 0
        await stub.Apply(pb.ApplyRequest(policy=named("other"), expected=0), metadata=other)
        assert (await stub.List(pb.ListVersionsRequest(), metadata=other)).current == 1
        assert (await stub.List(pb.ListVersionsRequest())).versions[0].name == load(POLICY).name
        await rig.routing.Route(ticket_pb2.RouteRequest(ticket=new_ticket("t1")), metadata=other)
