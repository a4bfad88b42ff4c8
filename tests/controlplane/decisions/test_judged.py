"""What became of updates, from the records of decisions and verdicts, as far as those are kept."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from controlplane.audit import AuditUnavailable
from controlplane.contracts.decision import DecisionRecord
from controlplane.contracts.identity import Device
from controlplane.contracts.rollback import Contribution
from controlplane.contracts.rounds import Round
from controlplane.decisions.ids import new_id
from controlplane.decisions.judged import Judgements
from controlplane.storage import Store, judged, open_store
from controlplane.storage.contributions import add_contributions
from tests.controlplane.behaving import attribution, device, observed, verdict
from tests.controlplane.storage.conftest import NOW
from tests.support import honest_evidence

REASON = {"code": "update_plausible", "message": "It deviates.", "remedy": "Train honestly."}


def record(subject: str, at: float, outcome: str = "allow", round_id: str = "r1", **changes: Any) -> DecisionRecord:
    """Return the record of a decision on an update that arrived."""
    context: dict[str, Any] = {
        "phase": "admit",
        "round": {"id": round_id},
        "evidence": honest_evidence(cosine=0.25),
        "behaviour": {"state": "watched", "state_age_seconds": 1.0, "e_value": 1.5, "p_value": 0.5},
        **changes,
    }
    facts = {
        "subject": {"properties": {"trust": {"score": 0.5, "observations": 3, "history": {}}}},
        "context": {name: value for name, value in context.items() if value is not None},
    }
    stated = {
        "id": new_id("dec", at),
        "time": at,
        "action": "gradient_submission",
        "subject": subject,
        "resource": "smart-home-intents",
        "outcome": outcome,
        "reasons": [] if outcome == "allow" else [REASON],
        "obligations": {"clip_norm_ratio": 2.0} if outcome == "allow" else {},
        "rules": [],
        "ttl_seconds": 0.0,
        "policy_revision": "v1",
        "facts": facts,
    }
    return DecisionRecord.model_validate_json(json.dumps(stated))


async def keep(store: Store, *records: DecisionRecord) -> None:
    rows = [(one.id, one.time, one.action, one.subject, one.outcome, one.model_dump_json().encode()) for one in records]
    await store.decisions.add_many(rows)


async def submit(store: Store, round_id: str, *admitted: DecisionRecord, dropped: tuple[str, ...] = ()) -> None:
    """Have updates come to a round: those that were admitted, and those of subjects that were not."""
    await store.rounds.count_submissions(round_id, [*(one.subject for one in admitted), *dropped])
    given = [
        Contribution(
            round_id=round_id,
            subject=one.subject,
            update_digest=f"sha256:{'b' * 64}",
            decision_id=one.id,
            time=one.time,
        )
        for one in admitted
    ]
    await store._database.write("contribute", lambda connection: add_contributions(connection, given))


def opened(name: str, at: float) -> Round:
    """Return a round of a minute."""
    return Round(
        id=name,
        model="smart-home-intents",
        model_digest=f"sha256:{'a' * 64}",
        members=["a", "b"],
        opened_by="agg-1",
        opens_at=at,
        closes_at=at + 60.0,
        state="open",
    )


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    found = await open_store(f"sqlite+aiosqlite:///{tmp_path / 'ztfm.db'}")
    yield found
    await found.close()


@pytest.fixture
async def judgements(store: Store) -> Judgements:
    await store.rounds.add(opened("r1", NOW))
    return Judgements(store.judged, store.rounds, store.contributions, store.decisions)


async def test_an_update_is_told_with_its_evidence_and_where_its_subject_stood(
    store: Store,
    judgements: Judgements,
) -> None:
    said = record("a", NOW + 5.0)
    await keep(store, said)
    await submit(store, "r1", said)
    [found] = await judgements.of_round("r1")
    assert (found.outcome, found.decision_id, found.time, found.submitted) == ("allow", said.id, NOW + 5.0, 1)
    assert (found.state, found.p_value, found.e_value, found.trust) == ("watched", 0.5, 1.5, 0.5)
    assert found.evidence is not None
    assert (found.evidence.cosine, found.clip_norm_ratio, found.attribution) == (0.25, 2.0, None)


async def test_a_dropped_one_is_told_with_what_it_lacked_and_the_verdict_on_it(
    store: Store,
    judgements: Judgements,
) -> None:
    known: Device = device(id="a")
    await store.devices.add(known)
    await keep(store, record("a", NOW + 5.0, "deny"))
    await submit(store, "r1", dropped=("a",))
    await store.behaviour.apply([observed("a", verdict=verdict("a", time=NOW + 5.0, state="quarantined"))])
    [found] = await judgements.of_round("r1")
    assert (found.outcome, [one.code for one in found.reasons]) == ("deny", ["update_plausible"])
    assert (found.state, found.e_value, found.p_value) == ("quarantined", 2.5, 0.004)
    assert found.attribution == attribution()


async def test_of_several_decisions_on_an_update_the_latest_counts_and_none_on_asking_for_a_capability(
    store: Store,
    judgements: Judgements,
) -> None:
    first, last = record("a", NOW + 5.0, "deny"), record("a", NOW + 6.0, "error")
    asking = record("a", NOW + 7.0, "deny", phase="grant")
    elsewhere = record("a", NOW + 8.0, "deny", "r2")
    stranger = record("b", NOW + 9.0, "deny")
    late = record("a", NOW + 1e6, "deny")
    await keep(store, first, last, asking, elsewhere, stranger, late)
    await submit(store, "r1", dropped=("a",))
    [found] = await judgements.of_round("r1")
    assert (found.decision_id, found.outcome) == (last.id, "error")


@pytest.mark.parametrize(
    ("changes", "lacks"),
    [
        ({"evidence": "[masked]"}, "evidence"),
        ({"evidence": {**honest_evidence(), "norm": "[masked]"}}, "evidence"),
        ({"evidence": None}, "evidence"),
        ({"behaviour": None}, "e_value"),
        ({"behaviour": {"state": "[masked]"}}, "state"),
    ],
)
async def test_what_policy_kept_out_of_a_record_is_not_told_and_the_rest_is(
    store: Store,
    judgements: Judgements,
    changes: dict[str, Any],
    lacks: str,
) -> None:
    said = record("a", NOW + 5.0, **changes)
    await keep(store, said)
    await submit(store, "r1", said)
    [found] = await judgements.of_round("r1")
    assert getattr(found, lacks) is None
    assert (found.outcome, found.trust) == ("allow", 0.5)


async def test_a_damaged_record_is_said(store: Store, judgements: Judgements) -> None:
    said = record("a", NOW + 5.0)
    row = (said.id, said.time, said.action, said.subject, said.outcome, b'{"id": 1}')
    await store.decisions.add_many([row])
    await submit(store, "r1", said)
    with pytest.raises(AuditUnavailable, match=said.id):
        await judgements.of_round("r1")


async def test_further_back_than_is_looked_a_dropped_update_is_told_without_its_decision(
    store: Store,
    judgements: Judgements,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(judged, "MAX_SCAN", 2)
    await keep(store, record("a", NOW + 5.0, "deny"), *(record("b", NOW + 6.0 + number) for number in range(5)))
    await submit(store, "r1", dropped=("a",))
    [found] = await judgements.of_round("r1")
    assert (found.subject, found.submitted, found.outcome, found.decision_id) == ("a", 1, None, None)


async def test_a_subject_s_rounds_are_told_newest_first(
    store: Store,
    judgements: Judgements,
) -> None:
    await store.devices.add(device(id="a"))
    for number in range(2, 6):
        await store.rounds.add(opened(f"r{number}", NOW + 100.0 * number))
    for number in (1, 2, 3):
        said = record("a", NOW + 100.0 * number + 5, round_id=f"r{number}")
        await keep(store, said)
        await submit(store, f"r{number}", said)
    for version, number in enumerate((4, 5)):
        at = NOW + 100.0 * number + 5
        await keep(store, record("a", at, "deny", f"r{number}"))
        await submit(store, f"r{number}", dropped=("a",))
        seen = observed("a", version, verdict=verdict("a", time=at, round_id=f"r{number}"))
        await store.behaviour.apply([seen])
    found = await judgements.of_subject("a", 10)
    assert [one.round_id for one in found] == ["r5", "r4", "r3", "r2", "r1"]
    assert [one.outcome for one in found] == ["deny", "deny", "allow", "allow", "allow"]
    assert [one.attribution is None for one in found] == [False, False, True, True, True]
    assert [one.round_id for one in await judgements.of_subject("a", 2)] == ["r5", "r4"]
    assert await judgements.of_subject("b", 10) == []


async def test_a_round_is_told_with_who_contributed_and_whose_updates_were_dropped(
    store: Store,
    judgements: Judgements,
) -> None:
    said = record("a", NOW + 5.0)
    await keep(store, said)
    await submit(store, "r1", said, dropped=("b",))
    await store.rounds.count_submissions("r1", ["a", "b"])
    found = await judgements.detail("r1", NOW + 10.0)
    assert found is not None
    assert (found.round.id, found.round.state, found.round.accepted, found.round.dropped) == ("r1", "open", 1, 3)
    assert [one.subject for one in found.accepted] == ["a"]
    assert [(one.subject, one.updates) for one in found.dropped] == [("a", 1), ("b", 2)]
    assert await judgements.detail("r9", NOW) is None
