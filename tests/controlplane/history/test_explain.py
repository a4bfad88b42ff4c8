"""A denial is explained by its rules, and what would have been allowed is really allowed."""

from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from controlplane.authoring import PolicyFolder
from controlplane.decisions.decider import conclude
from controlplane.decisions.masking import MARKER
from controlplane.history.engine import deciding
from controlplane.history.explain import ExplainedRecord, explain
from controlplane.history.nearest import MAX_FIELDS
from controlplane.history.records import Recorded
from controlplane.history.values import at, put
from controlplane.sidecar import OpaBinary
from tests.policies.support import POLICIES

Records = dict[str, Recorded]


async def explained(opa: OpaBinary, records: Records, name: str, policies: Path = POLICIES) -> ExplainedRecord:
    record = records[name]
    donors = [
        one.facts for one in records.values() if one.package == record.package and one.document["outcome"] == "allow"
    ]
    return await explain(record, opa, PolicyFolder.open(policies, POLICIES), donors)


@pytest.mark.parametrize(
    ("name", "paths"),
    [
        ("denied_boosted", {"context.evidence.norm_ratio"}),
        ("denied_grant_not_member", {"context.round.member"}),
        ("denied_over_budget", {"context.usage.tokens"}),
        ("denied_quarantined", {"subject.properties.status", "subject.properties.trust.score"}),
        ("denied_replay", {"context.capability.uses", "context.round.submissions"}),
        ("denied_used_token", {"context.token.uses"}),
        ("denied_foreign_certificate", {"resource.properties.owner"}),
        ("denied_person_issues_tokens", {"subject.properties.claims.groups"}),
        (
            "denied_trainer_opens_round",
            {"context.network.address", "subject.properties.roles", "subject.properties.segment"},
        ),
        ("denied_stranger", {"subject.properties"}),
    ],
)
async def test_the_smallest_change_is_found_and_is_allowed(
    opa: OpaBinary, records: Records, name: str, paths: set[str]
) -> None:
    found = await explained(opa, records, name)
    assert found.nearest is not None
    assert {change.path for change in found.nearest.alternatives[0]} == paths
    record = records[name]
    async with deciding(opa, POLICIES) as policies:
        for changes in found.nearest.alternatives:
            assert len(changes) == len(paths)
            facts = record.facts
            for change in changes:
                assert change.was == (None if change.was is None else at(facts, tuple(change.path.split("."))))
                facts = put(facts, tuple(change.path.split(".")), change.becomes)
            answer = await policies.engine.ask(record.package, orjson.dumps(facts))
            assert conclude(answer, record.package, facts, 0.0).allowed, changes


async def test_a_limit_is_met_exactly(opa: OpaBinary, records: Records) -> None:
    found = await explained(opa, records, "denied_over_budget")
    assert found.nearest is not None
    assert found.nearest.alternatives[0][0].becomes == 200_000 - 24 - 64


async def test_who_asks_for_what_is_never_changed(opa: OpaBinary, records: Records) -> None:
    settled = {"action.name", "subject.id", "subject.type", "subject.properties.key_thumbprint"}
    for name in ("denied_foreign_decision", "denied_quarantined", "denied_closed_round"):
        found = await explained(opa, records, name)
        assert found.nearest is not None
        assert not {change.path for changes in found.nearest.alternatives for change in changes} & settled


async def test_it_says_when_none_is_found(opa: OpaBinary, records: Records) -> None:
    found = await explained(opa, records, "denied_unknown_action")
    assert found.nearest is not None
    assert found.nearest.alternatives == ()
    assert MAX_FIELDS >= 1


async def test_the_recorded_verdict_is_placed_in_the_policies(opa: OpaBinary, records: Records) -> None:
    found = await explained(opa, records, "denied_quarantined")
    missing = {one.code: one for one in found.explanation.requirements if not one.held}
    assert set(missing) == {"subject_active", "trust_sufficient"}
    line = (POLICIES / missing["trust_sufficient"].file).read_text().splitlines()[missing["trust_sufficient"].line - 1]
    assert line.startswith('proven contains "trust_sufficient"')
    read = {name: value for one in missing["trust_sufficient"].conditions for name, value in one.values.items()}
    assert read["input.subject.properties.trust.score"] == 0.18
    assert all(one.message and one.remedy for one in missing.values())
    assert "role_granted" in {one.code for one in found.explanation.requirements if one.held}
    assert found.again == replace(found.explanation, requirements=found.again.requirements)  # type: ignore[union-attr]


async def test_another_policy_changes_nothing_of_the_recorded_verdict(
    opa: OpaBinary, records: Records, candidate: Path
) -> None:
    path = candidate / "ztfm" / "inference" / "required.rego"
    path.write_text(path.read_text().replace('\t"tokens_within_budget",\n', ""))
    found = await explained(opa, records, "denied_over_budget", candidate)
    assert [one.code for one in found.explanation.requirements if not one.held] == ["tokens_within_budget"]
    assert not found.explanation.allow
    assert found.again is not None
    assert found.again.allow
    assert found.nearest is None


async def test_an_allowed_decision_held_everything(opa: OpaBinary, records: Records) -> None:
    found = await explained(opa, records, "allowed_trusted")
    assert all(one.held for one in found.explanation.requirements)
    assert found.again is not None
    assert found.again.allow
    assert found.nearest is None


async def test_what_an_exception_waived_is_not_held_and_not_missing(opa: OpaBinary, records: Records) -> None:
    record = records["allowed_trusted"]
    document = {**record.document, "obligations": {**record.document["obligations"], "waived": ["trust_sufficient"]}}
    found = await explain(replace(record, document=document), opa, PolicyFolder.open(POLICIES, POLICIES))
    assert [one.code for one in found.explanation.requirements if one.waived] == ["trust_sufficient"]


async def test_of_what_was_kept_out_and_is_read_nothing_is_said(opa: OpaBinary, records: Records) -> None:
    record = records["denied_over_budget"]
    facts = put(record.facts, ("context", "usage"), MARKER)
    document = {**record.document, "facts": facts, "masked": ["/context/usage", "/context/mood"]}
    found = await explain(replace(record, document=document), opa, PolicyFolder.open(POLICIES, POLICIES))
    assert (found.unsure, found.again, found.nearest) == (("/context/usage",), None, None)
    assert [one.code for one in found.explanation.requirements if not one.held] == ["tokens_within_budget"]


async def test_what_was_kept_out_and_nobody_reads_changes_nothing(opa: OpaBinary, records: Records) -> None:
    record = records["denied_over_budget"]
    document = {**record.document, "facts": put(record.facts, ("context", "mood"), MARKER), "masked": ["/context/mood"]}
    found = await explain(replace(record, document=document), opa, PolicyFolder.open(POLICIES, POLICIES))
    assert found.unsure == ()
    assert found.nearest is not None
    assert {change.path for change in found.nearest.alternatives[0]} == {"context.usage.tokens"}


async def test_a_package_of_ones_own_is_read(opa: OpaBinary, candidate: Path) -> None:
    folder = candidate / "ztfm" / "extra" / "record"
    folder.mkdir(parents=True)
    (folder / "policy.rego").write_text(
        "package ztfm.extra.record\n\nimport data.ztfm.lib.verdict\n\n"
        'decision := verdict.of({"named"}, {"named"} - proven, {"obligations": {}, "ttl_seconds": 30})\n\n'
        'proven contains "named" if input.claims.subject.role == "admin"\n'
    )
    facts = {
        "subject": {"type": "user", "id": "alice"},
        "action": {"name": "write"},
        "resource": {"type": "record", "id": "record-2"},
        "context": {
            "time": 1764037800.0,
            "network": {"address": "10.10.3.4"},
            "usage": {"window_seconds": 60.0, "requests": 0, "tokens": 0},
        },
        "claims": {"subject": {"role": "user"}, "action": {}, "resource": {}, "context": {}},
    }
    reason = {"code": "named", "message": "m", "remedy": "r"}
    document = {
        "id": "dec-1",
        "outcome": "deny",
        "reasons": [reason],
        "rules": ["named"],
        "obligations": {},
        "policy_revision": "",
        "ttl_seconds": 0.0,
        "facts": facts,
    }
    found = await explain(Recorded("dec-1", "other", document), opa, PolicyFolder.open(candidate, POLICIES))
    (named,) = found.explanation.requirements
    assert (named.file, named.line) == ("ztfm/extra/record/policy.rego", 7)
    assert found.nearest is not None
    ((change,),) = found.nearest.alternatives
    assert (change.path, change.becomes) == ("claims.subject.role", "admin")
