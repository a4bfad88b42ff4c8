from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

import controlplane.identity.ledgers.evm.unlifted  # noqa: F401 - before what it needs: it keeps that from changing the process
from controlplane.contracts.identity import Attestation, Device, Trust
from controlplane.identifiers.names import device_id
from controlplane.jose.keys import DeviceKey
from controlplane.storage import Store, open_store
from tests.clocks import Clock

NOW = 1_767_225_600.0


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "ztfm.db"


@pytest.fixture
async def store(database: Path) -> AsyncIterator[Store]:
    opened = await open_store(f"sqlite+aiosqlite:///{database}")
    yield opened
    await opened.close()


@pytest.fixture
def new_device() -> Callable[..., Device]:
    def make(**changes: Any) -> Device:
        key = DeviceKey.generate()
        known = {
            "id": device_id(key.thumbprint),
            "key": key.public,
            "key_thumbprint": key.thumbprint,
            "roles": ["trainer"],
            "segment": "homes",
            "status": "active",
            "attestation": Attestation(),
            "trust": Trust(score=0.6, observations=0),
            "enrolled_at": NOW,
        }
        return Device(**{**known, **changes})

    return make
