"""What the proxy's two commands have in common: addresses, certificates, the line that says they are ready, the end."""

import argparse
import asyncio
import ipaddress
import json
import logging
import signal
import ssl
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, NamedTuple

from adapters.errors import ControlPlaneError
from controlplane.capabilities.channels import client_context, server_context
from controlplane.capabilities.errors import KeyFileError


class Address(NamedTuple):
    """Where a command listens.

    Attributes:
        host: an address of this machine.
        port: 0 for one that is free.
    """

    host: str
    port: int


def address(text: str) -> Address:
    """Return the address of ``HOST:PORT``.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is no address such as 127.0.0.1:9443")
    return Address(host.strip("[]"), int(port))


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def add_common(parser: argparse.ArgumentParser, listens: str) -> None:
    """Add what both commands take."""
    parser.add_argument("--listen", type=address, default=address(listens), metavar="HOST:PORT", help=listens)
    parser.add_argument("--tls-certificate", type=Path, metavar="PEM", help="certificate of this listener")
    parser.add_argument("--tls-key", type=Path, metavar="PEM", help="its key")
    parser.add_argument("--control-plane-socket", type=Path, metavar="PATH", help="Unix socket of the control plane")
    parser.add_argument("--json", action="store_true", help="print one JSON object when ready")


def own_tls(given: argparse.Namespace) -> ssl.SSLContext | None:
    """Return how TLS connections are taken; none without a certificate.

    Raises:
        OSError: certificate or key cannot be used.
        ValueError: only one of them is given.
    """
    if (given.tls_certificate is None) != (given.tls_key is None):
        raise ValueError("give --tls-certificate and --tls-key together, or neither")
    if given.tls_certificate is None:
        return None
    return server_context(given.tls_certificate, given.tls_key)


def other_tls(authority: Path | None) -> ssl.SSLContext | None:
    """Return how the other side's certificate is verified; none for the system's authorities.

    Raises:
        OSError: the file cannot be used.
    """
    return client_context(authority) if authority is not None else None


def show_ready(given: argparse.Namespace, **facts: str) -> None:
    """Say that the command listens, in one line."""
    line = (
        json.dumps({"event": "ready", **facts}) if given.json else ", ".join(f"{name} {facts[name]}" for name in facts)
    )
    print(line, flush=True)


def run(prog: str, work: Callable[[asyncio.Event], Coroutine[Any, Any, None]]) -> int:
    """Run a command until it is interrupted or terminated, and return its exit status."""

    async def _until_ended() -> None:
        ending = asyncio.Event()
        for name in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(name, ending.set)
        await work(ending)

    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        asyncio.run(_until_ended())
    except (ControlPlaneError, KeyFileError, ValueError, OSError) as error:
        print(f"{prog}: {error}", file=sys.stderr)
        return 1
    return 0
