"""Mutual TLS in two lines: prove the enrolled key by the connection instead of by a proof in each request (RFC 8705).

::

    context = mutual_tls(key, await plane.certificate())
    over_tls = ControlPlane("https://control.example:8443", key, tls=context, proofs=False)

A certificate lasts a day at most: `present` puts the next one into the same context, for connections from then on.
"""

import os
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from controlplane.contracts.identity import IssuedCertificate
from controlplane.jose.keys import DeviceKey


def mutual_tls(key: DeviceKey, issued: IssuedCertificate, server_authority: Path | None = None) -> ssl.SSLContext:
    """Return how TLS connections are made with the certificate of ``key``; TLS 1.3, and the server is verified.

    Args:
        key: the enrolled key.
        issued: its certificate, as `ControlPlane.certificate` returns it.
        server_authority: PEM file of the authority that the server's certificate leads to; none for the control
            plane's own, as ``ztfm tls init`` writes it, beside the system's authorities.

    Raises:
        ValueError: key and certificate do not belong together.
        OSError: the file cannot be read.
    """
    context = ssl.create_default_context(cafile=str(server_authority) if server_authority is not None else None)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    if server_authority is None:
        context.load_verify_locations(cadata=issued.authority)
    present(context, key, issued)
    return context


def present(context: ssl.SSLContext, key: DeviceKey, issued: IssuedCertificate) -> None:
    """Show ``issued`` on connections that ``context`` makes from now on.

    Raises:
        ValueError: key and certificate do not belong together.
    """
    # The ssl module takes keys from files alone.
    with private_file(key.to_pem() + issued.certificate.encode()) as path:
        try:
            context.load_cert_chain(path)
        except ssl.SSLError as error:
            raise ValueError(f"the certificate is not that of this key ({error.reason})") from None


@contextmanager
def private_file(content: bytes) -> Iterator[str]:
    """Give a path under which ``content`` can be read by this process alone, on no disk where the system can do that.

    Yields:
        the path, as long as the context is entered.
    """
    if hasattr(os, "memfd_create"):
        # Never on any disk.
        descriptor = os.memfd_create("ztfm-key", os.MFD_CLOEXEC)
        try:
            os.write(descriptor, content)
            yield f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)
        return
    with tempfile.NamedTemporaryFile(prefix="ztfm-") as file:
        file.write(content)
        file.flush()
        yield file.name
