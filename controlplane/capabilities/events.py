"""Security Event Tokens: signed by the control plane, and verified by whoever follows its events (RFC 8417)."""

import json
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, Literal

from pydantic import ValidationError

from controlplane.capabilities.keyset import read_keys
from controlplane.contracts.events import (
    STREAM,
    Events,
    JwtSubject,
    OpaqueSubject,
    Reset,
    SecurityEvent,
    SecurityEventClaims,
    Verification,
)
from controlplane.jose.jws import encode_segment, is_signed_by, parse, parse_object
from controlplane.jose.keys import SigningKey

PATH = "/v1/events"
TYPE = "secevent+jwt"
_HEADER_NAMES = frozenset({"typ", "alg", "kid"})

Unfit = Literal["malformed", "unknown_key", "bad_signature", "wrong_issuer", "wrong_sequence"]
"""Why a token is not taken in."""


class EventSigner:
    """Signs events as one issuer; an event is signed once with each key, however many listen.

    Args:
        issuer: the control plane's public URL.
        current_key: returns the key that signs now.
        capacity: signed events that are remembered.
    """

    def __init__(self, issuer: str, current_key: Callable[[], SigningKey], capacity: int = 1024) -> None:
        self._issuer = issuer
        self._current_key = current_key
        self._capacity = capacity
        self._signed: OrderedDict[tuple[int, str], str] = OrderedDict()

    def kept(self, sequence: int, time: float, document: bytes) -> str:
        """Return the token of a kept event.

        Args:
            sequence: its place among the events.
            time: when it happened (Unix seconds).
            document: the `SecurityEvent` as JSON.
        """
        key = self._current_key()
        known = self._signed.get((sequence, key.kid))
        if known is None:
            known = self._sign(key, SecurityEvent.model_validate_json(document), time, event_jti(sequence))
            while len(self._signed) >= self._capacity:
                self._signed.popitem(last=False)
            self._signed[sequence, key.kid] = known
        return known

    def alive(self, newest: int, now: float) -> str:
        """Return a token which says that all events up to ``newest`` have been sent."""
        events = Events(verification=Verification(state=str(newest)))
        return self._about_stream(events, now, f"alive-{newest}-{now:.3f}")

    def reset(self, now: float, sequence: int) -> str:
        """Return a token which says that events before ``now`` may have been missed.

        Args:
            now: Unix seconds.
            sequence: the kept event after which the stream goes on.
        """
        jti = f"{_reset_to(sequence)}{now:.3f}"
        return self._about_stream(Events(reset=Reset(event_timestamp=now)), now, jti)

    def _about_stream(self, events: Events, now: float, jti: str) -> str:
        about = OpaqueSubject(format="opaque", id=STREAM)
        return self._sign(self._current_key(), SecurityEvent(txn=jti, sub_id=about, events=events), now, jti)

    def _sign(self, key: SigningKey, event: SecurityEvent, time: float, jti: str) -> str:
        claims = SecurityEventClaims(
            iss=self._issuer,
            aud=self._issuer + PATH,
            iat=int(time),
            jti=jti,
            txn=event.txn,
            sub_id=event.sub_id,
            events=event.events,
        )
        header = json.dumps({"alg": "ES256", "kid": key.kid, "typ": TYPE}, separators=(",", ":"))
        payload = claims.model_dump_json(exclude_none=True).encode()
        return key.sign(encode_segment(header.encode()), payload)


class EventVerifier:
    """Verifies events of one issuer.

    Args:
        issuer: whose events are taken in.
        jwks: its published key set.

    Raises:
        KeySetError: the key set cannot be used.
    """

    def __init__(self, issuer: str, jwks: Mapping[str, Any]) -> None:
        self._issuer = issuer
        self._keys = read_keys(jwks)

    def update_keys(self, jwks: Mapping[str, Any]) -> None:
        """Trust the keys of ``jwks`` and no others from now on.

        Raises:
            KeySetError: the set cannot be used; the keys in use stay.
        """
        self._keys = read_keys(jwks)

    def verify(self, token: str, sequence: int | None) -> SecurityEventClaims | Unfit:
        """Return the claims of a token that holds, or why it does not.

        Args:
            token: a compact Security Event Token.
            sequence: under which it was sent; none for one about the stream itself.
        """
        parsed = parse(token)
        if parsed is None:
            return "malformed"
        header = parsed.header
        if header.keys() != _HEADER_NAMES or header["typ"] != TYPE or header["alg"] != "ES256":
            return "malformed"
        key = self._keys.get(header["kid"]) if isinstance(header["kid"], str) else None
        if key is None:
            return "unknown_key"
        if not is_signed_by(key, parsed):
            return "bad_signature"
        try:
            parse_object(parsed.payload)
            claims = SecurityEventClaims.model_validate_json(parsed.payload)
        except (ValidationError, ValueError, RecursionError):
            return "malformed"
        return self._unfit(claims, sequence) or claims

    def _unfit(self, claims: SecurityEventClaims, sequence: int | None) -> Unfit | None:
        about = claims.sub_id
        if claims.iss != self._issuer or claims.aud != self._issuer + PATH:
            return "wrong_issuer"
        if isinstance(about, JwtSubject) and about.iss != self._issuer:
            return "wrong_issuer"
        is_kept = claims.events.kind is not None
        if is_kept != (sequence is not None):
            return "wrong_sequence"
        return None if sequence is None or claims.jti == event_jti(sequence) else "wrong_sequence"


def event_jti(sequence: int) -> str:
    """Return the ``jti`` of a kept event: it follows from its place, so that nobody can pass one off as another."""
    return f"set-{sequence}"


def is_reset_to(jti: str, sequence: int) -> bool:
    """Whether a reset has this ``jti`` after which the stream goes on from ``sequence``."""
    return jti.startswith(_reset_to(sequence))


def _reset_to(sequence: int) -> str:
    return f"reset-{sequence}-"
