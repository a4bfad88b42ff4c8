"""Cerbos: the policy as rules of a resource with conditions in CEL; all attributes come in each request."""

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from benchmarks.load import encode
from benchmarks.peers.building import built
from benchmarks.peers.cases import ACTIONS, CLEARANCES, GRANTS, Asked, World
from benchmarks.peers.engine import Engine, answer_of, free_port, running

_CONDITION = (
    "P.attr.segment == R.attr.segment",
    "R.attr.sensitivity <= P.attr.clearance",
    "P.attr.trust >= R.attr.trust_minimum",
    "P.attr.time >= R.attr.opens",
    "P.attr.time < R.attr.closes",
)


def _policy() -> dict[str, object]:
    rules = [
        {
            "actions": [action],
            "effect": "EFFECT_ALLOW",
            "roles": [role for role, granted in GRANTS.items() if action in granted],
            "condition": {"match": {"all": {"of": [{"expr": one} for one in _CONDITION]}}},
        }
        for action in ACTIONS
    ]
    return {
        "apiVersion": "api.cerbos.dev/v1",
        "resourcePolicy": {"version": "default", "resource": "model", "rules": rules},
    }


def _encode(asked: Asked) -> bytes:
    party, model = asked.party, asked.model
    attributes = {
        "segment": party.segment,
        "clearance": CLEARANCES[party.role],
        "trust": party.trust,
        "time": asked.time,
    }
    resource = {"kind": "model", "id": model.name, "attr": model.attributes}
    question = {
        "requestId": "1",
        "principal": {"id": party.name, "roles": [party.role], "attr": attributes},
        "resources": [{"resource": resource, "actions": [asked.action]}],
    }
    return encode("/api/check/resources", json.dumps(question).encode(), {})


def _allowed(status: int, body: bytes) -> bool:
    if status != 200:
        return False
    [result] = json.loads(body)["results"]
    return list(result["actions"].values()) == ["EFFECT_ALLOW"]


@asynccontextmanager
async def cerbos(world: World, folder: Path) -> AsyncIterator[Engine]:
    """Run it with the policy of a world, without its audit log and telemetry.

    Raises:
        NotThere: it cannot be built, or does not start.
    """
    port, policies, settings = free_port(), folder / "policies", folder / "cerbos.yaml"
    policies.mkdir(parents=True)
    (policies / "model.yaml").write_text(json.dumps(_policy()))
    settings.write_text(
        json.dumps(
            {
                "server": {"httpListenAddr": f"127.0.0.1:{port}", "grpcListenAddr": f"127.0.0.1:{free_port()}"},
                "storage": {"driver": "disk", "disk": {"directory": str(policies), "watchForChanges": False}},
                "telemetry": {"disabled": True},
            }
        )
    )
    command = [str(built("cerbos")), "server", f"--config={settings}", "--log-level=error"]
    environment = {**os.environ, "CERBOS_NO_TELEMETRY": "1"}
    first = world.questions(1, 0)[0]

    async def _is_ready() -> bool:
        return (await answer_of(port, _encode(first)))[0] == 200

    async with running(command, environment, folder / "cerbos.log", _is_ready) as family:
        yield Engine(port, family, _encode, _allowed)
