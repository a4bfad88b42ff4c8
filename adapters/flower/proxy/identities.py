"""Who is behind a request: the key that proved it, whether that device is a member, and what it may do."""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Literal

from adapters.client import ControlPlane
from adapters.credentials import subject_of
from adapters.errors import ControlPlaneError
from adapters.feed import RevocationFeed, elapsed
from adapters.naming import name_of
from controlplane.capabilities.proof import LEEWAY_SECONDS, MAX_AGE_SECONDS, Proof, examine
from controlplane.capabilities.refusals import Refused
from controlplane.capabilities.replay import ReplayCache
from controlplane.capabilities.revocations import RevocationState
from controlplane.contracts.access import AccessRequest, Action, RequestContext, Resource, Subject
from controlplane.contracts.events import OpaqueSubject, SecurityEvent
from controlplane.contracts.identity import PublicKey
from controlplane.identifiers.didkey import did_key

Membership = Literal["active", "inactive", "revoked", "unknown"]
"""``inactive`` is set apart, or was never enrolled; ``unknown`` when nobody can say, which lets nothing pass."""

ACTIVE_SECONDS = 300.0
INACTIVE_SECONDS = 10.0
"""How long an answer of the control plane's is relied on. An event about the device ends it at once."""

_REMEMBERED = 10_000
_ASKED_AT_ONCE = 16
_MISSING = {"subject_known", "subject_active"}

_log = logging.getLogger("ztfm.flower.proxy")


class MemberFeed(RevocationFeed):
    """Follows the control plane's events, and tells of each that is about a device.

    Args:
        plane: the control plane, spoken to as a gateway.
        issuer: whose events are taken in.
        on_change: told of a device, and whether its key was revoked; of no device when events may have been missed.
    """

    def __init__(self, plane: ControlPlane, issuer: str, on_change: Callable[[str | None, bool], None]) -> None:
        super().__init__(plane, issuer=issuer, clock=plane.clock)
        self._state = _Observed(plane.clock, on_change, self._max_silence)


class _Observed(RevocationState):
    def __init__(
        self, clock: Callable[[], float], on_change: Callable[[str | None, bool], None], max_silence: float
    ) -> None:
        super().__init__(clock, elapsed, max_silence_seconds=max_silence)
        self._on_change = on_change

    def apply(self, event: SecurityEvent) -> None:
        """Take in an event, and tell whom it is about."""
        super().apply(event)
        changed = event.events.credential_change
        if event.events.reset is not None:
            self._on_change(None, False)
        elif isinstance(event.sub_id, OpaqueSubject) and (changed is None or changed.credential_type == "device-key"):
            is_revoked = changed is not None and changed.change_type in {"revoke", "delete"}
            self._on_change(event.sub_id.id, is_revoked)


class Members:
    """Knows which devices are members: asks the control plane once, and again when something happened to them.

    Args:
        plane: the control plane, spoken to as a gateway.
        issuer: whose events are taken in.
        model: asked about; what is missing is compared, not the decision on it.
        timer: seconds, never stepping back.
    """

    def __init__(
        self, plane: ControlPlane, issuer: str, model: str, timer: Callable[[], float] = time.monotonic
    ) -> None:
        self.feed = MemberFeed(plane, issuer, self._changed)
        self._plane = plane
        self._model = model
        self._timer = timer
        self._known: OrderedDict[str, tuple[Membership, float]] = OrderedDict()
        self._names: OrderedDict[str, tuple[str, float]] = OrderedDict()
        self._revoked: OrderedDict[str, None] = OrderedDict()
        self._changes = 0
        self._room = asyncio.Semaphore(_ASKED_AT_ONCE)

    async def membership(self, subject: str) -> Membership:
        """Return whether a device is a member now."""
        if subject in self._revoked:
            return "revoked"
        if not self.feed.is_current:
            return "unknown"
        known, until = self._known.get(subject, ("unknown", 0.0))
        return known if self._timer() < until else await self._ask(subject)

    async def holder(self, proof: Proof) -> tuple[str, Membership]:
        """Return the name of the device whose key made a proof, and whether it is a member now.

        A device keeps the name of its first key; of a key the control plane is asked whose it is now. A key that is
        nobody's any more is no member's.
        """
        own = subject_of(proof.thumbprint)
        if own in self._revoked or not self.feed.is_current:
            return own, await self.membership(own)
        name, until = self._names.get(proof.thumbprint, ("", 0.0))
        if self._timer() >= until:
            found = await self._name(proof.key, proof.thumbprint)
            if found is None:
                return own, "unknown"
            name = found
        return (name, await self.membership(name)) if name else (own, "inactive")

    async def _name(self, key: PublicKey, mark: str) -> str | None:
        """Return whose a key is: empty for nobody's, none where nobody can tell."""
        changes = self._changes
        try:
            async with self._room:
                found = await self._plane.resolve(did_key(key))
        except ControlPlaneError as error:
            _log.warning("the control plane was asked whose the key %s is and gave no answer: %s", mark, error)
            return None
        name = name_of(found, key) or ""
        if changes == self._changes:
            self._names[mark] = name, self._timer() + (ACTIVE_SECONDS if name else INACTIVE_SECONDS)
            self._names.move_to_end(mark)
            while len(self._names) > _REMEMBERED:
                self._names.popitem(last=False)
        return name

    async def _ask(self, subject: str) -> Membership:
        changes = self._changes
        request = AccessRequest(
            subject=Subject(type="device", id=subject),
            action=Action(name="model_access"),
            resource=Resource(type="model", id=self._model),
            context=RequestContext(purpose="training"),
        )
        try:
            async with self._room:
                decision = await self._plane.evaluate(request)
        except ControlPlaneError as error:
            _log.warning("the control plane was asked about %s and gave no answer: %s", subject, error)
            return "unknown"
        if decision.outcome == "error":
            return "unknown"
        missing = {reason.code for reason in decision.reasons}
        found: Membership = "inactive" if missing & _MISSING else "active"
        if changes == self._changes:
            self._keep(subject, found)
        return "revoked" if subject in self._revoked else found

    def _keep(self, subject: str, found: Membership) -> None:
        self._known[subject] = found, self._timer() + (ACTIVE_SECONDS if found == "active" else INACTIVE_SECONDS)
        self._known.move_to_end(subject)
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)

    def _changed(self, subject: str | None, is_revoked: bool) -> None:
        self._changes += 1
        if not is_revoked:
            # Whoever is revoked keeps its name; any other change may be that of a key.
            gone = ("", subject)
            self._names = OrderedDict(one for one in self._names.items() if subject and one[1][0] not in gone)
        if subject is None:
            self._known.clear()
            return
        self._known.pop(subject, None)
        if is_revoked:
            self._revoked[subject] = None
            while len(self._revoked) > _REMEMBERED:
                self._revoked.popitem(last=False)


class Proofs:
    """Verifies the proof that each request bears: for its method, path and body, by a key, once.

    Args:
        clock: Unix seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._used = ReplayCache(clock)

    def examine(self, proof: str | None, *, url: str, digest: str | None, capability: str | None) -> Proof | Refused:
        """Return the proof that holds for a request, or why it does not hold. It is not used up yet.

        Args:
            proof: that was sent; none without one.
            url: of the request.
            digest: of the body, as the request states it; none when it states none.
            capability: that came along.
        """
        if proof is None or digest is None:
            return Refused("proof_missing", "Each request bears one proof, and the digest of its body.")
        return examine(proof, method="POST", url=url, now=self._clock(), access_token=capability, digest=digest)

    def is_first_use(self, proof: Proof) -> bool:
        """Use a proof up, and return whether this is its first use. For members alone: others would take the room."""
        until = proof.issued_at + MAX_AGE_SECONDS + LEEWAY_SECONDS
        return self._used.use(f"{proof.thumbprint}.{proof.jti}", until) == "first"
