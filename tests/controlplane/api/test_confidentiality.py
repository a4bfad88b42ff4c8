"""What an aggregator may see of updates is policy's to say, and its reports have to keep to it."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from sqlalchemy import update

from adapters.hiding import asked_confidentiality
from adapters.sealed.demanded import sealed_to
from controlplane.capabilities.grouping import group_of
from controlplane.confidentiality.hpke import PrivateReleaseKey
from controlplane.confidentiality.releasing import key_digest
from controlplane.contracts.attestation import ReleaseKey
from controlplane.contracts.attested import KeptResult
from controlplane.storage.tables_attestation import attestations
from tests.support import DIGEST, MODEL, Caller, ControlPlane

GROUPED, HOUSED = "keyboard-suggestions", "heart-rhythm"

NewId = Callable[[], str]


@pytest.fixture(scope="module")
def trainers(plane: ControlPlane) -> list[Caller]:
    return [plane.enrol("trainer") for _ in range(16)]


@pytest.fixture
def housed(plane: ControlPlane) -> Caller:
    """An aggregator of its own, whose attestation the tests may change."""
    return plane.enrol("aggregator")


def opening(aggregator: Caller, name: str, model: str, members: Sequence[Caller]) -> Any:
    body = {"id": name, "model": model, "model_digest": DIGEST, "members": [one.id for one in members]}
    return aggregator.post("/v1/rounds", {**body, "duration_seconds": 600.0})


def submission(device: Caller, name: str, model: str) -> Any:
    asked = {"type": "model", "id": model}
    context = {"round_id": name}
    body = {"action": "gradient_submission", "resource": asked, "audience": "aggregator-1", "context": context}
    return device.post("/v1/capabilities", body)


KEY = PrivateReleaseKey.generate("x25519").public


def attest(
    plane: ControlPlane,
    device: Caller,
    level: str = "hardware",
    ago: float = 1.0,
    kind: str = "snp",
    reference: str = "example-aggregator",
    key: ReleaseKey | None = KEY,
) -> None:
    found = plane.run(plane.store.devices.get(device.id))
    assert found is not None
    now = plane.clock() - ago
    result = KeptResult.model_validate(
        {
            "kind": kind,
            "level": level,
            "reference": reference,
            "platform": "00ff",
            "verified_at": now,
            "expires_at": now + 3600.0,
            "release_key": key,
            "decision_id": "dec-1",
            "result": "a.b.c",
        }
    )
    assert plane.run(plane.store.attestations.keep(device.id, found.key_thumbprint, result))
    plane.services.registry.changed(device.id)


def differing(answer: Any) -> dict[str, str]:
    """What was seen of the aggregator that it is refused for."""
    assert [reason["code"] for reason in answer.json["reasons"]] == ["aggregator_attested"]
    assert all(one["wanted"] for one in answer.json["reasons"][0]["differences"])
    return {one["claim"]: one["seen"] for one in answer.json["reasons"][0]["differences"]}


def reported(aggregator: Caller, name: str, updates: list[dict[str, Any]]) -> list[set[str]]:
    body = aggregator.post(f"/v1/rounds/{name}/updates", {"updates": updates}).expect(200)
    return [{reason["code"] for reason in verdict["reasons"]} for verdict in body["verdicts"]]


def test_a_round_says_what_its_aggregator_sees_and_who_is_in_which_group_nobody_picks(
    plane: ControlPlane, aggregator: Caller, trainers: list[Caller], new_id: NewId
) -> None:
    plain = opening(aggregator, new_id(), MODEL, trainers).expect(201)
    assert plain["confidentiality"] == "plain"
    assert plain.keys() & {"group_size", "grouping"} == set()
    opened = [opening(aggregator, new_id(), GROUPED, trainers).expect(201) for _ in range(2)]
    assert {(one["confidentiality"], one["group_size"]) for one in opened} == {("grouped", 8)}
    assert opened[0]["grouping"] != opened[1]["grouping"]
    kept = plane.run(plane.store.rounds.get(opened[0]["id"]))
    assert kept is not None
    assert kept.model_dump(exclude_none=True) == opened[0]


def test_a_device_learns_from_its_capability_what_may_be_seen(
    aggregator: Caller, trainers: list[Caller], new_id: NewId
) -> None:
    for model, expected in ((MODEL, "plain"), (GROUPED, "grouped")):
        name = new_id()
        opening(aggregator, name, model, trainers).expect(201)
        token = submission(trainers[0], name, model).expect(201)["access_token"]
        assert asked_confidentiality(token) == expected


def test_the_sum_of_a_group_is_judged_and_an_update_by_itself_is_not(
    plane: ControlPlane, aggregator: Caller, trainers: list[Caller], new_id: NewId
) -> None:
    name = new_id()
    opening(aggregator, name, GROUPED, trainers).expect(201)
    some = trainers[:3]
    tokens = [submission(one, name, GROUPED).expect(201)["access_token"] for one in some]
    reports = [plane.report(*pair) for pair in zip(some, tokens, strict=True)]
    group = {"name": "group-0", "size": 4}
    updates = [{**reports[0], "group": group}, {**reports[1], "group": {"name": "group-1", "size": 3}}, reports[2]]
    assert reported(aggregator, name, updates) == [set(), {"evidence_expected"}, {"evidence_expected"}]


def test_a_member_that_the_aggregator_made_up_is_summed_with_nobody(
    aggregator: Caller, trainers: list[Caller], new_id: NewId
) -> None:
    name, members = new_id(), [one.id for one in trainers]
    body = {"id": name, "model": GROUPED, "model_digest": DIGEST, "duration_seconds": 600.0}
    made_up = f"dev-{'A' * 43}"
    opened = aggregator.post("/v1/rounds", {**body, "members": [*members, made_up]}).expect(201)
    beside = group_of(opened["grouping"], [*members, made_up], opened["group_size"], made_up)
    for device in trainers:
        answer = submission(device, name, GROUPED)
        if device.id in beside:
            assert [reason["code"] for reason in answer.json["reasons"]] == ["group_enrolled"]
        else:
            answer.expect(201)


def test_whoever_opens_a_round_does_not_pick_who_is_in_a_group_by_naming_few_members(
    aggregator: Caller, trainers: list[Caller], new_id: NewId
) -> None:
    for few in (trainers[:3], trainers[:8], trainers[:15]):
        refused = opening(aggregator, new_id(), GROUPED, few)
        assert [reason["code"] for reason in refused.json["reasons"]] == ["members_many"]
    opening(aggregator, new_id(), MODEL, trainers[:1]).expect(201)


def test_where_updates_are_seen_a_sum_is_no_evidence(
    plane: ControlPlane, aggregator: Caller, trainers: list[Caller], new_id: NewId
) -> None:
    name = new_id()
    opening(aggregator, name, MODEL, trainers).expect(201)
    token = submission(trainers[0], name, MODEL).expect(201)["access_token"]
    update = {**plane.report(trainers[0], token), "group": {"name": "group-0", "size": 8}}
    assert reported(aggregator, name, [update]) == [{"evidence_expected"}]


def test_an_aggregator_that_is_not_attested_gets_no_round_of_a_model_that_asks_for_it(
    plane: ControlPlane, housed: Caller, trainers: list[Caller], new_id: NewId
) -> None:
    assert differing(opening(housed, new_id(), HOUSED, trainers)) == {"aggregator.results": "none"}
    attest(plane, housed, "software")
    assert differing(opening(housed, new_id(), HOUSED, trainers)) == {"aggregator.snp.level": "software"}
    attest(plane, housed)
    assert opening(housed, new_id(), HOUSED, trainers).expect(201)["confidentiality"] == "tee"


def test_a_platform_of_a_sensor_screens_nothing_however_well_it_is_proven(
    plane: ControlPlane, housed: Caller, trainers: list[Caller], new_id: NewId
) -> None:
    attest(plane, housed, reference="software-tpm")
    assert differing(opening(housed, new_id(), HOUSED, trainers)) == {"aggregator.snp.reference": "software-tpm"}
    attest(plane, housed, "software", kind="tdx")
    assert opening(housed, new_id(), HOUSED, trainers).kind == "denied"
    attest(plane, housed, kind="nitro")
    opening(housed, new_id(), HOUSED, trainers).expect(201)


def test_nothing_is_sent_to_an_aggregator_whose_attestation_is_stale(
    plane: ControlPlane, housed: Caller, trainers: list[Caller], new_id: NewId
) -> None:
    name = new_id()
    attest(plane, housed)
    opening(housed, name, HOUSED, trainers).expect(201)
    token = submission(trainers[0], name, HOUSED).expect(201)["access_token"]
    assert reported(housed, name, [plane.report(trainers[0], token)]) == [set()]
    attest(plane, housed, ago=2000.0)
    assert differing(submission(trainers[1], name, HOUSED)).keys() == {"aggregator.snp.age_seconds"}


def test_an_update_that_arrives_once_another_program_aggregates_is_not_admitted(
    plane: ControlPlane, housed: Caller, trainers: list[Caller], new_id: NewId
) -> None:
    name = new_id()
    attest(plane, housed)
    opening(housed, name, HOUSED, trainers).expect(201)
    token = submission(trainers[0], name, HOUSED).expect(201)["access_token"]
    attest(plane, housed, reference="software-tpm")
    assert reported(housed, name, [plane.report(trainers[0], token)]) == [{"aggregator_attested"}]


def test_updates_are_sealed_to_the_key_of_the_program_that_screens_and_to_no_other(
    plane: ControlPlane, housed: Caller, trainers: list[Caller], new_id: NewId
) -> None:
    name, ours, other = new_id(), PrivateReleaseKey.generate("x25519"), PrivateReleaseKey.generate("x25519")
    attest(plane, housed, key=None)
    opening(housed, name, HOUSED, trainers).expect(201)
    assert submission(trainers[0], name, HOUSED).kind == "aggregator-unattested"
    attest(plane, housed, kind="tdx", reference="software-tpm", key=other.public)
    assert submission(trainers[0], name, HOUSED).kind == "aggregator-unattested"
    attest(plane, housed, ago=60.0, key=ours.public)
    token = submission(trainers[0], name, HOUSED).expect(201)["access_token"]
    assert sealed_to(token) == key_digest(ours.public)


def test_no_round_is_opened_and_nothing_sent_or_taken_while_results_cannot_be_read(
    plane: ControlPlane, housed: Caller, trainers: list[Caller], new_id: NewId
) -> None:
    name = new_id()
    attest(plane, housed)
    opening(housed, name, HOUSED, trainers).expect(201)
    token = submission(trainers[0], name, HOUSED).expect(201)["access_token"]
    garbled = update(attestations).where(attestations.c.device == housed.id).values(level="garbled")
    plane.run(plane.store._database.change("garble", garbled))
    assert opening(housed, new_id(), HOUSED, trainers).status == 503
    assert submission(trainers[0], name, HOUSED).status == 503
    assert housed.post(f"/v1/rounds/{name}/updates", {"updates": [plane.report(trainers[0], token)]}).status == 503


def test_of_an_aggregator_that_is_not_active_no_result_counts(plane: ControlPlane, housed: Caller) -> None:
    attest(plane, housed)
    found = plane.run(plane.store.devices.get(housed.id))
    assert found is not None
    for status, kinds in (("active", {"snp"}), ("quarantined", set()), ("revoked", set())):
        standing = found.model_copy(update={"status": status})
        assert plane.run(plane.services.gatherer.proven(standing)).keys() == kinds


def test_what_was_proven_before_counts_while_it_lasts(plane: ControlPlane, housed: Caller) -> None:
    attest(plane, housed, ago=3599.0)
    attest(plane, housed, ago=3601.0, kind="tdx")
    found = plane.run(plane.store.devices.get(housed.id))
    assert plane.run(plane.services.gatherer.proven(found)).keys() == {"snp"}
