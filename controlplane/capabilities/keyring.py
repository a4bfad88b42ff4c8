"""The ring of signing keys: which one signs, which ones verify, and which have had their time.

Everything follows from when each key signs and whether it was withdrawn, so replicas that read the same rows and the
same time agree without talking. Pure: rows and a clock go in; who keeps the rows is `keykeeping`'s business.
"""

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from controlplane.capabilities.errors import NoSigningKey
from controlplane.contracts.capability import MAX_LIFETIME_SECONDS
from controlplane.contracts.keys import KeptKey, KeyStanding, KeyState
from controlplane.jose.keys import SigningKey

CLOCK_LEEWAY_SECONDS = 60.0
"""How far the clocks of replicas and enforcement points may be apart."""

RETIRED_SECONDS = MAX_LIFETIME_SECONDS + CLOCK_LEEWAY_SECONDS
"""How long a key that signs no more stays in the key set: whatever it signed has expired by then."""

STALE_SECONDS = 30.0
"""A ring that could not be read for so long signs nothing: its key may have been withdrawn meanwhile."""

VERIFYING: frozenset[KeyState] = frozenset({"published", "signing", "retired"})
"""The states of the keys in the published set."""


def stand(keys: Iterable[KeptKey], now: float) -> list[KeyStanding]:
    """Return where each key stands at ``now`` (Unix seconds), in the order in which they sign.

    A key that was withdrawn before its turn has no turn. When the key whose turn it is was withdrawn, the next one
    signs ahead of its time; an earlier one never signs again.
    """
    ordered = sorted(keys, key=lambda key: (key.signs_from, key.created_at, key.kid))
    signer = signing_at(ordered, now)
    turns = [key for key in ordered if _has_turn(key)]
    ends = {key.kid: following.signs_from for key, following in pairwise(turns)}
    return [_standing(key, signer, ends.get(key.kid, math.inf), now) for key in ordered]


def signing_at(keys: Sequence[KeptKey], now: float) -> str | None:
    """Return the ``kid`` of the key that signs at ``now``, or none. The keys are in the order in which they sign."""
    turns = [key for key in keys if _has_turn(key)]
    begun = [key for key in turns if key.signs_from <= now]
    if begun and begun[-1].withdrawn_at is None:
        return begun[-1].kid
    return next((key.kid for key in turns[len(begun) :] if key.withdrawn_at is None), None)


def _has_turn(key: KeptKey) -> bool:
    return key.withdrawn_at is None or key.withdrawn_at > key.signs_from


def _standing(key: KeptKey, signer: str | None, ends: float, now: float) -> KeyStanding:
    state: KeyState
    if key.withdrawn_at is not None:
        state = "withdrawn"
    elif key.kid == signer:
        state = "signing"
    elif key.signs_from > now:
        state = "published"
    else:
        state = "retired" if now < ends + RETIRED_SECONDS else "gone"
    return KeyStanding(
        kid=key.kid,
        state=state,
        created_at=key.created_at,
        signs_from=key.signs_from,
        retired_at=ends if state in {"retired", "gone"} else None,
        withdrawn_at=key.withdrawn_at,
    )


@dataclass(frozen=True)
class _View:
    """What holds from ``since`` until just before ``until`` (Unix seconds)."""

    since: float
    until: float
    signer: SigningKey | None
    standings: tuple[KeyStanding, ...]
    verifying: tuple[SigningKey, ...]


class KeyRing:
    """The signing keys of one replica, as it last read them.

    Asking costs two comparisons: what holds is worked out when keys are loaded and when one's turn comes.

    Args:
        clock: Unix seconds.
        timer: seconds, monotonic; how old what was loaded is.
    """

    def __init__(self, clock: Callable[[], float], timer: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._timer = timer
        self._kept: tuple[KeptKey, ...] = ()
        self._opened: Mapping[str, SigningKey] = {}
        self._loaded_at = -math.inf
        self._view = _View(-math.inf, -math.inf, None, (), ())

    def load(self, kept: Iterable[KeptKey], opened: Mapping[str, SigningKey]) -> None:
        """Take these keys and no others from now on.

        Args:
            kept: every key that there is.
            opened: the private keys by ``kid``. A key that is missing here neither signs nor verifies: only the
                holder of the sealing key can have put an opened one into the store.
        """
        self._kept = tuple(kept)
        self._opened = dict(opened)
        self._view = self._look(self._clock())
        self._loaded_at = self._timer()

    def current(self) -> SigningKey:
        """Return the key that signs now.

        Raises:
            NoSigningKey: none does, it did not open, or the ring has not been read for too long.
        """
        signer = self._now().signer
        if signer is None:
            raise NoSigningKey("no signing key is usable; see `ztfm keys list`")
        if self.age_seconds > STALE_SECONDS:
            raise NoSigningKey(f"the signing keys could not be read for {STALE_SECONDS:g} s; is the store there?")
        return signer

    def verifying(self) -> tuple[SigningKey, ...]:
        """Return the keys of the published set: those that sign, will sign, or signed what may still hold."""
        return self._now().verifying

    def standings(self) -> tuple[KeyStanding, ...]:
        """Return where each key stands, in the order in which they sign."""
        return self._now().standings

    @property
    def age_seconds(self) -> float:
        """How long ago the keys were loaded; infinite when they never were."""
        return self._timer() - self._loaded_at

    def _now(self) -> _View:
        now = self._clock()
        if not self._view.since <= now < self._view.until:
            self._view = self._look(now)
        return self._view

    def _look(self, now: float) -> _View:
        standings = tuple(stand(self._kept, now))
        signer = next((item.kid for item in standings if item.state == "signing"), "")
        verifying = (self._opened.get(item.kid) for item in standings if item.state in VERIFYING)
        return _View(
            since=now,
            until=self._next_change(standings, now),
            signer=self._opened.get(signer),
            standings=standings,
            verifying=tuple(key for key in verifying if key is not None),
        )

    @staticmethod
    def _next_change(standings: Sequence[KeyStanding], now: float) -> float:
        begins = (item.signs_from for item in standings)
        ends = (item.retired_at + RETIRED_SECONDS for item in standings if item.retired_at is not None)
        return min((time for time in (*begins, *ends) if time > now), default=math.inf)
