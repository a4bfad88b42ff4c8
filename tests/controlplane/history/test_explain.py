"""A denial is explained by its rules, and what would have been allowed is really allowed."""

from pathlib import Path

import orjson
import pytest

from controlplane.decisions.decider import conclude
from controlplane.history.engine import deciding
from controlplane.history.explain import Explanation, explain
from controlplane.history.nearest import MAX_FIELDS
from controlplane.history.records import Recorded
from controlplane.history.values import at, put
from controlplane.sidecar import OpaBinary
from tests.policies.support import POLICIES

Records = dict[str, Recorded]


async def explained(opa: OpaBinary, records: Records, name: str, policies: Path = POLICIES) -> Explanation:
    record = records[name]
    donors = [
        one.facts for one in records.values() if one.package == record.package and one.document["outcome"] == "allow"
    ]
    return await explain(record, opa, policies, donors)


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


async def test_requirements_are_located_by_file_and_row(opa: OpaBinary, records: Records) -> None:
    found = await explained(opa, records, "denied_quarantined")
    missing = {one.code: one for one in found.requirements if not one.held}
    assert set(missing) == {"subject_active", "trust_sufficient"}
    (place,) = missing["trust_sufficient"].locations
    file, row = place.rsplit(":", 1)
    line = (POLICIES / file).read_text().splitlines()[int(row) - 1]
    assert line.startswith('proven contains "trust_sufficient"')
    assert missing["trust_sufficient"].values == {
        "resource.id": "smart-home-intents",
        "subject.properties.trust.score": 0.18,
    }
    assert missing["trust_sufficient"].data == ("data.data.limits.sensitivities", "data.data.resources")
    assert all(one.message and one.remedy for one in missing.values())
    assert "role_granted" in {one.code for one in found.requirements if one.held}


async def test_every_requirement_of_every_example_is_located(opa: OpaBinary, records: Records) -> None:
    from controlplane.history.explain import rego_package
    from controlplane.history.sources import read_sources

    sources = await read_sources(opa, POLICIES)
    for name, record in records.items():
        for code in record.document["rules"]:
            if code not in {"action_known", "phase_known"}:
                assert sources.reading(rego_package(record, sources), code).locations, (name, code)


async def test_another_revision_is_said(opa: OpaBinary, records: Records, candidate: Path) -> None:
    assert (await explained(opa, records, "denied_over_budget")).is_same
    path = candidate / "ztfm" / "inference" / "required.rego"
    path.write_text(path.read_text().replace('\t"tokens_within_budget",\n', ""))
    found = await explained(opa, records, "denied_over_budget", candidate)
    assert not found.is_same
    assert found.now.allowed
    assert found.nearest is None


async def test_an_allowed_decision_held_everything(opa: OpaBinary, records: Records) -> None:
    found = await explained(opa, records, "allowed_trusted")
    assert all(one.held for one in found.requirements)
    assert found.now.allowed
    assert found.nearest is None


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
        "facts": facts,
    }
    found = await explain(Recorded("dec-1", "other", document), opa, candidate)
    assert found.requirements[0].locations == ("ztfm/extra/record/policy.rego:7",)
    assert found.nearest is not None
    ((change,),) = found.nearest.alternatives
    assert (change.path, change.becomes) == ("claims.subject.role", "admin")
