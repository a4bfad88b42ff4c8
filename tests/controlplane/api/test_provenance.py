"""A model is traced to every device that shaped it, from what the log states when the next round begins."""

import pytest
from sqlalchemy import text

from controlplane.decisions.provenance import trace
from controlplane.transparency.keys import new_signer
from controlplane.transparency.statements import StatementInvalid
from tests.controlplane.api.cohorts import Cohort
from tests.support import MODEL, Caller, ControlPlane


def digest(letter: str) -> str:
    return f"sha256:{letter * 64}"


def opened(aggregator: Caller, name: str, model_digest: str) -> None:
    body = {"id": name, "model": MODEL, "model_digest": model_digest, "members": ["dev-x"], "duration_seconds": 60.0}
    aggregator.post("/v1/rounds", body).expect(201)


def test_a_model_is_traced_through_the_rounds_that_led_to_it(plane: ControlPlane) -> None:
    aggregator = plane.enrol("aggregator")
    cohort = Cohort(plane, aggregator)
    verdicts = cohort.round()
    opened(aggregator, f"after-{aggregator.id}-1", digest("1"))
    opened(aggregator, f"after-{aggregator.id}-2", digest("2"))
    key = plane.services.transparency.heads.signer.verifier
    found = plane.run(trace(plane.store, digest("2"), key))
    # Other tests' rounds may have led to the model that this one's first round began with.
    latest, first, *_ = found
    assert (latest.after, first.after) == (digest("2"), digest("1"))
    assert (latest.round_id, latest.before, latest.contributions) == (f"after-{aggregator.id}-1", digest("1"), [])
    assert first.aggregator == aggregator.id
    assert {one.subject: one.decision_id for one in first.contributions} == {
        subject: verdict["decision_id"] for subject, verdict in verdicts.items()
    }
    decision = plane.run(plane.services.transparency.log.get(first.contributions[0].decision_id))
    assert first.policy_revisions == [decision.policy_revision]


def test_each_round_is_stated_once(plane: ControlPlane) -> None:
    aggregator = plane.enrol("aggregator")
    for number in range(3):
        opened(aggregator, f"once-{aggregator.id}-{number}", digest(str(number + 3)))
    count = text("SELECT count(*) FROM log_entries WHERE kind = 'provenance' AND id = :id")
    for number, times in ((0, 1), (1, 1), (2, 0)):
        query = count.bindparams(id=f"once-{aggregator.id}-{number}")
        assert plane.run(plane.store._database.read("count", query))[0][0] == times


def test_of_a_model_that_no_round_led_to_nothing_is_known(plane: ControlPlane) -> None:
    assert plane.run(trace(plane.store, digest("f"), plane.services.transparency.heads.signer.verifier)) == []


def test_a_statement_that_somebody_changed_is_not_believed(plane: ControlPlane) -> None:
    aggregator = plane.enrol("aggregator")
    for number, letter in enumerate("78"):
        opened(aggregator, f"changed-{aggregator.id}-{number}", digest(letter))
    with pytest.raises(StatementInvalid, match="no signature"):
        plane.run(trace(plane.store, digest("8"), new_signer("another", "note").verifier))
    statement = text("UPDATE log_entries SET document = :other WHERE id = :id")
    values = {"other": b"{}", "id": f"changed-{aggregator.id}-0"}
    plane.run(plane.store._database.change("change a statement", statement, values))
    with pytest.raises(StatementInvalid, match="no DSSE envelope"):
        plane.run(trace(plane.store, digest("8"), plane.services.transparency.heads.signer.verifier))
