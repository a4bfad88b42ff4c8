"""A control plane in a process of its own, with enrolled devices and an open round, for load to be put on."""

import asyncio
import json
import os
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from adapters.mutual import mutual_tls
from adapters.plane import ControlPlane
from controlplane.contracts.identity import Attestation, Device, Trust
from controlplane.contracts.rounds import Round
from controlplane.entry import authorities_of
from controlplane.identifiers.names import device_id
from controlplane.identity.tokens import EnrolmentTokens, token_digest
from controlplane.jose.keys import DeviceKey
from controlplane.settings import Settings
from controlplane.storage import Store, open_store

MODEL = "smart-home-intents"
DIGEST = "sha256:" + "a" * 64
ROUND = "bench-1"
STOP_SECONDS = 20.0
_ZTFM = (sys.executable, "-m", "controlplane.cli")


@dataclass(frozen=True)
class Served:
    """A running control plane.

    Attributes:
        url: where it listens.
        tls_url: where it listens with TLS; empty when it does not.
        pid: its process.
        database: URL of its store.
        workers: processes that serve.
        certificate: PEM file with its TLS certificate; none when it serves none.
        key: PEM file with the private key of that.
        authority: the authority of client certificates, PEM.
    """

    url: str
    tls_url: str
    pid: int
    database: str
    workers: int
    certificate: Path | None
    key: Path | None
    authority: str


def database_of(state: Path) -> str:
    """The SQLite URL that a control plane with this state folder uses."""
    return f"sqlite+aiosqlite:///{state.resolve() / 'ztfm.db'}"


async def populate(state: Path, count: int) -> list[DeviceKey]:
    """Enrol ``count`` trainers and open a round that they all belong to; return their keys."""
    store = await open_store(database_of(state))
    try:
        return await _populate(store, count)
    finally:
        await store.close()


async def _populate(store: Store, count: int) -> list[DeviceKey]:
    keys = await enrol(store, [Enrolled("trainer", "homes")] * count)
    opened = Round(
        id=ROUND,
        model=MODEL,
        model_digest=DIGEST,
        members=[device_id(key.thumbprint) for key in keys],
        opened_by="bench",
        opens_at=time.time() - 1.0,
        closes_at=time.time() + 3600.0,
        state="open",
    )
    await store.rounds.add(opened)
    return keys


@dataclass(frozen=True)
class Enrolled:
    """A device as it is enrolled: its role, its segment, and how far it is trusted."""

    role: str
    segment: str
    trust: float = 0.9


async def enrol(store: Store, devices: Sequence[Enrolled]) -> list[DeviceKey]:
    """Enrol devices, each with a token of its own; return their keys in that order."""
    tokens, keys = EnrolmentTokens(store.tokens, time.time), [DeviceKey.generate() for _ in devices]
    for one, key in zip(devices, keys, strict=True):
        device = Device(
            id=device_id(key.thumbprint),
            key=key.public,
            key_thumbprint=key.thumbprint,
            roles=[one.role],
            segment=one.segment,
            status="active",
            attestation=Attestation(),
            trust=Trust(score=one.trust, observations=10),
            enrolled_at=time.time(),
        )
        [token] = await tokens.issue([one.role], one.segment, 3600.0)
        await store.enrol(token_digest(token), device)
    return keys


async def certified(plane: "Served", key: DeviceKey) -> ssl.SSLContext:
    """Return how a device connects by mutual TLS, with a certificate that it just got."""
    async with ControlPlane(plane.url, key) as asking:
        return mutual_tls(key, await asking.certificate())


@asynccontextmanager
async def served(
    state: Path, *, tls: bool = False, workers: int = 1, settings: Mapping[str, str] | None = None
) -> AsyncIterator[Served]:
    """Run ``ztfm serve`` on a free port, and with ``tls`` on a second one with TLS, until the context ends.

    Args:
        state: its folder.
        tls: serve TLS too.
        workers: processes that serve; 0 for as many as the cores bear.
        settings: further ones, by the names of their variables.
    """
    made = await _tls_settings(state) if tls else {}
    environment = {**os.environ, **(settings or {}), **made}
    command = [*_ZTFM, "serve", "--port", "0", "--workers", str(workers), "--state-dir", str(state), "--json"]
    with (state / "serve.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, stderr=log, env=environment)
    assert process.stdout is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), 60.0)
        if not line:
            raise RuntimeError(f"the control plane did not start; see {state / 'serve.log'}")
        found = json.loads(line)
        yield Served(
            found["url"],
            found.get("tls_url", ""),
            process.pid,
            database_of(state),
            found["workers"],
            Path(made["ZTFM_TLS_CERT_FILE"]) if tls else None,
            Path(made["ZTFM_TLS_KEY_FILE"]) if tls else None,
            authorities_of(Settings(state_dir=state)).read().trusted_pem(time.time()) if tls else "",
        )
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), STOP_SECONDS)


async def _tls_settings(state: Path) -> dict[str, str]:
    command = [*_ZTFM, "tls", "init", "--host", "127.0.0.1", "--state-dir", str(state), "--json"]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    printed, _ = await process.communicate()
    made = json.loads(printed)
    return {name: made[name] for name in ("ZTFM_TLS_CERT_FILE", "ZTFM_TLS_KEY_FILE")} | {"ZTFM_TLS_PORT": "0"}


def median(values: Sequence[float]) -> float:
    """The middle value (the lower one of two)."""
    return sorted(values)[(len(values) - 1) // 2]
