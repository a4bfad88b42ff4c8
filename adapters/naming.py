"""Which name a key has: that of itself, unless its device had another key before.

A device is named after its first key, and keeps the name when it takes another one. So a key that is not the first says
nothing of a name by itself. Two things do: the control plane, which is asked, and a capability that holds, which names
its subject beside the key that it is bound to. What a device says of itself never does.
"""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Literal

from adapters.credentials import subject_of
from adapters.errors import ControlPlaneError
from controlplane.contracts.base import is_identifier
from controlplane.contracts.identity import PublicKey
from controlplane.identifiers.didkey import did_key
from controlplane.identifiers.documents import Resolution
from controlplane.jose.jws import parse, parse_object
from controlplane.jose.keys import thumbprint

KNOWN_SECONDS = 60.0
UNKNOWN_SECONDS = 5.0
"""How long an answer of the control plane's is relied on: that a key has a name, or has none."""

_REMEMBERED = 10_000
_ASKED_A_SECOND = 20
_log = logging.getLogger("ztfm.guard")

Holding = Literal["held", "another", "unknown"]
"""Whether a name is a key's: it is, it is not, or nobody can tell now, which lets nothing pass."""


class Names:
    """Knows keys that are not the first of their devices. May be used by several threads.

    Args:
        resolve: asks the control plane what a DID stands for; none where nobody can be asked.
        is_rekeyed: whether a device was heard to have taken another key (`adapters.feed`); none where nobody listens.
        timer: seconds, never stepping back.
    """

    def __init__(
        self,
        resolve: Callable[[str], Resolution] | None = None,
        timer: Callable[[], float] = time.monotonic,
        is_rekeyed: Callable[[str], bool] | None = None,
    ) -> None:
        self._resolve = resolve
        self._is_rekeyed = is_rekeyed or (lambda _name: False)
        self._timer = timer
        self._lock = threading.Lock()
        self._names: OrderedDict[str, tuple[str | None, float]] = OrderedDict()
        self._present: OrderedDict[str, str] = OrderedDict()
        self._second, self._asked = 0.0, 0

    def of(self, mark: str) -> str | None:
        """Return the name of the key with a thumbprint, as far as it is known here; nobody is asked.

        Returns:
            The name of the key itself, where nothing else is known; none, where that name has another key by now.
        """
        with self._lock:
            return self._of(mark)

    def learn(self, name: str, mark: str) -> None:
        """A name has a key, as a capability that was verified says; of first keys nothing is kept."""
        if name == subject_of(mark):
            return
        with self._lock:
            before = self._present.get(name)
            if before is not None and before != mark:
                self._names.pop(before, None)
            self._present[name] = mark
            self._present.move_to_end(name)
            if len(self._present) > _REMEMBERED:
                self._present.popitem(last=False)
            self._keep(mark, name, KNOWN_SECONDS)

    def holding(self, name: str, key: PublicKey) -> Holding:
        """Return whether a name is that of a key whose proof was verified; the control plane is asked where it must be.

        Args:
            name: as the device says.
            key: that made the proof.
        """
        mark = thumbprint(key)
        with self._lock:
            found = self._of(mark)
            if found == name:
                return "held"
            known = self._names.get(mark)
            is_known = known is not None and self._timer() < known[1]
            # The name of the key itself is never that of another one: no question makes it so.
            if found is None or is_known or self._resolve is None or not is_identifier(name):
                return "another"
            if not self._may_ask():
                return "unknown"
        return self._ask(name, key, mark, self._resolve)

    def _ask(self, name: str, key: PublicKey, mark: str, resolve: Callable[[str], Resolution]) -> Holding:
        try:
            found = name_of(resolve(did_key(key)), key)
        except ControlPlaneError as error:
            _log.warning("whose key %s is could not be asked: %s", mark, error)
            return "unknown"
        if found is not None and found != subject_of(mark):
            self.learn(found, mark)
        else:
            with self._lock:
                self._keep(mark, None, UNKNOWN_SECONDS)
        return "held" if found == name else "another"

    def _of(self, mark: str) -> str | None:
        known = self._names.get(mark)
        if known is not None and known[0] is not None and self._timer() < known[1]:
            return known[0]
        own = subject_of(mark)
        return None if own in self._present or self._is_rekeyed(own) else own

    def _keep(self, mark: str, name: str | None, seconds: float) -> None:
        self._names[mark] = name, self._timer() + seconds
        self._names.move_to_end(mark)
        if len(self._names) > _REMEMBERED:
            self._names.popitem(last=False)

    def _may_ask(self) -> bool:
        """Whether there is room for one more question: strangers may claim as many names as they like."""
        now = self._timer()
        if not 0.0 <= now - self._second < 1.0:
            self._second, self._asked = now, 0
        self._asked += 1
        return self._asked <= _ASKED_A_SECOND


def name_of(found: Resolution, key: PublicKey) -> str | None:
    """Return the name whose present key this is, as the control plane has it; none where it is nobody's, or void.

    Args:
        found: what the ``did:key`` of the key stands for.
        key: it.
    """
    about, did = found.did_document_metadata, did_key(key)
    names = about.equivalent_id or []
    is_present = about.canonical_id == did and key in found.keys_for("authentication").values()
    return names[0] if is_present and len(names) == 1 else None


def stated_subject(capability: str, mark: str) -> str:
    """Return whom a capability names beside the key with a thumbprint; nothing is verified.

    Whoever goes by it verifies the capability before anything comes of the name.

    Returns:
        The name of the key itself, where the capability is bound to another key, or is none.
    """
    token = parse(capability)
    try:
        claims = parse_object(token.payload) if token else {}
    except (ValueError, RecursionError):
        claims = {}
    bound, subject = claims.get("cnf"), claims.get("sub")
    is_bound = isinstance(bound, dict) and bound.get("jkt") == mark
    return subject if is_bound and isinstance(subject, str) and is_identifier(subject) else subject_of(mark)
