"""Who takes part: a control plane, a gateway that is enrolled at it, callers with capabilities, and a model server."""

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from adapters.client import SyncControlPlane
from adapters.member import Member
from benchmarks.household import MODEL, database_of, served
from benchmarks.load import encode
from controlplane.capabilities.proof import make_proof
from controlplane.contracts.access import InferenceSize, Resource
from controlplane.contracts.capability import CapabilityContext
from controlplane.contracts.identity import Attestation, Device, Trust
from controlplane.identifiers.names import device_id
from controlplane.identity.tokens import EnrolmentTokens, token_digest
from controlplane.jose.keys import DeviceKey
from controlplane.storage import open_store

AUDIENCE = "gateway-1"
PUBLIC_URL = "https://models.example"
PATH = "/v1/infer"
BODY = b'{"text": "turn on the light in the kitchen"}'
"""What every request asks."""

_PATHS = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
_CALLERS = 8
_RENEWED_SECONDS = 10.0
_START_SECONDS = 30.0
_STOP_SECONDS = 10.0
_MODEL_SERVER = """daemon off;
worker_processes 1;
pid {folder}/upstream.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    keepalive_requests 10000000;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            default_type application/json;
            return 200 '{{"intent": "HassTurnOn"}}';
        }}
    }}
}}
"""


class ProgramMissing(RuntimeError):  # noqa: N818 - a state, as callers see it
    """A proxy is not installed here."""


class Callers:
    """Trusted devices that ask the model in turn, so that no budget of one of them is met.

    Args:
        devices: with their keys, and the control plane spoken to with these.
    """

    def __init__(self, devices: Sequence[tuple[DeviceKey, SyncControlPlane]]) -> None:
        self._devices = devices
        self._tokens: list[str] = []
        self._issued_at = float("-inf")

    def requests(self, count: int) -> list[bytes]:
        """Return requests that show capabilities, each with a proof of its own; good for half a minute at least."""
        if time.monotonic() - self._issued_at > _RENEWED_SECONDS:
            self._tokens, self._issued_at = [self._granted(plane) for _, plane in self._devices], time.monotonic()
        return [self._request(number % len(self._devices)) for number in range(count)]

    def _granted(self, plane: SyncControlPlane) -> str:
        size = CapabilityContext(inference=InferenceSize(prompt_tokens=8, max_output_tokens=64))
        granted = plane.capability("inference", Resource(type="model", id=MODEL), AUDIENCE, size)
        return granted.require().access_token

    def _request(self, device: int) -> bytes:
        (key, _), token = self._devices[device], self._tokens[device]
        proof = make_proof(key, method="POST", url=PUBLIC_URL + PATH, now=time.time(), access_token=token)
        return encode(PATH, BODY, {"Authorization": f"DPoP {token}", "DPoP": proof})


@dataclass(frozen=True)
class Cast:
    """What proxies are measured with.

    Attributes:
        gateway: folder of the enrolled gateway.
        callers: ask.
        upstream: loopback port of the model server.
        control_plane: its process.
    """

    gateway: Path
    callers: Callers
    upstream: int
    control_plane: int


@asynccontextmanager
async def cast(folder: Path) -> AsyncIterator[Cast]:
    """Run a control plane and a model server, and enrol a gateway and callers.

    Args:
        folder: for everything that is written.

    Raises:
        ProgramMissing: there is no nginx, which is the model server.
    """
    state, port = folder / "state", free_port()
    state.mkdir()
    configuration = folder / "upstream.conf"
    configuration.write_text(_MODEL_SERVER.format(folder=folder, port=port))
    keys = [DeviceKey.generate() for _ in range(_CALLERS)]
    token = await _admitted(state, keys)
    async with served(state) as plane:
        gateway = await asyncio.to_thread(
            Member.enrol, folder / "gateway", plane.url, token, roles=("gateway",), segment="core"
        )
        gateway.close()
        command: list[str | Path] = [program("nginx"), "-p", folder, "-c", configuration]
        with ExitStack() as stack:
            devices = [(key, stack.enter_context(SyncControlPlane(plane.url, key))) for key in keys]
            stack.enter_context(running(command, port, folder / "upstream.log"))
            yield Cast(folder / "gateway", Callers(devices), port, plane.pid)


async def _admitted(state: Path, keys: Sequence[DeviceKey]) -> str:
    """Register trusted devices with their keys, and return a token for a gateway."""
    store = await open_store(database_of(state))
    try:
        tokens = EnrolmentTokens(store.tokens, time.time)
        for key, own in zip(keys, await tokens.issue(["consumer"], "homes", 600.0, len(keys)), strict=True):
            await store.enrol(token_digest(own), _trusted(key))
        [gateway] = await tokens.issue(["gateway"], "core", 600.0, 1)
        return gateway
    finally:
        await store.close()


def _trusted(key: DeviceKey) -> Device:
    return Device(
        id=device_id(key.thumbprint),
        key=key.public,
        key_thumbprint=key.thumbprint,
        roles=["consumer"],
        segment="homes",
        status="active",
        attestation=Attestation(),
        trust=Trust(score=0.9, observations=10),
        enrolled_at=time.time(),
    )


def program(name: str) -> Path:
    """Return a program.

    Raises:
        ProgramMissing: it is not installed.
    """
    found = os.environ.get(f"{name.upper()}_BIN") or shutil.which(name, path=_PATHS)
    if found is None:
        raise ProgramMissing(f"there is no {name} here: install it, or name it in {name.upper()}_BIN")
    return Path(found)


@contextmanager
def running(
    command: Sequence[str | Path], port: int | Path, log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[int]:
    """Run a server from when it takes connections until the block ends, and give its process.

    Args:
        command: that starts it.
        port: loopback port that it listens on, or its Unix socket.
        log: for what it says.
        environment: beside that of this process.

    Raises:
        RuntimeError: it ended or took too long; with what it said.
    """
    with log.open("wb") as said:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, env={**os.environ, **(environment or {})}
        )
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not _listens(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command[0]} does not serve: {log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.02)
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port() -> int:
    """Return a loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def python(*words: str | Path) -> list[str | Path]:
    """Return the command of a module, with this interpreter."""
    return [sys.executable, "-m", *words]


def _listens(port: int | Path) -> bool:
    family, address = (socket.AF_INET, ("127.0.0.1", port)) if isinstance(port, int) else (socket.AF_UNIX, str(port))
    with socket.socket(family) as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(address) == 0
