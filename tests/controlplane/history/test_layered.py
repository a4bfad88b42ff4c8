"""The base decides again alone, and is held to what the layers below it had said."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from controlplane.history.documents import compared
from controlplane.history.engine import deciding
from controlplane.history.layered import held_to, layers_of
from controlplane.history.records import Recorded
from controlplane.history.replay import replay
from controlplane.sidecar import OpaBinary
from tests.controlplane.history.test_changes import becomes, was
from tests.policies.support import POLICIES

SITE = "2026.abc+site:2026.def"


@pytest.mark.parametrize(
    ("revision", "layers"),
    [
        ("2026.abc", []),
        ("2026.abc+tenant:1+site:none", ["tenant", "site"]),
        (SITE, ["site"]),
        ("", []),
    ],
)
def test_the_layers_that_decided_are_those_of_the_revision(revision: str, layers: list[str]) -> None:
    assert layers_of(was("allow", policy_revision=revision)) == layers


def test_what_a_layer_refused_stays_refused_whatever_the_base_decides() -> None:
    refused = was("deny", "role_granted", "site:crew_present", policy_revision=SITE)
    found = held_to(refused, becomes("allow"))
    assert (found.allowed, [reason.code for reason in found.reasons]) == (False, ["site:crew_present"])
    found = held_to(refused, becomes("deny", "trust_sufficient"))
    assert [reason.code for reason in found.reasons] == ["trust_sufficient", "site:crew_present"]


def test_what_the_base_alone_refused_it_may_allow() -> None:
    assert held_to(was("deny", "role_granted", policy_revision=SITE), becomes("allow", ttl=300.0)).ttl_seconds == 300.0


def test_a_code_of_the_base_that_looks_like_a_layers_is_the_bases() -> None:
    assert held_to(was("deny", "site:crew_present", policy_revision="2026.abc"), becomes("allow")).allowed


def test_an_engine_that_gives_no_decision_is_not_made_one() -> None:
    found = held_to(was("deny", "site:crew_present", policy_revision=SITE), becomes("error", "policy_undefined"))
    assert (found.outcome, [reason.code for reason in found.reasons]) == ("error", ["policy_undefined"])


@pytest.mark.parametrize(
    ("recorded", "now", "expected"),
    [
        ({"ttl_seconds": 20.0}, {"ttl": 60.0}, (20.0, False, None)),
        ({"ttl_seconds": 60.0}, {"ttl": 20.0}, (20.0, False, None)),
        ({"obligations": {"watch": True}}, {}, (60.0, True, None)),
        ({"obligations": {"state": "quarantined"}}, {"state": "trusted"}, (60.0, False, "quarantined")),
        ({"obligations": {"state": "watched"}}, {"state": "quarantined"}, (60.0, False, "quarantined")),
        ({"obligations": {"state": "quarantined"}}, {}, (60.0, False, None)),
        ({"obligations": {"state": "trusted"}}, {"state": "recovering"}, (60.0, False, "recovering")),
    ],
)
def test_what_a_layer_may_have_narrowed_gets_no_wider(
    recorded: dict[str, Any], now: dict[str, Any], expected: tuple[float, bool, str | None]
) -> None:
    found = held_to(was("allow", policy_revision=SITE, **recorded), becomes("allow", **now))
    assert (found.ttl_seconds, found.obligations.watch, found.obligations.state) == expected
    alone = held_to(was("allow", policy_revision="2026.abc", **recorded), becomes("allow", **now))
    assert alone == becomes("allow", **now)


async def _once(records: list[Recorded]) -> AsyncIterator[list[Recorded]]:
    yield records


async def _nothing_masked(_: Recorded) -> bool:
    raise AssertionError("no record is masked")


async def test_a_replay_does_not_call_newly_allowed_what_a_layer_refused(
    opa: OpaBinary, records: dict[str, Recorded]
) -> None:
    refusal = {"code": "site:crew_present", "message": "Nobody of the crew is at the pump.", "remedy": "Call the crew."}
    layered = [
        replace(
            record,
            document={
                **record.document,
                "outcome": "deny",
                "reasons": [*record.document["reasons"], refusal],
                "policy_revision": f"{record.document['policy_revision']}+site:1",
            },
        )
        for record in records.values()
        if record.document["outcome"] != "error"
    ]
    async with deciding(opa, POLICIES) as policies:
        found = await replay(_once(layered), policies.engine, _nothing_masked, lambda _: None)
    assert (found.decided, found.is_changed) == (len(layered), False)
    assert compared(found, "r", 1.0)["layers_held_to"] == {"site": len(layered)}
