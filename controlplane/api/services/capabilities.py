"""Capabilities: minted, verified, counted and revoked; and how callers prove that they hold a key."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from controlplane.capabilities.accesstokens import AccessTokens
from controlplane.capabilities.broadcasting import Broadcast
from controlplane.capabilities.keykeeping import KeyKeeper
from controlplane.capabilities.minting import Minter
from controlplane.capabilities.nonces import Nonces
from controlplane.capabilities.proof import ProofVerifier
from controlplane.capabilities.revoking import Revoker
from controlplane.capabilities.statuspublishing import StatusLists
from controlplane.capabilities.verification import CapabilityVerifier

NonceMode = Literal["token", "always", "off"]
"""Where proofs need the server's nonce: at the token endpoint, on every route, or nowhere."""

EDGE_CAUSES = (
    "reporter_not_believed",
    "unverified",
    "two_credentials",
    "unknown_scheme",
    "certificate_expired",
    "wrong_token",
    "session_unknown",
    "session_ended",
    "session_foreign",
)
"""Why an update's capability or a caller's credential does not count, beside the causes of `capabilities.refusals`."""


class Ledger(Protocol):
    """Counts uses of capabilities, across processes."""

    async def consume(self, jtis: Mapping[str, float]) -> Mapping[str, int]:
        """Count one use of each id (to its expiry, Unix seconds); return the uses before."""
        ...

    async def give_back(self, jtis: Sequence[str]) -> None:
        """Take back a use of each id."""
        ...


@dataclass(frozen=True)
class CapabilityParts:
    """What mints capabilities and says whether one holds.

    Attributes:
        minter: mints.
        verifier: verifies.
        access_tokens: mints and verifies the tokens for this API itself, which are no capabilities.
        ledger: counts uses.
        keys: that sign.
        jwks: returns the keys that verify, as others read them.
    """

    minter: Minter
    verifier: CapabilityVerifier
    access_tokens: AccessTokens
    ledger: Ledger
    keys: KeyKeeper
    jwks: Callable[[], dict[str, Any]]


@dataclass(frozen=True)
class ProvingParts:
    """What verifies that a caller holds its key.

    Attributes:
        proofs: of enrolled keys.
        newcomers: of keys that ask to be enrolled; apart, so that strangers fill no room of the enrolled.
        nonces: of this replica.
        nonce_mode: where proofs need one.
    """

    proofs: ProofVerifier
    newcomers: ProofVerifier
    nonces: Nonces
    nonce_mode: NonceMode


@dataclass(frozen=True)
class RevocationParts:
    """What makes void, and what says so.

    Attributes:
        revoker: revokes capabilities, subjects and keys, and knows what is void.
        broadcast: pushes revocations to those who listen.
        status_lists: revocations for those who poll.
    """

    revoker: Revoker
    broadcast: Broadcast
    status_lists: StatusLists
