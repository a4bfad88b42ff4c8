"""What proxy and sidecar say to each other in headers, and which headers of Flower's are passed on."""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, Self

from adapters.credentials import RoundTerms

PROOF = "DPoP"
CAPABILITY = "Authorization"
DIGEST = "Content-Digest"
ROUND = "Ztfm-Round"
"""On an answer to pull-messages: what the sidecar must ask for, so that the weights of this message may pass."""

MAX_CHARS = 8000
_DIGEST = re.compile(r"sha-256=:([A-Za-z0-9+/]{43}=):")
_CAPABILITY = re.compile(r"DPoP ([A-Za-z0-9._~+/-]+=*)", re.IGNORECASE)
_PASSED = frozenset({"accept", "content-type"})
_FLOWER = "flwr-"

Stage = Literal["train", "evaluate"]


@dataclass(frozen=True, slots=True)
class AnnouncedRound:
    """The round whose weights a message carries.

    Attributes:
        terms: of the round; the audience is the proxy's.
        stage: ``train`` when an update is expected back.
    """

    terms: RoundTerms
    stage: Stage

    def to_header(self) -> str:
        """Return the header's value: base64url of JSON."""
        document = json.dumps({**self.terms.to_dict(), "stage": self.stage})
        return base64.urlsafe_b64encode(document.encode()).decode()

    @classmethod
    def from_header(cls, value: str) -> Self | None:
        """Return the round of a header, or none when it names none."""
        try:
            found = json.loads(base64.urlsafe_b64decode(value.encode("ascii")))
            terms = RoundTerms.from_dict(found)
        except (ValueError, AttributeError, RecursionError):
            return None
        stage: Stage = "train" if found.get("stage") == "train" else "evaluate"
        return cls(terms, stage)


def content_digest(body: bytes) -> str:
    """Return the ``Content-Digest`` of a body (RFC 9530)."""
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"


def read_digest(values: Iterable[str]) -> str | None:
    """Return ``sha256:`` and 64 hex digits of the one Content-Digest that was sent, or none."""
    match = _DIGEST.fullmatch(_only(values))
    try:
        return f"sha256:{base64.b64decode(match[1], validate=True).hex()}" if match else None
    except binascii.Error:
        return None


def read_proof(values: Iterable[str]) -> str | None:
    """Return the one proof that was sent, or none."""
    return _only(values) or None


def read_capability(values: Iterable[str]) -> str | None:
    """Return the one capability that was sent, or none."""
    match = _CAPABILITY.fullmatch(_only(values))
    return match[1] if match else None


def passed_on(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that Flower reads, and no others: no proof, no capability and no cookie goes any further."""
    return {
        name: value for name, value in headers.items() if name.lower() in _PASSED or name.lower().startswith(_FLOWER)
    }


def _only(values: Iterable[str]) -> str:
    """Return the only value, empty for none, several, or one that is too long."""
    found = list(values)
    return found[0] if len(found) == 1 and len(found[0]) <= MAX_CHARS else ""
