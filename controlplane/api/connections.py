"""What a connection says of all its requests: looked at once, when it is made."""

import asyncio
import socket
from dataclasses import dataclass

from aiohttp import web

from controlplane.capabilities.certificates import PeerCertificate, read_certificate


@dataclass(frozen=True, slots=True)
class Link:
    """How the other side reached us.

    Attributes:
        is_tls: the connection is encrypted by this process.
        is_local: it came over a Unix socket, hence from this machine.
        certificate: what the other side's verified client certificate says; none without one on P-256.
        has_certificate: there was one at all, with whatever key.
    """

    is_tls: bool = False
    is_local: bool = False
    certificate: PeerCertificate | None = None
    has_certificate: bool = False


PLAIN = Link()


def examine_link(transport: asyncio.BaseTransport) -> Link:
    """Return what a new connection's transport says; its TLS handshake is over."""
    found = transport.get_extra_info("socket")
    is_local = found is not None and found.family == socket.AF_UNIX
    tls = transport.get_extra_info("ssl_object")
    if tls is None:
        return Link(is_local=True) if is_local else PLAIN
    der = tls.getpeercert(binary_form=True)
    return Link(True, is_local, read_certificate(der), der is not None)


def link_of(request: web.BaseRequest) -> Link:
    """Return how a request reached us."""
    return getattr(request.protocol, "link", PLAIN)
