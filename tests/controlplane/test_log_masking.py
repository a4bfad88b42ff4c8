"""A secret that a caller adds is decided on and never kept: not in the store, the API, the logs or the metrics."""

import io
import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from controlplane.contracts.facts import FACTS
from controlplane.contracts.facts.access import InferenceFacts
from controlplane.contracts.facts.other import OtherFacts
from controlplane.decisions.log_policy import LogPolicy
from controlplane.decisions.masking import MARKER
from controlplane.history.engine import deciding
from controlplane.sidecar import locate_opa
from tests.policies.support import POLICIES, load_examples
from tests.support import MODEL, ControlPlane, running

SECRET = "hunter2-correct-horse"
SIZE = {"prompt_tokens": 1, "max_output_tokens": 1}


def ask_with_secrets(plane: ControlPlane) -> dict[str, Any]:
    """Put a secret everywhere that a caller can put one; return a record of each place."""
    gateway, consumer = plane.enrol("gateway"), plane.enrol("consumer")

    def evaluated(document: dict[str, Any]) -> str:
        return str(gateway.post("/access/v1/evaluation", document).expect(200)["context"]["id"])

    known = {
        "subject": {"type": "device", "id": consumer.id, "properties": {"password": SECRET, "colour": "red"}},
        "action": {"name": "inference"},
        "resource": {"type": "model", "id": MODEL, "properties": {"Api-Key": SECRET}},
        "context": {"inference": SIZE, "sessionToken": SECRET, "ssn": 7, "shift": "night"},
    }
    other = {
        "subject": {"type": "user", "id": "alice", "properties": {"db": {"password": SECRET}, "role": "admin"}},
        "action": {"name": "open", "properties": {"AUTHORIZATION": [SECRET]}},
        "resource": {"type": "door", "id": "front", "properties": {"list": [{"client_secret": SECRET}]}},
        "context": {"cookie": {"value": SECRET}},
    }
    names = {"known": evaluated(known), "other": evaluated(other)}
    operator = plane.enrol("operator")
    return {what: operator.get(f"/v1/decisions/{name}").expect(200) for what, name in names.items()}


class Nobody:
    """Counts nothing."""

    def masked(self, package: str, count: int) -> None: ...

    def terms_unavailable(self, cause: str) -> None: ...


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(POLICIES, tmp_path / "policies")
    return tmp_path / "policies"


def test_a_secret_is_decided_on_and_never_kept(logged: io.StringIO) -> None:
    with running() as plane:
        records = ask_with_secrets(plane)
        listed = plane.enrol("operator").get("/v1/decisions").expect(200)
        exposed = plane.metrics_text()
        counted = plane.metric("ztfm_decision_log_masked_total", action="other")
        kept = b"".join(path.read_bytes() for path in plane.state.rglob("*") if path.is_file())
    assert records["known"]["outcome"] == "allow"
    assert records["known"]["masked"] == [
        "/context/sessionToken",
        "/context/ssn",
        "/resource/properties/Api-Key",
        "/subject/properties/password",
    ]
    assert records["known"]["facts"]["subject"]["properties"]["password"] == MARKER
    assert records["known"]["facts"]["subject"]["properties"]["colour"] == "red"
    assert records["known"]["facts"]["context"]["shift"] == "night"
    assert records["known"]["seconds"] > 0
    assert records["other"]["masked"] == [
        "/claims/action/AUTHORIZATION",
        "/claims/context/cookie",
        "/claims/resource/list/0/client_secret",
        "/claims/subject/db/password",
    ]
    assert records["other"]["facts"]["claims"]["subject"] == {"db": {"password": MARKER}, "role": "admin"}
    assert counted == 4
    for text in (logged.getvalue(), exposed, json.dumps(listed), json.dumps(records)):
        assert SECRET not in text
    assert SECRET.encode() not in kept


def without_data(folder: Path) -> None:
    (folder / "data/log/data.json").unlink()


def without_names(folder: Path) -> None:
    put(folder, lambda terms: terms.pop("masked_names"))


def with_a_pointer_that_is_none(folder: Path) -> None:
    put(folder, lambda terms: terms["masked_pointers"].update(any={"password": True}))


def with_a_name_of_no_length(folder: Path) -> None:
    put(folder, lambda terms: terms["masked_names"].update({"": True}))


def with_days_that_are_text(folder: Path) -> None:
    put(folder, lambda terms: terms["retention_days"].update(admin="30"))


def without_the_package(folder: Path) -> None:
    shutil.rmtree(folder / "ztfm/log")
    batch = folder / "ztfm/batch/batch.rego"
    batch.write_text(batch.read_text().replace("data.ztfm.log.terms", "data.ztfm.nothing.terms"))


def put(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = folder / "data/log/data.json"
    terms = json.loads(path.read_text())
    change(terms)
    path.write_text(json.dumps(terms))


@pytest.mark.parametrize(
    "broken",
    [
        without_data,
        without_names,
        with_a_pointer_that_is_none,
        with_a_name_of_no_length,
        with_days_that_are_text,
        without_the_package,
    ],
)
async def test_policies_that_do_not_say_what_to_mask_mask_all_that_callers_add(
    folder: Path, broken: Callable[[Path], None]
) -> None:
    broken(folder)
    facts = OtherFacts.model_validate(
        {
            "subject": {"type": "user", "id": "alice"},
            "action": {"name": "open"},
            "resource": {"type": "door", "id": "front"},
            "context": {
                "time": 1.0,
                "network": {"address": "127.0.0.1"},
                "usage": {"window_seconds": 60.0, "requests": 0, "tokens": 0},
            },
            "claims": {"subject": {"role": "admin"}, "action": {}, "resource": {}, "context": {"note": SECRET}},
        }
    )
    async with deciding(locate_opa(os.environ), folder) as policies:
        log = LogPolicy(policies.engine, Nobody(), clock=time.monotonic)
        kept, masked = await log.kept("other", policies.revision, facts, facts.model_dump_json().encode())
        assert await log.retention() == {}
    assert masked == ["/claims/context/note", "/claims/subject/role"]
    assert SECRET.encode() not in kept


async def test_what_the_data_says_is_what_is_masked(folder: Path) -> None:
    put(folder, lambda terms: terms["masked_names"].update(password=False, colour=True))
    put(folder, lambda terms: terms["masked_pointers"].update(inference={"/context/network/address": True}))
    put(folder, lambda terms: terms["retention_days"].update(any=30, admin=7))
    allowed = next(one for one in load_examples() if (one.package, one.name) == ("inference", "allowed_trusted"))
    stated = {**allowed.input, "context": {**allowed.input["context"], "password": "x", "colour": "red"}}
    facts = InferenceFacts.model_validate(stated)
    async with deciding(locate_opa(os.environ), folder) as policies:
        log = LogPolicy(policies.engine, Nobody(), clock=time.monotonic)
        _, masked = await log.kept("inference", policies.revision, facts, facts.model_dump_json().encode())
        days = await log.retention()
    assert masked == ["/context/colour", "/context/network/address"]
    assert days == {**dict.fromkeys(FACTS, 30.0), "admin": 7.0}
