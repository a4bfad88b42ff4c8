"""Values of labels: closed sets, and what keeps the others from growing."""

from collections.abc import Iterable

from prometheus_client import Counter

from controlplane.contracts import access
from controlplane.contracts.facts import FACTS

ACTIONS = access.ACTIONS
INTERNAL = ("search", *(name for name in FACTS if name not in ACTIONS))
PACKAGES = (*ACTIONS, *INTERNAL)
OUTCOMES = ("allow", "deny", "error")
OTHER = "other"
MAX_LABEL_VALUES = 128
MAX_REVISIONS = 16


class BoundedLabels:
    """Keeps a label's values to the first ``limit`` that appear; later ones become ``other``."""

    def __init__(self, limit: int = MAX_LABEL_VALUES, known: Iterable[str] = ()) -> None:
        self._limit = limit
        self._known = set(known)

    def __call__(self, value: str) -> str:
        """Return ``value`` while there is room for it, else ``other``."""
        if value in self._known:
            return value
        if len(self._known) >= self._limit:
            return OTHER
        self._known.add(value)
        return value


class LatestRevisions:
    """Keeps the latest ``limit`` policy revisions of a counter that names them; older ones are forgotten.

    Args:
        counter: whose labels are a revision and an outcome.
        limit: revisions that are shown at most.
    """

    def __init__(self, counter: Counter, limit: int = MAX_REVISIONS) -> None:
        self._counter = counter
        self._limit = limit
        self._known: dict[str, dict[str, Counter]] = {}

    def count(self, revision: str, outcome: str) -> None:
        """Count a decision of ``revision``."""
        known = self._known.get(revision)
        if known is None:
            known = self._begin(revision)
        known[outcome].inc()

    def _begin(self, revision: str) -> dict[str, Counter]:
        if len(self._known) >= self._limit:
            oldest = next(iter(self._known))
            for outcome in self._known.pop(oldest):
                self._counter.remove(oldest, outcome)
        known = self._known[revision] = {outcome: self._counter.labels(revision, outcome) for outcome in OUTCOMES}
        return known
