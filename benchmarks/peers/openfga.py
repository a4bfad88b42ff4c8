"""OpenFGA: roles are relations, and what a model asks for is the condition of its grants; the store is in memory."""

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from benchmarks.load import encode
from benchmarks.peers.building import built
from benchmarks.peers.cases import ACTIONS, CLEARANCES, GRANTS, Asked, World
from benchmarks.peers.engine import Engine, NotThere, answer_of, free_port, running

_EXPRESSION = (
    "segment == wanted_segment && sensitivity <= clearance && trust >= trust_minimum && time >= opens && time < closes"
)
_TEXTS = ("segment", "wanted_segment")
_NUMBERS = ("sensitivity", "clearance", "trust", "trust_minimum", "time", "opens", "closes")
_AT_ONCE = 50


def _model() -> dict[str, object]:
    types = {name: {"type_name": "TYPE_NAME_STRING"} for name in _TEXTS}
    types |= {name: {"type_name": "TYPE_NAME_DOUBLE"} for name in _NUMBERS}
    granted = [{"type": "role", "relation": "member", "condition": "fits"}]
    return {
        "schema_version": "1.1",
        "type_definitions": [
            {"type": "device"},
            {
                "type": "role",
                "relations": {"member": {"this": {}}},
                "metadata": {"relations": {"member": {"directly_related_user_types": [{"type": "device"}]}}},
            },
            {
                "type": "model",
                "relations": {action: {"this": {}} for action in ACTIONS},
                "metadata": {"relations": {action: {"directly_related_user_types": granted} for action in ACTIONS}},
            },
        ],
        "conditions": {"fits": {"name": "fits", "expression": _EXPRESSION, "parameters": types}},
    }


def _relations(world: World) -> list[dict[str, Any]]:
    members = [
        {"user": f"device:{one.name}", "relation": "member", "object": f"role:{one.role}"} for one in world.parties
    ]
    grants = [
        {
            "user": f"role:{role}#member",
            "relation": action,
            "object": f"model:{model.name}",
            "condition": {
                "name": "fits",
                "context": {
                    "wanted_segment": model.segment,
                    "sensitivity": model.sensitivity,
                    "trust_minimum": model.trust_minimum,
                    "opens": model.opens,
                    "closes": model.closes,
                },
            },
        }
        for model in world.models
        for role, actions in GRANTS.items()
        for action in sorted(actions)
    ]
    return members + grants


def _question(asked: Asked, model: str) -> dict[str, object]:
    party = asked.party
    return {
        "tuple_key": {
            "user": f"device:{party.name}",
            "relation": asked.action,
            "object": f"model:{asked.model.name}",
        },
        "authorization_model_id": model,
        "context": {
            "segment": party.segment,
            "clearance": CLEARANCES[party.role],
            "trust": party.trust,
            "time": asked.time,
        },
    }


def _allowed(status: int, body: bytes) -> bool:
    return status == 200 and json.loads(body).get("allowed") is True


async def _post(port: int, path: str, body: object) -> dict[str, Any]:
    status, answer = await answer_of(port, encode(path, json.dumps(body).encode(), {}))
    if status not in {200, 201}:
        raise NotThere(f"it refuses {path.rpartition('/')[2]} with {status}: {answer.decode()[:200]}")
    found: dict[str, Any] = json.loads(answer)
    return found


@asynccontextmanager
async def openfga(world: World, folder: Path) -> AsyncIterator[Engine]:
    """Run it with the relations of a world, without its playground, log and metrics.

    Raises:
        NotThere: it cannot be built, does not start, or refuses the model.
    """
    port = free_port()
    command = [str(built("openfga")), "run", "--http-addr", f"127.0.0.1:{port}", "--log-level", "none"]
    command += ["--grpc-addr", f"127.0.0.1:{free_port()}", "--playground-enabled=false", "--metrics-enabled=false"]

    async def _is_ready() -> bool:
        return (await answer_of(port, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"))[0] == 200

    async with running(command, os.environ, folder / "openfga.log", _is_ready) as family:
        store = (await _post(port, "/stores", {"name": "peers"}))["id"]
        model = (await _post(port, f"/stores/{store}/authorization-models", _model()))["authorization_model_id"]
        relations = _relations(world)
        for at in range(0, len(relations), _AT_ONCE):
            writes = {"tuple_keys": relations[at : at + _AT_ONCE]}
            await _post(port, f"/stores/{store}/write", {"writes": writes, "authorization_model_id": model})

        def _encoded(asked: Asked) -> bytes:
            return encode(f"/stores/{store}/check", json.dumps(_question(asked, model)).encode(), {})

        yield Engine(port, family, _encoded, _allowed)
