"""What a site decided stands in the control plane's record: in order, once, signed, later where it was offline."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapters.credentials import RoundTerms
from adapters.enrolment import load_identity, load_key
from adapters.errors import ControlPlaneError
from adapters.member import Member
from adapters.site import Site, Vetoed
from adapters.site.plane import SitedSyncControlPlane
from controlplane.capabilities.statements import read_statement
from tests.servers.ports import free_port
from tests.support import DIGEST, MODEL, ControlPlane

Enrol = Callable[..., Member]
TERMS = RoundTerms("round-that-nobody-opened", MODEL, DIGEST, "aggregator-1")
PATH = "/v1/site/decisions"


@pytest.fixture(autouse=True)
def unpaused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.site.plane._paused_until", {})


def told(plane: ControlPlane, member: Member) -> list[dict[str, Any]]:
    """The records of what the site of a device decided, oldest first."""
    operator = plane.enrol("operator")
    found = operator.get(f"/v1/decisions?subject={member.id}&action=site&limit=200").expect(200)["decisions"]
    return [operator.get(f"/v1/decisions/{one['id']}").expect(200) for one in reversed(found)]


def offline(folder: Path, identity: Path) -> SitedSyncControlPlane:
    """A device's client while nothing listens where the control plane was."""
    key = load_key(identity)
    site = Site.of(folder, key)
    assert site is not None
    return SitedSyncControlPlane(f"http://127.0.0.1:{free_port()}", key, site)


def vetoed(member: Member) -> None:
    with pytest.raises(Vetoed):
        member.submit(TERMS, DIGEST)


def test_a_veto_is_on_record_with_its_reasons_and_the_policy_that_decided(
    plane: ControlPlane, enrolled: Enrol, policy: bytes
) -> None:
    member = enrolled(policy)
    vetoed(member)
    (record,) = told(plane, member)
    assert (record["action"], record["outcome"], record["resource"]) == ("site:update_out", "deny", MODEL)
    assert "site:epsilon_within_budget" in [reason["code"] for reason in record["reasons"]]
    (line,) = member.site.chain.read()  # type: ignore[union-attr]
    site = record["facts"]["site"]
    assert (site["policy_digest"], site["is_linked"]) == (line.decision.policy_digest, True)
    assert record["policy_revision"] == f"site:{line.decision.policy_revision}"
    assert read_statement(site["statement"], member.key.thumbprint) == line.decision


def test_nothing_of_the_sites_data_is_told(plane: ControlPlane, enrolled: Enrol, policy: bytes) -> None:
    member = enrolled(policy)
    member.describe(DIGEST, norm=123.456, examples=98_765, epsilon=0.123)
    vetoed(member)
    (record,) = told(plane, member)
    shown = str(record)
    assert not [value for value in ("123.456", "98765", "0.123") if value in shown]
    facts = member.site.chain.read()[0].facts  # type: ignore[union-attr]
    assert facts["context"]["update"]["examples"] == 98_765, "the site itself has it on record"


def test_what_was_decided_offline_is_told_later_in_order_and_once(
    plane: ControlPlane, enrolled: Enrol, policy: bytes, tmp_path: Path
) -> None:
    folder = tmp_path / "device"
    member = enrolled(policy, folder=folder)
    away = offline(folder, folder)
    alone = Member(member.key, away)
    for number in range(3):
        with pytest.raises(ControlPlaneError):
            alone.submit(RoundTerms(f"offline-{number}", MODEL, DIGEST, "aggregator-1"), DIGEST)
    away.close()
    assert told(plane, member) == []
    # An allowed pull that the control plane denies; closing hands in what is left.
    with Member.open(folder) as again, pytest.raises(ControlPlaneError):
        again.pull(TERMS)
    records = told(plane, member)
    assert [record["facts"]["site"]["round_id"] for record in records] == [
        "offline-0",
        "offline-1",
        "offline-2",
        TERMS.round_id,
    ]
    assert [record["facts"]["site"]["sequence"] for record in records] == [1, 2, 3, 4]
    assert all(record["facts"]["site"]["is_linked"] for record in records)
    assert load_identity(folder).id == member.id
    with Member.open(folder) as again:
        assert isinstance(again.plane, SitedSyncControlPlane)
        assert again.plane.hand_in() == 0
    assert len(told(plane, member)) == 4


def test_more_than_may_wait_leaves_a_gap_that_shows(
    plane: ControlPlane, enrolled: Enrol, policy: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.site.chain.MAX_PENDING", 2)
    folder = tmp_path / "device"
    member = enrolled(policy, folder=folder)
    away = offline(folder, folder)
    for _ in range(4):
        with pytest.raises(Vetoed):
            Member(member.key, away).submit(TERMS, DIGEST)
    away.close()
    assert isinstance(member.plane, SitedSyncControlPlane)
    assert member.plane.hand_in() == 2
    sites = [record["facts"]["site"] for record in told(plane, member)]
    assert [(one["sequence"], one["is_linked"]) for one in sites] == [(3, False), (4, True)]


def test_many_are_handed_in_by_hundreds(
    plane: ControlPlane, enrolled: Enrol, policy: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.site.plane.MAX_STATEMENTS", 2)
    folder = tmp_path / "device"
    member = enrolled(policy, folder=folder)
    away = offline(folder, folder)
    for _ in range(5):
        with pytest.raises(Vetoed):
            Member(member.key, away).submit(TERMS, DIGEST)
    away.close()
    assert isinstance(member.plane, SitedSyncControlPlane)
    assert member.plane.hand_in() == 5
    assert [record["facts"]["site"]["sequence"] for record in told(plane, member)] == [1, 2, 3, 4, 5]


def test_a_site_whose_control_plane_is_away_does_not_wait_for_it_each_time(
    enrolled: Enrol, policy: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "device"
    member = enrolled(policy, folder=folder)
    away = offline(folder, folder)
    tries: list[int] = []
    inner = away._sited.hand_in

    async def counted() -> int:
        tries.append(1)
        return await inner()

    monkeypatch.setattr(away._sited, "hand_in", counted)
    for _ in range(3):
        with pytest.raises(Vetoed):
            Member(member.key, away).submit(TERMS, DIGEST)
    away.close()
    assert len(tries) == 1


def test_vetoes_are_counted_by_action_and_segment(plane: ControlPlane, enrolled: Enrol, policy: bytes) -> None:
    before = plane.metric("ztfm_site_decisions_total", action="update_out", outcome="veto")
    segment = plane.metric("ztfm_site_vetoes_total", segment="homes")
    vetoed(enrolled(policy))
    assert plane.metric("ztfm_site_decisions_total", action="update_out", outcome="veto") == before + 1
    assert plane.metric("ztfm_site_vetoes_total", segment="homes") == segment + 1
