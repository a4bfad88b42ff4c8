"""The OpenAPI document is valid, and says what the routes do."""

import json
from typing import Any

import pytest

from controlplane.api.application import ROUTES
from controlplane.api.openapi import document
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
    schemas = contract["components"]["schemas"]
    text = json.dumps(contract)
    for part in text.split('"$ref": "')[1:]:
        assert part.split('"')[0].removeprefix("#/components/schemas/") in schemas


def test_it_is_written_from_the_routes() -> None:
    assert document(ROUTES, "1.2.3")["info"]["version"] == "1.2.3"


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
def test_a_route_that_needs_a_proof_answers_401_without(plane: ControlPlane, route: Any) -> None:
    path = route.path.replace("{id}", "any")
    status = plane.call(route.method, path, {} if route.body else None).status
    assert (status == 401) == route.proof
    assert not route.proof or 401 in route.problems
