"""Weights that are sealed, handed out by shards and opened on attested devices: the example, from end to end."""

import asyncio
import json
import shutil
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from aiohttp import web

from adapters.errors import Forbidden
from adapters.member import Member
from adapters.sealed.opening import SealedWeights
from adapters.sealed.sealing import seal_weights
from controlplane.confidentiality.hpke import PrivateReleaseKey
from examples.sealed_weights import MODEL, build_app, open_as
from tests.adapters.sealed.weights import GROUPS, secrets_of, write_weights
from tests.controlplane.attestations import attested
from tests.policies.support import POLICIES
from tests.support import DIGEST, SEGMENTS, Caller, ControlPlane, running

SERVED = {"adapter": {"serving": {"consumer": True}}, "encoder": {"serving": {"consumer": True}}}


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane whose policy gives consumers two shards of three."""
    policies = tmp_path_factory.mktemp("sealed") / "policies"
    shutil.copytree(POLICIES, policies)
    resources, secrets = (policies / "data" / name / "data.json" for name in ("resources", "secrets"))
    models, keys = json.loads(resources.read_text()), json.loads(secrets.read_text())
    models[MODEL]["shards"] = {**SERVED, "head": {"training": {"trainer": True}}}
    for shard in GROUPS:
        keys[f"{MODEL}/{shard}"] = {**keys[f"{MODEL}/weights"], "shard": {"model": MODEL, "name": shard}}
    resources.write_text(json.dumps(models))
    secrets.write_text(json.dumps(keys))
    with running(policies=policies) as found:
        keeper = found.enrol("administrator")
        for shard, value in secrets_of(MODEL).items():
            found.run(found.services.confidentiality.secrets.register(f"{MODEL}/{shard}", value, keeper.id))
        yield found


@asynccontextmanager
async def serving(folder: Path, sealed: Path) -> AsyncIterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        runner = web.AppRunner(build_app(folder, sealed, url))
        await runner.setup()
        await web.SockSite(runner, listener).start()
        yield url
        await runner.cleanup()


def enrolled(plane: ControlPlane, folder: Path, role: str) -> Member:
    return Member.enrol(folder, plane.url, plane.token([role], SEGMENTS[role]), roles=[role], segment=SEGMENTS[role])


async def test_a_device_gets_and_opens_what_its_capability_names_once_its_platform_is_proven(
    plane: ControlPlane, tmp_path: Path
) -> None:
    values = write_weights(tmp_path / "plain.safetensors")
    sealed = tmp_path / "weights.sealed"
    names = {"model": MODEL, "round_id": "2026.1", "policy_revision": "rev-1"}
    seal_weights(tmp_path / "plain.safetensors", sealed, GROUPS, secrets_of(MODEL), **names)  # type: ignore[arg-type]
    key = PrivateReleaseKey.generate()
    with ExitStack() as stack:
        stack.enter_context(enrolled(plane, tmp_path / "gateway", "gateway"))
        device = stack.enter_context(enrolled(plane, tmp_path / "consumer", "consumer"))
        async with serving(tmp_path / "gateway", sealed) as url:
            with pytest.raises(Forbidden, match="release_key_bound"):
                await asyncio.to_thread(open_as, device, key, url, DIGEST, tmp_path / "opened")
            attested(Caller(plane, device.key, device.id), key.public)
            opened = await asyncio.to_thread(open_as, device, key, url, DIGEST, tmp_path / "opened")
            with pytest.raises(HTTPError, match="401"):
                await asyncio.to_thread(urlopen, f"{url}/v1/weights/{DIGEST}", timeout=10)
    assert set(opened) == {name for name in values if not name.startswith("head.")}
    with SealedWeights(tmp_path / "opened.sealed") as few:
        assert few.preamble.present == {"adapter", "encoder"}
    assert (tmp_path / "opened.sealed").stat().st_size < sealed.stat().st_size
