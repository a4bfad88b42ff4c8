"""What ``ztfm top`` says of what was read, and that it fits every terminal."""

from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from controlplane.cli.exposition import Change, parse
from controlplane.cli.top_frame import Frame, Readings, frame
from controlplane.cli.top_shown import WIDE, shown
from controlplane.contracts.decision import Decision
from controlplane.contracts.rounds import RoundStanding
from controlplane.contracts.standing import BehaviourStanding
from tests.controlplane.contracts.samples import ANSWERS
from tests.controlplane.contracts.samples import SAMPLES as OTHERS

NOW = 1_767_225_600.0
DEVICE = "dev-" + "a" * 43
ID = "dec-" + "0" * 32
ROOT = Path(__file__).resolve().parents[3]
READY = {"ready": True, "engine": "opa", "checks": {"opa": "ok"}, "policy_revision": "r1", "policies": [{}]}
SAMPLES: dict[str, Any] = {model.__name__: sample for model, sample in [*OTHERS, *ANSWERS]}


def listed(many: int) -> dict[str, Any]:
    """Return so many subjects, rounds and denials."""
    standing = {**SAMPLES["BehaviourFound"]["subjects"][0], "subject": DEVICE}
    [opened] = SAMPLES["RoundsFound"]["rounds"]
    denial = {
        "id": ID,
        "time": NOW,
        "action": "gradient_submission",
        "subject": DEVICE,
        "resource": "m",
        "outcome": "deny",
        "reasons": [],
        "obligations": {},
        "rules": [],
        "ttl_seconds": 0.0,
        "policy_revision": "",
    }
    return {
        "least": [BehaviourStanding.model_validate(standing)] * many,
        "rounds": [RoundStanding.model_validate(opened)] * many,
        "denied": [Decision.model_validate(denial)] * many,
    }


def metrics(text: str) -> Change:
    return Change(parse("# TYPE a counter\na_total 0\n", 0.0), parse(text, 10.0))


def told(**changes: Any) -> Frame:
    return frame(Readings(**{"time": NOW, "place": "http://plane", "ready": READY, **changes}))


def lines(found: Frame, width: int = 200, height: int | None = None) -> list[str]:
    console = Console(width=width, color_system=None)
    with console.capture() as captured:
        console.print(shown(found, width, height))
    return captured.get().splitlines()


def wrong(**changes: Any) -> list[str]:
    return [one.what for one in told(**changes).wrong]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("ztfm_opa_circuit_open 1", "calls to OPA are suspended: every decision is a denial"),
        ('ztfm_policy_current{layer="site"} 0', "the layer site does not decide by its release yet"),
        (
            'ztfm_decisions_total{action="inference",outcome="error"} 3',
            "decisions that policy gave no answer to: 3 in 10 s",
        ),
        ('ztfm_audit_records_total{result="failed"} 2', "decisions that could not be recorded: 2 in 10 s"),
        ("ztfm_sidecar_restarts_total 1", "restarts of OPA: 1 in 10 s"),
        ("ztfm_rollbacks_waiting_age_seconds 1800", "a rollback waits for its aggregator for 30 min"),
    ],
)
def test_what_is_wrong_is_said_with_its_runbook(text: str, what: str) -> None:
    found = told(change=metrics(text + "\n"))
    assert [one.what for one in found.wrong] == [what]
    assert (ROOT / found.wrong[0].remedy).is_file()
    assert any(line.startswith(f"! {what}") for line in lines(found))


def test_what_is_as_it_should_be_is_not_called_wrong() -> None:
    quiet = (
        'ztfm_opa_circuit_open 0\nztfm_policy_current{layer="base"} 1\nztfm_rollbacks_waiting_age_seconds 60\n'
        'ztfm_decisions_total{action="inference",outcome="deny"} 9\nztfm_audit_records_total{result="written"} 9\n'
    )
    found = told(change=metrics(quiet))
    assert found.wrong == []
    assert "nothing is wrong now" in lines(found)


def test_fresh_policies_that_deny_most_of_what_is_asked_are_called_wrong_and_old_ones_are_not() -> None:
    counted = 'ztfm_decisions_total{action="inference",outcome="%s"} %d\n'
    denying = metrics(counted % ("deny", 90) + counted % ("allow", 10))
    [found] = told(change=denying, ready={**READY, "policy_age_seconds": 120.0}).wrong
    assert found.what == "90% of decisions are denials, by policies that were published 2 min ago"
    assert (ROOT / found.remedy).is_file()
    few = metrics(counted % ("deny", 9))
    for change, age in ((denying, 7200.0), (denying, None), (few, 120.0)):
        assert wrong(change=change, ready={**READY, "policy_age_seconds": age}) == []


def test_a_part_that_is_not_ready_and_a_refused_layer_are_named() -> None:
    refused = {"layer": "base", "refused": "signature"}
    ready = {**READY, "ready": False, "checks": {"opa": "unreachable", "store": "ok"}, "policies": [refused]}
    assert wrong(ready=ready) == [
        "not ready: opa is unreachable",
        "policies of the layer base were refused: signature",
    ]
    assert "NOT READY" in lines(told(ready=ready))[0]


def test_while_nobody_answers_nothing_is_told_as_it_was_before() -> None:
    found = told(ready=None, away="nothing answers", away_since=NOW - 90.0)
    assert (found.answers, found.ready, found.decisions, found.engine) == (False, None, [], None)
    shown_ = lines(found)
    assert "AWAY" in shown_[0]
    assert shown_[1] == "away for 2 min; it is asked again"
    assert not any("nothing is wrong" in line for line in shown_)


def test_that_it_answers_again_is_said_for_a_minute() -> None:
    assert "answers again for 5 s" in lines(told(back_since=NOW - 5.0))
    assert not any("again" in line for line in lines(told(back_since=NOW - 65.0)))


@pytest.mark.parametrize("width", [20, 40, 80, 120, WIDE, 240])
@pytest.mark.parametrize("height", [20, 24, 40, 50, 80])
def test_it_fits_the_terminal_and_ends_with_the_command_that_says_why(width: int, height: int) -> None:
    counters = "".join(
        f'ztfm_decisions_total{{action="a{n}",outcome="deny"}} {n + 1}\n'
        f'ztfm_decision_reasons_total{{action="a{n}",reason="r{n}"}} {n + 1}\n'
        for n in range(30)
    )
    found = lines(told(change=metrics(counters), **listed(30)), width, height)
    assert len(found) <= height
    assert max(map(len, found)) <= width
    assert found[-1].startswith("why: ztfm policy e")


@pytest.mark.parametrize("width", [80, WIDE])
def test_a_device_s_name_and_a_decision_s_id_are_whole(width: int) -> None:
    text = "\n".join(lines(told(**listed(3)), width))
    assert DEVICE in text
    assert ID in text


def test_the_most_frequent_come_first_and_the_rest_are_counted() -> None:
    counters = "".join(f'ztfm_decisions_total{{action="a{n}",outcome="allow"}} {n}\n' for n in range(1, 13))
    found = told(change=metrics(counters))
    assert [one.total for one in found.decisions] == sorted((one.total for one in found.decisions), reverse=True)
    assert "  and 4 more" in [line[:12] for line in lines(found)]


def test_names_are_shown_as_text_and_never_as_markup() -> None:
    found = listed(1)
    odd = found["denied"][0].model_copy(update={"action": "[red]x[/red]", "subject": "[bold]"})
    assert any("[red]x[/red]" in line for line in lines(told(denied=[odd])))


def test_a_document_is_plain_json() -> None:
    import json

    document = json.loads(json.dumps(told(change=metrics("ztfm_opa_queue_length 2\n"), **listed(1)).document()))
    assert document["engine"]["queue"] == 2
    assert (document["least"][0]["subject"], document["rounds"][0]["accepted"]) == (DEVICE, 16)
    assert document["denied"][0]["id"] == ID
