"""``/v1/decisions/{id}/explanation``: what the command says of a decision, to those who may read anybody's."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from typer.testing import CliRunner

from controlplane.cli.commands import app
from tests.controlplane.api.test_site import handed_in, records, stated
from tests.support import Caller, ControlPlane, Reply, running

SIZE = {"prompt_tokens": 1, "max_output_tokens": 1}


@pytest.fixture(scope="module")
def own() -> Iterator[ControlPlane]:
    with running() as plane:
        yield plane


@pytest.fixture(scope="module")
def operator(own: ControlPlane) -> Caller:
    return own.enrol("operator")


@pytest.fixture(scope="module")
def device(own: ControlPlane) -> Caller:
    found = own.enrol("consumer")
    found.capability("inference", inference=SIZE).expect(201)
    own.run(own.services.registry.set_status(found.id, "quarantined"))  # type: ignore[attr-defined]
    return found


@pytest.fixture(scope="module")
def denied(device: Caller) -> str:
    return str(device.capability("inference", inference=SIZE).json["decision_id"])


def explanation(caller: Caller, decision: str) -> Reply:
    return caller.get(f"/v1/decisions/{decision}/explanation", timeout=180.0)


def command(own: ControlPlane, decision: str) -> Any:
    done = CliRunner().invoke(app, ["policy", "explain", decision, "--state-dir", str(own.state), "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_nulls(part) for name, part in value.items() if part is not None}
    return [without_nulls(part) for part in value] if isinstance(value, list) else value


def test_a_denial_is_explained_as_the_command_explains_it(own: ControlPlane, operator: Caller, denied: str) -> None:
    found, told = explanation(operator, denied).expect(200), without_nulls(command(own, denied))
    record = operator.get(f"/v1/decisions/{denied}").expect(200)
    assert found.pop("decision") == record
    assert told.pop("decision").items() <= record.items()
    assert found == told
    assert found["policies_are_those_that_decided"] is True
    assert found["again"] == {"allow": False, "missing": ["subject_active"]}
    changes = found["nearest"]["alternatives"][0]
    assert [(one["path"], one["becomes"]) for one in changes] == [("subject.properties.status", "active")]


def test_nobody_is_explained_a_decision_for_being_its_subject(device: Caller, denied: str) -> None:
    assert device.get(f"/v1/decisions/{denied}").expect(200)["subject"] == device.id
    refused = explanation(device, denied)
    assert refused.kind == "denied"


@pytest.mark.parametrize("role", ["trainer", "gateway", "aggregator"])
def test_others_are_explained_nothing(own: ControlPlane, role: str, denied: str) -> None:
    assert explanation(own.enrol(role), denied).kind == "denied"
    assert explanation(own.stranger(), denied).kind == "unauthenticated"


@pytest.mark.parametrize("name", [f"dec-{'0' * 32}", "dec-1", "dec-" + "G" * 32, "..%2fpolicies"])
def test_what_was_never_decided_is_not_explained(operator: Caller, name: str) -> None:
    assert explanation(operator, name).kind == "not-found"


def test_a_decision_of_a_site_is_told_as_the_site_told_it(own: ControlPlane, operator: Caller) -> None:
    site = own.enrol("trainer")
    handed_in(site, stated(site))
    [recorded] = records(own, site)
    found = explanation(operator, recorded["id"]).expect(200)
    assert (found["policies_from"], found["policies_are_those_that_decided"]) == ("site", False)
    assert found["decision"]["id"] == recorded["id"]
    assert [(one["code"], one["held"]) for one in found["requirements"]] == [("site:hours_open", False)]
