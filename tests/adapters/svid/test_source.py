"""An SVID stays fresh: renewed within its life, with a new key, and shown while it holds when nothing new comes."""

import asyncio
import json
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from adapters.errors import ControlPlaneError, Forbidden, Unavailable
from adapters.svid import BundleInvalid, SvidMissing, SvidRefused, SvidSource, TrustDomain, X509Svid
from controlplane.contracts.identity import IssuedCertificate
from controlplane.identity.authority import CertificateAuthority
from tests.adapters.svid.world import DOMAIN, ONE, OTHER, World
from tests.clocks import EarlyClock


@dataclass
class Plane:
    """Issues as the control plane does, without one; says no where it is told to."""

    world: World = field(default_factory=lambda: World(authority=CertificateAuthority.create(DOMAIN, time.time())))
    clock: Callable[[], float] = time.time
    fails: ControlPlaneError | None = None
    keys: list[bytes] = field(default_factory=list)
    name: str = str(ONE)
    sequence: int = 7
    swapped: Any = None
    also: World | None = None

    async def certificate(self, lifetime_seconds: float = 3600.0, csr: str | None = None) -> IssuedCertificate:
        if self.fails is not None:
            raise self.fails
        assert csr is not None
        asked: Any = x509.load_pem_x509_csr(csr.encode())
        assert asked.is_signature_valid
        key = self.swapped or asked.public_key()
        self.keys.append(key.public_numbers().x)
        made = self.world.authority.issue_svid(ONE, key, self.clock(), lifetime_seconds)
        return IssuedCertificate(
            certificate=made.public_bytes(Encoding.PEM).decode(),
            authority=self.world.authority.certificate_pem,
            thumbprint="A" * 43,
            spiffe_id=self.name,
            expires_at=made.not_valid_after_utc.timestamp(),
        )

    async def trust_bundle(self) -> bytes:
        if self.fails is not None:
            raise self.fails
        document = self.world.document(spiffe_sequence=self.sequence)
        document["keys"] += self.also.document()["keys"] if self.also else []
        return json.dumps(document).encode()


async def until(claim: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not claim():  # noqa: ASYNC110 - what is waited for is no event
            await asyncio.sleep(0.01)


async def test_it_is_renewed_within_its_life_with_a_new_key() -> None:
    plane, seen = Plane(), []
    async with SvidSource(plane, lifetime_seconds=2.0, on_change=seen.append, renewed_at=0.25) as source:
        await until(lambda: len(seen) >= 3)
        assert source.svid.name == ONE
    assert len(set(plane.keys)) == len(plane.keys) >= 3
    assert all(later.issued_at < earlier.expires_at for earlier, later in pairwise(seen))


async def test_a_denial_leaves_what_is_there_until_it_expires() -> None:
    clock = EarlyClock()
    plane = Plane(clock=clock)
    source = SvidSource(plane, lifetime_seconds=600.0, clock=clock)
    with pytest.raises(SvidMissing, match="none was asked for"):
        _ = source.svid
    kept = await source.renew()
    plane.fails = Forbidden("quarantined", status=403)
    with pytest.raises(Forbidden):
        await source.renew()
    assert source.svid is kept
    clock.ahead = 601.0
    with pytest.raises(SvidMissing, match="expired"):
        _ = source.svid


async def test_it_asks_again_with_growing_pauses_and_takes_up_what_comes() -> None:
    plane = Plane(fails=Unavailable("away"))
    async with SvidSource(plane) as source:
        assert not await source.ready(0.1)
        assert source.failure == "away"
        plane.fails = None
        assert await source.ready(10.0)
        await until(lambda: source.failure == "")


async def test_contexts_show_the_newest() -> None:
    plane = Plane()
    source = SvidSource(plane)
    await source.renew()
    serving, asking = source.context({ONE}, server=True), source.context({ONE}, server=False)

    async def shown() -> bytes:
        server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0, ssl=serving)
        async with server:
            _, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2], ssl=asking)
            found: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
            writer.close()
            return found

    first = await shown()
    newest = await source.renew()
    assert await shown() != first
    assert ssl.DER_cert_to_PEM_cert(await shown()).split() == newest.certificate.split()


async def test_a_new_authority_is_trusted_as_soon_as_the_bundle_has_it_and_an_older_bundle_is_not_taken() -> None:
    plane, seen = Plane(), []
    source = SvidSource(plane, on_change=seen.append)
    first = await source.renew()
    old = plane.world.bundle.authorities
    plane.also, plane.sequence = World(authority=CertificateAuthority.create(DOMAIN, time.time())), 8
    assert (await source.refresh()).authorities == (*old, *plane.also.bundle.authorities)
    assert source.svid.certificate == first.certificate
    assert len(seen) == 2
    plane.also, plane.sequence = None, 7
    assert (await source.refresh()).sequence == 8


async def test_when_its_authority_is_trusted_no_more_it_is_replaced_at_once() -> None:
    plane = Plane()
    source = SvidSource(plane)
    first = await source.renew()
    plane.world, plane.sequence = World(authority=CertificateAuthority.create(DOMAIN, time.time())), 8
    bundle = await source.refresh()
    assert bundle.authorities == plane.world.bundle.authorities
    assert source.svid.certificate != first.certificate
    assert source.bundle is bundle


async def test_what_comes_and_does_not_hold_is_not_taken() -> None:
    plane = Plane()
    source = SvidSource(plane, domain=TrustDomain("other.example"))
    with pytest.raises(SvidRefused, match="other_trust_domain"):
        await source.renew()
    plane.swapped = World().key.public_key()
    with pytest.raises(SvidRefused, match="another key"):
        await SvidSource(plane).renew()
    plane.swapped, plane.name = None, str(OTHER)
    with pytest.raises(SvidRefused, match="unexpected"):
        await SvidSource(plane).renew()
    plane.name, plane.sequence = str(ONE), -1
    with pytest.raises(BundleInvalid):
        await SvidSource(plane).renew()


async def test_a_change_that_could_not_be_told_is_told_again() -> None:
    told: list[X509Svid] = []

    def tell(svid: X509Svid) -> None:
        told.append(svid)
        if len(told) == 1:
            raise OSError(28, "No space left on device")

    async with SvidSource(Plane(), on_change=tell) as source:
        await until(lambda: len(told) == 2)
        assert told[0] is told[1] is source.svid
