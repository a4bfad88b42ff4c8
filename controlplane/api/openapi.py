"""``/openapi.json``: the contract, written from the table of routes and the pydantic models."""

import json
from collections.abc import Iterable
from typing import Any

from aiohttp import web
from pydantic.json_schema import models_json_schema

from controlplane.api.routing import Responder, Route
from controlplane.contracts.base import StrictModel
from controlplane.contracts.problem import Problem

_REFERENCE = "#/components/schemas/{model}"


def document(routes: Iterable[Route], version: str) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of ``routes``."""
    listed = list(routes)
    models: set[type[StrictModel]] = {Problem}
    for route in listed:
        models.update(model for model in (route.body, *route.replies.values()) if model is not None)
    ordered = sorted(models, key=lambda model: model.__name__)
    _, definitions = models_json_schema([(model, "validation") for model in ordered], ref_template=_REFERENCE)
    paths: dict[str, dict[str, Any]] = {}
    for route in listed:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "ZTFM control plane",
            "version": version,
            "description": "Rego decides; this API gathers the facts, mints capabilities and records decisions.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": definitions.get("$defs", {}),
            "securitySchemes": {
                "deviceProof": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "DPoP",
                    "description": "RFC 9449 proof signed by the enrolled P-256 key, for this method and URL.",
                }
            },
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": route.summary,
        "operationId": route.responder.__name__,
        "responses": {str(status): _success(model) for status, model in route.replies.items()},
    }
    for status in route.problems:
        operation["responses"][str(status)] = {
            "description": "Problem",
            "content": {"application/problem+json": {"schema": _reference(Problem)}},
        }
    if route.body is not None:
        content = {"application/json": {"schema": _reference(route.body)}}
        operation["requestBody"] = {"required": True, "content": content}
    if "{id}" in route.path:
        operation["parameters"] = [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}]
    if route.proof:
        operation["security"] = [{"deviceProof": []}]
    return operation


def _success(model: type[StrictModel] | None) -> dict[str, Any]:
    if model is None:
        return {"description": "Success"}
    return {"description": "Success", "content": {"application/json": {"schema": _reference(model)}}}


def _reference(model: type[StrictModel]) -> dict[str, str]:
    return {"$ref": _REFERENCE.format(model=model.__name__)}


def serve(body: dict[str, Any]) -> Responder:
    """Return the responder that serves a document."""
    text = json.dumps(body)

    async def openapi(_request: web.Request) -> web.Response:
        """The contract."""
        return web.Response(text=text, content_type="application/json")

    return openapi
