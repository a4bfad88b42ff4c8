"""Challenges are answered once, by whichever replica; what was proven is the strongest that still counts."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from controlplane.contracts.attested import KeptResult
from controlplane.contracts.identity import Attestation, Device
from controlplane.storage import Store, StoreUnavailable
from controlplane.storage.attestations import MAX_OPEN, Seen
from tests.controlplane.storage.conftest import NOW

NewDevice = Callable[..., Device]


@pytest.fixture
async def device(store: Store, new_device: NewDevice) -> Device:
    made = new_device()
    await store.devices.add(made)
    return made


def result(
    level: str = "hardware", kind: str = "tpm", at: float = NOW, seconds: float = 600.0, **more: Any
) -> KeptResult:
    known = {
        "kind": kind,
        "level": level,
        "reference": "" if level == "none" else "gateways",
        "platform": "00ff",
        "verified_at": at,
        "expires_at": at if level == "none" else at + seconds,
        "decision_id": "dec-1",
        "result": "" if level == "none" else "a.b.c",
    }
    return KeptResult.model_validate({**known, **more})


async def proven(store: Store, device: Device) -> Attestation:
    found = await store.devices.get(device.id)
    assert found is not None
    return found.attestation


async def test_a_challenge_is_taken_once_whichever_replica_is_asked(
    store: Store, replica: Store, device: Device
) -> None:
    made = await store.attestations.challenge(device.id, "tpm", NOW, NOW + 120, b"kept")
    tries = [one.attestations.take(made.id, device.id) for one in (store, replica) * 4]
    taken = [found for found in await asyncio.gather(*tries) if found is not None]
    assert taken == [made]


async def test_of_many_that_are_asked_for_at_once_the_newest_few_are_open(
    store: Store, replica: Store, device: Device
) -> None:
    asked = [
        one.attestations.challenge(device.id, "tpm", NOW + number, NOW + 120, None)
        for number, one in enumerate((store, replica) * 5)
    ]
    made = await asyncio.gather(*asked)
    found = [one for one in made if await store.attestations.take(one.id, device.id) is not None]
    assert 1 <= len(found) <= MAX_OPEN


async def test_nobody_takes_anothers(store: Store, device: Device, new_device: NewDevice) -> None:
    other = new_device()
    await store.devices.add(other)
    made = await store.attestations.challenge(device.id, "tpm", NOW, NOW + 120, None)
    assert await store.attestations.take(made.id, other.id) is None
    assert await store.attestations.take("chal-\0", device.id) is None
    assert await store.attestations.take(made.id, device.id) == made


async def test_a_challenge_is_for_somebody_who_is_enrolled(store: Store) -> None:
    with pytest.raises(StoreUnavailable):
        await store.attestations.challenge("dev-nobody", "tpm", NOW, NOW + 120, None)


async def test_what_counts_is_the_strongest_of_any_kind(store: Store, device: Device) -> None:
    kept = store.attestations
    assert await kept.keep(device.id, device.key_thumbprint, result("software", "tpm", NOW))
    assert (await proven(store, device)).level == "software"
    assert await kept.keep(device.id, device.key_thumbprint, result("hardware", "snp", NOW + 1, 60.0))
    assert await kept.keep(device.id, device.key_thumbprint, result("software", "tpm", NOW + 2))
    expected = Attestation(level="hardware", verified_at=NOW + 1, expires_at=NOW + 61)
    assert await proven(store, device) == expected
    assert await kept.keep(device.id, device.key_thumbprint, result("software", "tpm", NOW + 62))
    assert (await proven(store, device)).level == "software", "the other one has expired"
    assert [one.kind for one in await kept.of(device.id)] == ["snp", "tpm"]


async def test_what_contradicts_takes_everything_away(store: Store, device: Device) -> None:
    kept = store.attestations
    await kept.keep(device.id, device.key_thumbprint, result(kind="snp"))
    await kept.keep(device.id, device.key_thumbprint, result(kind="tpm"))
    assert await kept.withdraw(device.id, device.key_thumbprint, result("none", "tpm", NOW + 5, platform="bad0"))
    assert await proven(store, device) == Attestation()
    found = [(one.kind, one.level, one.platform) for one in await kept.of(device.id)]
    assert found == [("snp", "none", "00ff"), ("tpm", "none", "00ff")], "what it was shown of is known still"
    assert not await kept.withdraw(device.id, device.key_thumbprint, result("none", "tpm", NOW + 6))


async def test_what_was_shown_before_does_not_bring_it_back(store: Store, device: Device) -> None:
    kept = store.attestations
    await kept.withdraw(device.id, device.key_thumbprint, result("none", "tpm", NOW + 5))
    assert not await kept.keep(device.id, device.key_thumbprint, result("hardware", "snp", NOW + 4))
    assert await proven(store, device) == Attestation()
    assert await kept.keep(device.id, device.key_thumbprint, result("hardware", "snp", NOW + 6))


SEEN = Seen(challenged_at=NOW, platform="same", others=0)


async def test_what_was_decided_on_holds_still_or_nothing_is_kept(store: Store, device: Device) -> None:
    kept, mark = store.attestations, device.key_thumbprint
    assert await kept.keep(device.id, mark, result(at=NOW + 5), SEEN)
    assert not await kept.keep(device.id, mark, result("software", at=NOW + 4), SEEN), "what came later stays"
    assert not await kept.keep(device.id, mark, result(at=NOW + 6, platform="bad0"), SEEN), (
        "another platform came first"
    )
    other = Seen(NOW, "other", 0)
    assert await kept.keep(device.id, mark, result(at=NOW + 6, platform="bad0"), other)
    await store.devices.set_status(device.id, "quarantined")
    assert not await kept.keep(device.id, mark, result(at=NOW + 7, platform="bad0"), SEEN)
    assert (await proven(store, device)).verified_at == NOW + 6


async def test_who_else_has_a_proof_of_a_platform_is_counted(
    store: Store, device: Device, new_device: NewDevice
) -> None:
    kept, others = store.attestations, [new_device() for _ in range(5)]
    for one in others:
        await store.devices.add(one)
    fine, expired, elsewhere, contradicted, quarantined = others
    await kept.keep(device.id, device.key_thumbprint, result())
    await kept.keep(fine.id, fine.key_thumbprint, result())
    await kept.keep(fine.id, fine.key_thumbprint, result(kind="snp"))
    await kept.keep(expired.id, expired.key_thumbprint, result(seconds=5.0))
    await kept.keep(elsewhere.id, elsewhere.key_thumbprint, result(platform="00fe"))
    await kept.withdraw(contradicted.id, contradicted.key_thumbprint, result("none"))
    await kept.keep(quarantined.id, quarantined.key_thumbprint, result())
    await store.devices.set_status(quarantined.id, "quarantined")
    assert await kept.others(device.id, "00ff", NOW + 5) == 1, "each once, by whatever kind of evidence"
    assert await kept.others(fine.id, "00ff", NOW + 5) == 1
    assert await kept.others(fine.id, "00fd", NOW + 5) == 0


async def test_of_many_that_attest_one_platform_at_once_one_is_alone(
    store: Store, replica: Store, new_device: NewDevice
) -> None:
    made = [new_device() for _ in range(6)]
    for one in made:
        await store.devices.add(one)
    alone = Seen(NOW, "first", 0)
    tries = [
        where.attestations.keep(one.id, one.key_thumbprint, result(), alone)
        for one, where in zip(made, (store, replica) * 3, strict=True)
    ]
    assert sorted(await asyncio.gather(*tries)) == [False] * 5 + [True]


async def test_what_was_proven_with_another_key_is_not_kept(store: Store, device: Device) -> None:
    assert not await store.attestations.keep(device.id, "B" * 43, result())
    assert not await store.attestations.withdraw(device.id, "B" * 43, result("none"))
    assert not await store.attestations.keep("dev-nobody", device.key_thumbprint, result())
    assert await store.attestations.of(device.id) == []


async def test_a_release_key_is_kept_with_it(store: Store, device: Device) -> None:
    known = result(release_key={"suite": "x25519", "key": "A" * 43})
    await store.attestations.keep(device.id, device.key_thumbprint, known)
    assert await store.attestations.of(device.id) == [known]
    assert await store.attestations.of("dev-\0") == []


async def test_who_has_proven_what_is_counted(store: Store, new_device: NewDevice) -> None:
    made = [new_device() for _ in range(4)]
    for one in made:
        await store.devices.add(one)
    for at, one in zip((NOW, NOW + 10, NOW - 1000), made, strict=False):
        await store.attestations.keep(one.id, one.key_thumbprint, result(at=at))
    counts = await store.attestations.proven(NOW + 20)
    assert counts.keys() == {"hardware"}
    assert (counts["hardware"].current, counts["hardware"].lapsed, counts["hardware"].oldest_at) == (2, 1, NOW)
    await store.devices.set_status(made[0].id, "revoked")
    assert (await store.attestations.proven(NOW + 20))["hardware"].current == 1


async def test_what_has_had_its_time_is_forgotten(store: Store, device: Device) -> None:
    kept = store.attestations
    old = await kept.challenge(device.id, "tpm", NOW, NOW + 120, None)
    new = await kept.challenge(device.id, "tpm", NOW + 100, NOW + 220, None)
    await kept.keep(device.id, device.key_thumbprint, result(seconds=10.0))
    await kept.purge(NOW + 120, NOW + 10)
    assert await kept.take(old.id, device.id) is None
    assert await kept.take(new.id, device.id) == new
    assert len(await kept.of(device.id)) == 1
    assert await kept.purge(NOW + 120, NOW + 11) == 1
    assert await kept.of(device.id) == []
