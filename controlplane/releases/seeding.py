"""The policies of the installation as the first release, so that a control plane decides from its first start on."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import structlog

from controlplane.bundles import BundleSigner, Trust
from controlplane.contracts.policies import Release
from controlplane.releases.building import UnsignedBundle
from controlplane.releases.errors import NothingPublished
from controlplane.releases.publishing import ReleaseObserver, told
from controlplane.sidecar.bundle import content_digest
from controlplane.storage.releases import NewRelease, Releases

BY = "ztfm"
"""Who publishes what came with the installation."""

Build = Callable[[Path], UnsignedBundle]
"""Builds a folder of the base; blocking.

Raises:
    BundleError: it does not compile.
"""

_log = structlog.get_logger("ztfm.policies")


class Seeding:
    """Releases the installation's policies where nobody published others.

    They are compiled, and signed with this machine's key. Their tests are not run here: that of the built-in ones is
    done before they are shipped, and an author's folder that is to be tested is published.

    Args:
        releases: where they are kept.
        folder: the policies.
        signer: loads this machine's key; called only when something is to be signed.
        trust: who may sign.
        build: builds the folder.
        clock: Unix seconds.
        observer: counts.
    """

    def __init__(
        self,
        releases: Releases,
        folder: Path,
        signer: Callable[[], BundleSigner],
        trust: Trust,
        build: Build,
        clock: Callable[[], float],
        observer: ReleaseObserver,
    ) -> None:
        self._releases = releases
        self._folder = folder
        self._signer = signer
        self._trust = trust
        self._build = build
        self._clock = clock
        self._observer = observer

    async def seed(self) -> None:
        """Release the folder when nothing was released yet, or when an earlier content of it was (an upgrade).

        What people published stays. Of processes that start at once, one releases; the others find it.

        Raises:
            NothingPublished: nothing was released yet, and this machine's key is not trusted for the base.
            BundleError: the policies do not compile.
            PolicyKeyError: this machine's key cannot be used.
            StoreUnavailable: the store failed.
        """
        head = (await self._releases.heads()).get("base")
        if head is not None:
            content = (await asyncio.to_thread(content_digest, self._folder))[:16]
            if head.revision.rpartition(".")[2] == content:
                return
            if head.origin != "built_in":
                _warn("the folder is not what was published, which stays", self._folder, head, "ztfm policy publish")
                return
        signer = await asyncio.to_thread(self._signer)
        if signer.key_id in self._trust.keys("base"):
            await self._release(signer, head)
        elif head is None:
            raise NothingPublished(
                f"no policies are published yet, and the key of this machine ({signer.key_id}) is not trusted to sign "
                "any (ZTFM_POLICY_TRUST_DIR): publish a bundle that is signed by a trusted key with `ztfm policy "
                "publish BUNDLE`, which needs no running control plane"
            )
        else:
            _warn("this machine's key is not trusted to release the new policies", self._folder, head, "publish them")

    async def _release(self, signer: BundleSigner, head: Release | None) -> None:
        built = await asyncio.to_thread(self._build, self._folder)
        body = await asyncio.to_thread(signer.sign, built.files, built.layer, built.revision)
        new = NewRelease("base", built.revision, signer.key_id, "built_in", self._clock(), BY)
        release = await self._releases.add(new, body, after=0 if head is None else head.sequence)
        if release is not None:
            self._observer.released(release)
            told(release)


def _warn(what: str, folder: Path, head: Release, remedy: str) -> None:
    _log.warning(
        "policies_not_taken_over", reason=what, folder=str(folder), policy_revision=head.revision, remedy=remedy
    )
