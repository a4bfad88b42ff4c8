"""What the server bounds before a request reaches a route."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from safetensors.torch import save
from torch import Tensor

from adapters.guard import Guard
from adapters.http.client import HttpClient
from tests.adapters.conftest import update_of
from tests.adapters.http.jobs import QUICK, Enrol, RunningJob, open_round, running_job
from tests.adapters.http.test_refusals import Sender
from tests.support import ControlPlane, wait_until


@pytest.fixture
def sender(
    plane: ControlPlane, guard: Guard, enrol: Enrol, state: dict[str, Tensor], tmp_path: Path
) -> Iterator[Sender]:
    member, other = enrol("trainer"), enrol("trainer")
    bounds = replace(QUICK, connections=4)
    with running_job(plane, guard, tmp_path / "a", state, members=[member.id, other.id], bounds=bounds) as job:
        with HttpClient(member, job.url) as client:
            terms = open_round(client).terms
        assert terms is not None
        yield Sender(job, member, terms, tmp_path, save(update_of(state, 1)))


def connected(job: RunningJob) -> socket.socket:
    parts = urlsplit(job.url)
    return socket.create_connection((str(parts.hostname), parts.port or 0), timeout=5)


def is_closed(connection: socket.socket) -> bool:
    connection.settimeout(0.2)
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True
    except TimeoutError:
        return False


def test_connections_beyond_the_bound_are_closed_and_those_within_serve_on(sender: Sender) -> None:
    with ExitStack() as stack:
        first = [stack.enter_context(connected(sender.job)) for _ in range(4)]
        fifth = stack.enter_context(connected(sender.job))
        wait_until(lambda: is_closed(fifth), 5)
        assert not any(is_closed(one) for one in first)
        first[0].settimeout(5)
        first[0].sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b" 200 " in first[0].recv(4096)
    sender.still_works()


def test_what_is_no_http_is_answered_with_a_problem(sender: Sender) -> None:
    with connected(sender.job) as connection:
        connection.sendall(b"\x16\x03\x01 no http\r\n\r\n")
        answer = connection.recv(4096)
    assert b" 400 " in answer.partition(b"\r\n")[0]
    assert b"application/problem+json" in answer
    sender.still_works()


def test_a_client_that_waits_for_a_word_learns_before_the_body(sender: Sender) -> None:
    def heads(path: str, headers: dict[str, str]) -> bytes:
        fields = [f"{name}: {text}" for name, text in {**headers, "Expect": "100-continue", "Host": "x"}.items()]
        return "\r\n".join([f"POST {path} HTTP/1.1", *fields]).encode() + b"\r\n\r\n"

    path, headers, _ = sender.request(Authorization="DPoP nothing")
    with connected(sender.job) as connection:
        connection.sendall(heads(path, headers))
        assert connection.recv(4096).startswith(b"HTTP/1.1 401")
    path, headers, body = sender.request()
    with connected(sender.job) as connection:
        connection.sendall(heads(path, headers))
        assert connection.recv(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert connection.recv(4096).startswith(b"HTTP/1.1 202")
