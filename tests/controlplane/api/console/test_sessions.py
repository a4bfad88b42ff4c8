"""A session: who may begin one, what it is worth, when it ends, and what is not taken for one."""

import json
from collections.abc import Iterator
from http.cookies import SimpleCookie

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from controlplane.contracts.console import ConsoleSession
from tests.clocks import EarlyClock
from tests.support import Caller, ControlPlane, Reply, running

OURS = {"X-ZTFM-Console": "1"}
TOKENS = {"roles": ["trainer"], "segment": "homes"}


def begin(caller: Caller) -> str:
    """Return the cookie of a new session, as the browser sends it."""
    answer = caller.post("/v1/console/session", {})
    answer.expect(201)
    shown = cookie(answer)
    caller.plane.shown.append(shown.partition("=")[2])
    return shown


def cookie(answer: Reply) -> str:
    return answer.headers["Set-Cookie"].partition(";")[0]


def ask(
    plane: ControlPlane, shown: str, method: str = "GET", path: str = "/v1/console/session", **options: object
) -> Reply:
    headers = {"Cookie": shown, **dict(options.pop("headers", {}) or {})}  # type: ignore[call-overload]
    return plane.call(method, path, options.pop("document", None), headers=headers)


def issue(plane: ControlPlane, shown: str, **headers: str) -> Reply:
    """Do something by a session that changes something."""
    return ask(plane, shown, "POST", "/v1/enrolment-tokens", document=TOKENS, headers=headers)


def metric(plane: ControlPlane, event: str) -> float:
    return plane.metric("ztfm_console_sessions_total", event=event)


def test_an_enrolled_key_signs_in_and_the_cookie_is_out_of_reach_of_scripts(plane: ControlPlane) -> None:
    admin, before = plane.enrol("administrator"), metric(plane, "begun")
    answer = admin.post("/v1/console/session", {})
    document = answer.expect(201)
    ConsoleSession.model_validate_json(answer.body)
    assert ask(plane, cookie(answer)).expect(200) == document
    assert document["subject"] == admin.id
    assert document["kind"] == "device"
    assert 3590.0 < document["expires_at"] - plane.clock() <= 3600.0
    [kept] = SimpleCookie(answer.headers["Set-Cookie"]).values()
    assert kept.key == "ztfm"
    assert kept["httponly"]
    assert kept["samesite"] == "Strict"
    assert kept["path"] == "/"
    assert not kept["domain"]
    assert int(kept["max-age"]) == 3600
    assert answer.headers["Cache-Control"] == "no-store"
    assert metric(plane, "begun") == before + 1


def test_who_is_signed_in_administers_as_policy_says_of_them(plane: ControlPlane) -> None:
    admin, operator = begin(plane.enrol("administrator")), begin(plane.enrol("operator"))
    assert len(issue(plane, admin, **OURS).expect(201)["tokens"]) == 1
    refused = issue(plane, operator, **OURS)
    assert [reason["code"] for reason in refused.expect(403)["reasons"]] == ["role_granted"]
    assert ask(plane, operator, path="/v1/decisions?limit=1").status == 200


def test_signing_in_is_a_decision_on_record(plane: ControlPlane) -> None:
    admin = plane.enrol("administrator")
    shown = begin(admin)
    found = ask(plane, shown, path=f"/v1/decisions?subject={admin.id}&limit=5").expect(200)["decisions"]
    records = [ask(plane, shown, path=f"/v1/decisions/{one['id']}").expect(200) for one in found]
    assert "console:sign_in" in [one["facts"]["action"]["name"] for one in records]
    assert shown.partition("=")[2] not in json.dumps(records)


@pytest.mark.parametrize("role", ["trainer", "consumer", "aggregator", "gateway", "router"])
def test_a_role_that_may_not_use_the_console_does_not_sign_in(plane: ControlPlane, role: str) -> None:
    before = metric(plane, "refused")
    answer = plane.enrol(role).post("/v1/console/session", {})
    assert "role_granted" in [reason["code"] for reason in answer.expect(403)["reasons"]]
    assert "Set-Cookie" not in answer.headers
    assert metric(plane, "refused") == before + 1


def test_a_stranger_does_not_sign_in(plane: ControlPlane) -> None:
    answer = plane.stranger().post("/v1/console/session", {})
    assert answer.status == 401
    assert "Set-Cookie" not in answer.headers
    assert plane.call("POST", "/v1/console/session", {}).status == 401


def test_a_proof_signs_in_once(plane: ControlPlane) -> None:
    admin = plane.enrol("administrator")
    proof = plane.proof(admin.key, "POST", "/v1/console/session")
    assert plane.call("POST", "/v1/console/session", {}, proof=proof).status == 201
    assert plane.call("POST", "/v1/console/session", {}, proof=proof).status == 401


def test_who_signs_in_gets_a_new_secret_and_what_the_browser_had_ends(plane: ControlPlane) -> None:
    admin = plane.enrol("administrator")
    first = begin(admin)
    answer = admin.post("/v1/console/session", {}, headers={"Cookie": first})
    answer.expect(201)
    assert cookie(answer) != first
    assert ask(plane, first).status == 401
    assert ask(plane, cookie(answer)).status == 200


def test_nobody_gets_a_secret_of_somebody_elses_choice(plane: ControlPlane) -> None:
    planted = "ztfm=" + "A" * 43
    answer = plane.enrol("administrator").post("/v1/console/session", {}, headers={"Cookie": planted})
    answer.expect(201)
    assert cookie(answer) != planted
    assert ask(plane, planted).status == 401


def test_signing_out_ends_it_for_good(plane: ControlPlane) -> None:
    shown, before = begin(plane.enrol("administrator")), metric(plane, "ended")
    answer = ask(plane, shown, "DELETE", headers=OURS)
    assert answer.status == 204
    assert "Max-Age=0" in answer.headers["Set-Cookie"]
    assert ask(plane, shown, "DELETE", headers=OURS).status == 401
    assert issue(plane, shown, **OURS).status == 401
    assert metric(plane, "ended") == before + 1


def test_a_browser_forgets_a_session_that_is_none_any_more(plane: ControlPlane) -> None:
    gone = ask(plane, "ztfm=" + "x" * 43)
    assert gone.status == 401
    assert "Max-Age=0" in gone.headers["Set-Cookie"]
    assert "Set-Cookie" not in plane.call("GET", "/v1/console/session").headers


def test_another_page_changes_nothing_and_does_not_sign_anybody_out(plane: ControlPlane) -> None:
    shown = begin(plane.enrol("administrator"))
    foreign: list[dict[str, str]] = [
        {},
        {"X-ZTFM-Console": "0"},
        {"X-ZTFM-Console": ""},
        {**OURS, "Origin": "http://evil.example"},
        {**OURS, "Origin": "null"},
        {**OURS, "Origin": plane.url.replace("127.0.0.1", "localhost")},
        {**OURS, "Origin": plane.url + "/"},
        {**OURS, "Origin": plane.url + ".evil.example"},
        {**OURS, "Sec-Fetch-Site": "cross-site"},
        {**OURS, "Sec-Fetch-Site": "same-site"},
        {**OURS, "Sec-Fetch-Site": "none"},
    ]
    for headers in foreign:
        assert issue(plane, shown, **headers).status == 401, headers
        out = ask(plane, shown, "DELETE", headers=headers)
        assert out.status == 401, headers
        assert "Set-Cookie" not in out.headers
    ours = {**OURS, "Origin": plane.url, "Sec-Fetch-Site": "same-origin"}
    assert issue(plane, shown, **ours).status == 201


def test_another_page_reads_nothing(plane: ControlPlane) -> None:
    shown = begin(plane.enrol("administrator"))
    for site in ("cross-site", "same-site"):
        assert ask(plane, shown, path="/v1/decisions?limit=1", headers={"Sec-Fetch-Site": site}).status == 401
    assert ask(plane, shown, headers={"Origin": "http://evil.example"}).status == 401
    for site in ("same-origin", "none"):
        assert ask(plane, shown, path="/v1/decisions?limit=1", headers={"Sec-Fetch-Site": site}).status == 200
    answer = ask(plane, shown, headers={"Sec-Fetch-Site": "same-origin"})
    assert not [name for name in answer.headers if name.lower().startswith("access-control-")]


def test_a_session_beside_another_credential_is_refused(plane: ControlPlane) -> None:
    admin = plane.enrol("administrator")
    shown = begin(admin)
    before = plane.metric("ztfm_capabilities_refused_total", cause="two_credentials")
    assert plane.call("GET", "/v1/decisions", key=admin.key, headers={"Cookie": shown}).status == 401
    for value in ("Bearer x", "DPoP x", "Basic YTph"):
        assert ask(plane, shown, path="/v1/decisions", headers={"Authorization": value}).status == 401
    assert plane.metric("ztfm_capabilities_refused_total", cause="two_credentials") == before + 4


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/capabilities"),
        ("POST", "/v1/rounds"),
        ("POST", "/v1/certificates"),
        ("POST", "/v1/svids/jwt"),
        ("POST", "/v1/devices"),
        ("POST", "/access/v1/evaluation"),
        ("POST", "/v1/console/session"),
    ],
)
def test_a_session_gets_no_capability_no_devices_call_and_no_other_session(
    plane: ControlPlane, method: str, path: str
) -> None:
    shown = begin(plane.enrol("administrator"))
    assert ask(plane, shown, method, path, document={}, headers=OURS).status == 401


@pytest.mark.parametrize(
    "shown",
    [
        "ztfm=",
        "ztfm=" + "x" * 42,
        "ztfm=" + "x" * 44,
        "ztfm=" + "x" * 10_000,
        "ztfm=" + "%00" * 20,
        "ztfm='; DROP TABLE console_sessions; --",
        "ztfm=" + "é" * 43,
        "ztfm=" + "A" * 43,
        "ZTFM=" + "A" * 43,
        "=; ztfm; ;;",
    ],
)
def test_what_is_no_session_is_nobodys(plane: ControlPlane, shown: str) -> None:
    assert ask(plane, shown.encode().decode("latin-1")).status == 401


@given(shown=st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=300))
@example(shown="ztfm=" + "A" * 43 + "; ztfm-sign-in=x")
@settings(max_examples=60)
def test_no_cookie_makes_anything_fail(plane: ControlPlane, shown: str) -> None:
    for text in (shown, f"ztfm={shown}", f"ztfm-sign-in={shown}"):
        assert ask(plane, text.strip() or "a").status == 401


def test_two_cookies_are_none(plane: ControlPlane) -> None:
    one, other = begin(plane.enrol("administrator")), begin(plane.enrol("operator"))
    assert ask(plane, f"{one}; {other}").status == 401
    assert ask(plane, f"{one}; {one}").status == 401
    assert ask(plane, f"theme=dark; {one}; a=b").status == 200


def test_a_cookie_under_the_name_that_it_has_over_tls_is_none_here(plane: ControlPlane) -> None:
    shown = begin(plane.enrol("administrator"))
    assert ask(plane, f"__Host-{shown}").status == 401


def test_what_lies_in_the_store_opens_nothing(plane: ControlPlane) -> None:
    shown = begin(plane.enrol("administrator"))
    rows = plane.run(_hashes(plane))
    assert rows
    assert shown.partition("=")[2] not in rows
    for row in rows[:5]:
        assert ask(plane, f"ztfm={row}").status == 401
        assert ask(plane, f"ztfm={row[:43]}").status == 401


async def _hashes(plane: ControlPlane) -> list[str]:
    from sqlalchemy import select

    from controlplane.storage.tables_sessions import console_sessions

    found = await plane.store._database.read("look at sessions", select(console_sessions.c.hash))
    return [row.hash for row in found]


def test_a_device_that_is_revoked_or_set_apart_is_signed_out_at_once_and_for_good(plane: ControlPlane) -> None:
    admin = plane.enrol("administrator")
    for status in ("quarantined", "revoked"):
        operator = plane.enrol("operator")
        shown = begin(operator)
        assert ask(plane, shown).status == 200
        change = {"status": status, "reason": "odd"}
        admin.post(f"/v1/devices/{operator.id}/status", change).expect(200)
        assert ask(plane, shown).status == 401
        assert ask(plane, shown, path="/v1/decisions").status == 401
        if status == "quarantined":
            admin.post(f"/v1/devices/{operator.id}/status", {"status": "active", "reason": "fine"}).expect(200)
            assert ask(plane, shown).status == 401
        assert operator.post("/v1/console/session", {}).status == (403 if status == "revoked" else 201)


def test_the_oldest_of_too_many_sessions_ends(plane: ControlPlane) -> None:
    operator, before = plane.enrol("operator"), metric(plane, "displaced")
    shown = [begin(operator) for _ in range(9)]
    assert [ask(plane, one).status for one in shown] == [401, *[200] * 8]
    assert metric(plane, "displaced") == before + 1


def test_the_host_header_says_nothing_of_who_we_are(plane: ControlPlane) -> None:
    shown = begin(plane.enrol("administrator"))
    evil = {"Host": "evil.example", "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https"}
    assert ask(plane, shown, headers=evil).status == 200
    assert issue(plane, shown, **OURS, **evil, Origin="http://evil.example").status == 401
    means = plane.call("GET", "/v1/console/sign-in", headers=evil)
    assert means.expect(200)["url"] == plane.url


@pytest.fixture(scope="module")
def timed() -> Iterator[tuple[ControlPlane, EarlyClock]]:
    clock = EarlyClock()
    with running(clock=clock) as plane:
        yield plane, clock


def test_a_session_ends_for_want_of_use_and_in_time(timed: tuple[ControlPlane, EarlyClock]) -> None:
    plane, clock = timed
    admin = plane.enrol("administrator")
    idle, used = begin(admin), begin(admin)
    for _ in range(3):
        clock.ahead += 600.0
        assert ask(plane, used).status == 200
    assert ask(plane, idle).status == 401
    for _ in range(3):
        clock.ahead += 600.0
        last = ask(plane, used)
    assert last.status == 401


@pytest.mark.parametrize(
    ("url", "name", "secure"),
    [("https://plane.example", "__Host-ztfm", True), ("http://localhost:1", "ztfm", False)],
)
def test_over_tls_the_cookie_is_this_hosts_alone(url: str, name: str, secure: bool) -> None:
    with running(public_url=url) as plane:
        answer = plane.enrol("administrator").post("/v1/console/session", {})
        answer.expect(201)
        [kept] = SimpleCookie(answer.headers["Set-Cookie"]).values()
        assert kept.key == name
        assert bool(kept["secure"]) is secure
        assert kept["path"] == "/"
        assert ask(plane, cookie(answer)).status == 200
        bare = cookie(answer).removeprefix("__Host-")
        assert ask(plane, bare).status == (401 if secure else 200)


def test_nobody_signs_in_where_the_network_can_be_listened_to() -> None:
    with running(public_url="http://plane.example") as plane:
        answer = plane.enrol("administrator").post("/v1/console/session", {})
        assert "ZTFM_PUBLIC_URL" in answer.expect(409)["detail"]
        assert answer.kind == "conflict"
        assert "Set-Cookie" not in answer.headers


def test_without_a_console_there_is_none_and_no_session_counts() -> None:
    with running(console="off") as plane:
        admin = plane.enrol("administrator")
        for method, path in (("GET", "/console"), ("GET", "/console/"), ("GET", "/v1/console/sign-in")):
            assert plane.call(method, path).status == 404
        assert admin.post("/v1/console/session", {}).status == 404
        assert plane.call("GET", "/v1/decisions", headers={"Cookie": "ztfm=" + "A" * 43}).status == 401
        assert plane.call("GET", "/v1/decisions", key=admin.key, headers={"Cookie": "ztfm=x"}).status == 200
        assert "/v1/console/session" not in plane.call("GET", "/openapi.json").expect(200)["paths"]
