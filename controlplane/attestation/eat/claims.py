"""The claims of a token of our profile, whichever way they came: what must be there, what may, and nothing else."""

from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field, StringConstraints, ValidationError

from controlplane.attestation.interface import EvidenceRefused
from controlplane.contracts.base import Label, Name, StrictModel

PROFILE = "urn:ztfm:eat:1"
"""The profile (RFC 9711 section 6) that docs/attestation-enclaves.md describes."""

MAX_AGE_SECONDS = 600
"""How long a token may be valid: it answers one challenge, which lives shorter."""

LEEWAY_SECONDS = 5

DebugStatus = Literal[
    "enabled",
    "disabled",
    "disabled-since-boot",
    "disabled-permanently",
    "disabled-fully-and-permanently",
]
DEBUG_STATUS: tuple[DebugStatus, ...] = get_args(DebugStatus)
"""What a token says of debugging, by its number in CWT (RFC 9711 section 4.2.9)."""

NAMES = {
    6: "iat",
    4: "exp",
    10: "eat_nonce",
    256: "ueid",
    258: "oemid",
    259: "hwmodel",
    262: "oemboot",
    263: "dbgstat",
    265: "eat_profile",
    270: "swname",
    271: "swversion",
    -70100: "ztfm_measurements",
}
"""A claim's name in JWT, by its key in CWT (RFC 9711 section 10.3.1; the last one is private)."""

Version = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[\x20-\x7e]+$")]
Seconds = Annotated[int, Field(ge=0, le=253_402_300_799)]
Digest = Annotated[bytes, Field(min_length=32, max_length=64)]


def _as_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


class EatClaims(StrictModel):
    """What a token says.

    Attributes:
        iat: when it was made, Unix seconds.
        exp: until when it is valid, Unix seconds.
        eat_nonce: the binding of its challenge.
        ueid: names the device (section 4.2.1).
        oemid: who made it: 16 random bytes, 3 of IEEE, or an enterprise number (section 4.2.3).
        hwmodel: which product of theirs (section 4.2.4).
        oemboot: whether it boots only what its maker signed (section 4.2.8).
        dbgstat: whether somebody can look into it (section 4.2.9).
        eat_profile: `PROFILE`.
        swname: what runs on it (section 4.2.6).
        swversion: of that, with the scheme of the version or without (section 4.2.7).
        ztfm_measurements: digests of what was loaded, by name.
    """

    iat: Seconds
    exp: Seconds
    eat_nonce: Annotated[bytes, Field(min_length=8, max_length=64)]
    ueid: Annotated[bytes, Field(min_length=7, max_length=33)]
    oemid: Annotated[bytes, Field(min_length=3, max_length=16)] | Annotated[int, Field(ge=0, le=2**32)]
    hwmodel: Annotated[bytes, Field(min_length=1, max_length=32)]
    oemboot: bool
    dbgstat: DebugStatus
    eat_profile: Literal["urn:ztfm:eat:1"]
    swname: Name
    swversion: Annotated[tuple[Version] | tuple[Version, str | int], BeforeValidator(_as_tuple)]
    ztfm_measurements: Annotated[dict[Label, Digest], Field(min_length=1, max_length=32)]


def claims_of(found: dict[str, Any], at: float) -> EatClaims:
    """Return the claims of a token whose signature holds.

    Args:
        found: by their names in JWT, with bytes as bytes and the debug status in words.
        at: Unix seconds.

    Raises:
        EvidenceRefused: ``malformed``, ``unsupported`` for another profile, or ``expired``.
    """
    if found.get("eat_profile") != PROFILE:
        raise EvidenceRefused("unsupported", f"the token is not of the profile {PROFILE}")
    try:
        claims = EatClaims.model_validate(found)
    except ValidationError as error:
        where = error.errors(include_input=False, include_url=False)[0]["loc"]
        known = [str(part) for part in where[:1] if part in EatClaims.model_fields]
        raise EvidenceRefused("malformed", f"the token's claims are not those of {PROFILE}: {_which(known)}") from None
    if not claims.iat - LEEWAY_SECONDS <= at < claims.exp:
        raise EvidenceRefused("expired", "the token is not valid at this time: look at the clock, and make another")
    if claims.exp - claims.iat > MAX_AGE_SECONDS:
        raise EvidenceRefused("malformed", f"the token is valid for more than {MAX_AGE_SECONDS} seconds")
    return claims


def _which(known: list[str]) -> str:
    return f"look at {known[0]}" if known else "it has one that is not among them"
