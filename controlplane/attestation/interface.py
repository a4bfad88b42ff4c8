"""What a verifier of evidence is to us."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from controlplane.contracts.attestation import Claims


class EvidenceRefused(Exception):  # noqa: N818 - named for what happened
    """Evidence does not verify. It says nothing of the platform then, whatever it claims.

    Attributes:
        cause: one word of a closed set: ``malformed``, ``untrusted`` (no root vouches for it), ``expired`` (a
            certificate, a list or collateral, at this time), ``revoked``, ``signature``, ``unbound`` (its parts do not
            belong together), ``unsupported``.
        words: for whoever showed it: what, where, and what to do; no bytes of the evidence in it.
    """

    def __init__(self, cause: str, words: str) -> None:
        super().__init__(f"{cause}: {words}")
        self.cause = cause
        self.words = words


class Verifier(Protocol):
    """Verifies one kind of evidence. Pure: its roots and its collateral are given to it, and so is the time.

    Whoever adds one names it as an entry point of the group ``ztfm.verifiers``.
    """

    @property
    def kind(self) -> str:
        """The kind of evidence that it verifies, such as ``tpm``."""
        ...

    @property
    def members(self) -> Mapping[str, int]:
        """The members that evidence may have, each with the most bytes that it may have."""
        ...

    def verify(self, evidence: Mapping[str, bytes], at: float) -> Claims:
        """Return what the evidence says, all of it signed by a platform that one of the roots vouches for.

        Whether it answers a challenge is not looked at here: `Claims.bound` is what it carries. Nothing is fetched. It
        takes bounded time and memory for any bytes, and raises nothing else for any.

        Args:
            evidence: its members, decoded, none larger than `members` allows and no other.
            at: Unix seconds; certificates, lists and collateral have to be valid then.

        Raises:
            EvidenceRefused: it does not verify.
        """
        ...


@dataclass(frozen=True)
class Endorsement:
    """What a challenge carries beyond its nonce, and what its keeper remembers of whom it was made for.

    Attributes:
        members: `controlplane.contracts.attestation.Challenge.credential`, decoded: only the platform can open it.
        kept: stays with the challenge, at most `MAX_KEPT` bytes, is shown to nobody, and is given to
            `Endorsing.verify_endorsed`. It holds no secret.
    """

    members: Mapping[str, bytes]
    kept: bytes


MAX_KEPT = 1024
"""Bytes of `Endorsement.kept`."""


@runtime_checkable
class Endorsing(Verifier, Protocol):
    """A verifier of evidence whose key nobody vouches for until it opened what a challenge carries, as a TPM's.

    A challenge of its kind that came without an endorsement is one like any other: the evidence goes to `verify`.
    """

    @property
    def endorsement_members(self) -> Mapping[str, int]:
        """The members that an endorsement (`ChallengeRequest`) may have, each with the most bytes that it may have."""
        ...

    def endorse(self, endorsement: Mapping[str, bytes], at: float) -> Endorsement:
        """Return what a challenge for this platform carries.

        Args:
            endorsement: its members, decoded, none larger than `endorsement_members` allows and no other.
            at: Unix seconds; certificates have to be valid then.

        Raises:
            EvidenceRefused: no root vouches for the platform, or its parts do not belong together.
        """
        ...

    def verify_endorsed(self, evidence: Mapping[str, bytes], kept: bytes, at: float) -> Claims:
        """Return what evidence says that answers a challenge with a credential; else as `verify`.

        Args:
            evidence: its members.
            kept: `Endorsement.kept` of the challenge.
            at: Unix seconds.

        Raises:
            EvidenceRefused: it does not verify, or it does not show that the credential was opened by the platform that
                it was made for.
        """
        ...
