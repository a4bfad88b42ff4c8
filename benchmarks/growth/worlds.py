"""Control planes that hold much: many devices in the store, many exceptions, many packages of policies."""

import json
import secrets
import shutil
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from benchmarks.decisions import ASKED
from benchmarks.household import MODEL, Enrolled, database_of, enrol, populate
from controlplane.identifiers.names import device_id
from controlplane.jose.keys import DeviceKey
from controlplane.sidecar.folders import product_folder
from controlplane.storage import open_store

ASKERS = 16
"""Devices that ask; all others are only there."""

DAY = 86_400.0
_BATCH = 10_000

_PACKAGE = """# METADATA
# title: Kind {number}
# description: Decides about resources of this kind.
package ztfm.extra.kind_{number}

import data.ztfm.lib.subject
import data.ztfm.lib.verdict

required := {{"subject_active", "subject_known"}}

decision := verdict.of(required, required - subject.proven, {{"obligations": {{}}, "ttl_seconds": 60}})
"""


@dataclass(frozen=True)
class World:
    """A state folder that was filled, before a control plane runs on it.

    Attributes:
        keys: of those who ask.
        asks: the path and the body with which the asker of a place asks.
        settings: of the control plane.
    """

    keys: Sequence[DeviceKey]
    asks: Callable[[int], tuple[str, bytes]]
    settings: Mapping[str, str]


async def with_devices(folder: Path, size: int) -> World:
    """Fill a store with so many devices, of which some ask to pull a model."""
    state = _state(folder)
    keys = await populate(state, min(size, ASKERS))
    add_devices(state / "ztfm.db", size - len(keys))
    return World(keys, lambda _: ("/v1/capabilities", ASKED), {})


async def with_exceptions(folder: Path, size: int) -> World:
    """Fill a store with so many granted exceptions, and the policies with as many signed ones."""
    state = _state(folder)
    keys = await populate(state, ASKERS)
    names = [device_id(key.thumbprint) for key in keys]
    # Some are about those who ask, so that what is found is looked at; all others are in their way, or not.
    subjects = [*names, *(_name() for _ in range(max(0, size - len(names))))][:size]
    add_exceptions(state / "ztfm.db", subjects)
    policies = folder / "policies"
    shutil.copytree(product_folder("policies"), policies)
    (policies / "data" / "exceptions" / "data.json").write_text(json.dumps(signed_exceptions(subjects)))
    return World(keys, lambda _: ("/v1/capabilities", ASKED), {"ZTFM_POLICIES": str(policies)})


async def with_policies(folder: Path, size: int) -> World:
    """Write so many packages beside the policies that are shipped; gateways ask about resources of one of them."""
    state, policies = _state(folder), folder / "policies"
    store = await open_store(database_of(state))
    try:
        keys = await enrol(store, [Enrolled("gateway", "core")] * ASKERS)
    finally:
        await store.close()
    shutil.copytree(product_folder("policies"), policies)
    add_packages(policies, size)
    return World(keys, lambda place: _about(keys[place], size - 1), {"ZTFM_POLICIES": str(policies)})


def add_packages(policies: Path, count: int) -> None:
    """Write packages that each decide about a kind of resource."""
    for number in range(count):
        made = policies / "ztfm" / "extra" / f"kind_{number}"
        made.mkdir(parents=True)
        (made / "policy.rego").write_text(_PACKAGE.format(number=number))


def add_devices(database: Path, count: int) -> None:
    """Add devices like the first one, with names and keys that nobody has."""
    with closing(sqlite3.connect(database)) as connection:
        cursor = connection.execute("SELECT * FROM devices LIMIT 1")
        columns, row = [one[0] for one in cursor.description], list(cursor.fetchone())
        statement = f"INSERT INTO devices VALUES ({', '.join('?' * len(columns))})"
        for at in range(0, count, _BATCH):
            rows = []
            for _ in range(min(_BATCH, count - at)):
                thumbprint = secrets.token_urlsafe(32)
                made = {"id": device_id(thumbprint), "key_thumbprint": thumbprint}
                made |= {name: secrets.token_urlsafe(32) for name in ("key_x", "key_y")}
                rows.append([made[name] if name in made else row[columns.index(name)] for name in columns])
            connection.executemany(statement, rows)
            connection.commit()


def add_exceptions(database: Path, subjects: Sequence[str]) -> None:
    """Grant an exception to each of some subjects."""
    now = time.time()
    rows = [
        {
            "id": f"exc-{number:08d}-{secrets.token_hex(8)}",
            "subject": subject,
            "resource": MODEL,
            "action": "model_access",
            "waives": json.dumps(["network_allowed"]),
            "reason": "Measured.",
            "approver": "operator@example.org",
            "granted_at": now,
            "starts_at": now - DAY,
            "ends_at": now + DAY,
            "uses": 0,
        }
        for number, subject in enumerate(subjects)
    ]
    names = ", ".join(rows[0]) if rows else ""
    values = ", ".join(f":{name}" for name in rows[0]) if rows else ""
    with closing(sqlite3.connect(database)) as connection:
        connection.executemany(f"INSERT INTO policy_exceptions ({names}) VALUES ({values})", rows)
        connection.commit()


def signed_exceptions(subjects: Sequence[str]) -> dict[str, object]:
    """Return exceptions as a bundle holds them: by subject, one each."""
    return {
        subject: {
            "measured": {
                "resource": MODEL,
                "action": "model_access",
                "waives": {"network_allowed": True},
                "approver": "operator@example.org",
                "reason": "Measured.",
                "from": "2026-01-01T00:00:00Z",
                "until": "2026-02-01T00:00:00Z",
            }
        }
        for subject in subjects
    }


def _state(folder: Path) -> Path:
    state = folder / "state"
    state.mkdir(parents=True, mode=0o700)
    return state


def _name() -> str:
    return device_id(secrets.token_urlsafe(32))


def _about(key: DeviceKey, number: int) -> tuple[str, bytes]:
    question = {
        "subject": {"type": "device", "id": device_id(key.thumbprint)},
        "action": {"name": "use"},
        "resource": {"type": f"kind_{number}", "id": "one"},
    }
    return "/access/v1/evaluation", json.dumps(question).encode()
