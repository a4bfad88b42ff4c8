"""Clients of the simulator, forked from a process that has imported all that they need: a job then starts in seconds.

The simulator starts each client as an interpreter of its own, which spends its time on importing torch.
"""

import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

from nvflare.fuel.f3.mpm import MainProcessMonitor
from nvflare.private.fed.app.simulator import simulator_runner, simulator_worker

_GLANCE_SECONDS = 0.1


def start(job: Path, workspace: Path, clients: list[str], log: Path) -> int:
    """Start the simulator with a job, in a group of processes of its own, and return the group.

    What is in the group ends when it is killed, and the clients end with it.
    """
    group = os.fork()
    if not group:
        _leave(lambda: _lead(job, workspace, clients, log))
    return group


def _lead(job: Path, workspace: Path, clients: list[str], log: Path) -> None:
    os.setpgid(0, 0)
    _print_to(log)
    ours, theirs = Pipe()
    if not os.fork():
        ours.close()
        _leave(lambda: _serve(theirs))
    theirs.close()
    _run(job, workspace, clients, ours)


def _run(job: Path, workspace: Path, clients: list[str], server: Connection) -> None:
    asking = threading.Lock()

    def forked(command: list[str], env: dict[str, str], **_: Any) -> _Forked:
        with asking:
            server.send((command, env))
            return _Forked(server.recv())

    standing_in = SimpleNamespace(Popen=forked, TimeoutExpired=subprocess.TimeoutExpired)
    simulator_runner.subprocess = standing_in
    names = ",".join(clients)
    runner = simulator_runner.SimulatorRunner(
        job_folder=str(job), workspace=str(workspace), clients=names, threads=len(clients)
    )
    runner.run()


def _serve(orders: Connection) -> None:
    """Fork a client for each order; end all of them when nobody can order any more."""
    os.setpgid(0, 0)
    # Who was forked here and has ended is nobody's to wait for.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    started: list[int] = []
    with suppress(EOFError, OSError):
        while True:
            command, environment = orders.recv()
            client = os.fork()
            if not client:
                orders.close()
                _leave(partial(_client, command, environment))
            started.append(client)
            orders.send(client)
    for client in started:
        with suppress(ProcessLookupError):
            os.kill(client, signal.SIGKILL)


def _client(command: list[str], environment: dict[str, str]) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    os.environ.update(environment)
    sys.argv = command[2:]
    given = simulator_worker.parse_arguments()
    MainProcessMonitor.run(main_func=simulator_worker.main, run_dir=given.workspace, args=given)


class _Forked:
    """What the simulator asks of a client's process."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return 0 once it has ended."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            self.returncode = 0
        return self.returncode

    def wait(self, timeout: float) -> None:
        """Wait until it has ended.

        Raises:
            subprocess.TimeoutExpired: it has not.
        """
        deadline = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired("client", timeout)
            time.sleep(_GLANCE_SECONDS)

    def terminate(self) -> None:
        """Ask it to end."""
        os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        os.kill(self.pid, signal.SIGKILL)


def _leave(work: Callable[[], None]) -> NoReturn:
    """Do the work of a forked process and end it, whatever comes of it."""
    try:
        work()
    except BaseException:  # noqa: BLE001 - nothing of the process that was forked may go on here
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def _print_to(log: Path) -> None:
    with log.open("wb") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
