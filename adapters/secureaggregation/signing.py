"""What devices sign with their enrolled keys during a secure sum: compact tokens that bear their public key."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar

from pydantic import ValidationError

from adapters.credentials import subject_of
from adapters.secureaggregation.messages import MOST_TOKEN_CHARS, Advertised, SurvivorsSeen
from controlplane.contracts.identity import PublicKey
from controlplane.jose.jws import encode_segment, is_signed_by, parse, parse_object
from controlplane.jose.keys import DeviceKey, load_public, thumbprint

Kind = Literal["secagg-keys+jwt", "secagg-survivors+jwt"]
"""What is signed; a token of one kind is never taken for the other."""

Knows = Callable[[str, PublicKey], bool]
"""Whether a key is the present one of an enrolled device of this name."""

S = TypeVar("S", Advertised, SurvivorsSeen)


def is_named_after(name: str, key: PublicKey) -> bool:
    """Whether a device is named after this key.

    It says nothing of its enrolment, nor of keys after the first: `adapters.naming.Names` asks the control plane.
    """
    return subject_of(thumbprint(key)) == name


def sign(key: DeviceKey, kind: Kind, said: Advertised | SurvivorsSeen) -> str:
    """Return what a device says, signed."""
    header = {"typ": kind, "alg": "ES256", "jwk": key.public.model_dump()}
    return key.sign(encode_segment(_json(header)), _json(said.model_dump()))


def verify(token: str, kind: Kind, what: type[S], session: str, knows: Knows) -> S | None:
    """Return what a device said, or none where it did not say it in this session.

    Args:
        token: as it came.
        kind: that it must be of.
        what: its claims are.
        session: digest of the session.
        knows: whose key it must bear.
    """
    parsed = parse(token, MOST_TOKEN_CHARS)
    if parsed is None or parsed.header.keys() != {"typ", "alg", "jwk"}:
        return None
    if parsed.header["typ"] != kind or parsed.header["alg"] != "ES256":
        return None
    try:
        said = what.model_validate(parse_object(parsed.payload))
        bearer = PublicKey.model_validate(parsed.header["jwk"])
        is_signed = is_signed_by(load_public(bearer), parsed)
    except (ValidationError, ValueError, RecursionError):
        return None
    return said if is_signed and said.session == session and knows(said.subject, bearer) else None


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
