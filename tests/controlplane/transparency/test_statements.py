"""Signed statements: what a round made of a model, and nothing that differs from what was signed."""

import base64
import json
from typing import Any

import pytest

from controlplane.transparency.keys import new_signer
from controlplane.transparency.statements import (
    RoundProvenance,
    StatementInvalid,
    sign_statement,
    verify_statement,
)

LOG = new_signer("org-a/log", "note")


def provenance(**changes: Any) -> RoundProvenance:
    stated = {
        "round_id": "run-1-1",
        "model": "m",
        "before": f"sha256:{'a' * 64}",
        "after": f"sha256:{'b' * 64}",
        "aggregator": "agg-1",
        "aggregation": "mean",
        "opened_at": 1.0,
        "policy_revisions": ["rev"],
        "contributions": [
            {"subject": "dev-1", "update_digest": f"sha256:{'c' * 64}", "decision_id": "dec-1", "time": 2.0}
        ],
        "rollbacks": [],
    }
    return RoundProvenance.model_validate({**stated, **changes})


def test_what_was_signed_reads_back() -> None:
    envelope = sign_statement(provenance().statement(), LOG)
    assert verify_statement(envelope, LOG.verifier) == provenance()


def test_the_signature_is_over_the_envelope_s_form_as_the_specification_encodes_it() -> None:
    payload = provenance().statement()
    line = json.loads(sign_statement(payload, LOG))["signatures"][0]
    signed = b"DSSEv1 28 application/vnd.in-toto+json " + str(len(payload)).encode() + b" " + payload
    LOG.key.public_key().verify(base64.b64decode(line["sig"]), signed)


def test_the_statement_names_the_model_that_came_out_as_its_subject() -> None:
    stated = json.loads(provenance().statement())
    assert stated["_type"] == "https://in-toto.io/Statement/v1"
    assert stated["subject"] == [{"name": "m", "digest": {"sha256": "b" * 64}}]


def test_another_key_s_statement_does_not_hold() -> None:
    envelope = sign_statement(provenance().statement(), new_signer("org-a/log", "note"))
    with pytest.raises(StatementInvalid, match="no signature of org-a/log holds"):
        verify_statement(envelope, LOG.verifier)


def test_a_changed_payload_does_not_hold() -> None:
    envelope = json.loads(sign_statement(provenance().statement(), LOG))
    other = provenance(aggregator="agg-2").statement()
    envelope["payload"] = base64.b64encode(other).decode()
    with pytest.raises(StatementInvalid, match="no signature"):
        verify_statement(json.dumps(envelope).encode(), LOG.verifier)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b"{}",
        b'{"_type": "https://in-toto.io/Statement/v1", "predicateType": "other", "predicate": {}, "subject": []}',
        provenance().statement().replace(b'"name":"m"', b'"name":"another"'),
        provenance().statement().replace(b'"agg-1"', b"7"),
        provenance().statement().replace(b'"dev-1"', b"null"),
    ],
)
def test_what_is_signed_and_states_nothing_of_a_round_is_refused(payload: bytes) -> None:
    with pytest.raises(StatementInvalid):
        verify_statement(sign_statement(payload, LOG), LOG.verifier)


@pytest.mark.parametrize("envelope", [b"", b"{}", b"\xff", b'{"payloadType":"x","payload":"","signatures":[]}'])
def test_what_is_no_envelope_is_refused(envelope: bytes) -> None:
    with pytest.raises(StatementInvalid, match="no DSSE envelope"):
        verify_statement(envelope, LOG.verifier)
