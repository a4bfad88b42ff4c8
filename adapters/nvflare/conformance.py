"""NVFLARE's simulator for the conformance kit: ``ztfm adapter check adapters.nvflare.conformance``.

Run it by the interpreter of an environment that has NVFLARE. Each client is a process of its own.
"""

import json
import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from nvflare.apis.dxo import DXO, DataKind, from_shareable
from nvflare.apis.executor import Executor
from nvflare.apis.fl_constant import FLMetaKey
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable
from nvflare.apis.signal import Signal
from nvflare.app_common.abstract.fl_model import FLModel
from nvflare.job_config.api import FedJob
from nvflare.job_config.defs import FilterType
from safetensors.torch import load_file, save_file

from adapters.conformance import Ended, Job, Pace, Scripted, report_of
from adapters.guard import Guard
from adapters.member import Member
from adapters.nvflare.controller import GuardedFedAvg
from adapters.nvflare.folders import own_folder
from adapters.nvflare.forking import start
from adapters.nvflare.point import REPORT, GuardPoint
from adapters.nvflare.release import ReleaseFilter
from adapters.nvflare.site import MemberFilter
from adapters.nvflare.weights import read_trusted

PACE = Pace(training_seconds=15.0, patience_seconds=15.0, round_seconds=180.0, job_seconds=240.0)
"""A site asks for its next task every two seconds, and its process takes a while to start."""

TASK = "train"
NAME = "job"
_QUERY_SECONDS = 30.0
_GLANCE_SECONDS = 0.2
_LOG_LINES = 30


class ScriptedSite(MemberFilter):
    """A site whose member behaves as its script says."""

    def member_of(self, fl_ctx: FLContext) -> Member:
        """Return the scripted member of this site."""
        return Scripted.open(own_folder(self.folder, fl_ctx))


class ScriptedTrainer(Executor):  # type: ignore[misc] # nvflare is read without its types
    """Trains as the site's script says.

    Args:
        folder: of the site's member.
    """

    def __init__(self, folder: str) -> None:
        super().__init__()
        self.folder = folder

    def execute(self, task_name: str, shareable: Shareable, fl_ctx: FLContext, abort_signal: Signal) -> Shareable:
        """Return the trained weights."""
        received = read_trusted(from_shareable(shareable).data)
        with Scripted.open(own_folder(self.folder, fl_ctx)) as member:
            trained = member.train(received)
        data = {name: _array(value) for name, value in trained.weights(received).items()}
        meta = {FLMetaKey.NUM_STEPS_CURRENT_ROUND: trained.examples}
        return DXO(DataKind.WEIGHTS, data=data, meta=meta).to_shareable()


class ReportingPoint(GuardPoint):
    """A point whose report is the kit's."""

    def report_of(self, guard: Guard) -> dict[str, Any]:
        """Return the guard's report as the kit reads it."""
        return report_of(guard)


class FromFile(GuardedFedAvg):
    """Federated averaging that begins with a file's weights, and leaves them in another one.

    Args:
        initial: file of the weights that it begins with.
        final: file of those that it ends with.
        kwargs: of `GuardedFedAvg`.
    """

    def __init__(self, *args: Any, initial: str, final: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial = initial
        self.final = final

    def load_model(self) -> FLModel:
        """Return the weights that it begins with."""
        return FLModel(params={name: tensor.numpy() for name, tensor in load_file(self.initial).items()})

    def save_model(self, model: FLModel) -> None:
        """Leave the weights after a round."""
        save_file({name: tensor.contiguous() for name, tensor in read_trusted(model.params).items()}, self.final)


def federation(job: Job) -> Ended:
    """Run a job in the simulator, with a process for each client.

    Raises:
        RuntimeError: it did not come to its end.
    """
    place = job.folder / "nvflare"
    made(job, place).export_job(str(place / "jobs"))
    local = place / "workspace" / "local"
    local.mkdir(parents=True)
    (local / "resources.json").write_text(json.dumps({"format_version": 2, "class_allow_list": ["*"]}))
    report = place / "workspace" / "server" / "simulate_job" / REPORT
    log = place / "log.txt"
    group = start(place / "jobs" / NAME, place / "workspace", [client.name for client in job.clients], log)
    try:
        _wait(group, report)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(group, 0)
    final = place / "final.safetensors"
    if not report.exists() or not final.exists():
        said = log.read_text(errors="replace").splitlines()
        errors = [line for line in said if "Error" in line or "ERROR" in line]
        tail = "\n".join((*errors[-_LOG_LINES:], *said[-_LOG_LINES:]))
        raise RuntimeError(f"the simulator left no {'model' if report.exists() else 'report'}\n{tail}")
    return Ended(load_file(final), job.rounds, json.loads(report.read_text()))


def made(job: Job, place: Path, query_seconds: float = _QUERY_SECONDS) -> FedJob:
    """Return the kit's job, guarded, for the simulator and for sites that are processes; ``place`` is made."""
    place.mkdir()
    member = str(job.clients[0].parent / "{site}")
    made = FedJob(name=NAME, min_clients=1)
    made.set_app_packages(["adapters"])
    point = ReportingPoint(
        audience=job.audience,
        model=job.model,
        folder=str(job.aggregator),
        duration_seconds=job.pace.training_seconds,
        query_seconds=query_seconds,
        patience_seconds=job.pace.patience_seconds,
    )
    made.to_server(point, id="guard")
    files = {"initial": str(job.folder / "initial.safetensors"), "final": str(place / "final.safetensors")}
    made.to_server(FromFile(num_clients=len(job.clients), num_rounds=job.rounds, persistor_id="", **files))
    made.to_server(ReleaseFilter(), filter_type=FilterType.TASK_DATA, tasks=[TASK])
    for client in job.clients:
        made.to(ScriptedTrainer(member), client.name, tasks=[TASK])
        made.to(ScriptedSite(member), client.name, filter_type=FilterType.TASK_RESULT, tasks=[TASK])
    return made


def _wait(group: int, report: Path) -> None:
    """Return once the run has ended: the simulator itself waits for a client that hangs, and never ends."""
    while not report.exists():
        if os.waitpid(group, os.WNOHANG)[0]:
            return
        time.sleep(_GLANCE_SECONDS)


def _array(value: object) -> Any:
    return value.numpy() if hasattr(value, "numpy") else value
