"""The SDK attests: over a real control plane, by evidence that a platform of the lab makes."""

import asyncio
from base64 import b64decode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from adapters.attesting.interface import CannotAttest
from adapters.client import ControlPlane as Client
from adapters.client import SyncControlPlane
from adapters.errors import Forbidden, Invalid
from adapters.platform import KeptAttested
from controlplane.contracts.attestation import ReleaseKey
from tests.controlplane.attestation.lab import RUNS, Lab, running_lab
from tests.support import Caller, ControlPlane

LAB = Lab()
RELEASE = ReleaseKey(suite="x25519", key="A" * 43)


@dataclass
class LabAttester:
    """A platform of the lab, as the SDK meets one."""

    changes: dict[str, Any] = field(default_factory=dict)
    kind: str = "lab"
    made: int = 0

    def endorsement(self) -> Mapping[str, bytes] | None:
        return None

    def evidence(self, binding: bytes, credential: Mapping[str, bytes] | None) -> Mapping[str, bytes]:
        assert credential is None
        self.made += 1
        return {name: b64decode(part) for name, part in LAB.evidence(binding, **self.changes).items()}


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    with running_lab(LAB, tmp_path_factory.mktemp("lab")) as found:
        yield found


@pytest.fixture
def device(plane: ControlPlane) -> Caller:
    return plane.enrol("trainer")


async def test_a_platform_is_attested_and_its_device_reads_what_it_proved(plane: ControlPlane, device: Caller) -> None:
    async with Client(plane.url, device.key) as client:
        result = await client.attest(LabAttester(), RELEASE)
        found = await client.attestation(device.id)
    assert (result.level, result.reference) == ("hardware", "bench")
    assert found.attestation.level == "hardware"
    assert found.results[0].release_key == RELEASE


def test_so_it_is_without_an_event_loop(plane: ControlPlane, device: Caller) -> None:
    with SyncControlPlane(plane.url, device.key) as client:
        assert client.attest(LabAttester()).level == "hardware"


async def test_a_denial_brings_the_claim_and_what_was_wanted(plane: ControlPlane, device: Caller) -> None:
    other = {"program": "cd" * 32}
    async with Client(plane.url, device.key) as client:
        with pytest.raises(Forbidden, match=f"measurements.program is (cd)+, wanted: {RUNS}") as denied:
            await client.attest(LabAttester({"measurements": other}))
    [difference] = denied.value.reasons[0].differences
    assert (difference.claim, difference.seen, difference.wanted) == ("measurements.program", "cd" * 32, [RUNS])


async def test_a_kind_that_is_not_taken_is_said(plane: ControlPlane, device: Caller) -> None:
    async with Client(plane.url, device.key) as client:
        with pytest.raises(Invalid, match="Kinds that are: lab"):
            await client.attest(LabAttester(kind="sgx"))


async def test_a_platform_that_makes_nothing_is_not_asked_about(plane: ControlPlane, device: Caller) -> None:
    class Broken(LabAttester):
        def evidence(self, binding: bytes, credential: Mapping[str, bytes] | None) -> Mapping[str, bytes]:
            raise CannotAttest("the chip does not answer")

    async with Client(plane.url, device.key) as client:
        with pytest.raises(CannotAttest):
            await client.attest(Broken())


async def test_it_is_attested_again_before_its_time_and_after_what_failed(plane: ControlPlane, device: Caller) -> None:
    attester = LabAttester()
    waits: list[float] = []
    failures: list[Exception] = []
    renewed = asyncio.Event()

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        attester.kind = "sgx" if len(waits) in (2, 3) else "lab"
        if len(waits) == 6:
            renewed.set()
            await asyncio.Event().wait()

    async with Client(plane.url, device.key) as client:
        kept = KeptAttested(client, attester, most_seconds=300.0, failed=failures.append, sleep=sleep)
        with pytest.raises(RuntimeError):
            _ = kept.result
        async with kept:
            first = kept.result
            await asyncio.wait_for(renewed.wait(), 20)
            assert kept.result.verified_at > first.verified_at
    assert waits == [300.0, 300.0, 1.0, 2.0, 300.0, 300.0]
    assert [type(one) for one in failures] == [Invalid, Invalid]
    assert attester.made == 4
