"""Another key for oneself: the record that says so is signed by the key up to now, and consented to by the new one."""

from adapters.calls import Calls
from adapters.errors import ControlPlaneError, Unavailable
from adapters.wire import read_answer
from controlplane.identifiers.didkey import did_key
from controlplane.identifiers.records import Statement, sign_record
from controlplane.identifiers.shown import IdentityStanding
from controlplane.jose.keys import DeviceKey

_IDENTITY = "/v1/devices/self/identity"
_KEY = "/v1/devices/self/key"


class Rotating(Calls):
    """What somebody who is enrolled asks about its own identity."""

    async def identity(self) -> IdentityStanding:
        """Return how one's own identity stands on the ledger, and its history."""
        return read_answer(IdentityStanding, await self._get(_IDENTITY))

    async def rotate_key(self, successor: DeviceKey) -> IdentityStanding:
        """Take another key; from then on this client proves with it, and the key up to now is nobody's.

        Keep the successor where it will not be lost before this is called: where an answer gets lost, it may be the
        one that counts already. What was handed out for the key up to now is void: fetch capabilities anew.

        Args:
            successor: the new key, which no device ever had.

        Returns:
            How the identity stands afterwards.

        Raises:
            ControlPlaneError: any of `adapters.errors`; then the key up to now counts still, unless the control plane
                was `Unavailable`: then ask it by the successor (`identity`), once it answers.
            ValueError: proofs are off, so there is no key that a request is proven with.
        """
        if not self._proofs:
            raise ValueError("a key is rotated with proofs by that key; this client proves by its certificate")
        standing = await self.identity()
        if standing.did == did_key(successor.public):
            return standing
        signed = sign_record(_rotation(standing, successor, self.clock()), self._prover.key, successor)
        try:
            answer = await self._post(_KEY, signed)
        except Unavailable:
            # It may have been done, and only the answer got lost.
            found = await self._prove_anew(successor)
            if found is None:
                raise
            answer = found
        self._use(successor)
        return read_answer(IdentityStanding, answer)

    async def _prove_anew(self, key: DeviceKey) -> bytes | None:
        """Return how the identity stands by a key; none where it is not known by it, or nobody can tell."""
        before = self._prover.key
        self._use(key)
        try:
            return await self._get(_IDENTITY)
        except ControlPlaneError:
            return None
        finally:
            self._use(before)

    def _use(self, key: DeviceKey) -> None:
        # The nonces that were given are the control plane's, whatever the key.
        self._prover.key = key


def _rotation(standing: IdentityStanding, successor: DeviceKey, now: float) -> Statement:
    return Statement(
        federation=standing.federation,
        kind=standing.kind,
        subject=standing.name,
        act="rotated",
        sequence=standing.sequence + 1,
        previous=standing.head,
        issuer=standing.issuer,
        key=successor.public,
        time_ms=int(now * 1000),
    )
