"""Statements: what a site decided, signed by the device's own key (RFC 7515), and made so that no proof is one."""

import hashlib

from controlplane.contracts.identity import PublicKey
from controlplane.contracts.site import SiteDecision
from controlplane.jose.jws import encode_segment, is_signed_by, parse, parse_object
from controlplane.jose.keys import DeviceKey, load_public
from controlplane.jose.keys import thumbprint as thumbprint_of

_TYPE = "ztfm-site+jwt"
_NAMES = frozenset({"alg", "jwk", "typ"})

NOTHING = "sha256:" + hashlib.sha256(b"").hexdigest()
"""The digest that the first statement of a chain follows."""


def make_statement(key: DeviceKey, decision: SiteDecision) -> str:
    """Return a decision as a compact JWS by ``key``."""
    # The members of a JWK in the order of its thumbprint: one spelling of each header.
    jwk = key.public
    header = (
        f'{{"alg":"ES256","jwk":{{"crv":"{jwk.crv}","kty":"{jwk.kty}","x":"{jwk.x}","y":"{jwk.y}"}},"typ":"{_TYPE}"}}'
    )
    return key.sign(encode_segment(header.encode()), decision.model_dump_json().encode())


def statement_digest(statement: str) -> str:
    """Return the digest by which the next statement of a chain names this one."""
    return "sha256:" + hashlib.sha256(statement.encode()).hexdigest()


def read_statement(statement: object, thumbprint: str) -> SiteDecision | None:
    """Return the decision that the holder of a key stated; none for whatever is not that.

    Args:
        statement: untrusted.
        thumbprint: of the device's key (RFC 7638); its subject must be named after it.
    """
    token = parse(statement)
    if token is None or token.header.keys() != _NAMES:
        return None
    if token.header["typ"] != _TYPE or token.header["alg"] != "ES256":
        return None
    try:
        stated = PublicKey.model_validate(token.header["jwk"])
        key = load_public(stated)
        if thumbprint_of(stated) != thumbprint or not is_signed_by(key, token):
            return None
        decision = SiteDecision.model_validate(parse_object(token.payload))
    except (ValueError, RecursionError):
        return None
    return decision if decision.subject == f"dev-{thumbprint}" else None
