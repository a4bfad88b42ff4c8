"""How TLS connections of ours are made and taken: with TLS 1.3 and nothing older, and never to an unverified server."""

import os
import ssl
from functools import lru_cache
from pathlib import Path

MINIMUM = ssl.TLSVersion.TLSv1_3


def client_context(authority: Path | None = None) -> ssl.SSLContext:
    """Return how connections are made to something of this house: a control plane, an OPA, a proxy.

    Args:
        authority: PEM file of the authority that the other side's certificate leads to, and no other; none for the
            system's (``SSL_CERT_FILE`` names others), whose context is shared: change nothing in it.

    Raises:
        OSError: the file cannot be used.
    """
    if authority is None:
        # OpenSSL looks there for the system's authorities; to read them all takes a while.
        return _of_system(*(os.environ.get(name) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR")))
    return _made(str(authority))


@lru_cache(8)
def _of_system(_file: str | None, _folder: str | None) -> ssl.SSLContext:
    return _made(None)


def _made(authority: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=authority)
    context.minimum_version = MINIMUM
    return context


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """Return how connections are taken, with a certificate. No session is resumed.

    Args:
        certificate: PEM file with it, and with what leads to its authority.
        key: PEM file with its private key.

    Raises:
        OSError: a file cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = MINIMUM
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0
    context.load_cert_chain(certificate, key, password=_no_password)
    return context


def _no_password() -> str:
    # Without this, OpenSSL would ask on the terminal, and hang.
    raise OSError("the private key is encrypted; give one that is not, in a private file")
