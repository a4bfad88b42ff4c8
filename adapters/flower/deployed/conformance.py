"""A Flower deployment for the kit: ``ztfm adapter check adapters.flower.deployed.conformance --case sign-flip``.

SuperLink and SuperNodes are Flower's own programs, the job begins with ``flwr run``, and every node reaches the
SuperLink through the proxy alone. Flower starts a process for each message to a node: nine nodes take minutes.
"""

import asyncio
import json
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

from adapters.conformance import Ended, Job, Pace
from adapters.conformance.ports import free_port
from adapters.flower.deployed.apps import ENDED
from adapters.flower.deployed.processes import Programs, programs
from adapters.flower.proxy.opening import beside, opened

PACE = Pace(training_seconds=60.0, round_seconds=300.0, job_seconds=300.0)
"""Each message to a node begins a process that imports torch, and they begin at once."""

_START_SECONDS = 90.0
_COMPONENTS = {"server": "serverapp", "client": "clientapp"}


def federation(job: Job) -> Ended:
    """Run a job in a deployment of its own, a SuperNode and its sidecar for each client.

    Raises:
        RuntimeError: a program of it failed, or the job did not come to its end.
    """
    with programs(job.folder / "flower") as started:
        link = f"127.0.0.1:{free_port()}"
        _start_link(started, link)
        # Of its own, for each job: the nodes that a gateway knows are kept there.
        gateway = Path(shutil.copytree(job.gateway, started.folder / "gateway"))
        with _before(job, gateway, f"http://{link}") as nodes:
            for client, address in zip(job.clients, nodes, strict=True):
                started.start(
                    f"node-{client.name}",
                    *("flower-supernode", "--insecure", "--superlink", address, "--port", str(free_port())),
                    *("--node-config", f"client={json.dumps(str(client))}"),
                )
            (job.folder / ENDED).mkdir()
            started.run(
                "run", "flwr", "run", str(_app(started.folder / "app", job.folder)), "here", seconds=_START_SECONDS
            )
            final = job.folder / ENDED / "ended.json"
            started.wait("link", final.exists, job.pace.job_seconds * job.rounds)
        return Ended.read(job.folder / ENDED)


def _start_link(started: Programs, address: str) -> None:
    host, _, port = address.rpartition(":")
    (started.home / "config.toml").write_text(
        f'[superlink]\ndefault = "here"\n[superlink.here]\naddress = "{address}"\ninsecure = true\n'
    )
    started.start(
        "link",
        *("flower-superlink", "--insecure", "--host", host, "--port", port),
        "--disable-runtime-dependency-installation",
    )
    started.wait("link", lambda: _is_open(host, int(port)), _START_SECONDS)


def _app(folder: Path, job: Path) -> Path:
    """Leave an app that Flower can pack: its components are those of `apps`; it looks for an assignment to each."""
    package = folder / "kit"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    for name in _COMPONENTS:
        (package / f"{name}.py").write_text(f"from adapters.flower.deployed.apps import {name}\n\napp = {name}\n")
    components = "".join(f'{kind} = "kit.{name}:app"\n' for name, kind in _COMPONENTS.items())
    (folder / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
        '[project]\nname = "kit"\nversion = "1.0.0"\ndescription = "The kit\'s job"\nlicense = "Apache-2.0"\n'
        'dependencies = ["flwr"]\n[tool.hatch.build.targets.wheel]\npackages = ["kit"]\n'
        f'[tool.flwr.app]\npublisher = "ztfm"\n[tool.flwr.app.components]\n{components}'
        f"[tool.flwr.app.config]\njob = {json.dumps(str(job))}\n"
    )
    return folder


@contextmanager
def _before(job: Job, gateway: Path, link: str) -> Iterator[list[str]]:
    """Run the proxy before a SuperLink, and give the address at which each client's sidecar listens."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="kit-proxy", daemon=True)
    thread.start()
    stack = AsyncExitStack()

    async def enter() -> list[str]:
        proxy = await stack.enter_async_context(opened(gateway, link, [job.model]))
        urls = [await stack.enter_async_context(beside(client, proxy.public_url)) for client in job.clients]
        return [url.removeprefix("http://") for url in urls]

    try:
        yield asyncio.run_coroutine_threadsafe(enter(), loop).result(_START_SECONDS)
    finally:
        asyncio.run_coroutine_threadsafe(stack.aclose(), loop).result(_START_SECONDS)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_START_SECONDS)
        loop.close()


def _is_open(host: str, port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((host, port)) == 0
