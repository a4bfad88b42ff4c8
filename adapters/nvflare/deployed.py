"""NVFLARE with processes of its own for the kit: ``ztfm adapter check adapters.nvflare.deployed --case sign-flip``.

What its proof-of-concept mode makes: a server and a site for each client, each with certificates, the job submitted by
an administrator. A site and each job that it runs are processes that import torch: a job of nine sites takes minutes.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml
from nvflare.fuel.flare_api.flare_api import new_secure_session
from nvflare.tool.poc.poc_commands import prepare_poc_provision
from safetensors.torch import load_file

from adapters.conformance import Ended, Job, Pace
from adapters.conformance.children import ends_with_us
from adapters.conformance.ports import free_port
from adapters.nvflare.conformance import NAME, made
from adapters.nvflare.point import REPORT

PACE = Pace(training_seconds=60.0, patience_seconds=15.0, round_seconds=300.0, job_seconds=300.0)
"""Sites share the machine, and each of them imports torch once more for a job."""

_ADMINISTRATOR = "admin@nvidia.com"
_LIGHTER = "nvflare.lighter.impl"
_BUILDERS = (
    {"path": f"{_LIGHTER}.workspace.WorkspaceBuilder", "args": {"template_file": ["master_template.yml"]}},
    {"path": f"{_LIGHTER}.static_file.StaticFileBuilder", "args": {"config_folder": "config"}},
    {"path": f"{_LIGHTER}.cert.CertBuilder"},
    {"path": f"{_LIGHTER}.signature.SignatureBuilder"},
)
_SESSION_SECONDS = 120.0
_LINGER_SECONDS = 30.0
_STOP_SECONDS = 10.0


def federation(job: Job) -> Ended:
    """Run a job on sites that are processes, with the components that guard registration and commands at each.

    Raises:
        RuntimeError: it did not come to its end.
    """
    place = job.folder / "nvflare"
    made(job, place).export_job(str(place / "jobs"))
    names = [client.name for client in job.clients]
    kits = _provisioned(place, names, job)
    with _running(kits, ["server", *names]):
        result = _run(place, kits / _ADMINISTRATOR, job)
    (report,) = result.rglob(REPORT)
    return Ended(load_file(place / "final.safetensors"), job.rounds, json.loads(report.read_text()))


def _provisioned(place: Path, names: Sequence[str], job: Job) -> Path:
    """Make the startup kits, add what guards each, and return their folder."""
    server = {"name": "server", "type": "server", "org": "nvidia", "default_host": "localhost"}
    people = {"name": _ADMINISTRATOR, "type": "admin", "org": "nvidia", "role": "project_admin"}
    sites = [{"name": name, "type": "client", "org": "nvidia"} for name in names]
    participants = [{**server, "fed_learn_port": free_port()}, people, *sites]
    project = {"api_version": 3, "name": "project", "participants": participants, "builders": list(_BUILDERS)}
    given = place / "project.yml"
    given.write_text(yaml.safe_dump(project))
    prepare_poc_provision(
        clients=list(names),
        number_of_clients=len(names),
        workspace=str(place / "poc"),
        docker_image=None,
        project_conf_path=str(given),
    )
    kits = place / "poc" / "project" / "prod_00"
    _add(kits / "server", "Registration", {"audience": job.audience})
    for client in job.clients:
        _add(kits / client.name, "Introducing", {"audience": job.audience, "folder": str(client)})
        _add(kits / client.name, "CommandCheck", {})
    return kits


def _add(kit: Path, component: str, arguments: Mapping[str, Any]) -> None:
    made_already, shipped = kit / "local" / "resources.json", kit / "local" / "resources.json.default"
    resources = json.loads((made_already if made_already.exists() else shipped).read_text())
    path = f"adapters.nvflare.{component}"
    resources["components"].append({"id": component.lower(), "path": path, "args": dict(arguments)})
    resources["class_allow_list"] = sorted({*resources["class_allow_list"], "adapters.nvflare."})
    made_already.write_text(json.dumps(resources, indent=2))


@contextmanager
def _running(kits: Path, names: Sequence[str]) -> Iterator[None]:
    """Run the server and the sites as their startup kits do, each in a group of its own with what it starts."""
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for name in names:
            kind = "server" if name == "server" else "client"
            command = [
                *(sys.executable, "-u", "-m", f"nvflare.private.fed.app.{kind}.{kind}_train", "-m", str(kits / name)),
                *("-s", f"fed_{kind}.json", "--set", "secure_train=true", f"uid={name}", "org=nvidia"),
                "config_folder=config",
            ]
            with (kits / f"{name}.log").open("wb") as output:
                processes.append(
                    subprocess.Popen(  # noqa: S603 - this interpreter, no shell
                        command,
                        cwd=kits / name,
                        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
                        stdin=subprocess.DEVNULL,
                        stdout=output,
                        stderr=output,
                        process_group=0,
                        preexec_fn=ends_with_us(signal.SIGKILL),
                    )
                )
        yield
    finally:
        for process in processes:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(_STOP_SECONDS)


def _run(place: Path, administrator: Path, job: Job) -> Path:
    """Submit the job, wait for its end, and return the folder of its result."""
    session = new_secure_session(_ADMINISTRATOR, str(administrator.resolve()), timeout=_SESSION_SECONDS)
    try:
        _gather(session, job)
        job_id = session.submit_job(str(place / "jobs" / NAME))
        outcome = session.monitor_job(job_id, timeout=job.pace.job_seconds * job.rounds, poll_interval=1.0)
        if not str(outcome).endswith("JOB_FINISHED"):
            raise RuntimeError(f"the job did not come to its end: {outcome}")
        return Path(session.download_job_result(job_id, str(place / "downloads")))
    finally:
        session.close()


def _gather(session: Any, job: Job) -> None:
    """Return once all sites are connected, or as many as can be and no more came for a while.

    Raises:
        RuntimeError: too few are.
    """
    began = came = time.monotonic()
    seen = 0
    while time.monotonic() - began < _SESSION_SECONDS:
        connected = len(session.get_system_info().client_info)
        if connected != seen:
            seen, came = connected, time.monotonic()
        if seen == len(job.clients) or (seen >= job.least and time.monotonic() - came > _LINGER_SECONDS):
            return
        time.sleep(1.0)
    raise RuntimeError(f"{seen} of {len(job.clients)} sites are connected")
