"""The command as it is run: a gateway and a device at a real control plane, nginx between, over real sockets."""

import asyncio
import json
import os
import subprocess
import sys
import urllib.error
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from adapters.client import SyncCapabilities
from adapters.gateway.__main__ import main
from adapters.gateway.rulefile import read_rules
from adapters.member import Member
from examples import calling
from tests.adapters.gateway.lab import EXAMPLES, Seen, upstream
from tests.adapters.gateway.proxied import ENSURE, run_nginx
from tests.servers.debian import NotInstalled
from tests.servers.ports import free_port
from tests.support import SEGMENTS, ControlPlane

ROOT = Path(__file__).resolve().parents[3]
KEEPS = ("--upstream-keeps", "max_output_tokens", "--upstream-keeps", "detail")


@contextmanager
def enrolled(plane: ControlPlane, folder: Path, role: str) -> Iterator[Member]:
    token = plane.token([role], SEGMENTS[role])
    with Member.enrol(folder, plane.url, token, roles=[role], segment=SEGMENTS[role]) as member:
        yield member


@contextmanager
def authorizing(folder: Path, *more: str) -> Iterator[dict[str, Any]]:
    """Run the command for nginx, and give what it says when it is ready."""
    command = [sys.executable, "-m", "adapters.gateway", "authorize", str(folder), "--dialect", "nginx", "--json"]
    process = subprocess.Popen(
        [*command, "--audience", "gateway-1", "--rules", str(EXAMPLES / "rules.json"), *more],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())
    finally:
        process.terminate()
        process.wait(10.0)
        process.stdout.close()
    assert process.returncode == 0


async def test_a_device_is_answered_through_nginx_until_it_is_revoked(plane: ControlPlane, tmp_path: Path) -> None:
    try:
        await asyncio.to_thread(ENSURE["nginx"])
    except NotInstalled as missing:
        pytest.skip(str(missing))
    seen: list[Seen] = []
    socket, port = tmp_path / "authorize.sock", free_port()
    public = f"http://127.0.0.1:{port}"
    with ExitStack() as stack:
        stack.enter_context(enrolled(plane, tmp_path / "gateway", "gateway"))
        consumer = stack.enter_context(enrolled(plane, tmp_path / "consumer", "consumer"))
        operator = stack.enter_context(enrolled(plane, tmp_path / "operator", "operator"))
        capabilities = stack.enter_context(SyncCapabilities(consumer.plane))
        options = ("--public-url", public, "--socket", str(socket), *KEEPS)
        ready = stack.enter_context(authorizing(tmp_path / "gateway", *options))
        assert ready == {
            "event": "ready",
            "listens": f"unix:{socket}",
            "path": "/v1/gateway/authorize",
            "dialect": "nginx",
            "audience": "gateway-1",
            "current": True,
        }
        assert socket.stat().st_mode & 0o777 == 0o660
        async with upstream(seen) as behind:
            stack.enter_context(run_nginx(tmp_path, str(socket), port, behind))
            asking = (calling.ask, consumer, capabilities, f"{public}/v1/infer", "turn the light on")
            assert await asyncio.to_thread(*asking) == "answered"
            assert seen[0].values("ztfm-subject") == [consumer.id]
            budgets = await asyncio.to_thread(consumer.plane.inference_budgets, "subject", consumer.id)
            assert [budget for budget in budgets if budget.leased.requests or budget.used.requests], "it cost something"
            await asyncio.to_thread(operator.plane.set_status, consumer.id, "quarantined", "it was stolen")
            await asyncio.sleep(1.0)
            with pytest.raises(urllib.error.HTTPError) as revoked:
                await asyncio.to_thread(*asking)
            with revoked.value as problem:
                assert (problem.code, json.load(problem)["type"]) == (401, "urn:ztfm:problem:unauthenticated")
            assert len(seen) == 1


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--listen", "0.0.0.0:9191"], "others than the proxy could ask"),
        (["--listen", "127.0.0.1"], "no address"),
        (["--tls-certificate", "c.pem"], "together"),
        (["--dialect", "traefik"], "--largest-body"),
        (["--dialect", "traefik", "--largest-body", "9", "--certificates"], "does not hand on client certificates"),
        (["--rules", "nowhere.json"], "nowhere.json"),
        ([], "enrol"),
    ],
)
def test_what_cannot_be_served_safely_is_not(
    more: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [
        "--dialect",
        "nginx",
        "--audience",
        "a",
        "--public-url",
        "https://m",
        "--rules",
        str(EXAMPLES / "rules.json"),
    ]
    assert main(["authorize", str(tmp_path), *given, *more]) == 1
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "is to be an object"),
        ("{", "no JSON"),
        ('{"rules": []}', "1 to 1000"),
        ('{"rules": [], "extra": 1}', "is to be an object"),
        ('{"rules": [{"action": "anything", "resource": "m"}]}', "rule 1: action is one of"),
        ('{"rules": [{"action": "inference", "resource": "m", "route": "/x"}]}', "nobody knows route"),
        ('{"rules": [{"action": "inference", "resource": "m", "methods": "POST"}]}', 'such as ["POST"]'),
        ('{"rules": [{"action": "inference", "resource": "m", "methods": ["post"]}]}', "in capitals"),
        ('{"rules": [{"action": "inference", "resource": "m", "max_body_bytes": true}]}', "whole number"),
        ('{"rules": [{"action": "inference", "resource": "m", "by_shards": true}]}', "by_shards"),
        ('{"rules": [{"action": "inference", "path": 7}]}', "path is to be text"),
        ('{"rules": [{"action": "inference", "path": "/x"}]}', "rule 1: a rule names its resource"),
        ('{"rules": [{"resource": "m"}]}', "rule 1"),
        ('{"rules": [{"action": "inference", "resource": "m"}], "exempt": "/healthz"}', "list of paths"),
    ],
)
def test_a_file_of_rules_says_what_is_wrong_with_it(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "rules.json").write_text(text)
    with pytest.raises(ValueError, match=r"rules\.json") as told:
        read_rules(tmp_path / "rules.json")
    assert said in str(told.value)


def test_the_rules_of_the_example_are_read_in_order() -> None:
    rules, exempt = read_rules(EXAMPLES / "rules.json")
    assert (rules[0].resource, rules[0].methods, exempt) == ("smart-home-intents", ("POST",), ("/healthz",))


@pytest.mark.parametrize("words", [["--help"], ["authorize", "--help"]])
def test_help_has_an_example_and_json(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(words)
    said = capsys.readouterr().out
    assert (left.value.code, "Example" in said, "--json" in said) == (0, True, True)
