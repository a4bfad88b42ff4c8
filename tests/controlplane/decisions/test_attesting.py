"""Between evidence and what is proven: what comes in between, and what policy is never led to by any claims."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.attestation.binding import binding
from controlplane.contracts.attestation import AttestationRequest, ChallengeRequest
from controlplane.contracts.attested import KeptResult
from controlplane.contracts.decision import Decision, Obligations
from controlplane.contracts.events import Notice, Revocation
from controlplane.contracts.identity import Attestation, Device, Trust
from controlplane.decisions.attesting import AttestationDesk, EndorsementRefused, Superseded
from controlplane.decisions.gathering import subject_facts
from controlplane.decisions.verifying import Verifiers
from controlplane.jose.keys import DeviceKey, SigningKey
from controlplane.storage import Store, open_store
from controlplane.telemetry import Metrics
from tests.clocks import START, Clock
from tests.controlplane.attestation.lab import KIND, Lab
from tests.controlplane.decisions.test_verifying import Endorsed, opens
from tests.support import ControlPlane

LAB = Lab()
KEY = DeviceKey.generate()
ATTESTED = {"level": "hardware", "reference": "bench", "vector": {"hardware": "affirming"}}


class Policy:
    """Answers as it is told to, once something else has happened."""

    def __init__(self, outcome: str, meanwhile: Callable[[], Awaitable[object]] | None = None, **obliged: Any) -> None:
        self._outcome, self._meanwhile, self._obliged = outcome, meanwhile, obliged

    async def decide(self, package: str, facts: dict[str, Any]) -> Decision:
        if self._meanwhile is not None:
            await self._meanwhile()
        return Decision(
            id="dec-1",
            time=facts["context"]["time"],
            action=package,
            subject=facts["subject"]["id"],
            resource=facts["resource"]["id"],
            outcome=self._outcome,  # type: ignore[arg-type]
            reasons=[],
            obligations=Obligations.model_validate(self._obliged),
            rules=["evidence_verified"],
            ttl_seconds=30.0,
            policy_revision="rev-1",
        )


class Registry:
    """Hears of changes."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def changed(self, device_id: str) -> None:
        self.heard.append(device_id)


class Announcer:
    """Notes what was said to be void."""

    def __init__(self) -> None:
        self.said: list[Notice] = []

    def subject_notice(self, subject: str, *, reason: str, initiator: str = "", txn: str | None = None) -> Notice:
        return Notice(revocations=[Revocation(kind="subject", value=subject, revoked_at=START, expires_at=START + 600)])

    def written(self, notice: Notice) -> None:
        self.said.append(notice)


class House:
    """A desk, and what is around it."""

    def __init__(self, store: Store, folder: Path, opens_: Any = opens) -> None:
        self.store, self.clock, self.registry, self.announcer = store, Clock(), Registry(), Announcer()
        self.metrics, self.signer = Metrics("0"), SigningKey.generate()
        self.verifiers = Verifiers(LAB.roots(folder), opens=opens_)
        self.device = Device(
            id=f"dev-{KEY.thumbprint}",
            key=KEY.public,
            key_thumbprint=KEY.thumbprint,
            roles=["trainer"],
            segment="homes",
            status="active",
            attestation=Attestation(),
            trust=Trust(score=0.6, observations=0),
            enrolled_at=self.clock(),
        )

    def desk(self, policy: Policy) -> AttestationDesk:
        return AttestationDesk(
            self.verifiers,
            self.store.attestations,
            policy,
            self.registry,
            self.announcer,
            lambda: self.signer,
            "https://plane.example",
            self.metrics.attestation,
            self.clock,
        )

    async def shown(self, desk: AttestationDesk, **asked: Any) -> Any:
        made = await desk.challenge(self.device, ChallengeRequest(kind=KIND, **asked), None)
        evidence = LAB.evidence(binding(made.nonce, KEY.thumbprint))
        request = AttestationRequest(challenge=made.id, kind=KIND, evidence=evidence)
        return await desk.attest(self.device, request, "192.0.2.1")

    async def level(self) -> str:
        found = await self.store.devices.get(self.device.id)
        assert found is not None
        return found.attestation.level


@pytest.fixture
async def house(tmp_path: Path) -> Any:
    store = await open_store(f"sqlite+aiosqlite:///{tmp_path / 'ztfm.db'}")
    made = House(store, tmp_path / "roots")
    await store.devices.add(made.device)
    yield made
    made.verifiers.close()
    await store.close()


async def test_where_policy_cannot_be_asked_nothing_changes(house: House) -> None:
    await house.shown(house.desk(Policy("allow", attested=ATTESTED)))
    appraised = await house.shown(house.desk(Policy("error", withdraw_attestation=True)))
    assert (appraised.result, appraised.decision.outcome) == (None, "error")
    assert await house.level() == "hardware"


async def test_an_allowed_decision_says_what_is_proven_or_nothing_is(house: House) -> None:
    with pytest.raises(ValueError, match="does not say"):
        await house.shown(house.desk(Policy("allow")))
    assert await house.level() == "none"


async def test_the_registry_hears_of_it_and_it_lasts_as_long_as_policy_says(house: House) -> None:
    appraised = await house.shown(house.desk(Policy("allow", attested=ATTESTED, lifetime_seconds=77.5)))
    assert appraised.result.expires_at == float(int(house.clock() + 77.5))
    assert house.registry.heard == [house.device.id]
    unsaid = await house.shown(house.desk(Policy("allow", attested=ATTESTED)))
    assert unsaid.result.expires_at == house.clock() + 300


async def test_what_was_contradicted_meanwhile_is_not_proven(house: House) -> None:
    async def contradicted() -> None:
        at = house.clock() + 0.5
        result = KeptResult(
            kind="tpm",
            level="none",
            reference="",
            platform="00",
            verified_at=at,
            expires_at=at,
            decision_id="dec-2",
            result="",
        )
        await house.store.attestations.withdraw(house.device.id, KEY.thumbprint, result)

    with pytest.raises(Superseded):
        await house.shown(house.desk(Policy("allow", contradicted, attested=ATTESTED)))
    assert await house.level() == "none"
    assert house.registry.heard == [house.device.id]


@pytest.mark.parametrize("status", ["quarantined", "revoked"])
async def test_who_is_set_apart_meanwhile_has_proven_nothing(house: House, status: Any) -> None:
    async def set_apart() -> None:
        await house.store.devices.set_status(house.device.id, status)

    with pytest.raises(Superseded):
        await house.shown(house.desk(Policy("allow", set_apart, attested=ATTESTED)))
    assert await house.level() == "none"


async def test_what_was_made_ready_before_a_contradiction_does_not_undo_it(house: House) -> None:
    desk = house.desk(Policy("allow", attested=ATTESTED))
    made = await desk.challenge(house.device, ChallengeRequest(kind=KIND), None)
    ready = AttestationRequest(challenge=made.id, kind=KIND, evidence=LAB.evidence(binding(made.nonce, KEY.thumbprint)))
    house.clock.now += 1
    await house.shown(house.desk(Policy("deny", withdraw_attestation=True)))
    house.clock.now += 1
    with pytest.raises(Superseded):
        await desk.attest(house.device, ready, "192.0.2.1")
    assert await house.level() == "none"
    assert (await house.shown(desk)).result is not None, "what is made for a newer challenge is of what is there now"


async def test_of_two_that_share_a_platform_at_once_one_is_kept(house: House) -> None:
    other, key = house.device, DeviceKey.generate()
    second = other.model_copy(update={"id": "dev-2", "key": key.public, "key_thumbprint": key.thumbprint})
    await house.store.devices.add(second)

    async def same_platform() -> None:
        at = house.clock()
        kept = KeptResult(
            kind="tpm",
            level="hardware",
            reference="bench",
            platform="00c0ffee",
            verified_at=at,
            expires_at=at + 600,
            decision_id="dec-2",
            result="a.b.c",
        )
        await house.store.attestations.keep(second.id, key.thumbprint, kept)

    with pytest.raises(Superseded):
        await house.shown(house.desk(Policy("allow", same_platform, attested=ATTESTED)))
    assert await house.level() == "none"


async def test_a_denial_alone_takes_nothing_away(house: House) -> None:
    await house.shown(house.desk(Policy("allow", attested=ATTESTED)))
    await house.shown(house.desk(Policy("deny")))
    assert await house.level() == "hardware"
    assert house.announcer.said == []
    for _ in range(2):
        await house.shown(house.desk(Policy("deny", withdraw_attestation=True)))
        assert await house.level() == "none"
        [notice] = house.announcer.said
    assert await house.store.revocations.live(START, ["subject"]) == notice.revocations, "once, with what it takes away"


async def test_a_challenge_for_a_platform_carries_what_only_it_can_open(tmp_path: Path) -> None:
    store = await open_store(f"sqlite+aiosqlite:///{tmp_path / 'ztfm.db'}")
    house = House(store, tmp_path / "roots", lambda folder: {KIND: Endorsed(folder / KIND)})
    await store.devices.add(house.device)
    desk = house.desk(Policy("allow", attested=ATTESTED))
    made = await desk.challenge(house.device, ChallengeRequest(kind=KIND, endorsement={"ek": "bWluZQ=="}), 60.0)
    assert (made.credential, made.expires_at) == ({"blob": "b3BlbiBtZQ"}, house.clock() + 60)
    with pytest.raises(EndorsementRefused, match="nobody made this chip"):
        await desk.challenge(house.device, ChallengeRequest(kind=KIND, endorsement={"ek": "AAAA"}), None)
    assert (await house.shown(desk, endorsement={"ek": "bWluZQ=="})).result is not None
    house.verifiers.close()
    await store.close()


LABEL = st.from_regex(r"[a-z][a-z0-9_:.-]{0,63}", fullmatch=True)
HEX = st.binary(min_size=1, max_size=128).map(bytes.hex)
NAME = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=128)
CLAIMS = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["tpm", "sgx"]),
        "anchor": st.just("swtpm") | LABEL,
        "platform": HEX,
        "bound": HEX,
        "debug": st.booleans(),
        "status": st.just("unstated") | LABEL,
        "measurements": st.dictionaries(st.just("pcr15") | LABEL, st.just("00" * 32) | HEX, max_size=64),
        "versions": st.dictionaries(LABEL, st.integers(0, 10**9), max_size=64),
        "attributes": st.dictionaries(st.sampled_from(["bank", "vouched_by"]) | LABEL, NAME, max_size=64),
        "advisories": st.lists(NAME, max_size=64),
    }
)


@settings(max_examples=60)
@given(claims=CLAIMS, answers=st.booleans())
def test_whatever_evidence_claims_policy_gives_a_whole_decision_and_proves_no_more_than_its_data_say(
    plane: ControlPlane, claims: dict[str, Any], answers: bool
) -> None:
    facts = {
        "subject": {"type": "device", "id": "dev-1", "properties": subject_facts(_KNOWN, 1.0)},
        "action": {"name": "attest"},
        "resource": {"type": "platform", "id": "tpm"},
        "context": {
            "time": 1.0,
            "network": {"address": "192.0.2.1"},
            "challenge": {"valid": True, "age_seconds": 1.0},
            "evidence": {
                "verified": True,
                "cause": "",
                "answers": answers,
                "binding": claims["bound"] if answers else "00",
                "claims": claims,
            },
            "platform": {"others": 0},
        },
    }
    decision = plane.run(plane.services.decider.decide("attestation", facts))
    assert decision.outcome in ("allow", "deny"), decision.reasons
    if decision.allowed:
        assert answers
        assert claims["measurements"]["pcr15"] == "00" * 32
        assert (claims["anchor"], claims["debug"], claims["advisories"]) == ("swtpm", False, [])
    assert (decision.obligations.attested is not None) == decision.allowed
    assert bool(decision.obligations.withdraw_attestation) <= answers


_KNOWN = Device(
    id="dev-1",
    key=KEY.public,
    key_thumbprint=KEY.thumbprint,
    roles=["trainer"],
    segment="homes",
    status="active",
    attestation=Attestation(),
    trust=Trust(score=0.6, observations=0),
    enrolled_at=0.0,
)
