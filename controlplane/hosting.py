"""Run the OPA of a candidate in the shadow, apart from the one that decides."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path

import structlog

from controlplane.bundles import BundleRefused, Trust, VerifiedBundle, verify
from controlplane.contracts.policies import PolicyLayer, Refusal, Release
from controlplane.contracts.shadow import Shadow
from controlplane.history.shadow_engine import RUNS_FOR
from controlplane.releases.following import Follower
from controlplane.releasing import keys_for_opa
from controlplane.sidecar import Sidecar, SidecarError, SidecarOptions, locate_opa
from controlplane.sidecar.folders import beside
from controlplane.storage import Store, StoreUnavailable

FOLDER = "shadow"
"""Where the candidate's OPA has its socket and token, in the state folder."""

EVERY_SECONDS = 1.0
"""How often the store is looked at."""

RETRY_SECONDS = 30.0
"""How long it takes until a candidate's OPA that could not be started is started again."""

REMEDY = "the live policy is not concerned; `ztfm policy shadow stop`, or mend what is named"
"""What to do about a candidate that does not decide."""

Sleep = Callable[[float], Awaitable[None]]

_log = structlog.get_logger("ztfm.shadow")


class ShadowHost:
    """Runs an OPA for the candidate: it stands in for the base, and below it is what is live.

    Args:
        store: holds the candidate, and the lower layers.
        trust: who may sign.
        layers: those that decide, the base first.
        folder: private folder of that OPA.
        clock: Unix seconds.
        sleep: waits.
    """

    def __init__(
        self,
        store: Store,
        trust: Trust,
        layers: Sequence[PolicyLayer],
        folder: Path,
        clock: Callable[[], float],
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._store = store
        self._trust = trust
        self._layers = tuple(layers)
        self._folder = folder
        self._clock = clock
        self._sleep = sleep

    async def serve(self, shadow: Shadow) -> None:
        """Run its OPA until this is cancelled; what cannot be started is tried again."""
        while True:
            try:
                await self._serve(shadow)
            except (BundleRefused, SidecarError, StoreUnavailable, OSError) as error:
                _log.error("shadow_cannot_decide", shadow=shadow.id, error=str(error), remedy=REMEDY)
            await self._sleep(RETRY_SECONDS)

    async def _serve(self, shadow: Shadow) -> None:
        candidate = await self._open(shadow)
        opa = await asyncio.to_thread(locate_opa, os.environ)
        keys = keys_for_opa(self._trust, self._layers)
        options = SidecarOptions(opa, self._folder, beside(), layers=self._layers, keys=keys, is_aside=True)
        sidecar = Sidecar(options, on_restart=lambda code: _log.warning("shadow_opa_ended", exit_code=code))
        sidecar.offer("base", candidate.body)
        runs_for = self._folder / RUNS_FOR
        runs_for.unlink(missing_ok=True)
        await sidecar.start()
        try:
            runs_for.write_text(shadow.id)
            await self._keep_lower_layers(sidecar)
        finally:
            runs_for.unlink(missing_ok=True)
            await sidecar.stop()

    async def _keep_lower_layers(self, sidecar: Sidecar) -> None:
        async def offer(below: VerifiedBundle) -> None:
            sidecar.offer(below.layer, below.body)

        lower = self._layers[1:]
        follower = Follower(self._store.releases, self._trust, lower, offer, self._clock, _Unobserved())
        while True:
            if lower:
                with suppress(StoreUnavailable):
                    await follower.refresh()
            await self._sleep(EVERY_SECONDS)

    async def _open(self, shadow: Shadow) -> VerifiedBundle:
        body = await self._store.releases.body(shadow.digest)
        if body is None:
            raise BundleRefused("malformed", "the candidate's bundle is not in the store")
        verified = await asyncio.to_thread(verify, body, self._trust, "base")
        if verified.digest != shadow.digest:
            raise BundleRefused("tampered", "the store holds another bundle than the candidate's")
        return verified


class _Unobserved:
    def released(self, release: Release) -> None:
        """Nothing is released here."""

    def refused(self, refusal: Refusal) -> None:
        """Whoever follows the live policies counts it."""
