"""``/docs``: the contract as one page that needs nothing else: no script, no other host, no cookie."""

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from html import escape
from importlib.resources import files
from typing import Any

from aiohttp import web

from controlplane.api.problem_types import PROBLEM_TYPES, uri
from controlplane.api.routing import Responder

Node = Mapping[str, Any]

_ACCEPTED = {
    "keyProof": "DPoP proof",
    "accessToken": "access token with proof",
    "clientCertificate": "client certificate",
    "person": "person's token",
    "session": "session of the console",
    "alertsToken": "token of the alerts",
}


def render(document: Node) -> str:
    """Return the HTML page of an OpenAPI document."""
    about = document["info"]
    title = escape(f"{about['title']} {about['version']}")
    body = "\n".join([*_introduction(document), *_operations(document), *_problems(), *_models(document)])
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>{style()}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


@lru_cache(maxsize=1)
def style() -> str:
    """Return the page's style sheet."""
    return files("controlplane.api").joinpath("reference.css").read_text("utf-8")


def policy() -> str:
    """Return the page's content security policy: its own style by hash, and nothing else at all."""
    digest = base64.b64encode(hashlib.sha256(style().encode()).digest()).decode()
    closed = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    return f"{closed}; style-src 'sha256-{digest}'"


def _introduction(document: Node) -> Iterator[str]:
    about = document["info"]
    yield f"<header><h1>{escape(about['title'])}</h1>"
    yield f'<p class="said">{escape(about["version"])} · {escape(about["license"]["name"])}</p>'
    yield f'<p>{escape(about["description"])} The contract itself is <a href="/openapi.json">/openapi.json</a>.</p>'
    yield '</header><nav aria-label="Parts"><ul>'
    names = [tag["name"] for tag in document["tags"]]
    for name in [*names, "Problems", "Models"]:
        yield f'<li><a href="#{_anchor(name)}">{escape(name)}</a></li>'
    yield "</ul></nav><h2>Who you are</h2><table><thead><tr><th>way</th><th>what it is</th></tr></thead><tbody>"
    for name, scheme in document["components"]["securitySchemes"].items():
        yield f"<tr><td>{escape(_ACCEPTED[name])}</td><td>{_text(scheme['description'])}</td></tr>"
    yield "</tbody></table>"


def _operations(document: Node) -> Iterator[str]:
    for tag in document["tags"]:
        yield f'<h2 id="{_anchor(tag["name"])}">{escape(tag["name"])}</h2><p>{_text(tag["description"])}</p>'
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                if tag["name"] in operation["tags"]:
                    yield from _operation(document, method, path, operation)


def _operation(document: Node, method: str, path: str, operation: Node) -> Iterator[str]:
    yield f'<details id="call-{escape(operation["operationId"])}"><summary><span class="method {method}">'
    yield f"{method.upper()}</span><code>{escape(path)}</code> {_text(operation['summary'])}</summary>"
    for paragraph in operation["description"].split("\n\n"):
        yield f"<p>{_text(paragraph)}</p>"
    ways = [" and ".join(_ACCEPTED[name] for name in way) for way in operation["security"]]
    yield f'<p class="said">Accepts: {escape(", or ".join(ways) or "anybody")}.</p>'
    yield from _parameters(document, operation["parameters"])
    if "requestBody" in operation:
        yield "<h4>Request</h4>"
        yield from _content(document, operation["requestBody"]["content"])
    yield "<h4>Answers</h4><table><thead><tr><th>status</th><th>what</th></tr></thead><tbody>"
    for status, response in operation["responses"].items():
        found = _followed(document, response)
        links = " ".join(_link(content["schema"]) for content in found.get("content", {}).values())
        yield f"<tr><td><code>{escape(status)}</code></td><td>{_text(found['description'])} {links}</td></tr>"
    yield "</tbody></table></details>"


def _parameters(document: Node, listed: list[Node]) -> Iterator[str]:
    yield "<h4>Parameters</h4><table><thead><tr><th>name</th><th>where</th><th>what</th></tr></thead><tbody>"
    for item in listed:
        found = _followed(document, item)
        text = found.get("description", _said(found["schema"]))
        yield f"<tr><td><code>{escape(found['name'])}</code></td><td>{found['in']}</td><td>{_text(text)}</td></tr>"
    yield "</tbody></table>"


def _content(document: Node, content: Node) -> Iterator[str]:
    for media_type, item in content.items():
        yield f"<p><code>{escape(media_type)}</code> {_link(item['schema'])}</p>"
        for example in _followed(document, item["schema"]).get("examples", [])[:1]:
            yield f"<pre>{escape(json.dumps(example, indent=2, ensure_ascii=False))}</pre>"


def _problems() -> Iterator[str]:
    yield '<h2 id="problems">Problems</h2>'
    yield "<p>Errors are <code>application/problem+json</code>; switch on <code>type</code>.</p>"
    for kind, known in PROBLEM_TYPES.items():
        statuses = ", ".join(map(str, known.statuses)) or "400 to 599"
        yield f'<details id="problem-{kind}"><summary><code>{kind}</code> {statuses} · {escape(known.title)}</summary>'
        yield f"<p><code>{escape(uri(kind))}</code></p><p>{_text(known.cause)}</p><p><strong>Remedy.</strong> "
        yield f'{_text(known.remedy)}</p><p class="said">Try again: {_text(known.retry)}.</p></details>'


def _models(document: Node) -> Iterator[str]:
    yield '<h2 id="models">Models</h2>'
    for name, schema in document["components"]["schemas"].items():
        yield f'<details id="model-{escape(name)}"><summary><code>{escape(name)}</code></summary>'
        for paragraph in schema.get("description", "").partition("\n\nAttributes:")[0].split("\n\n"):
            yield f"<p>{_text(' '.join(paragraph.split()))}</p>"
        yield from _fields(schema)
        yield "</details>"


def _fields(schema: Node) -> Iterator[str]:
    if not schema.get("properties"):
        yield f"<p>{_said(schema)}</p>"
        return
    required = set(schema.get("required", []))
    yield "<table><thead><tr><th>name</th><th>type</th><th></th></tr></thead><tbody>"
    for name, field in schema["properties"].items():
        needed = "required" if name in required else ""
        yield f'<tr><td><code>{escape(name)}</code></td><td>{_said(field)}</td><td class="said">{needed}</td></tr>'
    yield "</tbody></table>"


def _said(schema: Any) -> str:
    """Return the type of a schema in a few words, as HTML."""
    if not isinstance(schema, Mapping):
        return "anything" if schema else "nothing"
    if "$ref" in schema:
        return _link(schema)
    if "const" in schema:
        return f"<code>{escape(json.dumps(schema['const']))}</code>"
    if "enum" in schema:
        return " or ".join(f"<code>{escape(json.dumps(value))}</code>" for value in schema["enum"])
    options = [item for item in (*schema.get("anyOf", ()), *schema.get("oneOf", ())) if item != {"type": "null"}]
    if options:
        return " or ".join(dict.fromkeys(map(_said, options)))
    if schema.get("type") == "array":
        return f"list of {_said(schema.get('items', True))}{_bounds(schema)}"
    return escape(str(schema.get("type", "anything"))) + _bounds(schema)


_BOUNDS = {
    "minimum": "≥",
    "exclusiveMinimum": ">",
    "maximum": "≤",
    "exclusiveMaximum": "<",
    "minLength": "length ≥",
    "maxLength": "length ≤",
    "minItems": "items ≥",
    "maxItems": "items ≤",
    "pattern": "like",
}


def _bounds(schema: Node) -> str:
    found = [f"{sign} <code>{escape(str(schema[word]))}</code>" for word, sign in _BOUNDS.items() if word in schema]
    return f", {', '.join(found)}" if found else ""


def _link(schema: Any) -> str:
    name = str(schema.get("$ref", "")).rpartition("/")[2] if isinstance(schema, Mapping) else ""
    return f'<a href="#model-{escape(name)}">{escape(name)}</a>' if name else ""


def _followed(document: Node, node: Node) -> Node:
    """Return what a local reference leads to."""
    found: Any = node
    while "$ref" in found:
        reference = found["$ref"]
        found = document
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]
    return found  # type: ignore[no-any-return]


def _text(text: str) -> str:
    """Return a sentence as HTML; what stands between back-ticks is code."""
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if index % 2 else part for index, part in enumerate(parts))


def _anchor(name: str) -> str:
    return escape(name.lower().replace(" ", "-"))


def serve(document: Node) -> Responder:
    """Return the responder that serves the page of a document."""
    text = render(document)
    headers = {
        "Content-Security-Policy": policy(),
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "max-age=300",
    }

    async def docs(_request: web.Request) -> web.Response:
        """The contract, to read."""
        return web.Response(text=text, content_type="text/html", charset="utf-8", headers=headers)

    return docs
