"""Policies in service: who may sign them, where they are handed to, what is shown of them."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from controlplane.bundles import BundleRefused, BundleSigner, Trust, VerifiedBundle
from controlplane.bundles.keys import public_pem
from controlplane.contracts.policies import PolicyLayer
from controlplane.releases.building import UnsignedBundle, WasmError, build
from controlplane.releases.checking import check_bundle
from controlplane.releases.following import Follower, Offer, follow
from controlplane.releases.publishing import Publisher, ReleaseObserver
from controlplane.releases.seeding import Seeding
from controlplane.settings import Settings
from controlplane.sidecar import OpaNotFound, locate_opa
from controlplane.sidecar.configuring import resource
from controlplane.sidecar.files import write_whole
from controlplane.sidecar.folders import product_folder
from controlplane.storage import Store


def trust_of(settings: Settings) -> Trust:
    """Return who may sign policies: the keys of the trust folder, or this machine's own, made when there is none.

    Raises:
        PolicyKeyError: a key cannot be used.
    """
    if settings.policy_trust_dir is not None:
        return Trust.of_folder(settings.policy_trust_dir)
    return Trust.of_key(signer_of(settings).public_key)


def signer_of(settings: Settings) -> BundleSigner:
    """Return the key that signs policies on this machine, made when there is none.

    Raises:
        PolicyKeyError: it can be neither read nor made.
    """
    return BundleSigner.load_or_create(settings.resolved_policy_key_file)


def keys_for_opa(trust: Trust, layers: Sequence[PolicyLayer]) -> dict[str, str]:
    """Return the public keys that are trusted for some of the layers, as PEM, by key id."""
    return {name: public_pem(key) for layer in layers for name, key in trust.keys(layer).items()}


def build_publisher(store: Store, trust: Trust, clock: Callable[[], float], observer: ReleaseObserver) -> Publisher:
    """Return the publisher, which checks with the OPA of this machine."""
    return Publisher(store.releases, trust, check, clock, observer)


def check(verified: VerifiedBundle) -> None:
    """Check a bundle with the OPA of this machine; blocking.

    Raises:
        BundleRefused: it is not to be released, or there is no OPA.
    """
    try:
        opa = locate_opa(os.environ)
    except OpaNotFound as error:
        raise BundleRefused("cannot_be_checked", str(error)) from None
    check_bundle(verified, opa)


def build_seeding(
    settings: Settings,
    store: Store,
    trust: Trust,
    clock: Callable[[], float],
    observer: ReleaseObserver,
    build: Callable[[Path], UnsignedBundle],
) -> Seeding:
    """Return what releases the installation's policies."""
    folder = settings.policies or product_folder("policies")
    return Seeding(store.releases, folder, lambda: signer_of(settings), trust, build, clock, observer)


def build_base(folder: Path) -> UnsignedBundle:
    """Build a folder of the base with the OPA of this machine, for the embedded engine too where that can be.

    Raises:
        BundleError: it does not compile.
        OpaNotFound: there is no OPA.
    """
    opa = locate_opa(os.environ)
    try:
        return build(opa, folder)
    except WasmError:
        return build(opa, folder, wasm=False)


def places(settings: Settings, *others: Callable[[PolicyLayer, bytes], None]) -> Offer:
    """Return what hands verified bundles to ``others``, and to an OPA that runs elsewhere through its folder."""

    async def _offer(verified: VerifiedBundle) -> None:
        if settings.bundle_dir is not None:
            await asyncio.to_thread(write_whole, settings.bundle_dir / resource(verified.layer), verified.body)
        for other in others:
            other(verified.layer, verified.body)

    return _offer


@asynccontextmanager
async def following(follower: Follower) -> AsyncIterator[None]:
    """Have what decides follow the store until the context is left; on entering, what is released is handed over.

    Raises:
        StoreUnavailable: the store failed.
        OSError: a bundle could not be handed over.
    """
    await follower.refresh()
    task = asyncio.create_task(follow(follower), name="policies")
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
