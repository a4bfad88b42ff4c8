"""HTTP for the conformance kit: ``ztfm adapter check adapters.http.conformance``. Each client is a process."""

import asyncio
import logging
import multiprocessing
from collections.abc import Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor

from adapters.conformance import Ended, Job, Pace, Scripted, report_of
from adapters.credentials import Credentials
from adapters.enrolment import load_identity
from adapters.http.client import Announced, HttpClient
from adapters.http.job import Federation
from adapters.jobs.bounds import Bounds
from adapters.jobs.keeping import JobFolder
from adapters.jobs.reception import Reception

PACE = Pace(training_seconds=5.0, patience_seconds=15.0, round_seconds=60.0, job_seconds=180.0)
"""A round is as long as somebody may train: whoever sends nothing has the others wait for its end."""

SUMS = True
"""A job over HTTP makes secure sums, where policy asks for them."""

NOT_APPLICABLE = {
    "borrowed-pull": "Over HTTP a request for the weights has no other name than that of the key which made its proof: "
    "whoever can make another's proofs holds its key, and is that device.",
}

_GATHER_SECONDS = 2.0
_STAGE_SECONDS = 2.5

_log = logging.getLogger("ztfm.http")


class _Hostile(HttpClient):
    """Sends whatever its member shows, as far as a header can carry it."""

    def headers_of(self, credentials: Credentials) -> dict[str, str]:
        """As `HttpClient.headers_of`; what no header can carry is replaced."""
        shown = super().headers_of(credentials)
        return {name: "".join(one if " " <= one <= "~" else "?" for one in text) for name, text in shown.items()}


def federation(job: Job) -> Ended:
    """Run a job whose server listens on this machine, and whose clients are processes that speak HTTP to it."""
    bounds = Bounds(
        least_members=job.least,
        most_members=len(job.clients),
        gather_seconds=_GATHER_SECONDS,
        round_seconds=job.pace.training_seconds,
        linger_seconds=0.2,
        stage_seconds=_STAGE_SECONDS,
    )
    folder = job.folder / "http"
    folder.mkdir()
    issuer = load_identity(job.aggregator).issuer
    weights = folder / "initial.safetensors"
    save_file(job.initial, weights)
    clients: list[BaseProcess] = []
    with job.guard() as guard, JobFolder(folder / "job", job.model, weights) as kept:
        run = Federation(
            guard,
            Reception(issuer, job.audience),
            kept,
            rounds=job.rounds,
            bounds=bounds,
            reference=lambda _round, state: job.reference(state),
            on_listening=lambda url: clients.extend(_started(job, url, folder)),
            on_progress=_log.info,
        )
        try:
            ended = asyncio.run(run.run())
        finally:
            for client in clients:
                client.kill()
                client.join()
        return Ended(ended.state, ended.finished, report_of(guard))


def _started(job: Job, url: str, folder: Path) -> list[BaseProcess]:
    # Forked from a process that has imported all this: six that each import torch would take half a minute.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    clients: list[BaseProcess] = [
        context.Process(target=_take_part, args=(place, url, folder / f"client-{number}"), daemon=True)
        for number, place in enumerate(job.clients)
    ]
    for client in clients:
        client.start()
    return clients


def _take_part(place: Path, url: str, folder: Path) -> None:
    try:
        with Scripted.open(place) as member, _Hostile(member, url) as client:

            def train(weights: Path, update: Path, _now: Announced) -> int:
                received: Mapping[str, Tensor] = load_file(weights)
                trained = member.train(received)
                save_file({name: value for name, value in trained.update.items() if isinstance(value, Tensor)}, update)
                return trained.examples

            client.take_part(train, folder)
    except Exception as error:  # noqa: BLE001 - a client's own process ends with it, and nothing else does
        _log.info("a client ended: %s: %s", type(error).__name__, error)
