"""Many devices, put into the store as rows: what a large fleet is, without an enrolment for each."""

import hashlib
from base64 import urlsafe_b64encode

from sqlalchemy import insert

from controlplane.storage.tables import devices
from tests.support import ControlPlane

SEGMENT = "guests"
_AT_ONCE = 500
"""Others write meanwhile, and wait for no longer than their deadline."""


def add_many(plane: ControlPlane, count: int) -> list[str]:
    """Add devices that nobody holds a key of, in a segment of their own; return their ids in order.

    Their trust goes from 0 to 1. No ledger knows of them, which a control plane finds only where it compares.
    """
    rows = [_row(number, number / count, plane.clock()) for number in range(count)]
    for start in range(0, count, _AT_ONCE):
        added = insert(devices).values(rows[start : start + _AT_ONCE])
        plane.run(plane.store._database.change("add a fleet", added), 60.0)
    return sorted(str(row["id"]) for row in rows)


def _row(number: int, trust: float, now: float) -> dict[str, object]:
    mark, x, y = (_text(f"{name}-{number}") for name in ("mark", "x", "y"))
    return {
        "id": f"cam-{number:05d}",
        "key_thumbprint": mark,
        "key_x": x,
        "key_y": y,
        "roles": '["consumer"]',
        "segment": SEGMENT,
        "status": "active",
        "attestation_level": "none",
        "trust_score": trust,
        "trust_observations": 0,
        "enrolled_at": now,
    }


def _text(name: str) -> str:
    return urlsafe_b64encode(hashlib.sha256(name.encode()).digest()).decode().rstrip("=")
