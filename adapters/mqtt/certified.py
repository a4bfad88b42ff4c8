"""A client certificate of the control plane's for connections to a broker, renewed before it runs out."""

import ssl
import time
from collections.abc import Callable
from pathlib import Path

from adapters.client import SyncControlPlane
from adapters.mutual import mutual_tls, present
from controlplane.jose.keys import DeviceKey

_RENEWED_AT = 1 / 3
"""The share of its life that a certificate has left when the next one is fetched."""


class Certified:
    """How TLS connections are made with the certificate of an enrolled key. For one thread at a time.

    Args:
        key: the enrolled key.
        plane: the control plane, spoken to with that key.
        server_authority: PEM file of the authority that the broker's certificate leads to; none for the control plane's
            own (``ztfm tls init``), beside the system's.
        clock: Unix seconds.
    """

    def __init__(
        self,
        key: DeviceKey,
        plane: SyncControlPlane,
        server_authority: Path | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._key = key
        self._plane = plane
        self._server_authority = server_authority
        self._clock = clock
        self._context: ssl.SSLContext | None = None
        self._renew_at = 0.0

    def context(self) -> ssl.SSLContext:
        """Return the context, always the same one, with a certificate that holds for a while.

        Raises:
            ControlPlaneError: there is no certificate: the device is not active, or the control plane is away.
            OSError: the file cannot be read.
        """
        now = self._clock()
        if self._context is None or now >= self._renew_at:
            issued = self._plane.certificate()
            if self._context is None:
                self._context = mutual_tls(self._key, issued, self._server_authority)
            else:
                present(self._context, self._key, issued)
                if self._server_authority is None:
                    # The authority may have been rotated meanwhile.
                    self._context.load_verify_locations(cadata=issued.authority)
            self._renew_at = issued.expires_at - _RENEWED_AT * (issued.expires_at - now)
        return self._context
