"""A Flower deployment for the kit: ``ztfm adapter check adapters.flower.deployed.conformance``.

SuperLink and SuperNodes are Flower's own programs, the job begins with ``flwr run``, and every node reaches the
SuperLink through the proxy alone. Flower starts a process for each message to a node: here all of them are forked from
one that has imported torch.
"""

import asyncio
import json
import os
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import replace
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path

from adapters.conformance import Ended, Job, Pace
from adapters.conformance.ports import free_port, free_ports
from adapters.conformance.warm import Warm
from adapters.flower.deployed.apps import ENDED
from adapters.flower.deployed.processes import Programs, environment, programs
from adapters.flower.proxy.opening import beside, opened
from adapters.flower.proxy.report import Report

PACE = Pace(training_seconds=15.0, round_seconds=180.0, job_seconds=240.0)
"""Each message to a node begins a process, and they begin at once."""

TOGETHER = 18
"""A deployment of its own for each case would spend the time on starting SuperLinks."""

_REVOKED = "revoked"
"""The proxy's word for a device whose update it does not even let in: the guard never sees it."""

_START_SECONDS = 90.0
_COMPONENTS = {"server": "serverapp", "client": "clientapp"}


def federation(job: Job) -> Ended:
    """Run a job in a deployment of its own, a SuperNode and its sidecar for each client.

    Raises:
        RuntimeError: a program of it failed, or the job did not come to its end.
    """
    with programs(job.folder / "flower", _warm(job.folder.parent)) as started:
        link = f"127.0.0.1:{free_port()}"
        _start_link(started, link)
        # Of its own, for each job: the nodes that a gateway knows are kept there.
        gateway = Path(shutil.copytree(job.gateway, started.folder / "gateway"))
        with _before(job, gateway, f"http://{link}") as (proxy, nodes):
            ports = free_ports(len(nodes))
            for client, address, port in zip(job.clients, nodes, ports, strict=True):
                started.start(
                    f"node-{client.name}",
                    *("flower-supernode", "--insecure", "--superlink", address, "--port", str(port)),
                    *("--node-config", f"client={json.dumps(str(client))}"),
                )
            started.run(
                "run", "flwr", "run", str(_app(started.folder / "app", job.folder)), "here", seconds=_START_SECONDS
            )
            final = job.folder / ENDED / "ended.json"
            started.wait("link", final.exists, job.pace.job_seconds * job.rounds)
            # The proxy waits for whoever is still connected.
            started.end()
        ended = Ended.read(job.folder / ENDED)
        refused = sum(calls.get(_REVOKED, 0) for calls in proxy.to_dict()["calls"].values())
        drops = [*ended.report["drops"], *([["identify", _REVOKED, refused]] if refused else [])]
        return replace(ended, report={**ended.report, "drops": drops})


@cache
def _warm(place: Path) -> Warm:
    """Return what Flower's programs are forked from, in all jobs of this process."""
    found = Warm(place / f"flower-{os.getpid()}", "adapters.flower.deployed.prepared", environment())
    for program in entry_points(group="console_scripts"):
        if program.dist is not None and program.dist.name == "flwr":
            found.add(program.name, program.value)
    return found


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
def _before(job: Job, gateway: Path, link: str) -> Iterator[tuple[Report, list[str]]]:
    """Run the proxy before a SuperLink, and give its report and the address at which each client's sidecar listens."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="kit-proxy", daemon=True)
    thread.start()
    stack = AsyncExitStack()

    async def enter() -> tuple[Report, list[str]]:
        proxy = await stack.enter_async_context(opened(gateway, link, [job.model]))
        urls = [await stack.enter_async_context(beside(client, proxy.public_url)) for client in job.clients]
        return proxy.report, [url.removeprefix("http://") for url in urls]

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
