"""A workload's X509-SVID, kept fresh: with a new key each time, long before it expires, and with its trust bundle.

A denial or a control plane that is away changes nothing at once: the SVID is shown until it expires, and asked for anew
with growing pauses. Nothing calls a certificate back before that (docs/spiffe.md).
"""

import asyncio
import logging
import random
import ssl
import time
from collections.abc import Callable
from typing import Protocol
from weakref import WeakSet

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from adapters.errors import ControlPlaneError
from adapters.following import Follower
from adapters.svid.bundle import BundleInvalid, TrustBundle
from adapters.svid.identity import X509Svid, fresh_key, private_pem, request_for
from adapters.svid.tls import peer_context
from adapters.svid.verifying import Expected, SvidRefused, verify_peer
from controlplane.contracts.identity import IssuedCertificate
from controlplane.identifiers.spiffe import SpiffeId, SpiffeIdInvalid, TrustDomain

RENEWED_AT = 0.5
"""The share of its life after which an SVID is replaced."""

JITTER = 0.1
"""How far renewals are spread, so that a fleet does not ask in step."""

PAUSE_SECONDS = 1.0
MAX_PAUSE_SECONDS = 60.0

_log = logging.getLogger("ztfm.svid")


class SvidMissing(Exception):  # noqa: N818 - a state, as callers see it
    """There is no SVID that holds now; the message says why the last try did not bring one."""


class Issuer(Protocol):
    """Issues SVIDs; an `adapters.client.ControlPlane` does."""

    async def certificate(self, lifetime_seconds: float = ..., csr: str | None = None) -> IssuedCertificate:
        """Return an X509-SVID for the key that signed ``csr``."""
        ...

    async def trust_bundle(self) -> bytes:
        """Return the trust bundle."""
        ...


class SvidSource(Follower):
    """Keeps an X509-SVID fresh in the background. An asynchronous context manager.

    ::

        async with SvidSource(plane) as source:
            await source.ready(10.0)
            serving = source.context({peer}, server=True)

    Args:
        plane: the control plane, spoken to with the enrolled key, which never leaves it.
        domain: trust domain that the SVID has to be of; none for the one of the first SVID.
        lifetime_seconds: asked for, five minutes to a day; policy may have it shorter.
        clock: Unix seconds.
        on_change: told of each new SVID and each new bundle; where it raises `OSError`, it is told again after a pause.
        renewed_at: the share of its life after which an SVID is replaced.

    Attributes:
        failure: why the last try failed; empty after one that did not.
    """

    def __init__(
        self,
        plane: Issuer,
        *,
        domain: TrustDomain | None = None,
        lifetime_seconds: float = 3_600.0,
        clock: Callable[[], float] = time.time,
        on_change: Callable[[X509Svid], None] = lambda _: None,
        renewed_at: float = RENEWED_AT,
    ) -> None:
        super().__init__("ztfm-svid")
        if not 0.0 < renewed_at < 1.0:
            raise ValueError("an SVID is renewed within its life")
        self.failure = ""
        self._plane = plane
        self._domain = domain
        self._lifetime = lifetime_seconds
        self._clock = clock
        self._on_change = on_change
        self._renewed_at = renewed_at
        self._svid: X509Svid | None = None
        self._is_told = True
        self._contexts: WeakSet[ssl.SSLContext] = WeakSet()

    @property
    def svid(self) -> X509Svid:
        """The newest SVID.

        Raises:
            SvidMissing: there is none, or it has expired.
        """
        if self._svid is None:
            raise SvidMissing(f"there is no SVID yet: {self.failure or 'none was asked for'}")
        if self._svid.expires_at <= self._clock():
            raise SvidMissing(f"the SVID has expired: {self.failure or 'it was not renewed'}")
        return self._svid

    @property
    def bundle(self) -> TrustBundle:
        """The newest trust bundle.

        Raises:
            SvidMissing: there is none.
        """
        if self._svid is None:
            raise SvidMissing(f"there is no trust bundle yet: {self.failure or 'none was asked for'}")
        return self._svid.bundle

    def context(self, expected: Expected, *, server: bool) -> ssl.SSLContext:
        """Return how connections are made or taken whose other side is one of ``expected``.

        It shows the newest SVID and verifies by the newest bundle, for as long as this source is followed.

        Args:
            expected: whom the other side may be: names, or what says of a name whether it is one of them.
            server: for taking connections.

        Raises:
            SvidMissing: there is no SVID that holds now.
        """
        context = peer_context(lambda: self.bundle, expected, server=server, clock=self._clock)
        self.svid.show(context)
        self._contexts.add(context)
        return context

    async def renew(self) -> X509Svid:
        """Fetch a new SVID with a new key, and the bundle, now, and return it.

        Raises:
            ControlPlaneError: any of `adapters.errors`; `Forbidden` of these where policy denies it.
            SvidRefused: what came does not hold by the bundle that came with it.
            BundleInvalid: the bundle is none.
            OSError: ``on_change`` raised it; the SVID is there.
        """
        key = fresh_key()
        issued = await self._plane.certificate(self._lifetime, request_for(key))
        try:
            name = SpiffeId.parse(issued.spiffe_id)
        except SpiffeIdInvalid as error:
            raise SvidRefused("no_spiffe_id", str(error)) from None
        domain = self._domain or name.domain
        bundle = TrustBundle.parse(await self._plane.trust_bundle(), domain)
        try:
            certificate = x509.load_pem_x509_certificate(issued.certificate.encode())
        except ValueError:
            raise SvidRefused("malformed", "the control plane sent no certificate") from None
        if certificate.public_key() != key.public_key():
            raise SvidRefused("unexpected", "the certificate is for another key than was asked for")
        verify_peer([certificate.public_bytes(Encoding.DER)], bundle, {name}, self._clock())
        expires_at = certificate.not_valid_after_utc.timestamp()
        svid = X509Svid(name, private_pem(key), issued.certificate, bundle, self._clock(), expires_at)
        self._domain = domain
        self._take(svid)
        return svid

    async def refresh(self) -> TrustBundle:
        """Fetch the trust bundle now, and return the newest.

        Where the SVID no longer leads to an authority of it, a new one is fetched too.

        Raises:
            ControlPlaneError: any of `adapters.errors`.
            BundleInvalid: the bundle is none.
            SvidRefused: the SVID that was fetched does not hold.
            SvidMissing: there is no SVID yet.
            OSError: ``on_change`` raised it; the bundle is there.
        """
        current = self.svid
        bundle = TrustBundle.parse(await self._plane.trust_bundle(), current.bundle.domain)
        if bundle.sequence is not None and bundle.sequence < (current.bundle.sequence or 0):
            return current.bundle  # an older one, of a replica that is behind
        if bundle.sequence is None or bundle.sequence != current.bundle.sequence:
            self._take(X509Svid(**{**vars(current), "bundle": bundle}))
        if not self._leads_to(bundle):
            await self.renew()
        return self.bundle

    def _leads_to(self, bundle: TrustBundle) -> bool:
        own = x509.load_pem_x509_certificate(self.svid.certificate.encode()).public_bytes(Encoding.DER)
        try:
            verify_peer([own], bundle, {self.svid.name}, self._clock())
        except SvidRefused:
            return False
        return True

    def _take(self, svid: X509Svid) -> None:
        for context in list(self._contexts):
            svid.show(context)
        self._svid = svid
        self._known.set()
        self._is_told = False
        self._tell()

    def _tell(self) -> None:
        if self._svid is not None and not self._is_told:
            self._on_change(self._svid)
            self._is_told = True

    async def _run(self) -> None:
        failures = 0
        while True:
            try:
                self._tell()
                if self._svid is None or self._clock() >= self._renew_from(self._svid):
                    await self.renew()
                else:
                    await self.refresh()
            except (ControlPlaneError, SvidRefused, BundleInvalid, SvidMissing, ValueError, OSError) as error:
                failures += 1
                self.failure = str(error)
                _log.warning("no new SVID or trust bundle, what is there stays until it expires: %s", error)
                pause = min(PAUSE_SECONDS * 2.0 ** min(failures - 1, 16), MAX_PAUSE_SECONDS)
            else:
                failures, self.failure = 0, ""
                pause = self._pause()
            await asyncio.sleep(pause * random.uniform(1.0 - JITTER, 1.0))  # noqa: S311 - spreads a fleet

    def _renew_from(self, svid: X509Svid) -> float:
        return svid.issued_at + self._renewed_at * (svid.expires_at - svid.issued_at)

    def _pause(self) -> float:
        if self._svid is None:
            return PAUSE_SECONDS
        left = self._renew_from(self._svid) - self._clock()
        return max(0.05, min(left, self._svid.bundle.refresh_seconds))
