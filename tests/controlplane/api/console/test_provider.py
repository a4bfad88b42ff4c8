"""People sign in with a real provider, as a browser would; and everything that is not such a sign-in is none."""

import http.client
import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pytest

from controlplane.api.listening import ListenError
from controlplane.capabilities.errors import KeyFileError
from controlplane.sidecar.folders import product_folder
from tests.clocks import EarlyClock
from tests.controlplane.identity.issuer import AUDIENCE, Client, Issuer, ec_key, serving_issuer
from tests.support import ControlPlane, Reply, running

CLIENT = "console"
START, BACK = "/v1/console/oidc/start", "/v1/console/oidc/callback"


@dataclass
class Browser:
    """Cookies of one browser, and where it is sent."""

    plane: ControlPlane
    cookies: dict[str, str] = field(default_factory=dict)

    def get(self, path: str, **headers: str) -> Reply:
        return self.ask("GET", path, **headers)

    def ask(self, method: str, path: str, document: object = None, **headers: str) -> Reply:
        shown = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        sent = {"Cookie": shown, "Content-Type": "application/json", **headers} if shown else headers
        where = urlsplit(self.plane.listens)
        connection = http.client.HTTPConnection(str(where.hostname), where.port, timeout=10.0)
        try:
            connection.request(method, path, None if document is None else json.dumps(document), sent)
            answer = connection.getresponse()
            reply = Reply(answer.status, dict(answer.headers.items()), answer.read())
        finally:
            connection.close()
        for text in answer.headers.get_all("Set-Cookie", []):
            name, _, value = text.partition(";")[0].partition("=")
            self.cookies[name] = value
            if "Max-Age=0" in text:
                del self.cookies[name]
        return reply

    def start(self, leads_to: str = "/console/") -> str:
        answer = self.get(f"{START}?return={quote(leads_to, safe='')}")
        assert answer.status == 303, answer.body
        return answer.headers["Location"]

    def come_back(self, answer: dict[str, str]) -> Reply:
        return self.get(f"{BACK}?{urlencode(answer)}")

    def sign_in(self, leads_to: str = "/console/") -> Reply:
        return self.come_back(consent(self.start(leads_to)))


def consent(address: str, answer: str = "yes") -> dict[str, str]:
    """Do what a browser does at the provider, and return what it is sent back with."""
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=10.0)
    try:
        connection.request("GET", f"{parts.path}?{parts.query}")
        body = connection.getresponse().read().decode()
        form = urlencode({**dict(re.findall(r'name="([a-z_]+)" value="([^"]*)"', body)), "go": answer})
        connection.request("POST", "/authorize", form, {"Content-Type": "application/x-www-form-urlencoded"})
        location = urlsplit(str(connection.getresponse().headers["Location"]))
    finally:
        connection.close()
    return {name: values[0] for name, values in parse_qs(location.query).items()}


@contextmanager
def peopled(issuer: Issuer, **settings: Any) -> Iterator[ControlPlane]:
    """A control plane whose policies know the provider, and that the provider knows."""
    assert issuer.client is not None
    with tempfile.TemporaryDirectory(prefix="ztfm-") as folder:
        policies = Path(folder) / "policies"
        shutil.copytree(product_folder("policies"), policies)
        path = policies / "data" / "people" / "data.json"
        [known] = json.loads(path.read_text()).values()
        path.write_text(json.dumps({issuer.url: known}))
        asked = {"oidc_issuer": issuer.url, "oidc_audience": AUDIENCE, "oidc_client_id": CLIENT, **settings}
        with running(policies=policies, **asked) as plane:
            issuer.client.redirects.add(plane.url + BACK)
            yield plane


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with serving_issuer(issuer=Issuer(keys=[ec_key("one")], client=Client(CLIENT))) as found:
        yield found


@pytest.fixture(scope="module")
def housed(issuer: Issuer) -> Iterator[ControlPlane]:
    with peopled(issuer) as plane:
        yield plane


@pytest.fixture
def client(issuer: Issuer) -> Iterator[Client]:
    assert issuer.client is not None
    yield issuer.client
    issuer.client.changes, issuer.client.groups, issuer.client.answer = {}, ["federation-operators"], None


@pytest.fixture
def browser(housed: ControlPlane, client: Client) -> Browser:
    del client
    return Browser(housed)


def refused(reply: Reply) -> dict[str, str]:
    """Return what the page is told of a sign-in that ended without a session."""
    assert reply.status == 303
    where = urlsplit(reply.headers["Location"])
    assert (where.scheme, where.netloc, where.path) == ("", "", "/console/")
    found = {name: values[0] for name, values in parse_qs(where.query).items()}
    assert "refused" in found, "it was let in"
    return found


def test_a_person_signs_in_and_administers_as_policy_says_of_them(
    housed: ControlPlane, browser: Browser, issuer: Issuer
) -> None:
    assert housed.call("GET", "/v1/console/sign-in").expect(200)["provider"] == issuer.url
    back = browser.sign_in("/console/decisions?outcome=deny")
    assert back.status == 303
    assert back.headers["Location"] == "/console/decisions?outcome=deny"
    assert set(browser.cookies) == {"ztfm"}
    told = browser.get("/v1/console/session").expect(200)
    assert told["kind"] == "person"
    assert told["name"] == "248289761001"
    assert told["subject"].startswith("person-")
    assert browser.get("/v1/decisions?limit=1").status == 200
    tokens = {"roles": ["trainer"], "segment": "homes"}
    denied = browser.ask("POST", "/v1/enrolment-tokens", tokens, **{"X-ZTFM-Console": "1"}).expect(403)
    assert [reason["code"] for reason in denied["reasons"]] == ["role_granted"]
    record = browser.get(f"/v1/decisions/{denied['decision_id']}").expect(200)
    assert record["subject"] == told["subject"]
    assert record["facts"]["subject"]["properties"]["claims"]["groups"] == ["federation-operators"]
    assert browser.ask("DELETE", "/v1/console/session", **{"X-ZTFM-Console": "1"}).status == 204
    assert browser.get("/v1/console/session").status == 401


def test_a_session_outlives_the_token_that_it_began_with(issuer: Issuer, client: Client) -> None:
    clock = EarlyClock()
    with peopled(issuer, clock=clock) as plane:
        person = Browser(plane)
        assert person.sign_in().status == 303
        clock.ahead += 600.0
        assert person.get("/v1/decisions?limit=1").status == 200
        clock.ahead += 900.0
        assert person.get("/v1/decisions?limit=1").status == 401


def test_the_cookie_of_a_sign_in_is_sealed_and_short_lived(housed: ControlPlane, browser: Browser) -> None:
    answer = browser.get(START)
    text = answer.headers["Set-Cookie"]
    assert "HttpOnly" in text
    assert "SameSite=Lax" in text
    assert "Max-Age=600" in text
    asked = parse_qs(urlsplit(answer.headers["Location"]).query)
    assert asked["code_challenge_method"] == ["S256"]
    assert asked["redirect_uri"] == [housed.url + BACK]
    assert asked["state"][0] not in text
    assert answer.headers["Cache-Control"] == "no-store"


def test_who_cancels_at_the_provider_is_not_signed_in(browser: Browser) -> None:
    assert refused(browser.come_back(consent(browser.start(), "no"))) == {"refused": "provider"}
    assert browser.cookies == {}


def test_a_person_whom_policy_gives_no_role_is_told_the_decision(
    housed: ControlPlane, browser: Browser, client: Client
) -> None:
    client.groups = ["visitors"]
    before = housed.metric("ztfm_authentications_total", method="session", outcome="refused")
    told = refused(browser.sign_in())
    assert told["refused"] == "denied"
    admin = housed.enrol("administrator")
    record = admin.get(f"/v1/decisions/{told['decision']}").expect(200)
    assert record["facts"]["action"]["name"] == "console:sign_in"
    assert browser.cookies == {}
    assert housed.metric("ztfm_authentications_total", method="session", outcome="refused") == before + 1


def test_another_browser_cannot_finish_a_sign_in(housed: ControlPlane, browser: Browser) -> None:
    answer = consent(browser.start())
    assert refused(Browser(housed).come_back(answer)) == {"refused": "stale"}
    victim = Browser(housed)
    victim.start()
    assert refused(victim.come_back(answer)) == {"refused": "stale"}


def test_a_sign_in_ends_once(housed: ControlPlane, browser: Browser, client: Client) -> None:
    address = browser.start()
    answer, kept = consent(address), dict(browser.cookies)
    assert "refused" not in browser.come_back(answer).headers["Location"]
    again = Browser(housed, dict(kept))
    assert refused(again.come_back(answer)) == {"refused": "unavailable"}
    # With a code that was not used yet.
    fresh = Browser(housed, dict(kept))
    assert refused(fresh.come_back({**consent(address), "state": answer["state"]})) == {"refused": "stale"}
    assert again.cookies == fresh.cookies == {}


@pytest.mark.parametrize(
    "changes",
    [
        {"state": ""},
        {"state": "x" * 43},
        {"code": ""},
        {"code": "x" * 3000},
        {"code": "made-up"},
        {"iss": "https://evil.example"},
    ],
    ids=lambda changes: json.dumps(changes)[:30],
)
def test_an_answer_that_was_changed_signs_nobody_in(browser: Browser, changes: dict[str, str]) -> None:
    refused(browser.come_back({**consent(browser.start()), **changes}))
    assert browser.cookies == {}


def test_an_answer_that_says_something_twice_signs_nobody_in(browser: Browser) -> None:
    answer = consent(browser.start())
    refused(browser.get(f"{BACK}?{urlencode(answer)}&{urlencode({'state': answer['state']})}"))
    assert "ztfm" not in browser.cookies


def test_a_token_for_another_sign_in_signs_nobody_in(housed: ControlPlane, browser: Browser, client: Client) -> None:
    client.changes = {"nonce": "x" * 43}
    before = housed.metric("ztfm_capabilities_refused_total", cause="person_wrong_nonce")
    assert refused(browser.sign_in()) == {"refused": "provider"}
    assert housed.metric("ztfm_capabilities_refused_total", cause="person_wrong_nonce") == before + 1


def test_a_token_for_the_api_signs_nobody_in_and_one_for_the_console_is_no_bearer_token(
    housed: ControlPlane, browser: Browser, client: Client, issuer: Issuer
) -> None:
    client.changes = {"aud": AUDIENCE}
    assert refused(browser.sign_in()) == {"refused": "provider"}
    shown = {"Authorization": f"Bearer {issuer.token(aud=CLIENT)}"}
    assert housed.call("GET", "/v1/decisions", headers=shown).status == 401


@pytest.mark.parametrize("cookie", ["", "x", "A" * 400, "A" * 5000, "=", "é"])
def test_a_cookie_that_was_not_sealed_here_is_none(browser: Browser, cookie: str) -> None:
    answer = consent(browser.start())
    browser.cookies["ztfm-sign-in"] = cookie.encode().decode("latin-1")
    assert refused(browser.come_back(answer)) == {"refused": "stale"}


def test_a_sign_in_is_over_after_ten_minutes(issuer: Issuer, client: Client) -> None:
    clock = EarlyClock()
    with peopled(issuer, clock=clock) as plane:
        person = Browser(plane)
        answer = consent(person.start())
        clock.ahead += 601.0
        assert refused(person.come_back(answer)) == {"refused": "stale"}


@pytest.mark.parametrize(
    "leads_to",
    [
        "https://evil.example/",
        "//evil.example/console/",
        "/console/../v1/keys",
        "/console/..",
        "/console//evil.example",
        "/console/\\evil.example",
        "/console/%2e%2e/",
        "\\\\evil.example/console/",
        "/consoleevil",
        "/v1/decisions",
        "javascript:alert(1)",
        "/console/\r\nSet-Cookie: a=b",
        "/console/?next=//evil#x",
        "/console/" + "a" * 600,
        "",
    ],
)
def test_nobody_is_led_out_of_the_console(browser: Browser, leads_to: str) -> None:
    answer = browser.get(f"{START}?return={quote(leads_to, safe='')}")
    assert answer.status == 400
    assert answer.kind == "invalid-request"


@pytest.mark.parametrize(
    "leads_to", ["/console/", "/console/fleet/dev-a_B-1", "/console/decisions?outcome=deny&x=a%20b"]
)
def test_one_comes_back_to_where_one_was(browser: Browser, leads_to: str) -> None:
    assert browser.sign_in(leads_to).headers["Location"] == leads_to


def test_without_a_client_nobody_signs_in_with_the_provider(plane: ControlPlane) -> None:
    for path in (START, BACK):
        assert plane.call("GET", path).status == 404
    assert "provider" not in plane.call("GET", "/v1/console/sign-in").expect(200)


def test_a_provider_that_is_down_is_said_to_be() -> None:
    with serving_issuer(issuer=Issuer(keys=[ec_key("one")], client=Client(CLIENT))) as issuer, peopled(issuer) as plane:
        person = Browser(plane)
        answer = consent(person.start())
        issuer.status = 500
        assert person.get(START).status == 503
        assert refused(person.come_back(answer)) == {"refused": "unavailable"}


def test_a_client_with_a_secret_shows_it(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("a secret: of ours\n")
    file.chmod(0o600)
    known = Client(CLIENT, secret="a secret: of ours")
    with serving_issuer(issuer=Issuer(keys=[ec_key("one")], client=known)) as issuer:
        with peopled(issuer, oidc_client_secret_file=file) as plane:
            assert "refused" not in Browser(plane).sign_in().headers["Location"]
        with peopled(issuer) as plane:
            assert refused(Browser(plane).sign_in()) == {"refused": "unavailable"}


@pytest.mark.parametrize(("text", "mode"), [("a secret", 0o644), ("", 0o600), ("two\nlines", 0o600), (None, 0o600)])
def test_a_secret_that_others_can_read_or_that_is_none_keeps_it_from_starting(
    tmp_path: Path, text: str | None, mode: int
) -> None:
    file = tmp_path / "secret"
    if text is not None:
        file.write_text(text)
        file.chmod(mode)
    known = {"oidc_issuer": "https://login.example", "oidc_audience": AUDIENCE, "oidc_client_id": CLIENT}
    with pytest.raises((KeyFileError, ListenError)), running(oidc_client_secret_file=file, **known):
        pass


def test_a_session_and_a_sign_in_hold_on_every_replica_and_end_on_every_one(issuer: Issuer, client: Client) -> None:
    with tempfile.TemporaryDirectory(prefix="ztfm-") as folder:
        shared = {
            "database_url": f"sqlite+aiosqlite:///{folder}/shared.db",
            "sealing_key_file": Path(folder) / "sealing.key",
            "policy_key_file": Path(folder) / "policy.key",
            "public_url": "http://127.0.0.1:8181",
        }
        assert issuer.client is not None
        issuer.client.redirects.add(f"http://127.0.0.1:8181{BACK}")
        with peopled(issuer, **shared) as one, peopled(issuer, **shared) as other:
            person = Browser(one)
            answer, kept = consent(person.start()), dict(person.cookies)
            person.plane = other
            assert "refused" not in person.come_back(answer).headers["Location"]
            person.plane = one
            assert person.get("/v1/console/session").status == 200
            assert person.ask("DELETE", "/v1/console/session", **{"X-ZTFM-Console": "1"}).status == 204
            assert Browser(other, dict(person.cookies)).get("/v1/console/session").status == 401
            assert refused(Browser(one, kept).come_back(answer))["refused"] in {"stale", "unavailable"}
