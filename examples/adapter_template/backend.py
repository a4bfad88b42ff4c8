"""The toy backend: a server and client processes, a pipe to each. It stands for yours, and knows nothing of ZTFM.

It has what every backend has in some form: a way to ask clients and to wait for their answers no longer than a time,
messages with arrays and a few words, and a function on the client that is called for each message. A toy: a client that
sends half a message and stops would be waited for, which your backend's transport must not do.
"""

import json
import multiprocessing
import struct
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from types import TracebackType
from typing import Any, Self

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

_PROCESSES = multiprocessing.get_context("forkserver")
_NUMBER = struct.Struct(">QI")
_MOST_BYTES = 1 << 28

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Message:
    """What travels: a few words, and arrays."""

    words: Mapping[str, str] = field(default_factory=dict)
    arrays: Mapping[str, Array] = field(default_factory=dict)

    def encoded(self, number: int) -> bytes:
        """Return it as bytes, with the number of the question."""
        # Not pickle: who reads that runs whatever the sender likes.
        words = json.dumps(dict(self.words)).encode()
        return _NUMBER.pack(number, len(words)) + words + save(dict(self.arrays))

    @classmethod
    def decoded(cls, raw: bytes) -> tuple[int, Self]:
        """Return the number and the message; of what cannot be read, an empty one."""
        try:
            number, length = _NUMBER.unpack_from(raw)
            end = _NUMBER.size + length
            words = json.loads(raw[_NUMBER.size : end])
            return number, cls({str(name): str(word) for name, word in words.items()}, load(raw[end:]))
        except (struct.error, ValueError, AttributeError, SafetensorError, KeyError):
            return 0, cls()


App = Callable[[Message], Message]
"""What a client does with a message."""

MakeApp = Callable[[Any], App]
"""Makes it in the client's process, from whatever that client was given; importable by its name."""


class Server:
    """Client processes, and how they are asked. A context manager.

    Args:
        make_app: makes what a client does.
        clients: what each is given.
    """

    def __init__(self, make_app: MakeApp, clients: Sequence[Any]) -> None:
        self.clients = range(len(clients))
        # What clients import is imported once, by the process that they are forked from.
        _PROCESSES.set_forkserver_preload([make_app.__module__])
        self._asked = 0
        self._owing: dict[int, int] = {}
        self._pipes: list[Connection[bytes, bytes]] = []
        self._processes = []
        for given in clients:
            ours, theirs = _PROCESSES.Pipe()
            process = _PROCESSES.Process(target=_client, args=(make_app, given, theirs), daemon=True)
            process.start()
            theirs.close()
            self._pipes.append(ours)
            self._processes.append(process)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for pipe in self._pipes:
            pipe.close()
        for process in self._processes:
            process.terminate()
            process.join()

    def ask(self, clients: Iterable[int], question: Message, seconds: float) -> dict[int, Message]:
        """Ask clients, and return the answers that come in time.

        Whoever owes an answer to an earlier question is not asked; that answer, should it come, is thrown away.
        """
        self._asked += 1
        self._read(0.0)
        for client in clients:
            if client not in self._owing and self._send(client, question.encoded(self._asked)):
                self._owing[client] = self._asked
        answers: dict[int, Message] = {}
        deadline = time.monotonic() + seconds
        while self._asked in self._owing.values() and (left := deadline - time.monotonic()) > 0:
            answers.update(self._read(left))
        return answers

    def _send(self, client: int, raw: bytes) -> bool:
        try:
            self._pipes[client].send_bytes(raw)
        except OSError:
            return False
        return True

    def _read(self, seconds: float) -> dict[int, Message]:
        owing = {self._pipes[client]: client for client in self._owing}
        found = {}
        for pipe in wait(list(owing), seconds):
            client = owing[pipe]  # type: ignore[index] # only pipes are waited for
            try:
                number, answer = Message.decoded(self._pipes[client].recv_bytes(_MOST_BYTES))
            except (EOFError, OSError):
                # Its process is gone, or it sent too much: no answer comes from there any more.
                del self._owing[client]
                continue
            if number == self._owing.get(client):
                del self._owing[client]
                if number == self._asked:
                    found[client] = answer
        return found


def _client(make_app: MakeApp, given: Any, pipe: "Connection[bytes, bytes]") -> None:
    app = make_app(given)
    while True:
        try:
            number, question = Message.decoded(pipe.recv_bytes())
        except EOFError:
            return
        try:
            answer = app(question)
        except Exception as error:  # noqa: BLE001 - as every backend, this one tells the server that an app failed
            answer = Message({"failed": type(error).__name__})
        pipe.send_bytes(answer.encoded(number))
