"""Nonces for key proofs that the server chooses (RFC 9449 sections 8 and 9): nothing is remembered.

A nonce names the key that it was made with and the minute in which it was. A proof that bears one cannot have been made
long ahead, and is worth nothing where the key is another one. Those share the key who share what was used: the worker
processes of one replica, and replicas that count seen proofs together.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable
from functools import lru_cache

from controlplane.capabilities.refusals import Cause
from controlplane.jose.jws import encode_segment

SLOT_SECONDS = 60
"""A nonce holds to the end of the slot after its own: 60 to 120 s."""

NONCE_CAUSES = frozenset[Cause](
    {"proof_nonce_missing", "proof_wrong_nonce", "proof_foreign_nonce", "proof_stale_nonce"}
)
"""Why a nonce does not serve. Whoever is told so gets the one to use."""

_NAME_BYTES = 6
_KEY_BYTES = 32
_MAC_BYTES = 16
_FORM = re.compile(r"([A-Za-z0-9_-]{8})\.([0-9]{1,12})\.[A-Za-z0-9_-]{22}")


class Nonces:
    """Issues and examines nonces.

    Args:
        clock: Unix seconds.
        secret: 32 bytes that its processes share, and nobody else has; none for one process.
    """

    def __init__(self, clock: Callable[[], float], secret: bytes | None = None) -> None:
        self._clock = clock
        self._key = secret or secrets.token_bytes(_KEY_BYTES)
        # A name of the key that says nothing about it.
        self._name = encode_segment(hashlib.sha256(b"name" + self._key).digest()[:_NAME_BYTES]).decode()
        self._of_slot = lru_cache(maxsize=4)(self._make)

    def current(self) -> str:
        """Return the nonce that proofs should bear from now on."""
        return self._of_slot(self._slot())

    def examine(self, presented: object) -> Cause | None:
        """Return why a proof's ``nonce`` claim does not serve (none for a proof without), or none when it does."""
        if presented is None:
            return "proof_nonce_missing"
        form = _FORM.fullmatch(presented) if isinstance(presented, str) else None
        if form is None:
            return "proof_wrong_nonce"
        if form[1] != self._name:
            return "proof_foreign_nonce"
        slot = int(form[2])
        if not hmac.compare_digest(self._make(slot).encode(), form[0].encode()):
            return "proof_wrong_nonce"
        return None if slot in (self._slot(), self._slot() - 1) else "proof_stale_nonce"

    def _slot(self) -> int:
        return int(self._clock() // SLOT_SECONDS)

    def _make(self, slot: int) -> str:
        named = f"{self._name}.{slot}"
        mac = hmac.new(self._key, named.encode(), hashlib.sha256).digest()[:_MAC_BYTES]
        return f"{named}.{encode_segment(mac).decode()}"
