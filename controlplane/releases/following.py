"""Follow what is released: verify it anew, and hand it to what decides. What does not verify changes nothing."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

import structlog

from controlplane.bundles import BundleRefused, Trust, VerifiedBundle
from controlplane.contracts.policies import PolicyLayer, Refusal, Release
from controlplane.releases.publishing import ReleaseObserver, open_release
from controlplane.releases.revisions import PublicationTimes
from controlplane.storage import StoreUnavailable
from controlplane.storage.releases import Releases

EVERY_SECONDS = 0.5
"""How often the store is read: every process knows of a release after this long."""

Offer = Callable[[VerifiedBundle], Awaitable[None]]
"""Hands a verified bundle to what decides.

Raises:
    OSError: it could not be handed over; it is tried again.
"""

_log = structlog.get_logger("ztfm.policies")


class Follower:
    """Keeps what decides in step with the store.

    Args:
        releases: where they are kept.
        trust: who may sign.
        layers: those that decide here.
        offer: hands a bundle over.
        clock: Unix seconds.
        observer: counts what is refused.
    """

    def __init__(
        self,
        releases: Releases,
        trust: Trust,
        layers: Sequence[PolicyLayer],
        offer: Offer,
        clock: Callable[[], float],
        observer: ReleaseObserver,
    ) -> None:
        self._releases = releases
        self._trust = trust
        self._layers = tuple(layers)
        self._offer = offer
        self._clock = clock
        self._observer = observer
        self._heads: dict[PolicyLayer, Release] = {}
        self._taken: dict[PolicyLayer, Release] = {}
        self._refusals: dict[PolicyLayer, Refusal] = {}
        self.times = PublicationTimes()

    @property
    def layers(self) -> tuple[PolicyLayer, ...]:
        """Those that decide here."""
        return self._layers

    @property
    def heads(self) -> Mapping[PolicyLayer, Release]:
        """The release of each layer that is to decide, as last read."""
        return self._heads

    @property
    def taken(self) -> Mapping[PolicyLayer, Release]:
        """The release of each layer whose bundle was handed over; an earlier one than the head's when that is bad."""
        return self._taken

    @property
    def refusals(self) -> Mapping[PolicyLayer, Refusal]:
        """Why the head of a layer was not taken, while that is so."""
        return self._refusals

    async def refresh(self) -> None:
        """Take over what is new.

        Raises:
            StoreUnavailable: the store failed; what was handed over stays.
            OSError: a bundle could not be handed over.
        """
        heads = await self._releases.heads()
        for layer in self._layers:
            head = heads.get(layer)
            if head is not None and head != self._heads.get(layer):
                await self._take(head)
                self._heads[layer] = head
                await self._note_times(layer)

    async def _take(self, head: Release) -> None:
        taken = self._taken.get(head.layer)
        if taken is not None and taken.digest == head.digest:
            self._taken[head.layer] = head
            self._refusals.pop(head.layer, None)
            return
        try:
            await self._hand_over(head)
        except BundleRefused as refused:
            self._refuse(head, refused)
            if taken is None:
                await self._take_last_good(head)
        else:
            self._refusals.pop(head.layer, None)

    async def _hand_over(self, release: Release) -> None:
        await self._offer(await open_release(self._releases, release, self._trust))
        self._taken[release.layer] = release
        _log.info("policy_taken", layer=release.layer, policy_revision=release.revision, sequence=release.sequence)

    async def _take_last_good(self, head: Release) -> None:
        # A process that just started has none in memory.
        for earlier in await self._releases.recent((head.layer,)):
            if earlier.sequence < head.sequence:
                try:
                    await self._hand_over(earlier)
                except BundleRefused:
                    continue
                return

    async def _note_times(self, layer: PolicyLayer) -> None:
        recent = await self._releases.recent((layer,))
        self.times.note(layer, {release.revision: release.published_at for release in reversed(recent)})

    def _refuse(self, head: Release, refused: BundleRefused) -> None:
        refusal = Refusal(time=self._clock(), layer=head.layer, reason=refused.reason, detail=refused.detail)
        self._refusals[head.layer] = refusal
        self._observer.refused(refusal)
        _log.error(
            "policy_refused",
            layer=head.layer,
            policy_revision=head.revision,
            sequence=head.sequence,
            reason=refused.reason,
            detail=refused.detail,
            remedy="the last good one goes on deciding; publish a good one, or go back with `ztfm policy rollback`",
        )


async def follow(follower: Follower, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
    """Follow for ever. While the store is away, what was handed over goes on deciding."""
    failing = False
    while True:
        try:
            await follower.refresh()
        except Exception as error:  # noqa: BLE001 - whatever it was, the next release must be taken
            if not failing:
                said = str(error) if isinstance(error, (StoreUnavailable, OSError)) else type(error).__name__
                _log.error("policies_not_followed", error=said, remedy="what was taken before goes on deciding")
            failing = True
        else:
            failing = False
        await sleep(EVERY_SECONDS)
