"""Rounds in NVFLARE's simulator: the demo's task, a process for each device, guarded and unguarded rounds in turn.

The interpreter of NVFLARE's environment runs it (``python -m tests.backends.environments nvflare`` makes it), in a
folder where everybody is enrolled. It is imported, not run: NVFLARE finds components by the names of their modules.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from nvflare.apis.dxo import DXO, DataKind, from_shareable
from nvflare.apis.executor import Executor
from nvflare.apis.fl_component import FLComponent
from nvflare.apis.fl_constant import FLContextKey, FLMetaKey
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable
from nvflare.apis.signal import Signal
from nvflare.app_common.abstract.fl_model import FLModel
from nvflare.app_common.workflows.fedavg import FedAvg
from nvflare.job_config.api import FedJob
from nvflare.job_config.defs import FilterType
from torch import Tensor

from adapters.nvflare.controller import GuardedFedAvg
from adapters.nvflare.forking import start
from adapters.nvflare.point import REPORT, GuardPoint
from adapters.nvflare.questions import carried
from adapters.nvflare.release import ReleaseFilter
from adapters.nvflare.site import MemberFilter
from adapters.nvflare.weights import read_trusted
from benchmarks.rounds.figures import MOST_REFUSED, Timed, is_guarded
from benchmarks.rounds.processor import processor_seconds
from evaluation.demo.fleet import home
from evaluation.federation.devices import Bench
from evaluation.federation.plan import FULL, Plan
from evaluation.smart_home.task import load_task

TASK, NAME, ROUNDS = "train", "job", "rounds.json"
_ROUND = "round"
_GLANCE_SECONDS = 0.2
_LONGEST_SECONDS = 1500.0
_LOG_LINES = 30


def plan_of(epochs: int) -> Plan:
    """The demo's plan, with so many epochs of a device in a round."""
    return replace(FULL, local=replace(FULL.local, epochs=epochs))


@lru_cache(maxsize=1)
def bench_of(cache: str, epochs: int) -> Bench:
    """The demo's task in this process; forked clients share it."""
    torch.set_num_threads(1)
    return Bench(load_task(0, Path(cache)), plan_of(epochs))


class Trainer(Executor):  # type: ignore[misc] # nvflare is read without its types
    """Trains as the demo's device of the same number.

    Args:
        cache: where the trunk's output is.
        epochs: in a round.
    """

    def __init__(self, cache: str, epochs: int) -> None:
        super().__init__()
        self.cache = cache
        self.epochs = epochs

    def execute(self, task_name: str, shareable: Shareable, fl_ctx: FLContext, abort_signal: Signal) -> Shareable:
        """Return the trained weights."""
        found = from_shareable(shareable)
        state, device = read_trusted(found.data), int(str(fl_ctx.get_identity_name())[-2:])
        turn = int(found.meta.get(_ROUND, 1))
        update, examples = bench_of(self.cache, self.epochs).update(state, device, turn, attacked=False)
        data = {name: (value + update[name]).numpy() for name, value in state.items()}
        return DXO(DataKind.WEIGHTS, data=data, meta={FLMetaKey.NUM_STEPS_CURRENT_ROUND: examples}).to_shareable()


class Trusted(FLComponent):  # type: ignore[misc] # nvflare is read without its types
    """The server's own sentences.

    Args:
        cache: where the trunk's output is.
        epochs: in a round.
    """

    def __init__(self, cache: str, epochs: int) -> None:
        super().__init__()
        self.cache = cache
        self.epochs = epochs

    def reference(self, round_number: int, weights: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Return the update that they yield."""
        return bench_of(self.cache, self.epochs).reference(weights, round_number + 1)


class OpenMember(MemberFilter):
    """Lets results of unguarded rounds pass."""

    def process(self, shareable: Shareable, fl_ctx: FLContext) -> Shareable:
        """As `MemberFilter`, where the round is guarded."""
        task = self._state.tasks.get(str(fl_ctx.get_prop(FLContextKey.TASK_ID)))
        return shareable if task is not None and not task.ours else super().process(shareable, fl_ctx)


class OpenRelease(ReleaseFilter):
    """Lets weights of unguarded rounds pass."""

    def process(self, shareable: Shareable, fl_ctx: FLContext) -> Shareable:
        """As `ReleaseFilter`, where the round is guarded."""
        return super().process(shareable, fl_ctx) if carried(from_shareable(shareable).meta) else shareable


class TakingTurns(GuardedFedAvg):
    """Has guarded and unguarded rounds follow one another in one job, and times each.

    Args:
        cache: where the trunk's output is.
        epochs: of a device in a round.
        times: file that the times go to.
        everything: number of the process that everybody descends from, the control plane too.
        kwargs: of `GuardedFedAvg`.
    """

    def __init__(self, *args: Any, cache: str, epochs: int, times: str, everything: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cache = cache
        self.epochs = epochs
        self.times = times
        self.everything = everything
        self._rounds: list[Timed] = []
        self._begun = self._processor = 0.0

    def load_model(self) -> FLModel:
        """Return the model before the first round."""
        state = bench_of(self.cache, self.epochs).initial()
        return FLModel(params={name: tensor.numpy() for name, tensor in state.items()})

    def save_model(self, model: FLModel) -> None:
        """Keep nothing."""

    def broadcast_model(self, data: FLModel, *given: Any, **named: Any) -> list[FLModel]:
        """As the controller whose turn it is."""
        self._processor = processor_seconds(self.everything)
        self._begun = time.perf_counter()
        data.meta = {**(data.meta or {}), _ROUND: data.current_round + 1}
        kind = GuardedFedAvg if self._is_guarded() else FedAvg
        return kind.broadcast_model(self, data, *given, **named)

    def update_model(self, model: FLModel, aggr_result: FLModel) -> FLModel:
        """As the controller whose turn it is; the round is over."""
        updated: FLModel = (GuardedFedAvg if self._is_guarded() else FedAvg).update_model(self, model, aggr_result)
        took = time.perf_counter() - self._begun
        used = processor_seconds(self.everything) - self._processor
        self._rounds.append(Timed(0.0, took, 0.0, used))
        Path(self.times).write_text(json.dumps([asdict(one) for one in self._rounds]))
        return updated

    def _process_result(self, client_task: Any, fl_ctx: FLContext) -> None:
        (GuardedFedAvg if self._is_guarded() else FedAvg)._process_result(self, client_task, fl_ctx)

    def _get_aggregated_result(self) -> FLModel:
        return (GuardedFedAvg if self._is_guarded() else FedAvg)._get_aggregated_result(self)

    def _is_guarded(self) -> bool:
        return is_guarded(int(self.current_round) + 1)


def run(folder: Path, rounds: int, epochs: int) -> list[dict[str, float]]:
    """Return the times of so many rounds in a folder with enrolled parties.

    Raises:
        RuntimeError: the simulator did not come to its end, or more than a few honest updates were refused.
    """
    cache, place = str(folder / "trunk"), folder / "nvflare"
    sites = [home(device) for device in range(20)]
    bench_of(cache, epochs)
    _job(folder, cache, sites, rounds, epochs, os.getppid()).export_job(str(place / "jobs"))
    local = place / "workspace" / "local"
    local.mkdir(parents=True)
    (local / "resources.json").write_text(json.dumps({"format_version": 2, "class_allow_list": ["*"]}))
    report, log = place / "workspace" / "server" / "simulate_job" / REPORT, place / "log.txt"
    group = start(place / "jobs" / NAME, place / "workspace", sites, log)
    deadline = time.monotonic() + _LONGEST_SECONDS
    try:
        while not report.exists() and time.monotonic() < deadline and not os.waitpid(group, os.WNOHANG)[0]:
            time.sleep(_GLANCE_SECONDS)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(group, 0)
    if not report.exists():
        raise RuntimeError("\n".join(log.read_text(errors="replace").splitlines()[-_LOG_LINES:]))
    guarded = json.loads(report.read_text())["rounds"]
    sent = len(sites) * rounds // 2
    if sent - sum(one["accepted"] for one in guarded) > MOST_REFUSED * sent:
        raise RuntimeError(f"too many honest updates stayed out of the model to compare rounds: {guarded}")
    found: list[dict[str, float]] = json.loads((folder / ROUNDS).read_text())
    return found


def _job(folder: Path, cache: str, sites: list[str], rounds: int, epochs: int, everything: int) -> FedJob:
    parties = folder / "parties"
    made = FedJob(name=NAME, min_clients=len(sites))
    made.set_app_packages(["adapters", "benchmarks"])
    point = GuardPoint(
        audience="aggregator", model="smart-home-intents", folder=str(parties / "aggregator"), reference_id="trusted"
    )
    made.to_server(point, id="guard")
    made.to_server(Trusted(cache, epochs), id="trusted")
    given: dict[str, Any] = {"cache": cache, "epochs": epochs, "times": str(folder / ROUNDS), "everything": everything}
    made.to_server(TakingTurns(num_clients=len(sites), num_rounds=rounds, persistor_id="", **given))
    made.to_server(OpenRelease(), filter_type=FilterType.TASK_DATA, tasks=[TASK])
    for site in sites:
        made.to(Trainer(cache, epochs), site, tasks=[TASK])
        made.to(OpenMember(str(parties / "{site}")), site, filter_type=FilterType.TASK_RESULT, tasks=[TASK])
    return made


def main() -> None:
    """Run what the command line says, and print the times as the last line."""
    print(json.dumps(run(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))
