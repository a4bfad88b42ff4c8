"""A job over HTTP in a thread, and members that speak to it."""

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from adapters.errors import Unavailable
from adapters.guard import Guard, Member
from adapters.http.client import Announced, HttpClient
from adapters.http.job import Ended, Federation
from adapters.jobs.bounds import Bounds
from adapters.jobs.keeping import JobFolder
from adapters.jobs.reception import Reception
from tests.adapters.conftest import AUDIENCE, update_of
from tests.support import MODEL, ControlPlane, wait_until

QUICK = Bounds(
    least_members=4, gather_seconds=0.0, round_seconds=40.0, renew_seconds=5.0, linger_seconds=0.3, wait_seconds=3.0
)

Enrol = Callable[..., Member]


@dataclass
class RunningJob:
    """A job that runs."""

    url: str = ""
    ended: Ended | None = None
    fault: BaseException | None = None
    lines: list[str] = field(default_factory=list)
    job: Federation | None = None
    loop: asyncio.AbstractEventLoop | None = None
    thread: threading.Thread | None = None

    def result(self, seconds: float = 60.0) -> Ended:
        """Wait for the end and return it."""
        assert self.thread is not None
        self.thread.join(seconds)
        if self.fault is not None:
            raise self.fault
        assert self.ended is not None, self.lines
        return self.ended

    def stop(self) -> None:
        """End the job."""
        assert self.loop is not None
        assert self.job is not None
        if self.loop.is_running():
            self.loop.call_soon_threadsafe(self.job.stop)


@contextmanager
def running_job(
    plane: ControlPlane,
    guard: Guard,
    folder: Path,
    state: dict[str, Tensor],
    *,
    rounds: int = 1,
    bounds: Bounds = QUICK,
    shards: Sequence[str] | None = None,
    **options: Any,
) -> Iterator[RunningJob]:
    """Run a job from ``state`` in a folder, and end it."""
    weights = folder / "initial.safetensors"
    if not weights.exists():
        folder.mkdir(exist_ok=True)
        save_file(state, weights)
    running, ready = RunningJob(), threading.Event()

    def listening(url: str) -> None:
        running.url = url
        running.loop = asyncio.get_running_loop()
        ready.set()

    def work() -> None:
        try:
            with JobFolder(folder / "job", MODEL, weights) as kept:
                running.job = Federation(
                    guard,
                    Reception(plane.url, AUDIENCE, shards=shards),
                    kept,
                    rounds=rounds,
                    bounds=bounds,
                    on_listening=listening,
                    on_progress=running.lines.append,
                    **options,
                )
                running.ended = asyncio.run(running.job.run())
        except BaseException as error:  # noqa: BLE001 - raised again where the test waits
            running.fault = error
            ready.set()

    running.thread = threading.Thread(target=work, name="http-job")
    running.thread.start()
    try:
        assert ready.wait(60)
        if running.fault is not None:
            raise running.fault
        yield running
    finally:
        if running.loop is not None:
            running.stop()
        running.thread.join(30)


def loaded(path: Path) -> dict[str, Tensor]:
    """Return a file's tensors in the order in which `update_of` is asked for elsewhere."""
    found = load_file(path)
    return {name: found[name] for name in sorted(found, reverse=True)}


def honest(seed: int, examples: int = 10) -> Callable[[Path, Path, Announced], int]:
    """Return what trains: an update as in `update_of`, another one each round."""

    def train(weights: Path, update: Path, now: Announced) -> int:
        save_file(update_of(loaded(weights), seed + 10 * now.document["finished"]), update)
        return examples

    return train


def sending(change: Callable[[dict[str, Tensor]], dict[str, Tensor]], seed: int = 0) -> Callable[..., int]:
    """Return what trains and then changes its update."""

    def train(weights: Path, update: Path, _round: Announced) -> int:
        save_file(change(update_of(loaded(weights), seed)), update)
        return 10

    return train


@contextmanager
def taking_part(members: list[Member], url: str, folder: Path, trains: dict[int, Any]) -> Iterator[list[int]]:
    """Have members take part in threads of their own until the job ends; the list has how many updates each sent."""
    sent = [-1] * len(members)

    def work(number: int, member: Member) -> None:
        # A job that was stopped is gone for whoever asks a moment later.
        with suppress(Unavailable), HttpClient(member, url, timeout_seconds=30.0) as client:
            sent[number] = client.take_part(trains.get(number) or honest(number), folder / f"member-{number}")

    threads = [threading.Thread(target=work, args=pair) for pair in enumerate(members)]
    for thread in threads:
        thread.start()
    try:
        yield sent
    finally:
        for thread in threads:
            thread.join(30)


def mean_of(state: dict[str, Tensor], numbers: list[int]) -> dict[str, Tensor]:
    """Return the state after a round of these honest members."""
    updates = [update_of(state, number) for number in numbers]
    return {
        name: state[name] + torch.stack([update[name].double() for update in updates]).mean(dim=0).float()
        for name in updates[0]
    }


def open_round(client: HttpClient) -> Announced:
    """Wait for a round to open and return it."""
    found = client.current()

    def is_open() -> bool:
        nonlocal found
        found = client.current()
        return found.state == "open"

    wait_until(is_open, 30)
    return found


__all__ = [
    "QUICK",
    "Enrol",
    "RunningJob",
    "honest",
    "mean_of",
    "open_round",
    "replace",
    "running_job",
    "sending",
    "taking_part",
]
