"""The log over HTTP: what everybody may see, what only those may who read decisions, and proofs that need no server."""

from collections.abc import Callable

import pytest

from controlplane.transparency.checkpoints import Checkpoint, Quorum, verify_checkpoint
from controlplane.transparency.merkle import ProofFailed, leaf_hash
from controlplane.transparency.notes import NoteInvalid, Verifier
from controlplane.transparency.proofs import (
    ConsistencyProof,
    Leaves,
    LoggedEntries,
    LogKeys,
    RecordProof,
    verify_growth,
    verify_record,
)
from tests.support import Caller, ControlPlane

ASKED = {"prompt_tokens": 1, "max_output_tokens": 1}


def decided(device: Caller) -> str:
    return str(device.capability("inference", inference=ASKED).expect(201)["decision_id"])


def quorum(plane: ControlPlane) -> Quorum:
    keys = LogKeys.model_validate_json(plane.call("GET", "/v1/log/keys").body)
    return Quorum(Verifier.parse(keys.log), tuple(map(Verifier.parse, keys.witnesses)), keys.needed)


def head(plane: ControlPlane) -> Checkpoint:
    return verify_checkpoint(plane.call("GET", "/v1/log/checkpoint").body.decode(), quorum(plane)).checkpoint


def proof_of(caller: Caller, decision: str) -> RecordProof:
    return RecordProof.model_validate(caller.get(f"/v1/decisions/{decision}/proof").expect(200))


def test_a_device_proves_its_decision_with_nothing_but_the_key(plane: ControlPlane) -> None:
    device = plane.enrol("consumer")
    decision = decided(device)
    proof = proof_of(device, decision)
    found = verify_record(proof, quorum(plane))
    assert (found.entry.id, found.entry.kind) == (decision, "decision")
    assert f'"id":"{decision}"' in proof.record
    assert found.seen.checkpoint.size > found.place


@pytest.mark.parametrize("field", ["record", "salt", "place", "hashes", "checkpoint", "entry"])
def test_nothing_of_a_proof_may_differ(plane: ControlPlane, field: str) -> None:
    device = plane.enrol("consumer")
    decided(device)
    proof = proof_of(device, decided(device))
    other = proof_of(device, decided(device))
    changed = {
        "record": proof.record.replace('"allow"', '"deny"', 1),
        "salt": other.salt,
        "place": other.place,
        "hashes": other.hashes,
        "checkpoint": proof.checkpoint.replace(str(head(plane).origin), "another-log", 1),
        "entry": proof.entry.model_copy(update={"time_ms": proof.entry.time_ms + 1}),
    }
    wrong = proof.model_copy(update={field: changed[field]})
    assert wrong != proof
    with pytest.raises((ProofFailed, NoteInvalid)):
        verify_record(wrong, quorum(plane))


def test_another_s_decision_is_proven_to_operators_alone(
    plane: ControlPlane, operator: Caller, new_id: Callable[[], str]
) -> None:
    decision = decided(plane.enrol("consumer"))
    assert plane.enrol("consumer").get(f"/v1/decisions/{decision}/proof").status == 403
    assert plane.call("GET", f"/v1/decisions/{decision}/proof").status == 401
    assert proof_of(operator, decision).entry.id == decision
    assert operator.get(f"/v1/decisions/dec-{'0' * 32}/proof").status == 404
    assert operator.get(f"/v1/decisions/{new_id()}/proof").status == 404


def test_everybody_sees_that_the_log_only_grows(plane: ControlPlane) -> None:
    device = plane.enrol("consumer")
    proof_of(device, decided(device))
    earlier = head(plane)
    proof_of(device, decided(device))
    later = head(plane)
    assert later.size > earlier.size
    path = f"/v1/log/consistency?from={earlier.size}&to={later.size}"
    verify_growth(earlier, later, ConsistencyProof.model_validate_json(plane.call("GET", path).body))


def test_hashes_are_for_everybody_and_what_they_stand_for_is_not(plane: ControlPlane, operator: Caller) -> None:
    device = plane.enrol("consumer")
    proof = proof_of(device, decided(device))
    path = f"start={proof.place}&count=1"
    leaves = Leaves.model_validate_json(plane.call("GET", f"/v1/log/leaves?{path}").body)
    assert leaves.hashes == [leaf_hash(proof.entry.encoded()).hex()]
    assert plane.call("GET", f"/v1/log/entries?{path}").status == 401
    assert device.get(f"/v1/log/entries?{path}").status == 403
    entries = LoggedEntries.model_validate(operator.get(f"/v1/log/entries?{path}").expect(200))
    assert [(one.place, one.entry, one.is_erased) for one in entries.entries] == [(proof.place, proof.entry, False)]


@pytest.mark.parametrize(
    "path",
    [
        "/v1/log/leaves",
        "/v1/log/leaves?start=0",
        "/v1/log/leaves?start=-1&count=1",
        "/v1/log/leaves?start=a&count=1",
        "/v1/log/leaves?start=0&count=1&start=2",
        "/v1/log/leaves?start=0&count=1&more=1",
        "/v1/log/leaves?start=9999999999999999&count=1",
        "/v1/log/consistency?from=2",
    ],
)
def test_what_does_not_fit_is_refused(plane: ControlPlane, path: str) -> None:
    device = plane.enrol("consumer")
    proof_of(device, decided(device))
    assert plane.call("GET", path).status == 400


@pytest.mark.parametrize("sizes", ["from=2&to=1", "from=0&to=99999999"])
def test_of_sizes_that_were_never_signed_nothing_is_proven(plane: ControlPlane, sizes: str) -> None:
    device = plane.enrol("consumer")
    proof_of(device, decided(device))
    assert plane.call("GET", f"/v1/log/consistency?{sizes}").status == 404


def test_no_more_hashes_come_at_once_than_are_promised(plane: ControlPlane) -> None:
    answer = plane.call("GET", "/v1/log/leaves?start=0&count=999999999")
    assert len(Leaves.model_validate_json(answer.body).hashes) <= 4096


def test_how_the_log_stands_is_shown(plane: ControlPlane) -> None:
    device = plane.enrol("consumer")
    proof_of(device, decided(device))
    assert plane.metric("ztfm_log_entries") == head(plane).size
    assert plane.metric("ztfm_log_rewritten_total") == 0
