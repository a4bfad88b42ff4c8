"""What an operator is told of an OPA that runs: never that it can decide when it cannot."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from controlplane.sidecar import OpaBinary, Sidecar, SidecarOptions
from controlplane.sidecar.folders import beside
from controlplane.sidecar.management import Condition, look
from tests.servers.ports import free_port


@pytest.fixture
async def listening(opa: OpaBinary, bundle: bytes, short: Path) -> AsyncIterator[tuple[Sidecar, str]]:
    address = f"127.0.0.1:{free_port()}"
    sidecar = Sidecar(SidecarOptions(opa, short, beside(), address))
    sidecar.offer("base", bundle)
    await sidecar.start()
    yield sidecar, f"http://{address}"
    await sidecar.stop()


async def decided(url: str, token: str) -> Condition:
    """Return the condition once OPA has had time to activate its bundle."""
    for _ in range(100):
        condition = await asyncio.to_thread(look, url, token)
        if not condition.trouble:
            break
        await asyncio.sleep(0.05)
    return condition


async def test_an_opa_that_decides_names_its_revision_and_its_modules(listening: tuple[Sidecar, str]) -> None:
    sidecar, url = listening
    condition = await decided(url, sidecar.token)
    assert condition.trouble == ""
    assert condition.is_healthy
    assert "." in condition.policy_revision
    assert any(module.endswith("batch.rego") for module in condition.policies)


async def test_a_wrong_token_is_said_and_nothing_is_told(listening: tuple[Sidecar, str]) -> None:
    sidecar, url = listening
    await decided(url, sidecar.token)
    condition = await asyncio.to_thread(look, url, "guessed")
    assert condition == Condition(condition.is_healthy, "", (), "it refuses the token")


def test_nobody_listening_is_no_health() -> None:
    assert look(f"http://127.0.0.1:{free_port()}", "any") == Condition(False, "", (), "it does not answer")


@pytest.mark.parametrize("url", ["127.0.0.1:8181", "unix:///tmp/opa.sock", "http://", "ftp://host"])
def test_what_is_no_http_url_is_an_error(url: str) -> None:
    with pytest.raises(ValueError, match="URL"):
        look(url, "any")


async def test_the_command_tells_the_same_and_exits_accordingly(listening: tuple[Sidecar, str], tmp_path: Path) -> None:
    sidecar, url = listening
    await decided(url, sidecar.token)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ZTFM_")}
    wrong = tmp_path / "wrong"
    wrong.write_text("guessed")

    def status(token_file: Path) -> subprocess.CompletedProcess[str]:
        command = ["sidecar", "status", "--url", url, "--token-file", str(token_file), "--json"]
        return subprocess.run(
            [sys.executable, "-m", "controlplane.cli", *command],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    right = await asyncio.to_thread(status, sidecar.options.folder / "opa-token")
    refused = await asyncio.to_thread(status, wrong)
    assert (right.returncode, refused.returncode) == (0, 1)
    assert json.loads(right.stdout)["policy_revision"]
    assert json.loads(refused.stdout)["trouble"] == "it refuses the token"
    assert sidecar.token not in right.stdout + right.stderr
