"""NVFLARE with processes of its own for the kit: ``ztfm adapter check adapters.nvflare.deployed``.

What its proof-of-concept mode makes: a server and a site for each client, each with certificates, the job submitted by
an administrator. A site and each job that it runs are processes, all of them forked from one that has imported torch.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from nvflare.tool.poc.poc_commands import prepare_poc_provision
from safetensors.torch import load_file

from adapters.conformance import Ended, Job, Pace
from adapters.conformance.children import ends_with_us
from adapters.conformance.ports import free_port
from adapters.conformance.warm import Warm
from adapters.nvflare.conformance import NAME, made
from adapters.nvflare.point import REPORT
from adapters.nvflare.submitting import ADMINISTRATOR

PACE = Pace(training_seconds=15.0, patience_seconds=15.0, round_seconds=180.0, job_seconds=300.0)
"""A site asks for its next task every two seconds, and all of them share the machine."""

TOGETHER = 18
"""Server, sites and an administrator for each case would spend the time on starting them."""

_LIGHTER = "nvflare.lighter.impl"
_BUILDERS = (
    {"path": f"{_LIGHTER}.workspace.WorkspaceBuilder", "args": {"template_file": ["master_template.yml"]}},
    {"path": f"{_LIGHTER}.static_file.StaticFileBuilder", "args": {"config_folder": "config"}},
    {"path": f"{_LIGHTER}.cert.CertBuilder"},
    {"path": f"{_LIGHTER}.signature.SignatureBuilder"},
)
_OUTCOME_SECONDS = "3"
"""How long NVFLARE's server waits, when a job is over, for the word of a site whose part of it hangs."""

_SAID = 3000
_ERRORS = 10


def federation(job: Job) -> Ended:
    """Run a job on sites that are processes, with the components that guard registration and commands at each.

    Raises:
        RuntimeError: it did not come to its end.
    """
    place = job.folder / "nvflare"
    made(job, place, job.pace.training_seconds).export_job(str(place / "jobs"))
    names = [client.name for client in job.clients]
    kits = _provisioned(place, names, job)
    warm = _warm(job.folder.parent)
    with _running(kits, ["server", *names], warm):
        result = _run(place, kits / ADMINISTRATOR, job, warm)
    (report,) = result.rglob(REPORT)
    return Ended(load_file(place / "final.safetensors"), job.rounds, json.loads(report.read_text()))


@cache
def _warm(place: Path) -> Warm:
    """Return what NVFLARE's processes are forked from, in all jobs of this process."""
    return Warm(place / f"nvflare-{os.getpid()}", "adapters.nvflare.prepared", _environment())


def _environment() -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(sys.path),
        "OMP_NUM_THREADS": "1",
        "NVFLARE_CLIENT_OUTCOME_WAIT_TIMEOUT": _OUTCOME_SECONDS,
    }


def _provisioned(place: Path, names: Sequence[str], job: Job) -> Path:
    """Make the startup kits, add what guards each, and return their folder."""
    server = {"name": "server", "type": "server", "org": "nvidia", "default_host": "localhost"}
    people = {"name": ADMINISTRATOR, "type": "admin", "org": "nvidia", "role": "project_admin"}
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
def _running(kits: Path, names: Sequence[str], warm: Warm) -> Iterator[None]:
    """Run the server and the sites as their startup kits do; they and the jobs that they start end with the block."""
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for name in names:
            kind = "server" if name == "server" else "client"
            command = [
                *(str(warm.interpreter), "-u", "-m", f"nvflare.private.fed.app.{kind}.{kind}_train"),
                *("-m", str(kits / name), "-s", f"fed_{kind}.json", "--set", "secure_train=true", f"uid={name}"),
                *("org=nvidia", "config_folder=config"),
            ]
            with (kits / f"{name}.log").open("wb") as output:
                processes.append(
                    subprocess.Popen(  # noqa: S603 - stands in for this interpreter, no shell
                        command,
                        cwd=kits / name,
                        env=_environment(),
                        stdin=subprocess.DEVNULL,
                        stdout=output,
                        stderr=output,
                        preexec_fn=ends_with_us(signal.SIGKILL),
                    )
                )
        yield
    finally:
        warm.end_programs()
        for process in processes:
            process.kill()
            process.wait()


def _run(place: Path, administrator: Path, job: Job, warm: Warm) -> Path:
    """Have an administrator submit the job and wait for its end, and return the folder of its result.

    Raises:
        RuntimeError: it did not come to its end; the message holds the end of what the administrator's program said,
            and of what the server logged as errors.
    """
    orders = {
        "kit": str(administrator.resolve()),
        "job": str(place / "jobs" / NAME),
        "to": str(place / "downloads"),
        "told": str(place / "told"),
        "least": job.least,
        "most": len(job.clients),
        "seconds": job.pace.job_seconds * job.rounds,
    }
    command = [str(warm.interpreter), "-m", "adapters.nvflare.submitting", json.dumps(orders)]
    done = subprocess.run(  # noqa: S603 - stands in for this interpreter, no shell
        command, cwd=place, env=_environment(), capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = (done.stdout + done.stderr)[-_SAID:]
        raise RuntimeError(f"the job did not come to its end\n{said}\n{_errors(administrator.parent)}")
    return Path((place / "told").read_text())


def _errors(kits: Path) -> str:
    """Return the last errors that the server logged, its jobs' among them."""
    logs = [kits / "server.log", *sorted((kits / "server").rglob("log.txt"))]
    lines = [line for log in logs if log.is_file() for line in log.read_text(errors="replace").splitlines()]
    return "\n".join([line for line in lines if "Error" in line or "ERROR" in line][-_ERRORS:])
