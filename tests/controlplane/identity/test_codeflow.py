"""The authorization code flow with a real provider on loopback."""

import http.client
import re
import time
from collections.abc import AsyncIterator, Iterator
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from aiohttp import web

from controlplane.contracts.identity import Person
from controlplane.identity.codeflow import SIGN_IN_SECONDS, CodeFlow, SignIn
from controlplane.identity.people import Expected, Unknown
from controlplane.identity.provider import MAX_DOCUMENT_BYTES, Discovery, People, ProviderUnavailable
from tests.controlplane.identity.issuer import Client, Issuer, ec_key, serving_issuer

CLIENT = "console"
BASE = "http://127.0.0.1:8181"
BACK = f"{BASE}/v1/console/oidc/callback"


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with serving_issuer(issuer=Issuer(keys=[ec_key("one")], client=Client(CLIENT, {BACK}))) as found:
        yield found


@pytest.fixture
def client(issuer: Issuer) -> Client:
    assert issuer.client is not None
    return issuer.client


@pytest.fixture
async def flow(issuer: Issuer) -> AsyncIterator[CodeFlow]:
    async for found in flows(issuer):
        yield found


async def flows(issuer: Issuer, secret: str | None = None) -> AsyncIterator[CodeFlow]:
    expected = Expected(issuer.url, CLIENT, frozenset({CLIENT}), ("groups",))
    keys, asked = Discovery(issuer.url), Discovery(issuer.url)
    people = People(keys, expected, time.time, time.monotonic)
    yield CodeFlow(asked, people, expected, time.time, secret)
    await people.close()
    await asked.close()


def consent(address: str, answer: str = "yes") -> dict[str, str]:
    """Do what a browser does at the provider: look at its page, and send its form."""
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=10.0)
    try:
        connection.request("GET", f"{parts.path}?{parts.query}")
        page = connection.getresponse()
        body = page.read().decode()
        assert page.status == 200, body
        fields = dict(re.findall(r'name="([a-z_]+)" value="([^"]*)"', body))
        form = urlencode({**fields, "go": answer})
        connection.request("POST", "/authorize", form, {"Content-Type": "application/x-www-form-urlencoded"})
        back = connection.getresponse()
        back.read()
        location = urlsplit(str(back.headers["Location"]))
    finally:
        connection.close()
    assert f"{location.scheme}://{location.netloc}{location.path}" == BACK
    return {name: values[0] for name, values in parse_qs(location.query).items()}


async def test_who_consents_at_the_provider_is_known(flow: CodeFlow, issuer: Issuer) -> None:
    address, begun = await flow.begin("/console/", BASE)
    answer = consent(address)
    assert flow.is_open(begun, answer["state"])
    person = await flow.end(begun, answer["code"])
    assert isinstance(person, Person)
    assert person.issuer == issuer.url
    assert person.claims == {"sub": ["248289761001"], "groups": ["federation-operators"]}


async def test_nothing_that_the_browser_alone_keeps_is_in_the_address(flow: CodeFlow) -> None:
    address, begun = await flow.begin("/console/decisions", BASE)
    assert begun.verifier not in address
    assert begun.leads_to not in address
    assert begun.verifier not in repr(begun)
    assert SignIn.unpacked(begun.packed()) == begun


async def test_no_two_sign_ins_are_alike(flow: CodeFlow) -> None:
    begun = [(await flow.begin("/console/", BASE))[1] for _ in range(10)]
    parts = {part for one in begun for part in (one.state, one.nonce, one.verifier)}
    assert len(parts) == 30
    assert all(len(part) == 43 for part in parts)


async def test_a_code_works_once_and_with_its_own_sign_in_alone(flow: CodeFlow, client: Client) -> None:
    address, begun = await flow.begin("/console/", BASE)
    code = consent(address)["code"]
    assert isinstance(await flow.end(begun, code), Person)
    with pytest.raises(ProviderUnavailable):
        await flow.end(begun, code)
    other_address, other = await flow.begin("/console/", BASE)
    stolen = consent(other_address)["code"]
    with pytest.raises(ProviderUnavailable):
        await flow.end(begun, stolen)
    assert client.exchanged == 3
    assert other.verifier != begun.verifier


@pytest.mark.parametrize("nonce", ["another", None, "", 1])
async def test_a_token_for_another_sign_in_is_nobodys(flow: CodeFlow, client: Client, nonce: object) -> None:
    client.changes = {"nonce": nonce}
    address, begun = await flow.begin("/console/", BASE)
    assert await flow.end(begun, consent(address)["code"]) == Unknown("person_wrong_nonce")


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"aud": "ztfm"}, "person_wrong_audience"),
        ({"aud": ["console", "other"]}, "person_wrong_client"),
        ({"aud": ["console", "other"], "azp": "other"}, "person_wrong_client"),
        ({"iss": "https://evil.example"}, "person_wrong_issuer"),
        ({"iat": 1000, "exp": 1300}, "person_expired"),
        ({"sub": None}, "person_malformed"),
    ],
)
async def test_a_token_that_does_not_hold_is_nobodys(
    flow: CodeFlow, client: Client, changes: dict[str, object], cause: str
) -> None:
    client.changes = changes
    address, begun = await flow.begin("/console/", BASE)
    found = await flow.end(begun, consent(address)["code"])
    assert isinstance(found, Unknown)
    assert found.cause == cause


async def test_a_sign_in_is_open_for_its_state_and_for_ten_minutes_alone(flow: CodeFlow) -> None:
    _, begun = await flow.begin("/console/", BASE)
    assert flow.is_open(begun, begun.state)
    assert not flow.is_open(begun, begun.state[:-1])
    assert not flow.is_open(begun, "")
    assert not flow.is_open(begun, "\u00e9")
    flow._clock = lambda: begun.until
    assert not flow.is_open(begun, begun.state)
    assert begun.until - time.time() <= SIGN_IN_SECONDS


@pytest.mark.parametrize(("shown", "holds"), [("s3cret: with / signs", True), ("another", False), (None, False)])
async def test_a_client_with_a_secret_shows_it(issuer: Issuer, client: Client, shown: str | None, holds: bool) -> None:
    client.secret = "s3cret: with / signs"
    async for flow in flows(issuer, shown):
        address, begun = await flow.begin("/console/", BASE)
        code = consent(address)["code"]
        if holds:
            assert isinstance(await flow.end(begun, code), Person)
        else:
            with pytest.raises(ProviderUnavailable):
                await flow.end(begun, code)


@pytest.mark.parametrize(
    "answer",
    [
        web.Response(text="no JSON"),
        web.json_response([]),
        web.json_response({"id_token": None}),
        web.json_response({"id_token": ["x"]}),
        web.json_response({"access_token": "x"}),
        web.Response(body=b" " * (MAX_DOCUMENT_BYTES + 1)),
        web.Response(status=302, headers={"Location": "http://127.0.0.1:1/"}),
        web.Response(status=500),
    ],
    ids=["text", "list", "none", "mistyped", "without", "large", "elsewhere", "fault"],
)
async def test_an_answer_without_a_token_signs_nobody_in(flow: CodeFlow, client: Client, answer: web.Response) -> None:
    client.answer = answer
    address, begun = await flow.begin("/console/", BASE)
    with pytest.raises(ProviderUnavailable):
        await flow.end(begun, consent(address)["code"])


@pytest.mark.parametrize("name", ["authorization_endpoint", "token_endpoint"])
@pytest.mark.parametrize("where", [None, 1, "", "http://evil.example/x", "javascript:alert(1)", "file:///etc/passwd"])
async def test_an_endpoint_that_is_less_safe_than_the_provider_is_not_used(
    flow: CodeFlow, issuer: Issuer, name: str, where: object
) -> None:
    issuer.metadata = {name: where}
    with pytest.raises(ProviderUnavailable):
        await flow.begin("/console/", BASE)


async def test_a_provider_that_names_another_is_not_asked(flow: CodeFlow, issuer: Issuer) -> None:
    issuer.metadata = {"issuer": "https://evil.example"}
    with pytest.raises(ProviderUnavailable):
        await flow.begin("/console/", BASE)


async def test_an_address_that_has_parameters_keeps_them(flow: CodeFlow, issuer: Issuer) -> None:
    issuer.metadata = {"authorization_endpoint": f"{issuer.url}/authorize?tenant=one"}
    address, begun = await flow.begin("/console/", BASE)
    asked = parse_qs(urlsplit(address).query)
    assert asked["tenant"] == ["one"]
    assert asked["state"] == [begun.state]
