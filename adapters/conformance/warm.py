"""Programs that are started over and over, each forked from a process that has imported what they need (Linux).

A backend's own programs spend most of their start on importing torch. Here each is still a process of its own, with its
own arguments, environment and standard streams; what it imports is there already. Whoever starts one runs a small
script that stands in for it: it hands over what it was started with, passes signals on and ends as the program does.
"""

import atexit
import gc
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import NoReturn

from adapters.conformance.children import children_of, ends_with_us

INTERPRETER = "python"
"""Name of the script that stands in for the interpreter: it runs ``-m MODULE``."""

_SIZE = 8

# Only what starts fast: it is an interpreter of its own, which does next to nothing.
_STAND_IN = """#!{python} -IS
import json, os, signal, socket, sys
link = socket.socket(socket.AF_UNIX)
link.connect({address!r})
told = json.dumps([{target!r}, sys.argv, dict(os.environ), os.getcwd()]).encode()
socket.send_fds(link, [len(told).to_bytes({size}, "big")], [0, 1, 2])
link.sendall(told)
heard = b""
while b"\\n" not in heard:
    heard += link.recv(32) or sys.exit(1)
first, status = heard.split(b"\\n", 1)
number = int(first)
for one in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(one, lambda received, _: os.kill(number, received))
while part := link.recv(32):
    status += part
sys.exit(int(status or 1))
"""


class Warm:
    """The process that programs are forked from. It ends with the process that made it, and they end with it.

    Args:
        folder: made; scripts that stand in for programs go there. Its path is short: a socket lies in it.
        prepared: module that imports what programs need, and changes what is to be changed for all of them.
        environment: of that process; a program has that of whoever starts it.

    Raises:
        RuntimeError: the module cannot be imported; standard error says why.
    """

    def __init__(self, folder: Path, prepared: str, environment: Mapping[str, str]) -> None:
        folder.mkdir(mode=0o700)
        self.folder = folder
        self._address = str(folder / "socket")
        self.add(INTERPRETER, "")
        self._process = subprocess.Popen(  # noqa: S603 - this interpreter, no shell
            [sys.executable, "-m", "adapters.conformance.warm", self._address, prepared],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            preexec_fn=ends_with_us(signal.SIGKILL),
        )
        assert self._process.stdout is not None  # noqa: S101 - Popen was given a pipe
        with self._process.stdout as said:
            is_ready = bool(said.readline())
        if not is_ready:
            self._process.wait()
            raise RuntimeError(f"{prepared} cannot be imported: see what it said above")

    @property
    def interpreter(self) -> Path:
        """The script that stands in for the interpreter."""
        return self.folder / INTERPRETER

    def end_programs(self) -> None:
        """End at once whatever was forked, in whatever session it is."""
        for program in children_of(self._process.pid):
            with suppress(ProcessLookupError):
                os.kill(program, signal.SIGKILL)

    def add(self, name: str, target: str) -> None:
        """Have a program be started by a name in the folder.

        Args:
            name: of the script.
            target: the function that is the program, as ``module:function``; empty for an interpreter.
        """
        script = self.folder / name
        python = sys.executable
        script.write_text(_STAND_IN.format(python=python, address=self._address, target=target, size=_SIZE))
        script.chmod(0o700)


def serve(address: str) -> None:
    """Fork a program for each connection.

    Args:
        address: of the socket.
    """
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen(128)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    print("ready", flush=True)
    end_with_us = ends_with_us(signal.SIGKILL)
    while True:
        link, _ = listener.accept()
        if os.fork():
            link.close()
            continue
        end_with_us()
        listener.close()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        _be(link, str(Path(address).with_name(INTERPRETER)))


def _be(link: socket.socket, interpreter: str) -> None:
    """Be the program that was asked for, and end."""
    target, arguments, environment, folder = _told(link)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.executable = interpreter
    sys.argv = list(arguments)
    link.sendall(f"{os.getpid()}\n".encode())
    threading.Thread(target=_end_with, args=(link,), name="stand-in", daemon=True).start()
    status = _status(target)
    with suppress(OSError):
        link.sendall(str(status).encode())
    # What an interpreter does at its end, but for taking apart, for a second, what was imported.
    with suppress(Exception):
        threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _told(link: socket.socket) -> tuple[str, list[str], dict[str, str], str]:
    """Take the standard streams that were handed over, and return what is to be run, and how."""
    size, streams, _, _ = socket.recv_fds(link, _SIZE, 3)
    for number, one in enumerate(streams):
        os.dup2(one, number)
        os.close(one)
    left, told = int.from_bytes(size, "big"), b""
    while len(told) < left:
        told += link.recv(left - len(told)) or _nobody()
    target, arguments, environment, folder = json.loads(told)
    return target, arguments, environment, folder


def _nobody() -> NoReturn:
    """End: whoever asked for a program is gone before it began."""
    os._exit(1)


def _end_with(link: socket.socket) -> None:
    """End at once when whoever stands in for this program is gone."""
    with suppress(OSError):
        if link.recv(1) == b"":
            os.kill(os.getpid(), signal.SIGKILL)


def _status(target: str) -> int:
    try:
        if target:
            EntryPoint("", target, "").load()()
        else:
            _interpret()
    except SystemExit as ended:
        if isinstance(ended.code, str):
            print(ended.code, file=sys.stderr)
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:  # noqa: BLE001 - what a program does not catch is shown, and is its status
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


def _interpret() -> None:
    """Run the module that an interpreter would: ``[-u] -m MODULE [ARGUMENTS]``."""
    place = sys.argv.index("-m")
    module = sys.argv[place + 1]
    sys.argv = [module, *sys.argv[place + 2 :]]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def main() -> None:
    """Import what is needed, and fork programs until the process that started this one is gone."""
    _, address, prepared = sys.argv
    import_module(prepared)
    # What is there already is nobody's garbage, and stays where it is shared.
    gc.collect()
    gc.freeze()
    serve(address)


if __name__ == "__main__":
    main()
