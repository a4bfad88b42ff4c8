"""All devices with where each stands: found, counted, and listed in pages."""

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from controlplane.contracts.attested import KeptResult
from controlplane.contracts.devices import DeviceQuery
from controlplane.contracts.identity import Device, Trust
from controlplane.storage import Store
from controlplane.storage.fleet import Member
from tests.controlplane.behaving import observed, record
from tests.controlplane.storage.conftest import NOW

NewDevice = Callable[..., Device]


async def found(store: Store, **asked: object) -> list[str]:
    """Return the ids that a query finds; the count says the same."""
    query = DeviceQuery.model_validate(asked)
    page = await store.fleet.page(query, NOW)
    assert await store.fleet.count(query) == len(page)
    return [member.device.id for member in page]


async def added(store: Store, *devices: Device) -> list[str]:
    for device in devices:
        assert await store.devices.add(device)
    return sorted(device.id for device in devices)


async def test_whoever_was_never_observed_is_watched_and_nothing_speaks_against_it(
    store: Store, new_device: NewDevice
) -> None:
    device = new_device()
    await added(store, device)
    assert await store.fleet.page(DeviceQuery(), NOW) == [Member(device, "watched", None, 1.0, None)]


@pytest.mark.parametrize("order", ["id", "trust"])
async def test_pages_hold_each_device_once_and_in_order(store: Store, new_device: NewDevice, order: str) -> None:
    devices = [new_device(trust=Trust(score=score, observations=1)) for score in (0.5, 0.25, 0.5, 0.125, 0.5, 1 / 3)]
    await added(store, *devices)

    def rank(one: Device) -> tuple[float, str]:
        return (one.trust.score if order == "trust" else 0.0), one.id

    seen: list[Member] = []
    while page := await store.fleet.page(DeviceQuery(), NOW, seen[-1].place if seen else None, 2, order):  # type: ignore[arg-type]
        seen += page
    assert [member.device for member in seen] == sorted(devices, key=rank)


async def test_each_word_of_where_a_device_stands_finds_those_that_stand_so(
    store: Store, new_device: NewDevice
) -> None:
    devices = {name: new_device() for name in ("trusted", "watched", "recovering", "quarantined", "held", "revoked")}
    await added(store, *devices.values())
    for name in ("trusted", "recovering", "quarantined"):
        await store.behaviour.apply([observed(devices[name].id, becomes=name)])
    await store.behaviour.apply([observed(devices["held"].id, becomes="trusted")])
    await store.devices.set_status(devices["held"].id, "quarantined")
    await store.devices.set_status(devices["revoked"].id, "revoked")
    for name, device in devices.items():
        assert await found(store, state=name) == [device.id]
        [member] = await store.fleet.page(DeviceQuery(text=device.id), NOW)
        assert member.stands == name
        assert member.is_held == (name == "held")


async def test_a_device_that_a_person_let_back_is_watched_and_nothing_of_before_counts(
    store: Store, new_device: NewDevice
) -> None:
    device = new_device()
    await added(store, device)
    await store.behaviour.apply([observed(device.id, becomes="quarantined", e_value=60.0)])
    await store.devices.set_status(device.id, "active", newcomer=Trust(score=0.6, observations=0))
    [member] = await store.fleet.page(DeviceQuery(), NOW)
    assert (member.state, member.since, member.e_value, member.observed_at) == ("watched", None, 1.0, None)


async def test_filters_narrow_together(store: Store, new_device: NewDevice) -> None:
    low, high = Trust(score=0.25, observations=1), Trust(score=0.75, observations=1)
    wanted = new_device(trust=low, roles=["consumer", "trainer"], enrolled_at=NOW + 10)
    others = [
        new_device(trust=high, roles=["consumer"], enrolled_at=NOW + 10),
        new_device(trust=low, segment="core", roles=["consumer"], enrolled_at=NOW + 10),
        new_device(trust=low, enrolled_at=NOW + 10),
        new_device(trust=low, roles=["consumer"], enrolled_at=NOW),
    ]
    await added(store, wanted, *others)
    asked = {"segment": "homes", "below": 0.5, "text": "CONSUM", "since": NOW + 5, "status": "active"}
    assert await found(store, **asked) == [wanted.id]
    for name in asked:
        assert len(await found(store, **{one: value for one, value in asked.items() if one != name})) >= 1
    assert await found(store, **{**asked, "status": "revoked"}) == []


@pytest.mark.parametrize("text", ["%", "_", "/", "\\", "'", "' OR 1=1 --", '"', "[", ", ", '","', "*", "?", "{}"])
async def test_characters_of_a_text_mean_themselves(store: Store, new_device: NewDevice, text: str) -> None:
    await added(store, new_device(id="dev-a", roles=["consumer", "trainer"]))
    assert await found(store, text=text) == []


async def test_a_text_finds_parts_of_ids_whatever_their_case(store: Store, new_device: NewDevice) -> None:
    plain, odd = new_device(id="dev-Alpha_1"), new_device(id="dev-alphaX1")
    await added(store, plain, odd)
    assert await found(store, text="ALPHA") == sorted([plain.id, odd.id])
    assert await found(store, text="a_1") == [plain.id]


@pytest.mark.parametrize("text", ["", "a" * 65, "a\0", "a\n", "\u00e4", "\ud800"])
def test_a_text_that_no_name_can_hold_is_no_query(text: str) -> None:
    with pytest.raises(ValidationError):
        DeviceQuery(text=text)


@given(text=st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=64))
def test_every_printable_text_of_some_length_is_a_query(text: str) -> None:
    assert DeviceQuery(text=text).text == text


async def test_the_strongest_proof_that_counts_names_the_evidence(store: Store, new_device: NewDevice) -> None:
    device, lapsed, bare = new_device(), new_device(), new_device()
    await added(store, device, lapsed, bare)
    for owner, kind, level, until in (
        (device, "tpm", "software", 60.0),
        (device, "snp", "hardware", 60.0),
        (device, "tdx", "hardware", -1.0),
        (lapsed, "tpm", "hardware", 0.0),
    ):
        result = KeptResult(
            kind=kind,
            level=level,  # type: ignore[arg-type]
            reference="house",
            platform="ab",
            verified_at=NOW - 100.0,
            expires_at=NOW + until,
            decision_id="dec-1",
            result="x",
        )
        assert await store.attestations.keep(owner.id, owner.key_thumbprint, result)
    attested = {one.device.id: one.attested for one in await store.fleet.page(DeviceQuery(), NOW)}
    assert attested == {device.id: "snp", lapsed.id: None, bare.id: None}


async def test_a_page_is_bounded_whatever_is_asked_for(store: Store, new_device: NewDevice) -> None:
    await added(store, *(new_device() for _ in range(3)))
    assert len(await store.fleet.page(DeviceQuery(), NOW, limit=0)) == 1
    assert len(await store.fleet.page(DeviceQuery(), NOW, limit=10**9)) == 3


async def test_what_is_listed_says_all_that_is_known(store: Store, new_device: NewDevice) -> None:
    device = new_device(trust=Trust(score=0.5, observations=3))
    await added(store, device)
    await store.behaviour.apply([observed(device.id, record=record(state="trusted"), e_value=2.5)])
    [member] = await store.fleet.page(DeviceQuery(), NOW)
    listed = member.listed()
    assert (listed.id, listed.state, listed.e_value, listed.held) == (device.id, "trusted", 2.5, False)
    assert (listed.since, listed.observed_at) == (NOW, NOW + 60.0)
    names: Sequence[str] = listed.roles
    assert names == device.roles
