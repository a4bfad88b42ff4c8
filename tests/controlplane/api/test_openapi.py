"""The OpenAPI document is valid, and says what the routes do."""

import inspect
import json
import re
from typing import Any

import pytest

from controlplane.api.application import ROUTES
from controlplane.api.openapi import document
from controlplane.api.problem_types import kinds_of, uri
from tests.docs.tables import EXAMPLES, OPENAPI, wire_models
from tests.docs.tables import contract as checked_in
from tests.docs.tables import examples as samples
from tests.support import Caller, ControlPlane


@pytest.fixture(scope="module")
def contract(plane: ControlPlane) -> Any:
    return plane.call("GET", "/openapi.json").expect(200)


def test_it_is_valid_openapi(contract: Any) -> None:
    validator = pytest.importorskip("openapi_spec_validator")
    validator.validate(contract)


def test_it_names_every_route_once(contract: Any) -> None:
    found = {(method.upper(), path) for path, methods in contract["paths"].items() for method in methods}
    assert found == {(route.method, route.path) for route in ROUTES}
    operations = [operation["operationId"] for methods in contract["paths"].values() for operation in methods.values()]
    assert len(set(operations)) == len(operations)


def test_every_reference_leads_somewhere(contract: Any) -> None:
    text = json.dumps(contract)
    for part in text.split('"$ref": "')[1:]:
        kind, name = part.split('"')[0].removeprefix("#/components/").split("/")
        assert name in contract["components"][kind]


def test_it_is_written_from_the_routes() -> None:
    assert document(ROUTES, "1.2.3")["info"]["version"] == "1.2.3"


def test_what_is_checked_in_is_what_is_served() -> None:
    assert OPENAPI.read_text() == checked_in(), "run: python -m tests.docs.tables"
    assert json.loads(EXAMPLES.read_text()) == samples(), "run: python -m tests.docs.tables"


def test_every_model_that_crosses_the_wire_has_an_example_that_fits(contract: Any) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    for model in wire_models():
        [example] = contract["components"]["schemas"][model.__name__]["examples"]
        schema = {"$ref": f"#/components/schemas/{model.__name__}", "components": contract["components"]}
        jsonschema.validate(example, schema)


def test_whoever_may_ask_is_said(contract: Any) -> None:
    schemes = set(contract["components"]["securitySchemes"])
    for route in ROUTES:
        ways = contract["paths"][route.path][route.method.lower()]["security"]
        assert bool(ways) is (route.proof or bool(route.scheme)), route.path
        assert {name for way in ways for name in way} <= schemes
        assert ({"person": []} in ways) is route.people


def test_a_route_that_people_may_use_is_one_that_asks_for_them() -> None:
    for route in ROUTES:
        source = inspect.getsource(route.responder)
        assert route.people is ("authenticate_administrator(" in source), route.path


def test_an_idempotent_route_takes_the_key_and_says_what_can_become_of_it(contract: Any) -> None:
    keyed = {route.path for route in ROUTES if route.idempotent}
    assert keyed >= {"/v1/capabilities", "/v1/rounds", "/v1/rounds/{id}/updates", "/v1/devices"}
    for route in ROUTES:
        source = inspect.getsource(route.responder)
        assert route.idempotent is ("repeats.once(" in source), route.path
        if route.idempotent:
            assert {400, 409, 422, 429, 503} <= set(route.problems)


def test_every_problem_status_names_its_kinds(contract: Any) -> None:
    for name, response in contract["components"]["responses"].items():
        for kind in kinds_of(int(name.removeprefix("Problem"))):
            assert uri(kind) in response["description"]


def test_what_comes_back_is_what_it_promises(contract: Any, plane: ControlPlane, consumer: Caller) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    size = {"prompt_tokens": 1, "max_output_tokens": 1}
    for reply, name in (
        (consumer.capability("inference", inference=size), "Capability"),
        (consumer.capability("model_access"), "Problem"),
        (plane.call("GET", "/nope"), "Problem"),
        (consumer.post("/v1/capabilities", {}), "Problem"),
    ):
        schema = {"$ref": f"#/components/schemas/{name}", "components": contract["components"]}
        jsonschema.validate(reply.json, schema)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_a_route_that_needs_a_proof_or_a_token_answers_401_without(plane: ControlPlane, route: Any) -> None:
    path = re.sub(r"\{(\w+)\}", lambda part: route.choices.get(part[1], ("any",))[0], route.path)
    reply = plane.call(route.method, path, {} if route.body else None)
    # RFC 9449 section 5: at the token endpoint a missing proof is 400.
    is_asked = reply.status == 401 or (path == "/oauth/token" and reply.json["error"] == "invalid_dpop_proof")
    is_closed = route.proof or bool(route.scheme)
    assert is_asked == is_closed
    assert not is_closed or 401 in route.problems
