"""Raw OPA: the policy in Rego over an open API, with the facts in each request."""

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from benchmarks.load import encode
from benchmarks.peers.cases import Asked, World
from benchmarks.peers.engine import Engine, answer_of, free_port, running
from controlplane.sidecar.locate import locate_opa

RULES = Path(__file__).resolve().parent / "rules" / "peers.rego"
_PATH = "/v1/data/ztfm/lib/peers/allowed"


def facts(asked: Asked) -> dict[str, object]:
    """Return a question as our control plane puts it to its OPA, less what this policy does not look at."""
    party = asked.party
    properties = {"roles": [party.role], "segment": party.segment, "trust": {"score": party.trust}}
    return {
        "subject": {"type": "device", "id": party.name, "properties": properties},
        "action": {"name": asked.action},
        "resource": {"type": "model", "id": asked.model.name},
        "context": {"time": asked.time},
    }


def lay_out(world: World, folder: Path) -> None:
    """Write rules and data into a folder of policies."""
    rules, data = folder / "ztfm" / "lib" / "peers", folder / "data" / "peers"
    for made in (rules, data):
        made.mkdir(parents=True, exist_ok=True)
    (rules / RULES.name).write_text(RULES.read_text())
    (data / "data.json").write_text(json.dumps(world.data()))


def _encode(asked: Asked) -> bytes:
    return encode(_PATH, json.dumps({"input": facts(asked)}).encode(), {})


def _allowed(status: int, body: bytes) -> bool:
    return status == 200 and json.loads(body).get("result") is True


@asynccontextmanager
async def opa(world: World, folder: Path) -> AsyncIterator[Engine]:
    """Run it with the policy of a world."""
    port = free_port()
    lay_out(world, folder / "policies")
    command = [str(locate_opa(os.environ).path), "run", "--server", "--addr", f"127.0.0.1:{port}", "--log-level=error"]
    command += ["--optimize-store-for-read-speed", "--skip-version-check", str(folder / "policies")]
    first = world.questions(1, 0)[0]

    async def _is_ready() -> bool:
        return (await answer_of(port, _encode(first)))[0] == 200

    async with running(command, os.environ, folder / "opa.log", _is_ready) as family:
        yield Engine(port, family, _encode, _allowed)
