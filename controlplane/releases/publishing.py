"""Publish policies and go back: what is released was verified and checked, and what is refused changes nothing."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Protocol

import structlog

from controlplane.bundles import BundleRefused, Trust, VerifiedBundle, verify
from controlplane.contracts.policies import PolicyLayer, Refusal, Release, ReleaseOrigin, digest_of
from controlplane.releases.errors import ReleaseConflict
from controlplane.releases.rollback import named, previous
from controlplane.storage.releases import NewRelease, Releases

MOST_WAITING = 4
"""Bundles that are held in memory to be checked, one after the other."""

_ATTEMPTS = 5
_CONFLICT = "others release for {layer} at this moment; try again"
_log = structlog.get_logger("ztfm.policies")


class ReleaseObserver(Protocol):
    """Counts what is released and what is not."""

    def released(self, release: Release) -> None:
        """A release was made by this process."""
        ...

    def refused(self, refusal: Refusal) -> None:
        """A bundle was not taken by this process."""
        ...


class Publisher:
    """The one way to a release.

    Args:
        releases: where they are kept.
        trust: who may sign.
        check: raises `BundleRefused` for a bundle that does not compile or fails its checks or tests; may take seconds.
        clock: Unix seconds.
        observer: counts.
    """

    def __init__(
        self,
        releases: Releases,
        trust: Trust,
        check: Callable[[VerifiedBundle], None],
        clock: Callable[[], float],
        observer: ReleaseObserver,
    ) -> None:
        self._releases = releases
        self._trust = trust
        self._check = check
        self._clock = clock
        self._observer = observer
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._refusals: dict[PolicyLayer, Refusal] = {}

    @property
    def refusals(self) -> Mapping[PolicyLayer, Refusal]:
        """The last bundle of each layer that was not taken."""
        return self._refusals

    async def publish(self, body: bytes, layer: PolicyLayer, by: str) -> Release:
        """Release a signed bundle; every process that serves decides by it within a second or two.

        What was published already and is current is not released again.

        Raises:
            BundleRefused: it is not taken; nothing changed.
            ReleaseConflict: others release at the same time.
            StoreUnavailable: the store failed; nothing changed.
        """
        digest = digest_of(body)
        current, _ = await self._standing(layer, digest, body)
        try:
            if current is not None:
                await asyncio.to_thread(verify, body, self._trust, layer)
                return current
            verified = await self.examine(body, layer)
        except BundleRefused as refused:
            raise self._refuse(layer, refused, by) from None
        for _ in range(_ATTEMPTS):
            current, after = await self._standing(layer, digest, body)
            if current is not None:
                return current
            release = await self._releases.add(self._new(verified, "published", by), body, after=after)
            if release is not None:
                self._made(release)
                return release
        raise ReleaseConflict(_CONFLICT.format(layer=layer))

    async def rollback(self, layer: PolicyLayer, revision: str | None, by: str) -> Release:
        """Release again what decided before, or a revision that is kept (`releases.rollback` says which).

        Its signature must still be trusted; its checks were passed when it was published, and are not done again.

        Raises:
            NoSuchRelease: there is nothing to go back to.
            BundleRefused: its bundle is not as it was, or no longer trusted; nothing changed.
            ReleaseConflict: others release at the same time.
            StoreUnavailable: the store failed; nothing changed.
        """
        for _ in range(_ATTEMPTS):
            history = await self._releases.recent((layer,))
            target = previous(history) if revision is None else named(history, revision)
            try:
                verified = await open_release(self._releases, target, self._trust)
            except BundleRefused as refused:
                raise self._refuse(layer, refused, by) from None
            new = self._new(verified, "rolled_back", by)
            release = await self._releases.add(new, verified.body, after=history[0].sequence)
            if release is not None:
                self._made(release)
                return release
        raise ReleaseConflict(_CONFLICT.format(layer=layer))

    async def examine(self, body: bytes, layer: PolicyLayer) -> VerifiedBundle:
        """Return a bundle that may be released, or be a candidate; one at a time is checked.

        Raises:
            BundleRefused: it may not, or too many are being checked.
        """
        if self._waiting >= MOST_WAITING:
            raise BundleRefused("cannot_be_checked", f"{MOST_WAITING} other bundles are being checked; try again")
        self._waiting += 1
        try:
            async with self._turn:
                verified = await asyncio.to_thread(verify, body, self._trust, layer)
                await asyncio.to_thread(self._check, verified)
                return verified
        finally:
            self._waiting -= 1

    async def _standing(self, layer: PolicyLayer, digest: str, body: bytes) -> tuple[Release | None, int]:
        """Return the release by which a bundle is current already, or none, and the sequence of the newest one."""
        head = (await self._releases.heads()).get(layer)
        # What was spoilt in the store is put right by publishing it again.
        is_current = _is_published(head, digest) and await self._releases.body(digest) == body
        return (head if is_current else None), (0 if head is None else head.sequence)

    def _new(self, verified: VerifiedBundle, origin: ReleaseOrigin, by: str) -> NewRelease:
        return NewRelease(verified.layer, verified.revision, verified.key_id, origin, self._clock(), by)

    def _made(self, release: Release) -> None:
        self._refusals.pop(release.layer, None)
        self._observer.released(release)
        told(release)

    def _refuse(self, layer: PolicyLayer, refused: BundleRefused, by: str) -> BundleRefused:
        self._refusals[layer] = Refusal(time=self._clock(), layer=layer, reason=refused.reason, detail=refused.detail)
        self._observer.refused(self._refusals[layer])
        _log.warning("policy_refused", layer=layer, reason=refused.reason, detail=refused.detail, by=by)
        return refused


def _is_published(head: Release | None, digest: str) -> bool:
    return head is not None and head.digest == digest and head.origin != "built_in"


async def open_release(releases: Releases, release: Release, trust: Trust) -> VerifiedBundle:
    """Return the bundle of a release, verified anew; nothing is believed for lying in the store.

    Raises:
        BundleRefused: it is gone, was changed, or is not trusted.
        StoreUnavailable: the store failed.
    """
    body = await releases.body(release.digest)
    if body is None:
        raise BundleRefused("malformed", f"the bundle of release {release.sequence} is not in the store")
    verified = await asyncio.to_thread(verify, body, trust, release.layer)
    if (verified.digest, verified.revision) != (release.digest, release.revision):
        raise BundleRefused("tampered", f"the store holds another bundle than the one of release {release.sequence}")
    return verified


def told(release: Release) -> None:
    """Log a release."""
    _log.info(
        "policy_released",
        layer=release.layer,
        policy_revision=release.revision,
        sequence=release.sequence,
        origin=release.origin,
        key_id=release.key_id,
        by=release.published_by,
    )
