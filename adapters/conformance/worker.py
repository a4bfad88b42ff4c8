"""The process in which a backend runs its jobs, one after the other: what it does there cannot touch the kit."""

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, Self, TextIO

from adapters.conformance.children import ends_with_us
from adapters.conformance.job import Ended, Job, Pace

_START_SECONDS = 120.0
_STOP_SECONDS = 5.0
_LOG_LINES = 15


class WorkerFailed(Exception):  # noqa: N818 - a state, as callers see it
    """The backend's process ended, or its module cannot be used; the message holds the last lines of its log."""


class Worker:
    """A backend's process, as the kit sees it. A context manager; it runs, and says what it is, from the start.

    Args:
        module: the backend's, by its import name.
        python: interpreter of the environment that has the backend's packages; none for this one.

    Attributes:
        pace: how long things may take with the backend.
        not_applicable: cases that it cannot have, and why.
        together: how many clients that a case is about may take part in one of its jobs.
        sums: whether it makes secure sums, where policy asks for them.
    """

    pace: Pace
    not_applicable: Mapping[str, str]
    together: int
    sums: bool

    def __init__(self, module: str, python: Path | None = None) -> None:
        self._module = module
        self._python = str(python or sys.executable)
        self._folder = tempfile.TemporaryDirectory(prefix="ztfm-backend-", ignore_cleanup_errors=True)
        self._log = Path(self._folder.name) / "log"
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        """Start it.

        Raises:
            WorkerFailed: the module cannot be used.
            OSError: there is no such interpreter.
        """
        try:
            self.start()
        except BaseException:
            self._folder.cleanup()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.end(at_once=error is not None)
        self._folder.cleanup()

    def start(self) -> None:
        """Start it, once more where it has ended.

        Raises:
            WorkerFailed: the module cannot be used.
            OSError: there is no such interpreter.
        """
        with self._log.open("a") as errors:
            self._process = subprocess.Popen(  # noqa: S603 - an interpreter that the caller named, no shell
                [self._python, "-m", "adapters.conformance.worker", self._module],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                # What it starts ends with it: one group, which the kit can end.
                start_new_session=True,
                preexec_fn=ends_with_us(signal.SIGKILL),
            )
        try:
            said = self.answer(_START_SECONDS)
            if said is None or "error" in said:
                why = said["error"] if said else f"it said nothing within {_START_SECONDS:g} s"
                raise WorkerFailed(f"{self._module}: {why}")
        except BaseException:
            self.end(at_once=True)
            raise
        self.pace, self.not_applicable = Pace(**said["pace"]), said["not_applicable"]
        self.together, self.sums = said["together"], said["sums"]

    @property
    def is_running(self) -> bool:
        """Whether it can be given a job."""
        return self._process is not None and self._process.poll() is None

    def begin(self, folder: Path) -> None:
        """Have it run the job of a folder.

        Raises:
            WorkerFailed: it has ended.
        """
        process = self._started()
        assert process.stdin is not None  # noqa: S101 - Popen was given a pipe
        try:
            process.stdin.write(f"{folder}\n")
            process.stdin.flush()
        except OSError:
            raise WorkerFailed(self._last_words()) from None

    def answer(self, seconds: float) -> dict[str, Any] | None:
        """Return what it says next, or none when it says nothing in so many seconds.

        Raises:
            WorkerFailed: it has ended.
        """
        process = self._started()
        assert process.stdout is not None  # noqa: S101 - Popen was given a pipe
        if not select.select([process.stdout], [], [], seconds)[0]:
            return None
        line = process.stdout.readline()
        if not line:
            raise WorkerFailed(self._last_words())
        return dict(json.loads(line))

    def end(self, *, at_once: bool = False) -> None:
        """End it and whatever it started.

        Args:
            at_once: do not wait until its job is over.
        """
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.0 if at_once else _STOP_SECONDS)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdout is not None:
            process.stdout.close()

    def _started(self) -> "subprocess.Popen[str]":
        if self._process is None:
            raise WorkerFailed("the backend's process does not run")
        return self._process

    def _last_words(self) -> str:
        process = self._started()
        deadline = time.monotonic() + _STOP_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        tail = "\n".join(self._log.read_text(errors="replace").splitlines()[-_LOG_LINES:])
        return f"the backend's process ended with status {process.returncode}\n{tail}"


def serve(name: str, orders: TextIO, answers: TextIO) -> None:
    """Run the jobs whose folders are named on ``orders``, a line each, and say on ``answers`` how each ended.

    Args:
        name: of the backend's module.
        orders: where the kit writes.
        answers: where the kit reads.
    """
    try:
        module = import_module(name)
        federation = module.federation
        said = {
            "pace": asdict(getattr(module, "PACE", Pace())),
            "not_applicable": _not_applicable(module),
            "together": max(1, int(getattr(module, "TOGETHER", 1))),
            "sums": bool(getattr(module, "SUMS", False)),
        }
    except Exception as error:  # noqa: BLE001 - whatever a module raises is told, and ends the kit
        traceback.print_exc()
        _say(answers, {"error": f"{type(error).__name__}: {error}"})
        return
    _say(answers, said)
    for line in orders:
        job = Job.read(Path(line.strip()))
        try:
            ended = federation(job)
            if not isinstance(ended, Ended):
                raise TypeError(f"federation() returned {type(ended).__name__}, and no Ended")
            ended.write(job.folder)
        except Exception as error:  # noqa: BLE001 - whatever a job raises is told, and fails the case
            traceback.print_exc()
            _say(answers, {"error": f"{type(error).__name__}: {error}"})
        else:
            _say(answers, {"error": ""})


def _not_applicable(module: ModuleType) -> dict[str, str]:
    found = getattr(module, "NOT_APPLICABLE", {})
    return {str(case): str(reason) for case, reason in found.items()}


def _say(answers: TextIO, said: Mapping[str, Any]) -> None:
    print(json.dumps(said), file=answers, flush=True)


def main() -> None:
    """Serve the kit over the standard streams; whatever else is printed goes to standard error."""
    with os.fdopen(os.dup(1), "w") as answers:
        os.dup2(2, 1)
        serve(sys.argv[1], sys.stdin, answers)
    # Threads of clients that hang must not keep the process.
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
