"""Two replicas behind a load balancer, on one PostgreSQL: processes, as they would be on machines of their own."""

import asyncio
import re
import secrets
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import asyncpg  # type: ignore[import-untyped]
import psutil
from aiohttp import web

from controlplane.capabilities.keyfiles import create_private
from controlplane.identity.tokens import EnrolmentTokens
from controlplane.jose.keys import DeviceKey
from controlplane.storage import Store, open_store
from tests.controlplane.cli.processes import serve
from tests.servers.haproxy import haproxy
from tests.servers.ports import free_port
from tests.servers.postgres import PostgresServer
from tests.servers.relay import Relay, relay
from tests.support import SEGMENTS, Caller, ControlPlane, wait_until

Result = TypeVar("Result")

DOCUMENT = Path("docs/scaling.md")
FILES = {
    "ZTFM_SEALING_KEY_FILE": "sealing.key",
    "ZTFM_POLICY_KEY_FILE": "policy-signing.key",
    "ZTFM_ORGANISATION_KEY_FILE": "organisation.key",
    "ZTFM_LOG_KEY_FILE": "log-signing.key",
    "ZTFM_AUTHORITY_FILE": "authority.pem",
    "ZTFM_ALERTS_TOKEN_FILE": "alerts-token",
    "ZTFM_METRICS_TOKEN_FILE": "metrics-token",
}
"""What replicas have in common beside the database, as the document says."""


@dataclass
class Replica:
    """One ``ztfm serve`` with its OPA.

    Attributes:
        state: its folder.
        port: where it listens.
        environment: its settings.
        plane: asks it, and nobody else.
    """

    state: Path
    port: int
    environment: dict[str, str]
    plane: ControlPlane
    _running: ExitStack = field(default_factory=ExitStack)
    _pid: int = 0

    def start(self) -> None:
        process, _ = self._running.enter_context(serve(self.state, "--port", str(self.port), **self.environment))
        self._pid = process.pid

    def kill(self) -> None:
        """End it as a power cut would, and return when it and its OPA are gone."""
        whole = psutil.Process(self._pid)
        below = whole.children(recursive=True)
        whole.kill()
        self._running.close()
        assert psutil.wait_procs(below, timeout=10)[1] == []

    def is_ready(self) -> bool:
        try:
            return self.plane.call("GET", "/readyz", timeout=3.0).status == 200
        except OSError:
            return False


@dataclass
class Cluster:
    """The replicas, what stands before them, and what lies behind them.

    Attributes:
        replicas: both; the second one reaches the database over a relay.
        balanced: asks whichever the load balancer picks.
        cut: the relay.
        database: URL of it.
        folder: for what is to be kept.
    """

    replicas: Sequence[Replica]
    balanced: ControlPlane
    cut: Relay
    database: str
    folder: Path

    def at(self, caller: Caller, number: int) -> Caller:
        """Return a caller who asks one replica."""
        return replace(caller, plane=self.replicas[number].plane)

    def enrol(self, role: str) -> Caller:
        """Enrol a device over the load balancer."""

        async def _token(store: Store) -> str:
            return (await EnrolmentTokens(store.tokens, time.time).issue([role], SEGMENTS[role], 3600.0))[0]

        key, token = DeviceKey.generate(), self.store(_token)
        document = {"token": token, "roles": [role], "segment": SEGMENTS[role]}
        answer = self.balanced.call("POST", "/v1/devices", document, key=key)
        return Caller(self.balanced, key, answer.expect(201)["id"])

    def store(self, work: Callable[[Store], Coroutine[Any, Any, Result]]) -> Result:
        """Do something with the store itself."""

        async def _work() -> Result:
            store = await open_store(self.database)
            try:
                return await work(store)
            finally:
                await store.close()

        return asyncio.run(_work())

    def rows(self, query: str, *parameters: object) -> list[Any]:
        """Ask the database."""

        async def _rows() -> list[Any]:
            connection = await asyncpg.connect(self.database.replace("+asyncpg", ""))
            try:
                return list(await connection.fetch(query, *parameters))
            finally:
                await connection.close()

        return asyncio.run(_rows())


def configuration(front: int, ports: Sequence[int]) -> str:
    """Return the document's load balancer, with other addresses."""
    found = re.search(r"```haproxy\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert found is not None
    text = found[1].replace("bind :8080", f"bind 127.0.0.1:{front}")
    for number, port in enumerate(ports, start=1):
        text = text.replace(f"10.0.0.1{number}:8181", f"127.0.0.1:{port}")
    assert "10.0.0" not in text
    return text


@contextmanager
def cluster(server: PostgresServer, database: str, folder: Path) -> Iterator[Cluster]:
    """Run all of it until the block ends."""
    front, ports = free_port(), [free_port(), free_port()]
    public = f"http://127.0.0.1:{front}"
    common = folder / "common"
    common.mkdir(mode=0o700)
    for name in ("alerts-token", "metrics-token"):
        create_private(common / name, secrets.token_urlsafe().encode())

    def plane(port: int) -> ControlPlane:
        listens = f"http://127.0.0.1:{port}"
        return ControlPlane(web.Application(), public, folder, asyncio.new_event_loop(), time.time, listens=listens)

    with ExitStack() as running:
        cut = running.enter_context(relay(server.port))
        shared = {name: str(common / file) for name, file in FILES.items()}
        shared |= {"ZTFM_PUBLIC_URL": public, "ZTFM_SHARED_LIMITS": "store"}
        urls = (database, database.replace(f":{server.port}/", f":{cut.port}/"))
        replicas = [
            Replica(folder / name, port, {**shared, "ZTFM_DATABASE_URL": url}, plane(port))
            for name, port, url in zip("ab", ports, urls, strict=True)
        ]
        for replica in replicas:
            running.callback(replica._running.close)
            replica.start()
        file = folder / "balancer" / "haproxy.cfg"
        file.parent.mkdir()
        file.write_text(configuration(front, ports))
        running.enter_context(haproxy(file, front))
        found = Cluster(replicas, plane(front), cut, database, folder)
        wait_until(lambda: found.balanced.call("GET", "/readyz").status == 200, what="the load balancer")
        yield found
        for one in (*replicas, found):
            loop = (one.plane if isinstance(one, Replica) else one.balanced).loop
            loop.close()
