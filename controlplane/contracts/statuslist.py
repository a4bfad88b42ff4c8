"""Token Status Lists as they are published (draft-ietf-oauth-status-list, sections 4.2 and 5.1)."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from controlplane.contracts.base import StrictModel

MAX_LIST_CHARS = 256 * 1024
"""As long as an encoded list may be: one whose bits are all random needs 175,000 characters."""


class StatusList(StrictModel):
    """The bits.

    Attributes:
        bits: of each status; 1 says valid or not.
        lst: the bytes, compressed with zlib, in base64url.
    """

    bits: Literal[1]
    lst: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]+$", max_length=MAX_LIST_CHARS)]


class StatusListClaims(StrictModel):
    """The claims of a Status List Token.

    Attributes:
        iss: the control plane.
        sub: the list's URI, as capabilities name it.
        iat: Unix seconds, whole.
        exp: when it says nothing more.
        ttl: seconds after which a newer one can be fetched.
        status_list: the bits.
    """

    iss: Annotated[str, Field(min_length=1, max_length=256)]
    sub: Annotated[str, Field(min_length=1, max_length=512)]
    iat: Annotated[int, Field(ge=0, le=253_402_300_799)]
    exp: Annotated[int, Field(ge=0, le=253_402_300_799)]
    ttl: Annotated[int, Field(gt=0, le=86_400)]
    status_list: StatusList
