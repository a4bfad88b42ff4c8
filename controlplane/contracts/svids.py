"""JWT-SVIDs: tokens by which a workload says who it is to somebody who was named (SPIFFE, JWT-SVID)."""

from typing import Annotated

from pydantic import Field, StringConstraints

from controlplane.contracts.base import StrictModel, Timestamp, Token

MAX_AUDIENCES = 4
"""Whoever gets a token can show it to its other audiences (JWT-SVID, section 7.2): few, and best one."""

MIN_JWT_SVID_SECONDS = 5.0
MAX_JWT_SVID_SECONDS = 300.0
"""The longest life of a JWT-SVID: there is no list of revoked ones."""

Audience = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,256}$")]
"""Whom a token is for: printable ASCII without spaces, compared character by character."""

SpiffeName = Annotated[
    str, StringConstraints(max_length=2048, pattern=r"^spiffe://[a-z0-9._-]{1,255}(/[A-Za-z0-9._-]+)*$")
]
"""The form of a SPIFFE ID; `controlplane.identifiers.spiffe` reads one."""


class JwtSvidRequest(StrictModel):
    """An enrolled workload asks for a JWT-SVID: a bearer token that says who it is, to those whom it names.

    Attributes:
        audience: who may take it: up to four, best one.
        lifetime_seconds: up to five minutes; policy may have it shorter.
    """

    audience: Annotated[list[Audience], Field(min_length=1, max_length=MAX_AUDIENCES)]
    lifetime_seconds: Annotated[float, Field(ge=MIN_JWT_SVID_SECONDS, le=MAX_JWT_SVID_SECONDS)] = MAX_JWT_SVID_SECONDS


class IssuedJwtSvid(StrictModel):
    """A JWT-SVID. Whoever has it can show it, so it is sent over TLS alone.

    Attributes:
        svid: the token.
        spiffe_id: the workload's name, its ``sub``.
        expires_at: Unix seconds.
    """

    svid: Annotated[Token, Field(repr=False)]
    spiffe_id: SpiffeName
    expires_at: Timestamp


class JwtSvidClaims(StrictModel):
    """What a JWT-SVID of this control plane says. Nothing in it allows anything.

    Attributes:
        sub: the workload's SPIFFE ID.
        aud: who may take it.
        exp: whole Unix seconds.
        iat: whole Unix seconds.
        jti: no other has it.
    """

    sub: SpiffeName
    aud: Annotated[list[Audience], Field(min_length=1, max_length=MAX_AUDIENCES)]
    exp: Annotated[int, Field(ge=0, le=253_402_300_799)]
    iat: Annotated[int, Field(ge=0, le=253_402_300_799)]
    jti: Annotated[str, StringConstraints(pattern=r"^svid-[0-9a-f]{32}$")]
