"""Prove each request with the caller's key, and the nonce that the other side asked for (RFC 9449 sections 8 and 9)."""

import re
import time
from collections.abc import Callable, Mapping

from controlplane.capabilities.proof import make_proof
from controlplane.jose.keys import DeviceKey

_NONCE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,256}")
_CHALLENGE = "use_dpop_nonce"
_SEARCHED_BYTES = 4096
_KEPT_SECONDS = 60.0
"""A nonce of the control plane holds for a minute at least; a stale one would be refused where none is needed."""


class Prover:
    """Makes the proofs for one server, and remembers the newest nonce that it gave.

    Args:
        key: the caller's.
        clock: Unix seconds.
    """

    def __init__(self, key: DeviceKey, clock: Callable[[], float] = time.time) -> None:
        self.key = key
        self._clock = clock
        self._nonce: str | None = None
        self._learned_at = 0.0

    @property
    def nonce(self) -> str | None:
        """The newest nonce that the server gave, or none when it is older than a minute."""
        is_fresh = 0.0 <= self._clock() - self._learned_at <= _KEPT_SECONDS
        return self._nonce if is_fresh else None

    def prove(self, method: str, url: str, access_token: str | None = None) -> str:
        """Return a fresh proof for one request.

        Raises:
            ValueError: ``url`` is not absolute.
        """
        now = self._clock()
        return make_proof(self.key, method=method, url=url, now=now, access_token=access_token, nonce=self.nonce)

    def present(self, method: str, url: str, access_token: str) -> dict[str, str]:
        """Return the headers that show a capability with its proof (RFC 9449 section 7.1).

        Raises:
            ValueError: ``url`` is not absolute.
        """
        return {"Authorization": f"DPoP {access_token}", "DPoP": self.prove(method, url, access_token)}

    def learn(self, used: str | None, status: int, headers: Mapping[str, str], body: bytes = b"") -> bool:
        """Remember the nonce of an answer, and return whether it asks for the request once more with it.

        A nonce that is no nonce, or the one that was used, asks for nothing: a server cannot keep a caller going.

        Args:
            used: the nonce of the request that was answered.
            status: of the answer.
            headers: of the answer; names in any case, as long as the mapping finds ``DPoP-Nonce`` and
                ``WWW-Authenticate``.
            body: where a token endpoint names the challenge.
        """
        given = headers.get("DPoP-Nonce", "")
        if not _NONCE.fullmatch(given):
            return False
        self._nonce, self._learned_at = given, self._clock()
        if given == used or status not in (400, 401):
            return False
        return _CHALLENGE in headers.get("WWW-Authenticate", "") or _CHALLENGE.encode() in body[:_SEARCHED_BYTES]
