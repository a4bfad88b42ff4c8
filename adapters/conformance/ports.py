"""Ports for servers of the kit's own."""

import socket


def free_port() -> int:
    """Return a port of this machine's loopback that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
