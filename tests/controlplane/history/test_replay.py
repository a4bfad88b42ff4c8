"""A real OPA decides recorded facts again, and the policies that decided them change nothing."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from controlplane.decisions.engine import Answer, Unanswered
from controlplane.decisions.masking import MARKER
from controlplane.history.engine import deciding
from controlplane.history.masked import Readers
from controlplane.history.records import Recorded
from controlplane.history.replay import ReplayFailed, replay
from controlplane.history.values import put
from controlplane.sidecar import BundleError, OpaBinary, SidecarError
from tests.policies.support import POLICIES

Records = dict[str, Recorded]


async def pieces(records: Records, size: int = 7) -> AsyncIterator[list[Recorded]]:
    everything = list(records.values())
    for start in range(0, len(everything), size):
        yield everything[start : start + size]


async def nothing_masked(_: Recorded) -> bool:
    raise AssertionError("no record is masked")


async def test_the_policies_that_decided_change_nothing(opa: OpaBinary, records: Records) -> None:
    done: list[int] = []
    async with deciding(opa, POLICIES) as policies:
        found = await replay(pieces(records), policies.engine, nothing_masked, done.append)
    assert (found.decided, found.failed, found.is_changed) == (len(records), 0, False)
    assert done[-1] == len(records)
    assert done == sorted(done)


async def test_what_the_candidate_reads_and_policy_kept_out_is_counted_apart(
    opa: OpaBinary, records: Records, candidate: Path
) -> None:
    masked = {
        name: replace(
            record,
            document={
                **record.document,
                "masked": ["/context/mood", "/context/time"],
                "facts": put(put(record.facts, ("context", "mood"), MARKER), ("context", "time"), MARKER),
            },
        )
        for name, record in records.items()
        if record.package in ("inference", "model_access")
    }
    async with deciding(opa, candidate) as policies:
        readers = Readers(opa, candidate)
        found = await replay(pieces(records | masked), policies.engine, readers.reads_masked, lambda _: None)
    assert (found.masked, found.is_changed) == (len(masked), False)
    assert found.decided == len(records) - len(masked)


async def test_more_trust_denies_by_name(opa: OpaBinary, records: Records, candidate: Path) -> None:
    path = candidate / "data" / "limits" / "data.json"
    limits = json.loads(path.read_text())
    limits["sensitivities"]["internal"]["trust_minimum"] = 0.95
    path.write_text(json.dumps(limits))
    async with deciding(opa, candidate) as policies:
        found = await replay(pieces(records), policies.engine, nothing_masked, lambda _: None)
    denied = [group for group in found.groups.values() if group.change == "newly_denied"]
    assert denied
    assert {group.reason for group in denied} == {"trust_sufficient"}
    assert not found.changes["newly_allowed"]
    ids = {record.id for record in records.values() if record.document["outcome"] == "allow"}
    assert {sample.id for group in denied for sample in group.samples} <= ids


async def test_a_dropped_requirement_allows_by_name(opa: OpaBinary, records: Records, candidate: Path) -> None:
    path = candidate / "ztfm" / "inference" / "required.rego"
    path.write_text(path.read_text().replace('\t"tokens_within_budget",\n', ""))
    async with deciding(opa, candidate) as policies:
        found = await replay(pieces(records), policies.engine, nothing_masked, lambda _: None)
    (group,) = [group for group in found.groups.values() if group.change == "newly_allowed"]
    assert (group.action, group.reason, group.segment) == ("inference", "tokens_within_budget", "homes")
    assert [sample.id for sample in group.samples] == [records["denied_over_budget"].id]


async def test_a_decision_that_is_gone_denies_and_is_counted(opa: OpaBinary, records: Records, candidate: Path) -> None:
    (candidate / "ztfm" / "inference" / "policy.rego").unlink()
    batch = candidate / "ztfm" / "batch" / "batch.rego"
    batch.write_text(batch.read_text().replace("data.ztfm.inference.decision", "data.ztfm.nothing.decision"))
    async with deciding(opa, candidate) as policies:
        found = await replay(pieces(records), policies.engine, nothing_masked, lambda _: None)
    allowed = [one for one in records.values() if one.package == "inference" and one.document["outcome"] == "allow"]
    assert found.changes["newly_denied"] == len(allowed)
    assert found.failed >= len(allowed)


async def test_policies_that_do_not_compile_are_refused_with_their_place(opa: OpaBinary, candidate: Path) -> None:
    (candidate / "ztfm" / "broken.rego").write_text("package ztfm.broken\n\nallow if {\n")
    with pytest.raises(BundleError, match=r"broken\.rego:"):
        async with deciding(opa, candidate):
            pass


async def test_policies_without_a_batch_do_not_decide(
    opa: OpaBinary, candidate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controlplane.history.engine.START_SECONDS", 3.0)
    for path in (candidate / "ztfm" / "batch").glob("*.rego"):
        path.unlink()
    with pytest.raises(SidecarError, match="ztfm/batch"):
        async with deciding(opa, candidate):
            pass


class Gone:
    """An engine that went away."""

    async def ask(self, package: str, facts: bytes) -> Answer:
        return Unanswered("unreachable")


async def test_an_engine_that_goes_away_is_no_denial(records: Records) -> None:
    with pytest.raises(ReplayFailed, match="policy_unreachable"):
        await replay(pieces(records), Gone(), nothing_masked, lambda _: None)
