"""A device of a federation: it holds a key, knows its name, and fetches the credentials that a round asks for."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, Unpack

from adapters.calls import CallOptions
from adapters.client import SyncControlPlane
from adapters.credentials import IDENTIFY, PULL, SUBMIT, Credentials, Introduction, RoundTerms, subject_of, target
from adapters.enrolment import Identity, load_identity, load_key, make_key, store_identity
from adapters.errors import Unavailable
from controlplane.capabilities.keys import DeviceKey
from controlplane.capabilities.proof import make_proof
from controlplane.contracts.access import Resource, ResourceProperties
from controlplane.contracts.capability import CapabilityContext


class Member:
    """An enrolled device. A context manager; cheap to open, so that it need not outlive one message.

    Args:
        key: the device's key.
        plane: the control plane, spoken to with that key.
        clock: Unix seconds.
    """

    def __init__(self, key: DeviceKey, plane: SyncControlPlane, *, clock: Callable[[], float] = time.time) -> None:
        self.key = key
        self.plane = plane
        self.id = subject_of(key.thumbprint)
        self._clock = clock

    @classmethod
    def enrol(
        cls,
        folder: Path,
        url: str,
        token: str,
        *,
        roles: Sequence[str] = ("trainer",),
        segment: str = "homes",
        **options: Unpack[CallOptions],
    ) -> Self:
        """Enrol a device once. Its key and what it is called are kept in ``folder`` (private, mode 0600).

        Args:
            folder: the device's own; made when missing. A key that is there already is enrolled.
            url: the control plane's public URL.
            token: the single-use token that the device's owner was given.
            roles: what it will do.
            segment: where it lives.
            options: how the control plane is reached, such as ``socket`` or ``tls``.

        Raises:
            ControlPlaneError: any of `adapters.errors`.
            KeyFileError: the key's file cannot be used.
        """
        key = make_key(folder)
        plane = SyncControlPlane(url, key, **options)
        try:
            enrolled = plane.enrol(token, roles, segment)
            if enrolled.id != subject_of(key.thumbprint):
                raise Unavailable("the control plane gives other names than this version expects: compare versions")
            store_identity(folder, Identity(url=plane.url, id=enrolled.id, issuer=enrolled.issuer))
        except BaseException:
            plane.close()
            raise
        return cls(key, plane)

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
        key = load_key(folder)
        return cls(key, SyncControlPlane(load_identity(folder).url, key, **options))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give back the connection."""
        self.plane.close()

    def introduce(self, audience: str) -> Introduction:
        """Return who this is, provably, for one enforcement point."""
        url = target(audience, "")
        return Introduction(self.id, make_proof(self.key, method=IDENTIFY, url=url, now=self._clock()))

    def pull(self, terms: RoundTerms) -> Credentials:
        """Return what lets this device have the round's weights, to train on them.

        Raises:
            ControlPlaneError: `Denied` when policy says no, or any other of `adapters.errors`.
        """
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
            ControlPlaneError: `Denied` when policy says no, or any other of `adapters.errors`.
        """
        resource = Resource(type="model", id=terms.model)
        context = CapabilityContext(round_id=terms.round_id)
        capability = self.plane.capability("gradient_submission", resource, terms.audience, context).require()
        return self._prove(SUBMIT, terms, capability.access_token, digest)

    def _prove(self, method: str, terms: RoundTerms, token: str, digest: str | None = None) -> Credentials:
        url = target(terms.audience, terms.round_id)
        proof = make_proof(self.key, method=method, url=url, now=self._clock(), access_token=token, digest=digest)
        return Credentials(self.id, token, proof)
