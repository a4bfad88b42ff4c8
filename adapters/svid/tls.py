"""TLS whose peers are known by their SPIFFE IDs: no connection carries anything before its other side is verified.

Names of hosts say nothing here: a peer is who its certificate says, wherever it is reached. TLS 1.3 alone, and no
session is resumed, so that each connection shows a certificate that holds now.
"""

import ssl
import time
from collections.abc import Callable
from typing import Any

from adapters.svid.bundle import TrustBundle
from adapters.svid.verifying import Expected, SvidRefused, verify_peer
from controlplane.identifiers.spiffe import SpiffeId

Bundle = Callable[[], TrustBundle]


def peer_context(
    bundle: Bundle, expected: Expected, *, server: bool, clock: Callable[[], float] = time.time
) -> ssl.SSLContext:
    """Return how connections are made, or taken, whose other side must be one of ``expected``.

    It shows no certificate yet and trusts no authority: `X509Svid.show` adds both, and `SvidSource.context` keeps them
    the newest.

    Args:
        bundle: returns the trust bundle as it is now; each handshake asks.
        expected: whom the other side may be.
        server: for taking connections.
        clock: Unix seconds.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_COMPRESSION
    if server:
        context.num_tickets = 0

    def _verify(tls: Any) -> None:
        try:
            verify_peer(_chain(tls), bundle(), expected, clock())
        except SvidRefused as refused:
            raise ssl.SSLCertVerificationError(1, f"the peer's X509-SVID does not hold: {refused}") from None

    context.sslobject_class = type("VerifiedObject", (_VerifiedObject,), {"verify": staticmethod(_verify)})
    context.sslsocket_class = type("VerifiedSocket", (_VerifiedSocket,), {"verify": staticmethod(_verify)})
    return context


def peer_of(tls: Any) -> SpiffeId | None:
    """Return who is at the other end of a connection that `peer_context` verified; none where nobody is known to be.

    Args:
        tls: its `ssl.SSLObject` or `ssl.SSLSocket`: ``transport.get_extra_info("ssl_object")`` of asyncio and aiohttp.
    """
    if not isinstance(tls, _VerifiedObject | _VerifiedSocket):
        return None
    shown: Any = tls.getpeercert() or {}
    names = [name[1] for name in shown.get("subjectAltName", ()) if name[0] == "URI"]
    return SpiffeId.parse(names[0]) if len(names) == 1 else None


class _VerifiedObject(ssl.SSLObject):
    verify: Callable[[Any], None]

    def do_handshake(self) -> None:
        """Do the handshake, and refuse whoever is not expected before anything is read or sent."""
        super().do_handshake()
        type(self).verify(self)


class _VerifiedSocket(ssl.SSLSocket):
    verify: Callable[[Any], None]

    def do_handshake(self, block: bool = False) -> None:
        """Do the handshake, and refuse whoever is not expected before anything is read or sent."""
        super().do_handshake(block)
        try:
            type(self).verify(self)
        except ssl.SSLCertVerificationError:
            self.close()
            raise


def _chain(tls: Any) -> list[bytes]:
    if hasattr(tls, "get_unverified_chain"):  # from Python 3.13 on
        return list(tls.get_unverified_chain())
    shown = tls.getpeercert(binary_form=True)
    return [] if shown is None else [shown]
