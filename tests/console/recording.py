"""Many decisions, recorded through the store's own door: what a large installation has after some days."""

import json
import os

from tests.support import MODEL, ControlPlane

AGE_SECONDS = 7_200.0
_AT_ONCE = 5_000


def record_many(plane: ControlPlane, count: int) -> float:
    """Record decisions of two hours ago, a millisecond apart, each with its entry in the log; return the first's time.

    Each is what a real one says, of a subject that nobody else is, with facts that fit on a line.
    """
    began = float(int(plane.clock() - AGE_SECONDS))
    for start in range(0, count, _AT_ONCE):
        rows = [_row(began, number) for number in range(start, min(start + _AT_ONCE, count))]
        plane.run(plane.store.decisions.add_many(rows), 120.0)
    return began


def _row(began: float, number: int) -> tuple[str, float, str, str, str, bytes]:
    time, outcome = began + number / 1000.0, "deny" if number % 10 == 0 else "allow"
    name = f"dec-{int(began) * 1000 + number:012x}{os.urandom(10).hex()}"
    reason = {"code": "tokens_within_budget", "message": "Too many tokens.", "remedy": "Ask for fewer."}
    record = {
        "id": name,
        "time": time,
        "action": "inference",
        "subject": "gateway-of-old",
        "resource": MODEL,
        "outcome": outcome,
        "reasons": [reason] if outcome == "deny" else [],
        "obligations": {},
        "rules": ["tokens_within_budget"],
        "ttl_seconds": 0.0 if outcome == "deny" else 60.0,
        "policy_revision": "of-old",
        "facts": {"subject": {"type": "device", "id": "gateway-of-old"}},
    }
    return name, time, "inference", "gateway-of-old", outcome, json.dumps(record).encode()
