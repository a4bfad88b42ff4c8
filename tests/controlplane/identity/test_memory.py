from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.contracts.identity import Attestation, Device, Trust
from controlplane.identity.memory import Memory
from controlplane.jose.keys import DeviceKey

NewDevice = Callable[..., Device]


def test_a_device_is_remembered_by_name_and_by_key_until_its_time_is_over(new_device: NewDevice, clock: Any) -> None:
    memory, device = Memory(clock, 1.0, 10), new_device()
    memory.keep(device)
    clock.now += 0.999
    assert memory.get(device.id) == memory.by_thumbprint(device.key_thumbprint) == device
    clock.now += 0.001
    assert memory.get(device.id) is None
    assert memory.by_thumbprint(device.key_thumbprint) is None
    assert len(memory) == 0


def test_the_time_runs_from_when_the_device_was_as_it_is_kept(new_device: NewDevice, clock: Any) -> None:
    memory, device = Memory(clock, 1.0, 10), new_device()
    memory.keep(device, since=clock.now - 0.9)
    assert memory.get(device.id) == device
    clock.now += 0.1
    assert memory.get(device.id) is None


def test_a_clock_that_steps_back_makes_nothing_last_longer(new_device: NewDevice, clock: Any) -> None:
    memory, device = Memory(clock, 1.0, 10), new_device()
    memory.keep(device)
    clock.now -= 5.0
    assert memory.get(device.id) is None


def test_whoever_was_not_seen_for_longest_makes_room(new_device: NewDevice, clock: Any) -> None:
    memory = Memory(clock, 1.0, 2)
    first, second, third = (new_device() for _ in range(3))
    memory.keep(first)
    memory.keep(second)
    memory.get(first.id)
    memory.keep(third)
    assert [memory.get(device.id) for device in (first, second, third)] == [first, None, third]
    assert memory.by_thumbprint(second.key_thumbprint) is None


def test_a_new_key_replaces_the_old_one(new_device: NewDevice, clock: Any) -> None:
    memory, device, other = Memory(clock, 1.0, 2), new_device(), new_device()
    renewed = device.model_copy(update={"key": other.key, "key_thumbprint": other.key_thumbprint})
    memory.keep(device)
    memory.keep(renewed)
    assert memory.by_thumbprint(device.key_thumbprint) is None
    assert memory.by_thumbprint(other.key_thumbprint) == renewed
    assert len(memory) == 1


def test_a_time_of_zero_remembers_nothing(new_device: NewDevice, clock: Any) -> None:
    memory, device = Memory(clock, 0.0, 1), new_device()
    memory.keep(device)
    assert memory.get(device.id) is None


@pytest.mark.parametrize(("ttl", "capacity"), [(-1.0, 1), (1.0, 0), (1.0, -1)])
def test_a_memory_without_room_or_time_cannot_be_made(clock: Any, ttl: float, capacity: int) -> None:
    with pytest.raises(ValueError, match="room"):
        Memory(clock, ttl, capacity)


_DEVICES = [
    Device(
        id=f"dev-{number}",
        key=key.public,
        key_thumbprint=key.thumbprint,
        roles=["trainer"],
        segment="homes",
        status="active",
        attestation=Attestation(),
        trust=Trust(score=0.5, observations=0),
        enrolled_at=0.0,
    )
    for number, key in enumerate(DeviceKey.generate() for _ in range(5))
]
_STEPS = st.lists(
    st.tuples(st.sampled_from(["keep", "drop", "get", "key"]), st.sampled_from(_DEVICES), st.floats(0, 0.4)),
    max_size=40,
)


@settings(max_examples=100, deadline=None)
@given(_STEPS, st.integers(1, 4))
def test_it_is_never_fuller_than_it_may_be_nor_older_than_it_may_be(
    steps: list[tuple[str, Device, float]], capacity: int
) -> None:
    time = [0.0]
    memory = Memory(lambda: time[0], 1.0, capacity)
    kept: dict[str, float] = {}
    for what, device, move in steps:
        time[0] += move
        if what == "keep":
            memory.keep(device)
            kept[device.id] = time[0]
        elif what == "drop":
            memory.drop(device.id)
            kept.pop(device.id, None)
        else:
            found = memory.get(device.id) if what == "get" else memory.by_thumbprint(device.key_thumbprint)
            assert found is None or (found == device and time[0] - kept[device.id] < 1.0)
        assert len(memory) <= capacity
        assert len(memory._names) == len(memory)
