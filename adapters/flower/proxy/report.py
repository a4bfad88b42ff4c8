"""What the proxy did, in numbers: by call and outcome, and how many bytes of weights went to whom."""

import json
import os
from collections import Counter, OrderedDict
from pathlib import Path
from typing import Any

_SUBJECTS = 4096


class Report:
    """Counts. Calls and outcomes are closed vocabularies; of the devices the latest 4096 are kept."""

    def __init__(self) -> None:
        self._outcomes: Counter[tuple[str, str]] = Counter()
        self._weights: OrderedDict[str, int] = OrderedDict()

    def count(self, call: str, outcome: str) -> None:
        """A call ended: ``passed``, or the cause of its refusal."""
        self._outcomes[call, outcome] += 1

    def sent(self, subject: str, size_bytes: int) -> None:
        """So many bytes of weights left for a device."""
        self._weights[subject] = self._weights.pop(subject, 0) + size_bytes
        while len(self._weights) > _SUBJECTS:
            self._weights.popitem(last=False)

    def outcome(self, call: str, outcome: str) -> int:
        """Return how often a call ended so."""
        return self._outcomes[call, outcome]

    def weights(self, subject: str) -> int:
        """Return how many bytes of weights went to a device."""
        return self._weights.get(subject, 0)

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        calls: dict[str, dict[str, int]] = {}
        for (call, outcome), number in sorted(self._outcomes.items()):
            calls.setdefault(call, {})[outcome] = number
        return {"calls": calls, "weights_bytes": dict(self._weights)}

    def write(self, path: Path) -> None:
        """Put the report into a file, in one piece.

        Raises:
            OSError: it cannot be written.
        """
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        draft.write_text(json.dumps(self.to_dict(), indent=2, sort_keys=True) + "\n")
        draft.replace(path)
