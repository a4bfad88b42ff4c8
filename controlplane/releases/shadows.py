"""Put a candidate into the shadow, take it out again, and say what it would change."""

import secrets
from collections.abc import Awaitable, Callable

import structlog

from controlplane.bundles import VerifiedBundle
from controlplane.contracts.policies import PolicyLayer
from controlplane.contracts.shadow import DISAGREEMENTS, Shadow, ShadowReport
from controlplane.storage.shadows import Shadows

Examine = Callable[[bytes, PolicyLayer], Awaitable[VerifiedBundle]]
"""Returns a bundle that may be released; `Publisher.examine` does.

Raises:
    BundleRefused: it may not.
"""

_log = structlog.get_logger("ztfm.policies")


class ShadowBook:
    """The one way into the shadow. What may not be released may not decide there either: rules have reach.

    Args:
        shadows: where candidates are kept.
        examine: verifies and checks a bundle.
        clock: Unix seconds.
    """

    def __init__(self, shadows: Shadows, examine: Examine, clock: Callable[[], float]) -> None:
        self._shadows = shadows
        self._examine = examine
        self._clock = clock

    async def start(self, body: bytes, by: str) -> ShadowReport:
        """Let a signed bundle for the base decide in the shadow; whichever did stops.

        Raises:
            BundleRefused: it is not taken; nothing changed.
            StoreUnavailable: the store failed; nothing changed.
        """
        verified = await self._examine(body, "base")
        shadow = Shadow(
            id=f"shadow-{secrets.token_hex(16)}",
            revision=verified.revision,
            digest=verified.digest,
            started_at=self._clock(),
            started_by=by,
        )
        await self._shadows.start(shadow, body)
        _log.info("shadow_started", shadow=shadow.id, policy_revision=shadow.revision, by=by)
        return ShadowReport(
            shadow=shadow, agreed=0, changes=dict.fromkeys(DISAGREEMENTS, 0), failed=0, dropped=0, groups=[]
        )

    async def stop(self, by: str) -> ShadowReport | None:
        """Take the candidate out and return what it would have changed; none when there is none.

        What the processes counted in the last second may still be added to it.

        Raises:
            StoreUnavailable: the store failed.
        """
        if not await self._shadows.stop(self._clock()):
            return None
        _log.info("shadow_stopped", by=by)
        return await self._shadows.report()

    async def report(self) -> ShadowReport | None:
        """Return what the newest candidate would change, whether it still decides or not; none without any.

        Raises:
            StoreUnavailable: the store failed.
        """
        return await self._shadows.report()
