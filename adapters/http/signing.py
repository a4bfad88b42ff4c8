"""Sign an HTTP request with a device's key, and verify it (RFC 9421, RFC 9530).

The algorithm is ``ecdsa-p256-sha256``. A signature says by which key (``keyid``, the key's RFC 7638 thumbprint), when
it was made (``created``) and once (``nonce``), and covers at least `COVERED`; ``@target-uri`` holds the query too.
"""

import hashlib
import secrets
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import http_sf
from http_message_signatures import HTTPMessageSigner, HTTPMessageVerifier, HTTPSignatureKeyResolver
from http_message_signatures.algorithms import ECDSA_P256_SHA256
from http_message_signatures.exceptions import HTTPMessageSignaturesException

from controlplane.capabilities.refusals import Cause, Refused
from controlplane.capabilities.replay import ReplayCache, Uses
from controlplane.contracts.identity import PublicKey
from controlplane.jose.keys import DeviceKey, load_public
from controlplane.jose.keys import thumbprint as thumbprint_of

COVERED = ("@method", "@target-uri", "authorization", "content-digest", "content-type")
"""What a signature covers at least."""

MAX_AGE_SECONDS = 60.0
LEEWAY_SECONDS = 5.0

FindKey = Callable[[str], PublicKey | None]
"""From a thumbprint to the public key that has it, or none."""

_LONGEST_NONCE = 128
_LABEL = "ztfm"

_DETAILS: dict[Cause, str] = {
    "proof_missing": "Sign the request (RFC 9421): Signature-Input and Signature.",
    "proof_malformed": f"Send one signature that covers {', '.join(COVERED)} and has created, keyid and nonce.",
    "proof_bad_signature": "The signature does not hold: sign the request as it is sent to the public URL; keyid is "
    "the thumbprint (RFC 7638) of the key that the DPoP proof shows.",
    "proof_stale": "The signature is too old or from the future; compare the clocks.",
    "proof_replayed": "The signature was used before: sign each request anew.",
}


class Headers(Protocol):
    """Header lines; a name may be there more than once."""

    def items(self) -> Any:
        """Return pairs of names and values, one for each line."""
        ...


@dataclass(frozen=True)
class SignedRequest:
    """What of a request a signature can cover.

    Attributes:
        method: as sent.
        url: absolute, with its query, as the enforcement point is known to callers.
        headers: all lines.
    """

    method: str
    url: str
    headers: Headers


class SignatureVerifier:
    """Verifies signatures of requests, each once.

    Args:
        clock: Unix seconds.
        max_age_seconds: how long after its making a signature may arrive.
        leeway_seconds: how far the two clocks may be apart.
        replay: remembers what was used; none for a memory of its own.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        max_age_seconds: float = MAX_AGE_SECONDS,
        leeway_seconds: float = LEEWAY_SECONDS,
        replay: Uses | None = None,
    ) -> None:
        self._clock = clock
        self._max_age = max_age_seconds
        self._leeway = leeway_seconds
        self._replay: Uses = ReplayCache(clock) if replay is None else replay

    def verify(self, request: SignedRequest, find: FindKey) -> str | Refused:
        """Return the thumbprint of the key that signed a request, or why that cannot be said.

        A signature that holds is used up.

        Args:
            request: as it came.
            find: returns the public key of a thumbprint, or none where nobody of that name is known.
        """
        names = {name.lower() for name, _ in request.headers.items()}
        if not {"signature", "signature-input"} <= names:
            return _refused("proof_missing")
        verifier = _Verifier(signature_algorithm=ECDSA_P256_SHA256, key_resolver=_Known(find))
        try:
            # Without a tag to choose by, more than one signature is refused.
            result = verifier.verify(request, max_age=None)[0]
        except HTTPMessageSignaturesException:
            return _refused("proof_bad_signature")
        created, nonce = result.parameters.get("created"), result.nonce
        if not isinstance(created, int) or nonce is None or not 0 < len(nonce) <= _LONGEST_NONCE:
            return _refused("proof_malformed")
        if not {f'"{name}"' for name in COVERED} <= result.covered_components.keys():
            return _refused("proof_malformed")
        until = created + self._max_age + self._leeway
        expires, now = result.parameters.get("expires"), self._clock()
        if not now < until or created > now + self._leeway or (isinstance(expires, int) and expires <= now):
            return _refused("proof_stale")
        thumbprint = str(result.parameters["keyid"])
        # A device's nonces are its own: nobody can use up another's.
        is_first = self._replay.use(f"{thumbprint}.{nonce}", until) == "first"
        return thumbprint if is_first else _refused("proof_replayed")


class RequestSigner:
    """Signs requests with a device's key.

    Args:
        key: the device's.
        clock: Unix seconds.
    """

    def __init__(self, key: DeviceKey, clock: Callable[[], float]) -> None:
        self._key = key
        self._clock = clock
        self._signer = HTTPMessageSigner(signature_algorithm=ECDSA_P256_SHA256, key_resolver=_Own(key))

    def sign(self, method: str, url: str, headers: Mapping[str, str]) -> dict[str, str]:
        """Return ``headers`` with a signature that covers `COVERED`.

        Raises:
            ValueError: one of the headers that are covered is missing, or the URL is not absolute.
        """
        signed = dict(headers)
        try:
            self._signer.sign(
                SignedRequest(method, url, signed),
                key_id=self._key.thumbprint,
                created=datetime.fromtimestamp(int(self._clock()), tz=UTC),
                nonce=secrets.token_urlsafe(16),
                label=_LABEL,
                covered_component_ids=COVERED,
                use_existing_digest=True,
            )
        except HTTPMessageSignaturesException as error:
            raise ValueError(str(error)) from None
        return signed


def write_content_digest(sha256: bytes) -> str:
    """Return a ``Content-Digest`` for a body with this SHA-256 (RFC 9530 section 2)."""
    return f"sha-256=:{b64encode(sha256).decode()}:"


def read_content_digest(lines: Sequence[str]) -> bytes | None:
    """Return the SHA-256 that ``Content-Digest`` states, or none where it states none or cannot be read."""
    try:
        stated = http_sf.parse(", ".join(lines).encode(), tltype="dictionary")
    except (ValueError, RecursionError):
        return None
    found = stated.get("sha-256") if isinstance(stated, dict) else None
    value = found[0] if isinstance(found, tuple) else None
    return value if isinstance(value, bytes) and len(value) == hashlib.sha256().digest_size else None


class _Verifier(HTTPMessageVerifier):
    """Leaves times to `SignatureVerifier`, which has a clock that can be given."""

    require_created = False

    def validate_created_and_expires(self, sig_input: Any, max_age: timedelta | None = None) -> None:
        """Judge nothing."""


class _Known(HTTPSignatureKeyResolver):
    """Knows public keys by their thumbprints, and takes no other key for one."""

    def __init__(self, find: FindKey) -> None:
        self._find = find

    def resolve_public_key(self, key_id: str) -> Any:
        """Return the key, or none for a name that is not known."""
        key = self._find(key_id)
        try:
            return load_public(key) if key is not None and thumbprint_of(key) == key_id else None
        except ValueError:
            return None


class _Own(HTTPSignatureKeyResolver):
    """Knows a device's own key."""

    def __init__(self, key: DeviceKey) -> None:
        self._key = key

    def resolve_private_key(self, key_id: str) -> bytes:
        """Return the key; ``key_id`` is always its own."""
        del key_id
        return self._key.to_pem()


def _refused(cause: Cause) -> Refused:
    return Refused(cause, _DETAILS[cause])
