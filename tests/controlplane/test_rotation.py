"""Signing keys in service: taken over from a file once, followed whatever the store does, shown and logged."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from controlplane.capabilities.errors import KeyFileError, SealError
from controlplane.capabilities.keykeeping import KeyKeeper
from controlplane.capabilities.sealing import Sealer
from controlplane.jose.keys import SigningKey
from controlplane.observing import Observer
from controlplane.rotation import StoredNotices, build_keeper, follow_keys, open_keys
from controlplane.settings import Settings
from controlplane.storage import Store, open_store
from controlplane.telemetry import Metrics
from tests.clocks import Clock

NOW = 1_800_000_000.0


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state_dir=tmp_path)


@pytest.fixture
async def store(settings: Settings) -> AsyncIterator[Store]:
    opened = await open_store(settings.resolved_database_url)
    yield opened
    await opened.close()


def keeper_of(settings: Settings, store: Store, clock: Clock) -> KeyKeeper:
    sealer = Sealer.load_or_create(settings.resolved_sealing_key_file)
    return build_keeper(settings, store, sealer, clock, StoredNotices(clock))


@pytest.fixture
def keeper(settings: Settings, store: Store, clock: Clock) -> KeyKeeper:
    return keeper_of(settings, store, clock)


def leave_file(folder: Path, key: SigningKey, age: float = 100.0) -> Path:
    path = folder / "signing-key.pem"
    path.touch(mode=0o600)
    path.write_bytes(key.to_pem())
    os.utime(path, (NOW - age, NOW - age))
    return path


async def passes(keeper: KeyKeeper, clock: Clock, *steps: float, fault: Any = None) -> tuple[Metrics, list[Any]]:
    """Follow the keys for as many passes as there are steps of time, and return metrics and log."""
    metrics, left = Metrics("0"), list(steps)

    async def sleep(_seconds: float) -> None:
        if not left:
            raise asyncio.CancelledError
        clock.now += left.pop(0)
        if fault is not None:
            await fault(len(left))

    with capture_logs() as logs, pytest.raises(asyncio.CancelledError):
        await follow_keys(keeper, Observer(metrics, clock), sleep)
    return metrics, [line for line in logs if "kid" in line or line["log_level"] == "error"]


def value(metrics: Metrics, name: str, **labels: str) -> float:
    found = metrics.registry.get_sample_value(name, labels)
    assert found is not None
    return float(found)


async def test_the_key_of_an_earlier_version_is_taken_over_once(
    keeper: KeyKeeper, settings: Settings, store: Store, clock: Clock
) -> None:
    key = SigningKey.generate()
    path = leave_file(settings.state_dir, key)
    with capture_logs() as logs:
        await open_keys(keeper, settings.state_dir)
    assert keeper.ring.current().kid == key.kid
    assert keeper.age_seconds() == 100.0
    assert not path.exists()
    (kept,) = await store.signing_keys.all()
    assert b"PRIVATE" not in kept.sealed
    assert [line["event"] for line in logs] == ["signing_key_taken_over"]
    assert key.to_pem().decode().splitlines()[1] not in str(logs)
    again = keeper_of(settings, store, clock)
    await open_keys(again, settings.state_dir)
    assert again.ring.current().kid == key.kid


async def test_the_same_file_on_another_replica_is_taken_over_too(
    keeper: KeyKeeper, settings: Settings, store: Store, clock: Clock
) -> None:
    key = SigningKey.generate()
    leave_file(settings.state_dir, key)
    await open_keys(keeper, settings.state_dir)
    path = leave_file(settings.state_dir, key)
    await open_keys(keeper_of(settings, store, clock), settings.state_dir)
    assert not path.exists()
    assert len(await store.signing_keys.all()) == 1


async def test_another_key_in_a_file_is_left_and_warned_of(keeper: KeyKeeper, settings: Settings) -> None:
    await open_keys(keeper, settings.state_dir)
    kid = keeper.ring.current().kid
    path = leave_file(settings.state_dir, SigningKey.generate())
    with capture_logs() as logs:
        await open_keys(keeper, settings.state_dir)
    assert keeper.ring.current().kid == kid
    assert path.exists()
    assert [line["event"] for line in logs] == ["signing_key_file_ignored"]


async def test_a_file_that_holds_no_key_ends_the_start_and_stays(
    keeper: KeyKeeper, settings: Settings, store: Store
) -> None:
    path = leave_file(settings.state_dir, SigningKey.generate())
    path.write_bytes(b"garbage")
    with pytest.raises(KeyFileError, match="Move it away"):
        await open_keys(keeper, settings.state_dir)
    assert path.read_bytes() == b"garbage"
    assert await store.signing_keys.all() == []


async def test_a_file_is_kept_when_the_ring_does_not_open(
    keeper: KeyKeeper, settings: Settings, store: Store, clock: Clock
) -> None:
    await open_keys(keeper, settings.state_dir)
    path = leave_file(settings.state_dir, keeper.ring.current())
    settings.resolved_sealing_key_file.unlink()
    with pytest.raises(SealError):
        await open_keys(keeper_of(settings, store, clock), settings.state_dir)
    assert path.exists()


async def test_the_sealing_key_may_lie_elsewhere(tmp_path: Path, store: Store, clock: Clock) -> None:
    elsewhere = tmp_path / "secrets" / "key"
    settings = Settings(state_dir=tmp_path, sealing_key_file=elsewhere)
    await open_keys(keeper_of(settings, store, clock), tmp_path)
    assert elsewhere.exists()
    assert not (tmp_path / "sealing.key").exists()


async def test_a_rotation_is_due_by_schedule_and_every_step_is_logged_once(
    keeper: KeyKeeper, settings: Settings, clock: Clock
) -> None:
    await open_keys(keeper, settings.state_dir)
    first = keeper.ring.current().kid
    metrics, logs = await passes(keeper, clock, 30 * 86_400 - 121, 1, 1, 119, 360, 1)
    second = keeper.ring.current().kid
    assert [(line["kid"], line["state"]) for line in logs] == [
        (first, "signing"),
        (second, "published"),
        (first, "retired"),
        (second, "signing"),
        (first, "gone"),
    ]
    assert value(metrics, "ztfm_signing_keys", state="gone") == 1
    assert value(metrics, "ztfm_signing_keys", state="signing") == 1
    assert value(metrics, "ztfm_signing_keys", state="published") == 0
    assert value(metrics, "ztfm_signing_key_age_seconds") == 361
    assert value(metrics, "ztfm_signing_key_schedule_seconds") == 30 * 86_400


async def test_a_store_that_is_away_is_said_once_and_the_key_signs_on_when_it_is_back(
    keeper: KeyKeeper, settings: Settings, clock: Clock
) -> None:
    await open_keys(keeper, settings.state_dir)
    path, away = settings.state_dir / "ztfm.db", settings.state_dir / "away.db"

    async def move(left: int) -> None:
        if left == 3:
            path.rename(away)
        if left == 0:
            away.rename(path)

    _, logs = await passes(keeper, clock, 1, 1, 1, 1, 1, fault=move)
    assert [line["event"] for line in logs] == ["signing_key", "signing_keys_not_kept"]
    assert keeper.examine() == "ok"


async def test_a_key_that_cannot_be_opened_does_not_end_the_following(
    keeper: KeyKeeper, settings: Settings, store: Store, clock: Clock
) -> None:
    await open_keys(keeper, settings.state_dir)
    foreign = build_keeper(settings, store, Sealer(b"x" * 32), clock, StoredNotices(clock))
    _, logs = await passes(foreign, clock, 31 * 86_400, 1, 1)
    assert [line["event"] for line in logs if line["log_level"] == "error"] == ["signing_keys_not_kept"]
    assert len(await store.signing_keys.all()) == 1
