"""What a request shows: one capability, and the proof or the certificate that it is bound to."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

_AUTHORIZATION = re.compile(r"(DPoP|Bearer) +([A-Za-z0-9._~+/-]+=*)", re.IGNORECASE)
_MAX_CHARS = 8192

Unfit = Literal["missing", "ambiguous"]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it came over the wire; nothing of it is believed.

    Attributes:
        method: as sent.
        path: undecoded, without the query.
        headers: values by name in lower case; each list has every value that was sent, in order.
        certificate: SHA-256 thumbprint of the client certificate of its TLS connection, as this side saw it; none
            without one. Never from a header.
        query_bytes: of the query, which no proof covers, and which a model may read all the same.
    """

    method: str
    path: str
    headers: Mapping[str, Sequence[str]]
    certificate: str | None = None
    query_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Shown:
    """A capability as it was shown.

    Attributes:
        token: the capability.
        proof: its DPoP proof; none for one that a certificate is bound to.
        certificate: thumbprint of the certificate that it came with; none for one with a proof.
    """

    token: str
    proof: str | None
    certificate: str | None


def shown_by(asked: Asked) -> Shown | Unfit:
    """Return what a request shows, ``missing`` for nothing, ``ambiguous`` for what could be read in two ways.

    A capability that is bound to a key comes as ``DPoP`` with its proof, one that is bound to a certificate as
    ``Bearer`` without (RFC 9449 section 7.1, RFC 8705 section 3). The scheme's case does not matter (RFC 9110
    section 11.1). A token in the query or the body is not looked at.
    """
    stated, proofs = asked.headers.get("authorization", ()), asked.headers.get("dpop", ())
    if not stated:
        return "missing"
    match = _AUTHORIZATION.fullmatch(stated[0]) if len(stated[0]) <= _MAX_CHARS else None
    if len(stated) > 1 or len(proofs) > 1 or match is None:
        return "ambiguous"
    scheme, token = match[1].lower(), match[2]
    if scheme == "dpop":
        return Shown(token, proofs[0], None) if proofs else Shown(token, None, None)
    return Shown(token, None, asked.certificate)


def body_bytes(asked: Asked) -> int | None:
    """Return how large the body is (0 without one), or none when it does not say."""
    lengths = asked.headers.get("content-length", ())
    if asked.headers.get("transfer-encoding"):
        return None
    if not lengths:
        return 0
    return int(lengths[0]) if len(lengths) == 1 and lengths[0].isdecimal() and len(lengths[0]) <= 18 else None
