"""``/openapi.json``: the contract, written from the table of routes and the pydantic models."""

import inspect
import json
import re
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from http import HTTPStatus
from importlib.resources import files
from typing import Any

from aiohttp import web
from pydantic.json_schema import models_json_schema

from controlplane.api.idempotency import HEADER, KEY_PATTERN, REPLAYED_HEADER
from controlplane.api.problem_types import PROBLEM_TYPES, kinds_of, uri
from controlplane.api.routing import Parameter, Responder, Route
from controlplane.contracts.base import StrictModel
from controlplane.contracts.problem import Problem

_SCHEMA = "#/components/schemas/{model}"
_PROBLEM_TYPE = "application/problem+json"
_ANY_NAME = {"type": "string", "minLength": 1, "maxLength": 128}
_PLACE = re.compile(r"\{(\w+)\}")

ENROLLED: tuple[dict[str, list[str]], ...] = (
    {"keyProof": []},
    {"accessToken": [], "keyProof": []},
    {"clientCertificate": []},
)
"""How an enrolled subject says who it is; one of these (`authentication.METHODS`)."""

TAGS: dict[str, str] = {
    "capabilities": "Ask for what the policy allows, and get it for seconds to minutes.",
    "devices": "Enrol a key, look how a device stands, set it apart.",
    "rounds": "Open a round of a federation, and report the updates that were submitted.",
    "decisions": "Why something was allowed or denied.",
    "AuthZEN": "The Authorization API 1.0, for enforcement points that speak the standard.",
    "OAuth": "Token exchange, introspection and revocation, for clients that speak OAuth 2.0.",
    "exceptions": "Waive a few requirements for one subject, resource and action, for a time.",
    "alerts": "Tell of alerts, see what policy holds because of them, and release it.",
    "policies": "See what decides, publish, and go back.",
    "signing keys": "Rotate and withdraw the keys that sign capabilities.",
    "attestation": "Prove what one's platform runs, and see what was proven.",
    "secrets": "Keys of models and data, released to attested platforms alone.",
    "segmentation": "Where devices are on the network, and what their capabilities open there.",
    "identifiers": "What DIDs and names of devices stand for.",
    "revocation": "Learn within a second what is void.",
    "console": "Sign in to the console, and out of it.",
    "metadata": "What anybody may read: keys, endpoints, health.",
}

_TAG_OF = {
    "/v1/capabilities": "capabilities",
    "/v1/devices": "devices",
    "/v1/enrolment-tokens": "devices",
    "/v1/certificates": "devices",
    "/v1/svids": "devices",
    "/v1/rounds": "rounds",
    "/v1/decisions": "decisions",
    "/v1/keys": "signing keys",
    "/v1/exceptions": "exceptions",
    "/v1/alerts": "alerts",
    "/v1/holds": "alerts",
    "/v1/policies": "policies",
    "/v1/attestations": "attestation",
    "/v1/secrets": "secrets",
    "/v1/segments": "segmentation",
    "/v1/identifiers": "identifiers",
    "/v1/events": "revocation",
    "/v1/status-lists": "revocation",
    "/v1/console": "console",
    "/access": "AuthZEN",
    "/oauth": "OAuth",
}

_SECURITY_SCHEMES: dict[str, Any] = {
    "keyProof": {
        "type": "apiKey",
        "in": "header",
        "name": "DPoP",
        "description": "A DPoP proof (RFC 9449) by the enrolled P-256 key, for this method and URL, used once.",
    },
    "accessToken": {
        "type": "http",
        "scheme": "DPoP",
        "description": "An access token of `/oauth/token` for this API, with a proof that bears its hash.",
    },
    "clientCertificate": {
        "type": "mutualTLS",
        "description": "A TLS connection that is made with a client certificate of the enrolled key (RFC 8705).",
    },
    "person": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A person's token of the identity provider (OpenID Connect) that the operator configured.",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "__Host-ztfm",
        "description": "Who is signed in to the console; `ztfm` over plain HTTP on loopback. "
        "Anything but a GET comes with `X-ZTFM-Console: 1`.",
    },
    "alertsToken": {
        "type": "http",
        "scheme": "bearer",
        "description": "What the alerts' token file of the control plane holds; it opens this route alone.",
    },
}

_HEADERS: dict[str, Any] = {
    "RequestId": {"description": "The caller's own `X-Request-ID`, back again.", "schema": {"type": "string"}},
    "RetryAfter": {"description": "Seconds to wait.", "schema": {"type": "string", "pattern": "^[0-9]+$"}},
    "Challenge": {"description": "What is accepted (RFC 9110, RFC 9449).", "schema": {"type": "string"}},
    "Nonce": {"description": "To be borne by the next proof (RFC 9449 section 8.2).", "schema": {"type": "string"}},
    "Replayed": {"description": "This answer was given before.", "schema": {"type": "string", "const": "true"}},
}

_PARAMETERS: dict[str, Any] = {
    "RequestId": {
        "name": "X-Request-ID",
        "in": "header",
        "description": "A name of the caller's for this request: up to 1024 visible characters come back.",
        "schema": {"type": "string"},
    },
    "IdempotencyKey": {
        "name": HEADER,
        "in": "header",
        "description": "Makes sending the same request again safe for ten minutes.",
        "schema": {"type": "string", "pattern": KEY_PATTERN, "maxLength": 128},
    },
}


def document(routes: Iterable[Route], version: str) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of ``routes``."""
    listed = list(routes)
    paths: dict[str, dict[str, Any]] = {}
    for route in listed:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    statuses = sorted({status for route in listed if route.error is Problem for status in route.problems})
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "ZTFM control plane",
            "version": version,
            "summary": "Zero trust for federated foundation models.",
            "description": "Rego decides; this API gathers the facts, mints capabilities and records decisions.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": _schemas(listed),
            "parameters": _PARAMETERS,
            "headers": _HEADERS,
            "responses": {f"Problem{status}": _problem(status) for status in statuses},
            "securitySchemes": _SECURITY_SCHEMES,
        },
    }


def _schemas(routes: Collection[Route]) -> dict[str, Any]:
    models: set[type[StrictModel]] = {Problem}
    for route in routes:
        models.update(model for model in (route.body, route.error, *route.replies.values()) if model is not None)
    ordered = sorted(models, key=lambda model: model.__name__)
    _, definitions = models_json_schema([(model, "validation") for model in ordered], ref_template=_SCHEMA)
    schemas: dict[str, Any] = _tidy(definitions.get("$defs", {}))
    for form in {route.body for route in routes if route.body and route.body_type != "application/json"}:
        schemas[form.__name__] = _form(schemas[form.__name__])
    for model in ordered:
        found = examples().get(model.__name__)
        if found is not None:
            schemas[model.__name__]["examples"] = [found]
    schemas["Problem"]["properties"]["type"]["examples"] = [uri(kind) for kind in PROBLEM_TYPES]
    return schemas


def _form(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a form: each parameter comes once, as text, or is left out; without a value it is."""
    properties = {
        name: next((item for item in field.get("anyOf", ()) if item != {"type": "null"}), field)
        for name, field in schema["properties"].items()
    }
    for name in schema.get("required", ()):
        properties[name] = {"minLength": 1, **properties[name]}
    return {**schema, "properties": properties, "additionalProperties": {"type": "string"}}


def _tidy(node: Any, *, names: bool = True) -> Any:
    """Return a schema without what says nothing: titles made of names, and a null for what may be left out.

    Args:
        node: a schema, or a part of one.
        names: the keys of ``node`` are names of properties or models, and no words of JSON Schema.
    """
    if isinstance(node, list):
        return [_tidy(item, names=False) for item in node]
    if not isinstance(node, dict):
        return node
    if names:
        return {name: _tidy(value, names=False) for name, value in node.items()}
    kept = {
        word: value
        for word, value in node.items()
        if not (word == "title" and isinstance(value, str)) and not (word == "default" and value is None)
    }
    return {word: _tidy(value, names=word == "properties") for word, value in kept.items()}


@lru_cache(maxsize=1)
def examples() -> Mapping[str, Any]:
    """Return an example of each model that crosses the wire, by its name."""
    found: dict[str, Any] = json.loads(files("controlplane.contracts").joinpath("examples.json").read_text("utf-8"))
    return found


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": route.summary,
        "description": _description(route.responder),
        "operationId": route.responder.__name__,
        "tags": [_tag(route.path)],
        "parameters": _parameters(route),
        "responses": {
            **{str(status): _success(route, status, model) for status, model in route.replies.items()},
            **{str(status): _failure(route, status) for status in route.problems},
        },
    }
    if route.body is not None:
        content = {route.body_type: {"schema": _reference(route.body)}}
        operation["requestBody"] = {"required": True, "content": content}
    elif route.body_type != "application/json":
        whole = {"schema": {"type": "string", "contentMediaType": route.body_type}}
        operation["requestBody"] = {"required": True, "content": {route.body_type: whole}}
    operation["security"] = _security(route)
    return operation


def _tag(path: str) -> str:
    return next((tag for prefix, tag in _TAG_OF.items() if path.startswith(prefix)), "metadata")


def _description(responder: Responder) -> str:
    """Return what a responder's docstring says to callers: all but what it takes, returns and raises."""
    kept = []
    for paragraph in inspect.cleandoc(responder.__doc__ or "").split("\n\n"):
        if paragraph.startswith(("Args:", "Returns:", "Raises:")):
            break
        kept.append(" ".join(paragraph.split()).replace("``", "`"))
    return "\n\n".join(kept)


def _parameters(route: Route) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for name in _PLACE.findall(route.path):
        values = route.choices.get(name)
        schema = {"type": "string", "enum": list(values)} if values else _ANY_NAME
        found.append({"name": name, "in": "path", "required": True, "schema": schema})
    found += [_parameter(parameter) for parameter in route.parameters]
    if route.idempotent:
        found.append({"$ref": "#/components/parameters/IdempotencyKey"})
    return [*found, {"$ref": "#/components/parameters/RequestId"}]


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": parameter.place,
        "description": parameter.text,
        **({"required": True} if parameter.required else {}),
        "schema": dict(parameter.schema),
    }


def _security(route: Route) -> list[dict[str, Any]]:
    if route.scheme:
        return [{route.scheme: []}]
    if not route.proof:
        return []
    if (route.method, route.path) == ("POST", "/v1/devices"):
        return [{"keyProof": []}]
    return [*ENROLLED, *([{"person": []}, {"session": []}] if route.people else [])]


def _success(route: Route, status: int, model: type[StrictModel] | None) -> dict[str, Any]:
    headers = _headers("RequestId", *(["Nonce"] if route.proof else []), *(["Replayed"] if route.idempotent else []))
    response: dict[str, Any] = {"description": HTTPStatus(status).phrase, "headers": headers}
    if route.media_type and status != HTTPStatus.NOT_MODIFIED:
        response["content"] = {route.media_type: {"schema": _schema_of(route, model)}}
    return response


_STREAM: dict[str, Any] = {
    "description": "Each event of the stream.",
    "type": "object",
    "properties": {"id": {"type": "string"}, "event": {"type": "string"}, "data": {"type": "string"}},
    "required": ["event", "data"],
}


def _schema_of(route: Route, model: type[StrictModel] | None) -> dict[str, Any]:
    if model is not None:
        return _reference(model)
    if route.media_type == "text/event-stream":
        return _STREAM
    return {"type": "object" if route.media_type.endswith("json") else "string"}


def _failure(route: Route, status: int) -> dict[str, Any]:
    if route.error is Problem:
        return {"$ref": f"#/components/responses/Problem{status}"}
    content = {"application/json": {"schema": _reference(route.error)}}
    return {"description": HTTPStatus(status).phrase, "headers": _failure_headers(status), "content": content}


def _problem(status: int) -> dict[str, Any]:
    kinds = kinds_of(status)
    titles = [f"`{uri(kind)}`: {PROBLEM_TYPES[kind].title}." for kind in kinds]
    known = PROBLEM_TYPES[kinds[0]]
    example = {"type": uri(kinds[0]), "title": known.title, "status": status, "detail": known.remedy}
    return {
        "description": " ".join(titles),
        "headers": _failure_headers(status),
        "content": {_PROBLEM_TYPE: {"schema": _reference(Problem), "example": example}},
    }


def _failure_headers(status: int) -> dict[str, Any]:
    challenge = ["Challenge", "Nonce"] if status == 401 else []
    return _headers("RequestId", *challenge, *(["RetryAfter"] if status in {429, 503} else []))


_NAMES = {
    "RequestId": "X-Request-ID",
    "RetryAfter": "Retry-After",
    "Challenge": "WWW-Authenticate",
    "Nonce": "DPoP-Nonce",
    "Replayed": REPLAYED_HEADER,
}


def _headers(*names: str) -> dict[str, Any]:
    return {_NAMES[name]: {"$ref": f"#/components/headers/{name}"} for name in names}


def _reference(model: type[StrictModel]) -> dict[str, str]:
    return {"$ref": _SCHEMA.format(model=model.__name__)}


def serve(body: dict[str, Any]) -> Responder:
    """Return the responder that serves a document."""
    text = json.dumps(body)

    async def openapi(_request: web.Request) -> web.Response:
        """The contract."""
        return web.Response(text=text, content_type="application/json", headers={"Cache-Control": "max-age=300"})

    return openapi
