"""How far and how fast a revocation reaches: two control planes as processes of their own on one database."""

import asyncio
import signal
import statistics
import subprocess
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from adapters.feed import RevocationFeed
from controlplane.contracts.access import InferenceSize, Resource
from controlplane.contracts.capability import CapabilityClaims, CapabilityContext
from controlplane.identity.tokens import EnrolmentTokens
from controlplane.jose.jws import parse, parse_object, read_header
from controlplane.jose.keys import DeviceKey
from controlplane.storage import open_store
from tests.adapters.listening import Through, until
from tests.controlplane.cli.processes import serve
from tests.controlplane.storage.conftest import empty_database
from tests.servers.ports import free_port
from tests.servers.postgres import PostgresMissing, PostgresServer, running_server
from tests.support import MODEL, SEGMENTS

PUBLIC_URL = "http://control.test"
WITHIN = 5.0
"""Generous, for a busy machine; what is promised is a second, and what was measured is printed."""

REVOCATIONS = 20


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    try:
        with running_server() as server:
            yield server
    except PostgresMissing as missing:
        pytest.skip(str(missing))


@pytest.fixture(params=["sqlite", "postgresql"])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database that nobody used before, of each kind."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path / 'ztfm.db'}"
    return await empty_database(request.getfixturevalue("postgres"))


@dataclass(frozen=True)
class Replicas:
    """Control planes that share a database, their keys and a public URL, each on a port of its own."""

    folder: Path
    database: str

    @contextmanager
    def replica(self, name: str, port: int) -> Iterator["subprocess.Popen[str]"]:
        shared = {
            "ZTFM_DATABASE_URL": self.database,
            "ZTFM_PUBLIC_URL": PUBLIC_URL,
            "ZTFM_SEALING_KEY_FILE": str(self.folder / "sealing.key"),
            "ZTFM_ORGANISATION_KEY_FILE": str(self.folder / "organisation.key"),
            "ZTFM_POLICY_KEY_FILE": str(self.folder / "policy-signing.key"),
        }
        with serve(self.folder / name, "--port", str(port), **shared) as (process, _):
            yield process

    async def enrol(self, address: str, role: str) -> DeviceKey:
        key = DeviceKey.generate()
        store = await open_store(self.database)
        try:
            token = (await EnrolmentTokens(store.tokens, time.time).issue([role], SEGMENTS[role], 3600.0))[0]
        finally:
            await store.close()
        async with Through(PUBLIC_URL, key, address, 10.0) as client:
            await client.enrol(token, [role], SEGMENTS[role])
        return key


def read(token: str) -> tuple[CapabilityClaims, str]:
    parsed = parse(token)
    assert parsed is not None
    return CapabilityClaims.model_validate(parse_object(parsed.payload)), str(read_header(token)["kid"])


async def held(client: Through) -> str:
    size = CapabilityContext(inference=InferenceSize(prompt_tokens=8, max_output_tokens=8))
    grant = await client.capability("inference", Resource(type="model", id=MODEL), "gateway-1", size)
    return grant.require().access_token


async def give_back(client: Through, token: str) -> None:
    """Revoke a capability as its own holder (RFC 7009)."""
    url = f"{client.url}/oauth/revoke"
    sent = {"Content-Type": "application/x-www-form-urlencoded"}

    def headers() -> dict[str, str]:
        return {**sent, "DPoP": client._prover.prove("POST", url)}

    answer = await client._transport.send("POST", url, f"token={token}".encode(), headers)
    if client._prover.learn(None, answer.status, answer.headers, answer.body):
        answer = await client._transport.send("POST", url, f"token={token}".encode(), headers)
    assert answer.status == 200, answer.body


async def test_a_revocation_on_one_replica_reaches_whoever_listens_to_another(
    database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    replicas = Replicas(tmp_path, database)
    ports = free_port(), free_port()
    addresses = [f"127.0.0.1:{port}" for port in ports]
    async with AsyncExitStack() as stack:
        for name, port in zip("ab", ports, strict=True):
            await asyncio.to_thread(stack.enter_context, replicas.replica(name, port))
        device_key = await replicas.enrol(addresses[0], "consumer")
        watcher_key = await replicas.enrol(addresses[0], "gateway")
        device = await stack.enter_async_context(Through(PUBLIC_URL, device_key, addresses[0], 10.0))
        watcher = await stack.enter_async_context(Through(PUBLIC_URL, watcher_key, addresses[1], 10.0))
        feed = await stack.enter_async_context(RevocationFeed(watcher))
        assert await feed.ready(WITHIN), feed.ignored
        took = []
        for _ in range(REVOCATIONS):
            token = await held(device)
            claims, kid = read(token)
            assert feed.standing(claims, kid) == "good"
            began = time.monotonic()
            await give_back(device, token)
            await until(lambda: feed.standing(claims, kid) == "revoked", WITHIN)  # noqa: B023
            took.append(time.monotonic() - began)
        with capsys.disabled():
            median, longest = (1000 * value for value in (statistics.median(took), max(took)))
            kind = database.partition("+")[0]
            print(
                f"\n{kind}: from asking one replica to a listener of the other: {median:.0f} ms, at most {longest:.0f}"
            )


async def test_a_listener_outlives_a_control_plane_that_is_killed_and_started_again(tmp_path: Path) -> None:
    replicas = Replicas(tmp_path, f"sqlite+aiosqlite:///{tmp_path / 'ztfm.db'}")
    port = free_port()
    address = f"127.0.0.1:{port}"
    async with AsyncExitStack() as stack:
        with ExitStack() as first:
            process = await asyncio.to_thread(first.enter_context, replicas.replica("a", port))
            device_key = await replicas.enrol(address, "consumer")
            watcher_key = await replicas.enrol(address, "gateway")
            device = await stack.enter_async_context(Through(PUBLIC_URL, device_key, address, 10.0))
            watcher = await stack.enter_async_context(Through(PUBLIC_URL, watcher_key, address, 2.0))
            feed = await stack.enter_async_context(RevocationFeed(watcher, max_silence_seconds=4.0))
            assert await feed.ready(WITHIN), feed.ignored
            tokens = [await held(device) for _ in range(2)]
            await give_back(device, tokens[0])
            (doomed, kid), (kept, _) = map(read, tokens)
            await until(lambda: feed.standing(doomed, kid) == "revoked", WITHIN)
            process.send_signal(signal.SIGKILL)
            await asyncio.to_thread(process.wait, 15)
        await until(lambda: feed.standing(kept, kid) == "unknown", 15.0)
        with ExitStack() as second:
            await asyncio.to_thread(second.enter_context, replicas.replica("a", port))
            await until(lambda: feed.standing(kept, kid) == "good", 15.0)
            await give_back(device, tokens[1])
            await until(lambda: feed.standing(kept, kid) == "revoked", WITHIN)
