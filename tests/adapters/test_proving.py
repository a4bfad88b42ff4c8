"""Proofs with a nonce that the server asks for (RFC 9449 sections 8 and 9), against a server that demands it."""

import asyncio
import json
import time
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from adapters.client import ControlPlane
from adapters.errors import Unauthenticated
from adapters.proving import Prover
from controlplane.capabilities.proof import Proof, examine
from controlplane.jose.keys import DeviceKey

CHALLENGE = 'DPoP error="use_dpop_nonce", error_description="a nonce is needed"'


class Demanding:
    """A server that takes only proofs with its newest nonce, which it may change with every answer."""

    def __init__(self) -> None:
        self.url = ""
        self.nonce = "first"
        self.next: str | None = None
        self.asked = 0
        self.status = 401
        self.challenge: dict[str, str] = {"WWW-Authenticate": CHALLENGE}
        self.body: dict[str, str] = {}

    async def answer(self, request: web.Request) -> web.Response:
        self.asked += 1
        url = f"{self.url}{request.path}"
        proof = request.headers["DPoP"]
        verdict = examine(proof, method=request.method, url=url, now=time.time(), nonce=self.nonce)
        if not isinstance(verdict, Proof):
            headers = {"DPoP-Nonce": self.nonce, **self.challenge}
            return web.json_response(self.body, status=self.status, headers=headers)
        self.nonce, self.next = self.next or self.nonce, None
        record = {
            "id": "dev-a",
            "key": DeviceKey.generate().public.model_dump(),
            "key_thumbprint": "a" * 43,
            "roles": ["trainer"],
            "segment": "homes",
            "status": "active",
            "attestation": {"level": "none"},
            "trust": {"score": 0.5, "observations": 0},
            "enrolled_at": 1.0,
        }
        return web.json_response(record, headers={"DPoP-Nonce": self.nonce})


@pytest.fixture
async def server() -> AsyncIterator[Demanding]:
    demanding = Demanding()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", demanding.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    demanding.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield demanding
    await runner.cleanup()


async def test_a_nonce_that_is_asked_for_costs_one_more_try_once(server: Demanding) -> None:
    async with ControlPlane(server.url, DeviceKey.generate()) as client:
        for _ in range(3):
            assert (await client.device("dev-a")).id == "dev-a"
    assert server.asked == 4


async def test_the_newest_nonce_of_an_answer_is_used_next(server: Demanding) -> None:
    async with ControlPlane(server.url, DeviceKey.generate()) as client:
        server.next = "second"
        await client.device("dev-a")
        await client.device("dev-a")
    assert (server.asked, server.nonce) == (3, "second")


async def test_those_who_are_challenged_at_once_all_get_through(server: Demanding) -> None:
    async with ControlPlane(server.url, DeviceKey.generate()) as client:
        found = await asyncio.gather(*(client.device("dev-a") for _ in range(10)))
    assert len(found) == 10


async def test_a_token_endpoint_says_so_in_its_body(server: Demanding) -> None:
    server.status, server.challenge, server.body = 400, {}, {"error": "use_dpop_nonce"}
    async with ControlPlane(server.url, DeviceKey.generate()) as client:
        assert (await client.device("dev-a")).id == "dev-a"


async def test_a_server_that_is_never_content_is_asked_twice(server: Demanding) -> None:
    refusals = iter(f"nonce-{number}" for number in range(100))

    async with ControlPlane(server.url, DeviceKey.generate(), clock=lambda: 0.0) as client:
        server.nonce = next(refusals)
        with pytest.raises(Unauthenticated):
            await client.device("dev-a")
    assert server.asked == 2


@pytest.mark.parametrize("given", ["", " ", "a b", 'a"b', "a\\b", "é", "x" * 257])
def test_what_is_no_nonce_asks_for_nothing(given: str) -> None:
    prover = Prover(DeviceKey.generate(), time.time)
    assert not prover.learn(None, 401, {"DPoP-Nonce": given, "WWW-Authenticate": CHALLENGE})
    assert prover.nonce is None


@pytest.mark.parametrize(("status", "challenge"), [(401, "DPoP"), (403, CHALLENGE), (200, CHALLENGE), (500, CHALLENGE)])
def test_only_the_challenge_asks_for_another_try(status: int, challenge: str) -> None:
    prover = Prover(DeviceKey.generate(), time.time)
    assert not prover.learn(None, status, {"DPoP-Nonce": "n", "WWW-Authenticate": challenge})
    assert prover.nonce == "n"


def test_a_capability_is_shown_with_a_proof_of_its_own() -> None:
    prover = Prover(DeviceKey.generate(), time.time)
    prover.learn(None, 200, {"DPoP-Nonce": "n"})
    shown = prover.present("GET", "https://models.example/x?q=1", "token")
    assert shown["Authorization"] == "DPoP token"
    verdict = examine(
        shown["DPoP"],
        method="GET",
        url="https://models.example/x",
        now=time.time(),
        access_token="token",
        nonce="n",
        thumbprint=prover.key.thumbprint,
    )
    assert isinstance(verdict, Proof), json.dumps(str(verdict))


def test_a_nonce_is_forgotten_before_the_server_finds_it_stale() -> None:
    now = [1_000.0]
    prover = Prover(DeviceKey.generate(), clock=lambda: now[0])
    prover.learn(None, 200, {"DPoP-Nonce": "given"})
    now[0] += 59.0
    assert prover.nonce == "given"
    now[0] += 2.0
    assert prover.nonce is None
    verdict = examine(prover.prove("GET", "https://a.example/"), method="GET", url="https://a.example/", now=now[0])
    assert isinstance(verdict, Proof)
