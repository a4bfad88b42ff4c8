"""A device of a federation: it holds a key, knows its name, and fetches the credentials that a round asks for."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, Unpack

from adapters.calls import CallOptions
from adapters.client import SyncControlPlane
from adapters.credentials import IDENTIFY, PULL, SUBMIT, Credentials, Introduction, RoundTerms, subject_of, target
from adapters.enrolment import (
    Identity,
    load_identity,
    load_key,
    load_next_key,
    make_key,
    make_next_key,
    store_identity,
    swap_keys,
)
from adapters.errors import Exposing, Forbidden, NoiseOwed, Unauthenticated, Unavailable
from adapters.hiding import asked_confidentiality
from adapters.noising import MakeNoise, require_noised
from adapters.presenting import Evidence
from adapters.site import Asked, Site
from adapters.site.plane import SitedSyncControlPlane
from adapters.sums import Sums
from controlplane.capabilities.proof import make_proof
from controlplane.contracts.access import Resource, ResourceProperties
from controlplane.contracts.capability import CapabilityContext
from controlplane.contracts.events import REACH_SECONDS
from controlplane.contracts.privacy import PrivacyTerms
from controlplane.contracts.site import SiteLimits, UpdateFact
from controlplane.identifiers.shown import IdentityStanding
from controlplane.jose.keys import DeviceKey


class Member:
    """An enrolled device. A context manager; cheap to open, so that it need not outlive one message.

    Where its folder holds ``site``, the site's own policy decides what comes in and what goes out (`adapters.site`):
    before the control plane is asked, whatever the server says, and on the site's record.

    Args:
        key: the device's key.
        plane: the control plane, spoken to with that key; a site is part of it.
        clock: Unix seconds.
        name: that it enrolled under; none for that of its key. It stays when the key is another.
        folder: where its key is kept; none for one whose key is nowhere else.
    """

    def __init__(
        self,
        key: DeviceKey,
        plane: SyncControlPlane,
        *,
        clock: Callable[[], float] = time.time,
        name: str | None = None,
        folder: Path | None = None,
    ) -> None:
        self.key = key
        self.plane = plane
        self.id = name or subject_of(key.thumbprint)
        self._folder = folder
        self._clock = clock
        self._settled_at = float("-inf")
        self._sums = Sums(folder)

    @classmethod
    def enrol(
        cls,
        folder: Path,
        url: str,
        evidence: Evidence,
        *,
        roles: Sequence[str] = ("trainer",),
        segment: str = "homes",
        **options: Unpack[CallOptions],
    ) -> Self:
        """Enrol a device once. Its key and what it is called are kept in ``folder`` (private, mode 0600).

        Args:
            folder: the device's own; made when missing. A key that is there already is enrolled.
            url: the control plane's public URL.
            evidence: the single-use token that the device's owner was given, or what an issuer or its manufacturer
                says of the key in ``folder``, which has to be there then (`make_key`).
            roles: what it will do.
            segment: where it lives.
            options: how the control plane is reached, such as ``socket`` or ``tls``.

        Raises:
            ControlPlaneError: any of `adapters.errors`.
            KeyFileError: the key's file cannot be used.
        """
        key = make_key(folder)
        plane = _plane(folder, url, key, options)
        try:
            enrolled = plane.enrol(evidence, roles, segment)
            if enrolled.id != subject_of(key.thumbprint):
                raise Unavailable("the control plane gives other names than this version expects: compare versions")
            store_identity(folder, Identity(url=plane.url, id=enrolled.id, issuer=enrolled.issuer))
        except BaseException:
            plane.close()
            raise
        return cls(key, plane, name=enrolled.id, folder=folder)

    @classmethod
    def open(cls, folder: Path, **options: Unpack[CallOptions]) -> Self:
        """Return the device that was enrolled in ``folder``.

        Args:
            folder: its own.
            options: how the control plane is reached, such as ``socket`` or ``tls``.

        Raises:
            FileNotFoundError: none was.
            KeyFileError: its key or identity cannot be used.
        """
        known = load_identity(folder)
        key = _settled(folder, known.url, load_key(folder), options)
        return cls(key, _plane(folder, known.url, key, options), name=known.id, folder=folder)

    def rotate_key(self) -> IdentityStanding:
        """Give this device another key, on the ledger and in its folder; what it holds up to now is void.

        The new key is in the folder before anybody is asked, and takes the old one's place afterwards. Where this ends
        in between, `open` asks which of the two is known, and goes on with that. What is handed out within the next two
        seconds is void as well, so `pull` and `submit` wait until they are over.

        Returns:
            How the identity stands afterwards.

        Raises:
            ControlPlaneError: any of `adapters.errors`. After `Unavailable` open the device again.
            KeyFileError: a key's file cannot be used.
            OSError: the folder cannot be written.
            ValueError: the device has no folder, or a site, whose record is signed with the key up to now.
        """
        if self._folder is None or self.site is not None:
            raise ValueError("a device rotates the key of its folder, and none that signs the record of a site")
        successor = make_next_key(self._folder)
        standing = self.plane.rotate_key(successor)
        swap_keys(self._folder)
        self.key = successor
        self._settled_at = time.monotonic() + REACH_SECONDS
        return standing

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give back the connection."""
        self.plane.close()

    @property
    def site(self) -> Site | None:
        """The site that this device is part of; none for a device without one."""
        return self.plane.site if isinstance(self.plane, SitedSyncControlPlane) else None

    def allowance(self, terms: RoundTerms) -> SiteLimits:
        """Return what training for a round must keep to at this site, such as epsilon; nothing where there is no site.

        Raises:
            Vetoed: the site does not let the round's model in.
        """
        asked = Asked(terms.model, terms.audience, terms.model_digest, terms.round_id, "training")
        return self.site.allowance(asked) if self.site else SiteLimits()

    def was_let_in(self, model_digest: str) -> bool:
        """Whether the site let these weights in; true where there is no site.

        For adapters whose server sends weights by itself: what nobody pulled is not to be used.
        """
        return self.site is None or self.site.was_let_in(model_digest)

    def expect(self, model_digest: str, size_bytes: int) -> None:
        """Tell the site how large the weights of a digest are, before `pull`; nothing where there is no site."""
        if self.site:
            self.site.expect(model_digest, size_bytes)

    def describe(
        self, digest: str, *, norm: float | None = None, examples: int | None = None, epsilon: float | None = None
    ) -> None:
        """Tell the site what an update is, before `submit`; nothing where there is no site. It is not sent anywhere.

        What is not told is absent from what the site's policy is asked, which may deny for it.

        Args:
            digest: of the update, as `submit` takes it.
            norm: L2 norm of all its tensors.
            examples: of the site's data behind it.
            epsilon: that it spends of the privacy budget.

        Raises:
            Vetoed: the site cannot keep it.
            ValueError: a value is not of its kind.
        """
        if self.site:
            self.site.describe(UpdateFact(digest=digest, norm=norm, examples=examples, epsilon=epsilon))

    def introduce(self, audience: str) -> Introduction:
        """Return who this is, provably, for one enforcement point."""
        url = target(audience, "")
        return Introduction(self.id, make_proof(self.key, method=IDENTIFY, url=url, now=self._clock()))

    def pull(self, terms: RoundTerms) -> Credentials:
        """Return what lets this device have the round's weights, to train on them.

        Raises:
            ControlPlaneError: `Denied` when policy says no, `Vetoed` of these when the site's own does, or any other of
                `adapters.errors`.
        """
        self._settle()
        resource = Resource(type="model", id=terms.model, properties=ResourceProperties(digest=terms.model_digest))
        context = CapabilityContext(purpose="training", round_id=terms.round_id)
        capability = self.plane.capability("model_access", resource, terms.audience, context).require()
        return self._prove(PULL, terms, capability.access_token)

    def submit(self, terms: RoundTerms, digest: str) -> Credentials:
        """Return what lets this device submit one update, once.

        Args:
            terms: of the round.
            digest: of the update, as `adapters.screening.update_digest` makes it.

        Raises:
            NoiseOwed: policy asks for noise that was not added: see `release`.
            Exposing: the control plane lets the aggregator see sums of groups alone, and this would show the update.
            ControlPlaneError: `Denied` when policy says no, `Vetoed` of these when the site's own does, or any other of
                `adapters.errors`.
        """
        return self._submitted(terms, digest)

    def submit_masked(self, terms: RoundTerms, digest: str) -> Credentials:
        """Return the same for masked values, which say nothing of the update by themselves (`secureaggregation`).

        Once a round: of two sums with one update in them, the difference tells of the others.

        Args:
            terms: of the round.
            digest: of the masked values.

        Raises:
            Exposing: this device masked other values in this round before.
            OSError: that cannot be kept.
            NoiseOwed, ControlPlaneError: as `submit`.
        """
        if not self._sums.join(terms.round_id, digest):
            raise Exposing(f"this device is in a sum of round {terms.round_id} already, and takes part in no other")
        return self._submitted(terms, digest, is_masked=True)

    def submit_again(self, terms: RoundTerms, digest: str, noised: PrivacyTerms | None) -> Credentials:
        """Return the same for an update that `release` was asked about before.

        Args:
            terms: of the round.
            digest: of what was sent.
            noised: the terms by which it was clipped and noised then; none where it was not.

        Raises:
            NoiseOwed: policy asks for other noise.
            Exposing, ControlPlaneError: as `submit`.
        """
        return self.submit(terms, digest) if noised is None else self._submitted(terms, digest, noised=noised)

    def release(self, terms: RoundTerms, digest: str, noise: MakeNoise) -> Credentials:
        """Return what lets this device submit one update, once, with the noise that policy asks for.

        A site decides on the update as it was trained; what policy asks for beyond that makes it tell less.

        Args:
            terms: of the round.
            digest: of the update as it was trained.
            noise: clips and noises it by terms, and returns its digest; called at most once, and only when asked for.

        Raises:
            Exposing, ControlPlaneError, ValueError: as `submit`, and what ``noise`` raises.
        """
        try:
            return self.submit(terms, digest)
        except NoiseOwed as owed:
            if owed.terms is None:
                raise
            return self._prove(SUBMIT, terms, owed.capability, noise(owed.terms))

    def _submitted(
        self, terms: RoundTerms, digest: str, *, is_masked: bool = False, noised: PrivacyTerms | None = None
    ) -> Credentials:
        token = self._granted(terms, digest, is_masked)
        require_noised(token, noised)
        return self._prove(SUBMIT, terms, token, digest)

    def _granted(self, terms: RoundTerms, digest: str, is_masked: bool) -> str:
        self._settle()
        resource = Resource(type="model", id=terms.model)
        context = CapabilityContext(round_id=terms.round_id)
        if isinstance(self.plane, SitedSyncControlPlane):
            grant = self.plane.submission(resource, terms.audience, context, digest)
        else:
            grant = self.plane.capability("gradient_submission", resource, terms.audience, context)
        token = grant.require().access_token
        if not is_masked and asked_confidentiality(token) == "grouped":
            raise Exposing(f"updates of {terms.model} are summed securely or not sent: use a backend that does")
        return token

    def _settle(self) -> None:
        """Wait until what the control plane hands out for a new key counts."""
        time.sleep(max(0.0, self._settled_at - time.monotonic()))

    def _prove(self, method: str, terms: RoundTerms, token: str, digest: str | None = None) -> Credentials:
        url = target(terms.audience, terms.round_id)
        proof = make_proof(self.key, method=method, url=url, now=self._clock(), access_token=token, digest=digest)
        return Credentials(self.id, token, proof)


def _settled(folder: Path, url: str, key: DeviceKey, options: CallOptions) -> DeviceKey:
    """Return the key that counts where a rotation was begun and may not have ended; it is in its place afterwards."""
    successor = load_next_key(folder)
    if successor is None:
        return key
    with SyncControlPlane(url, successor, **options) as plane:
        try:
            plane.identity()
        except Unauthenticated:
            return key
        except Forbidden:
            # It is known, and may do little: set apart, say.
            pass
    swap_keys(folder)
    return successor


def _plane(folder: Path, url: str, key: DeviceKey, options: CallOptions) -> SyncControlPlane:
    """Return the control plane as the device in ``folder`` speaks to it: what lies there, and no argument, says how."""
    site = Site.of(folder, key, clock=options.get("clock", time.time))
    return SyncControlPlane(url, key, **options) if site is None else SitedSyncControlPlane(url, key, site, **options)
