"""Loopback ports for servers that must be told theirs before they start."""

import itertools
import os
import random
import socket

_SPAN = 1000
_FIRST = 12_000
_LAST = 32_000
"""Below what Linux gives to connections by itself (32768 up): none of those takes a port between choice and use."""


def _order(worker: str) -> itertools.chain[int]:
    # Tests that run side by side (gw0, gw1, ...) choose from spans of their own.
    spans = (_LAST - _FIRST) // _SPAN
    start = _FIRST + _SPAN * (int(worker.removeprefix("gw") or 0) % spans)
    offset = random.randrange(_SPAN)
    return itertools.chain(range(start + offset, start + _SPAN), range(start, start + offset))


_ports = itertools.cycle(_order(os.environ.get("PYTEST_XDIST_WORKER", "")))


def free_port() -> int:
    """Return a loopback port that nobody listens on and that this process has not given away lately."""
    for port in itertools.islice(_ports, _SPAN):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError(f"all of {_SPAN} ports are taken")
