import itertools
import socket
import subprocess
import sys

import pytest

from tests.servers import ports
from tests.servers.ports import free_port


def test_a_port_is_not_given_twice_and_is_none_that_connections_get_by_themselves() -> None:
    given = [free_port() for _ in range(100)]
    assert len(set(given)) == 100
    assert all(ports._FIRST <= port < ports._LAST for port in given)


def test_a_port_that_is_taken_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    taken, free = free_port(), free_port()
    monkeypatch.setattr(ports, "_ports", itertools.cycle([taken, free]))
    with socket.create_server(("127.0.0.1", taken)):
        assert free_port() == free


def test_where_all_are_taken_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = free_port()
    monkeypatch.setattr(ports, "_ports", itertools.cycle([taken]))
    with socket.create_server(("127.0.0.1", taken)), pytest.raises(RuntimeError, match="taken"):
        free_port()


@pytest.mark.parametrize("workers", [["gw0", "gw1"], ["gw0", "gw7"], ["gw3", "gw19"]])
def test_who_tests_side_by_side_chooses_from_other_ports(workers: list[str]) -> None:
    left, right = (set(ports._order(worker)) for worker in workers)
    assert not left & right
    assert len(left) == len(right) == ports._SPAN


def test_a_process_knows_its_span_from_its_worker() -> None:
    program = [sys.executable, "-c", "from tests.servers.ports import free_port; print(free_port())"]
    done = subprocess.run(program, env={"PYTEST_XDIST_WORKER": "gw5"}, capture_output=True, text=True, check=True)
    assert int(done.stdout) in set(ports._order("gw5"))
