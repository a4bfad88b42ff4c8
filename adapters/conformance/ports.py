"""Ports for servers of the kit's own."""

import socket
from contextlib import ExitStack


def free_port() -> int:
    """Return a port of this machine's loopback that nobody listened on a moment ago."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """Return so many different ports of this machine's loopback that nobody listened on a moment ago."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
