"""Evidence is verified beside everything else, within its time, by roots that follow their files."""

import asyncio
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from controlplane.attestation.interface import Endorsement, EvidenceRefused, Verifier
from controlplane.attestation.plugging import VerifierUnusable
from controlplane.contracts.attestation import Claims
from controlplane.decisions import verifying
from controlplane.decisions.verifying import KindUnknown, NotVerified, Verifiers
from tests.clocks import Clock
from tests.controlplane.attestation.lab import KIND, Lab, LabVerifier

LAB = Lab()
KEPT = b"for whom it was made"


class Endorsed(LabVerifier):
    """Vouches for a platform only once a challenge was made for it."""

    endorsement_members: Mapping[str, int] = {"ek": 8}

    def endorse(self, endorsement: Mapping[str, bytes], at: float) -> Endorsement:
        if endorsement != {"ek": b"mine"}:
            raise EvidenceRefused("untrusted", "nobody made this chip")
        return Endorsement({"blob": b"open me"}, KEPT)

    def verify_endorsed(self, evidence: Mapping[str, bytes], kept: bytes, at: float) -> Claims:
        assert kept == KEPT
        return self.verify(evidence, at).model_copy(update={"status": "endorsed"})


def opens(folder: Path) -> Mapping[str, Verifier]:
    try:
        return {KIND: LabVerifier(folder / KIND)}
    except ValueError as error:
        raise VerifierUnusable(str(error)) from None


async def test_what_verifies_is_told_with_how_long_it_took(tmp_path: Path) -> None:
    verifiers = Verifiers(LAB.roots(tmp_path), opens=opens)
    claims, seconds = await verifiers.verify(await verifiers.of(KIND), LAB.evidence(b"x"), None, 0.0)
    assert claims.bound == b"x".hex()
    assert 0 < seconds < 1
    verifiers.close()


async def test_without_roots_nothing_is_verified() -> None:
    with pytest.raises(KindUnknown, match="ZTFM_ATTESTATION_ROOTS"):
        await Verifiers(None).of("tpm")


async def test_roots_that_cannot_be_used_keep_it_from_starting(tmp_path: Path) -> None:
    with pytest.raises(VerifierUnusable):
        Verifiers(tmp_path, opens=opens)


async def test_roots_follow_their_files_and_what_is_broken_verifies_nothing(tmp_path: Path) -> None:
    clock, other = Clock(), Lab()
    verifiers = Verifiers(LAB.roots(tmp_path), clock, opens)
    evidence = other.evidence(b"x")

    async def verified() -> bool:
        clock.now += verifying.LOOK_SECONDS
        try:
            await verifiers.verify(await verifiers.of(KIND), evidence, None, 0.0)
        except EvidenceRefused:
            return False
        return True

    assert not await verified()
    other.roots(tmp_path)
    assert await verified()
    (tmp_path / KIND / "bench.key").unlink()
    with pytest.raises(NotVerified, match="there is no key in it"):
        await verified()
    LAB.roots(tmp_path)
    assert not await verified(), "what was taken away counts no more"
    other.roots(tmp_path)
    assert await verified()


async def test_files_are_looked_at_now_and_then(tmp_path: Path) -> None:
    clock, looked = Clock(), []

    def counting(folder: Path) -> Mapping[str, Verifier]:
        looked.append(folder)
        return opens(folder)

    verifiers = Verifiers(LAB.roots(tmp_path), clock, counting)
    clock.now += verifying.LOOK_SECONDS
    await asyncio.gather(*(verifiers.of(KIND) for _ in range(5)))
    assert len(looked) == 1, "they are the same"
    Lab().roots(tmp_path)
    await verifiers.of(KIND)
    assert len(looked) == 1
    clock.now += verifying.LOOK_SECONDS
    await asyncio.gather(*(verifiers.of(KIND) for _ in range(5)))
    assert len(looked) == 2


async def test_a_slow_verifier_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(LabVerifier):
        def verify(self, evidence: Mapping[str, bytes], at: float) -> Claims:
            time.sleep(0.5)
            return super().verify(evidence, at)

    monkeypatch.setattr(verifying, "WITHIN_SECONDS", 0.1)
    verifiers = Verifiers(LAB.roots(tmp_path), opens=opens)
    slow, began = Slow(tmp_path / KIND), time.monotonic()
    asked = [verifiers.verify(slow, LAB.evidence(b"x"), None, 0.0) for _ in range(6)]
    found = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(one) for one in found] == [NotVerified] * 6
    assert time.monotonic() - began < 0.45
    verifiers.close()


async def test_no_more_waits_than_there_is_room_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started, go = threading.Event(), threading.Event()

    class Held(LabVerifier):
        def verify(self, evidence: Mapping[str, bytes], at: float) -> Claims:
            started.set()
            assert go.wait(5)
            return super().verify(evidence, at)

    monkeypatch.setattr(verifying, "MOST_WAITING", 3)
    verifiers = Verifiers(LAB.roots(tmp_path), opens=opens)
    held = Held(tmp_path / KIND)
    waiting = [asyncio.create_task(verifiers.verify(held, LAB.evidence(b"x"), None, 0.0)) for _ in range(3)]
    assert await asyncio.to_thread(started.wait, 5)
    with pytest.raises(NotVerified, match="Too much evidence waits"):
        await verifiers.verify(held, LAB.evidence(b"x"), None, 0.0)
    go.set()
    assert len(await asyncio.gather(*waiting)) == 3
    assert await verifiers.verify(held, LAB.evidence(b"x"), None, 0.0), "there is room again"
    verifiers.close()


async def test_who_has_to_be_endorsed_is_verified_by_what_was_kept(tmp_path: Path) -> None:
    verifiers = Verifiers(LAB.roots(tmp_path), opens=opens)
    endorsed, plain = Endorsed(tmp_path / KIND), LabVerifier(tmp_path / KIND)
    made = await verifiers.endorse(endorsed, {"ek": "bWluZQ"}, 0.0)
    assert made.members == {"blob": b"open me"}
    for kept, status in ((made.kept, "endorsed"), (None, "up_to_date")):
        claims, _ = await verifiers.verify(endorsed, LAB.evidence(b"x"), kept, 0.0)
        assert claims.status == status
    for verifier, endorsement in (
        (endorsed, {"ek": "AAAA"}),
        (endorsed, {"ek": "A" * 40}),
        (endorsed, {"ak": "bWluZQ"}),
        (plain, {"ek": "bWluZQ"}),
    ):
        with pytest.raises(EvidenceRefused):
            await verifiers.endorse(verifier, endorsement, 0.0)
    with pytest.raises(EvidenceRefused, match="made for a platform's keys"):
        await verifiers.verify(plain, LAB.evidence(b"x"), made.kept, 0.0)
    verifiers.close()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"statement": "?"}, "base64"),
        ({"statement": "AAAAA"}, "base64"),
        ({"statement": "AAB="}, "base64"),
        ({"statement": "A" * 8000}, "more than 4096 bytes"),
        ({"signature": "A" * 100}, "more than 64 bytes"),
        ({"extra": "AAAA"}, "no member extra"),
    ],
)
async def test_members_are_decoded_within_their_bounds(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    verifiers = Verifiers(LAB.roots(tmp_path), opens=opens)
    evidence = {**LAB.evidence(b"x"), **changes}
    with pytest.raises(EvidenceRefused, match=words) as refused:
        await verifiers.verify(await verifiers.of(KIND), evidence, None, 0.0)
    assert refused.value.cause == "malformed"
