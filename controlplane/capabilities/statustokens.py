"""Status List Tokens: signed by the control plane, and verified by enforcement points that poll (section 5.1)."""

import json
from collections.abc import Iterable, Mapping

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from pydantic import ValidationError

from controlplane.capabilities.statuslist import compress, decompress
from controlplane.contracts.statuslist import MAX_LIST_CHARS, StatusList, StatusListClaims
from controlplane.jose.jws import encode_segment, is_signed_by, parse, parse_object
from controlplane.jose.keys import SigningKey

TYPE = "statuslist+jwt"
MEDIA_TYPE = "application/statuslist+jwt"
TTL_SECONDS = 3
VALID_SECONDS = 30

_HEADER_NAMES = frozenset({"typ", "alg", "kid"})
_MOST_CHARS = 2 * MAX_LIST_CHARS


def sign_list(key: SigningKey, issuer: str, uri: str, places: Iterable[int], now: float) -> str:
    """Return the token of the list at ``uri`` in which ``places`` are set.

    Args:
        key: signs it.
        issuer: the control plane's public URL.
        uri: of the list, as capabilities name it.
        places: of the capabilities that are void.
        now: Unix seconds.
    """
    issued_at = int(now)
    claims = StatusListClaims(
        iss=issuer,
        sub=uri,
        iat=issued_at,
        exp=issued_at + VALID_SECONDS,
        ttl=TTL_SECONDS,
        status_list=StatusList(bits=1, lst=compress(places)),
    )
    header = json.dumps({"alg": "ES256", "kid": key.kid, "typ": TYPE}, separators=(",", ":"))
    return key.sign(encode_segment(header.encode()), claims.model_dump_json().encode())


def read_list(
    token: str, keys: Mapping[str, EllipticCurvePublicKey], issuer: str, uri: str, now: float
) -> tuple[bytes, float]:
    """Return the bits of a token that holds, and when it was issued (Unix seconds).

    Args:
        token: a compact Status List Token.
        keys: the issuer's, by ``kid``.
        issuer: whose list is expected.
        uri: which list.
        now: Unix seconds.

    Raises:
        KeyError: signed with a key that is not among ``keys``.
        ValueError: it does not hold.
    """
    parsed = parse(token, _MOST_CHARS)
    if parsed is None:
        raise ValueError("not a compact token")
    header = parsed.header
    if header.keys() != _HEADER_NAMES or header["typ"] != TYPE or header["alg"] != "ES256":
        raise ValueError("not a status list")
    if not isinstance(header["kid"], str) or not is_signed_by(keys[header["kid"]], parsed):
        raise ValueError("the signature does not hold")
    try:
        parse_object(parsed.payload)
        claims = StatusListClaims.model_validate_json(parsed.payload)
    except (ValidationError, RecursionError):
        raise ValueError("not the claims of a status list") from None
    if claims.iss != issuer or claims.sub != uri:
        raise ValueError("another list")
    if now >= claims.exp:
        raise ValueError("expired")
    return decompress(claims.status_list.lst), float(claims.iat)
