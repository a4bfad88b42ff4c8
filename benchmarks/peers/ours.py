"""The control plane with that policy in place of its own three decisions: everything else is as it ships.

Devices prove who they are by mutual TLS, facts come from the store, and each decision is recorded before it is given
out. Without minting, gateways ask (`/access/v1/evaluation`), and policy is asked first whether each may. With minting,
each device asks for a capability (`/v1/capabilities`).
"""

import json
import shutil
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import psutil

from benchmarks.household import Enrolled, Served, certified, database_of, enrol, served
from benchmarks.load import encode
from benchmarks.peers.cases import ACTIONS, Asked, Party, World
from benchmarks.peers.engine import Engine
from benchmarks.peers.opa import RULES, lay_out
from benchmarks.processes import Family
from controlplane.identifiers.names import device_id
from controlplane.jose.keys import DeviceKey
from controlplane.sidecar.folders import product_folder
from controlplane.storage import open_store

_DECISION = RULES.with_name("decision.rego")


@asynccontextmanager
async def ours(world: World, folder: Path) -> AsyncIterator[Engine]:
    """Run it for decisions without capabilities."""
    async with both(world, folder) as (deciding, _):
        yield deciding


@asynccontextmanager
async def ours_minting(world: World, folder: Path) -> AsyncIterator[Engine]:
    """Run it for decisions with a capability for whatever is allowed."""
    async with both(world, folder) as (_, minting):
        yield minting


@asynccontextmanager
async def both(world: World, folder: Path) -> AsyncIterator[tuple[Engine, Engine]]:
    """Run it, and say how it is asked by as many gateways as there are devices, and by the devices themselves."""
    async with _running(world, folder) as (plane, keys):
        connections = [await certified(plane, key) for key in keys]
        devices, gateways = connections[: len(world.parties)], connections[len(world.parties) :]

        def _evaluation(asked: Asked) -> bytes:
            question = {
                "subject": {"type": "device", "id": device_id(keys[asked.party.place].thumbprint)},
                "action": {"name": asked.action},
                "resource": {"type": "model", "id": asked.model.name},
            }
            return encode("/access/v1/evaluation", json.dumps(question).encode(), {})

        yield _engine(plane, _evaluation, _decided, gateways), _engine(plane, _capability, _minted, devices)


def _capability(asked: Asked) -> bytes:
    question = {
        "action": asked.action,
        "resource": {"type": "model", "id": asked.model.name},
        "audience": "fl-server",
    }
    return encode("/v1/capabilities", json.dumps(question).encode(), {})


@asynccontextmanager
async def _running(world: World, folder: Path) -> AsyncIterator[tuple[Served, Sequence[DeviceKey]]]:
    state, policies = folder / "state", folder / "policies"
    state.mkdir(parents=True, mode=0o700)
    shutil.copytree(product_folder("policies"), policies)
    for action in ACTIONS:
        shutil.rmtree(policies / "ztfm" / action)
        (policies / "ztfm" / action).mkdir()
        (policies / "ztfm" / action / "policy.rego").write_text(_DECISION.read_text().replace("ACTION", action))
    lay_out(world, policies)
    keys = await _enrolled(state, world.parties)
    async with served(state, tls=True, workers=0, settings={"ZTFM_POLICIES": str(policies)}) as plane:
        yield plane, keys


async def _enrolled(state: Path, parties: Sequence[Party]) -> list[DeviceKey]:
    """Enrol the devices, and as many gateways behind them; return their keys in that order."""
    devices = [Enrolled(one.role, one.segment, one.trust) for one in parties]
    store = await open_store(database_of(state))
    try:
        return await enrol(store, [*devices, *[Enrolled("gateway", "core")] * len(devices)])
    finally:
        await store.close()


def _engine(
    plane: Served,
    encoded: Callable[[Asked], bytes],
    allowed: Callable[[int, bytes], bool],
    tls: Sequence[ssl.SSLContext],
) -> Engine:
    port = int(plane.tls_url.rpartition(":")[2])
    return Engine(port, Family(psutil.Process(plane.pid)), encoded, allowed, tls)


def _decided(status: int, body: bytes) -> bool:
    return status == 200 and json.loads(body).get("decision") is True


def _minted(status: int, body: bytes) -> bool:
    return status == 201 and bool(json.loads(body).get("access_token"))
