"""Islands of one process each for the kit: ``ztfm adapter check adapters.distributed.conformance``."""

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from torch.distributed import TCPStore  # type: ignore[attr-defined] # it is public, and not listed as such

from adapters.conformance import Ended, Job, Pace, Scripted, report_of
from adapters.distributed.coordinator import Coordinator
from adapters.distributed.island import Island
from adapters.distributed.mailbox import Mailbox, Mailboxes

PACE = Pace(training_seconds=4.0, job_seconds=120.0)
"""Clients are processes, which share the cores."""

_QUERY_SECONDS = 10.0
_CONNECT = timedelta(seconds=20.0)
_END_SECONDS = 2.0
_HOST = "127.0.0.1"
_PROCESSES = multiprocessing.get_context("forkserver")


def federation(job: Job) -> Ended:
    """Run a job with a process for each client."""
    store = TCPStore(_HOST, 0, is_master=True, wait_for_workers=False, timeout=_CONNECT)
    with job.guard() as guard, _islands(job, store.port):
        mailboxes = Mailboxes(store, range(len(job.clients)))
        coordinator = Coordinator(
            guard, mailboxes, training_seconds=job.pace.training_seconds, query_seconds=_QUERY_SECONDS
        )
        state = job.initial
        for _ in range(job.rounds):
            state = coordinator.round(state)
        coordinator.end()
        return Ended(state, job.rounds, report_of(guard))


@contextmanager
def _islands(job: Job, port: int) -> Iterator[None]:
    # What clients import is imported once, by the process that they are forked from.
    _PROCESSES.set_forkserver_preload([__name__])
    started = []
    for number, folder in enumerate(job.clients):
        process = _PROCESSES.Process(target=_island, args=(folder, number, port), daemon=True)
        process.start()
        started.append(process)
    try:
        yield
    finally:
        for process in started:
            process.join(_END_SECONDS)
            # A client that hangs is not waited for.
            process.kill()
            process.join()


def _island(folder: Path, number: int, port: int) -> None:
    store = TCPStore(_HOST, port, is_master=False, timeout=_CONNECT)
    with Scripted.open(folder) as member:
        for outer in Island(member, Mailbox(store, number)).rounds():
            try:
                trained = member.train(outer.state)
                outer.submit_update(trained.update, trained.examples)
            except Exception as error:  # noqa: BLE001 - whatever a training raises, the island goes on, and says so
                print(f"the training of {folder.name} failed: {error}")
