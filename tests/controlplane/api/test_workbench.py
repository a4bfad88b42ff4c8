"""``/v1/workbench``: who may try policies, what is said of them, and that only a signed draft changes anything."""

import json
import shutil
import socket
import tempfile
import threading
from base64 import b64decode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from typer.testing import CliRunner

from controlplane.bundles import read_archive
from controlplane.bundles.keys import key_id, public_pem
from controlplane.cli.commands import app
from controlplane.contracts.workbench import MAX_FILES
from controlplane.history.workbench import trials
from controlplane.sidecar.folders import product_folder
from tests.support import Caller, ControlPlane, Reply, running, wait_until

BENCH = "/v1/workbench"
SIZE = {"prompt_tokens": 1, "max_output_tokens": 1}
LIMITS = "data/limits/data.json"
NOTE = "ztfm/admin/seen.rego"
TRIES = ("check", "test", "evaluate", "replay", "bundle")
NOBODY = f"dec-{'0' * 32}"


@pytest.fixture(scope="module")
def signing() -> EllipticCurvePrivateKey:
    """A key as a browser holds it: nothing but its signatures comes out."""
    return generate_private_key(SECP256R1())


@pytest.fixture(scope="module")
def own(signing: EllipticCurvePrivateKey) -> Iterator[ControlPlane]:
    """A control plane that trusts an author's key, and where trying policies is no leave to read decisions."""
    with tempfile.TemporaryDirectory(prefix="ztfm-") as made:
        policies, trust, state = Path(made) / "policies", Path(made) / "trust", Path(made) / "state"
        shutil.copytree(product_folder("policies"), policies)
        roles = json.loads((policies / "data/roles/data.json").read_text())
        for action in ("decision:list", "decision:read"):
            del roles["author"]["grants"][action]
        (policies / "data/roles/data.json").write_text(json.dumps(roles))
        tests = policies / "ztfm/admin/grants_test.rego"
        written = tests.read_text()
        for action, kind in (("list", "decision_log"), ("read", "decision")):
            was = f'"decision:{action}": ["{kind}", {{"administrator", "auditor", "author", "operator"}}]'
            assert was in written
            written = written.replace(was, was.replace('"author", ', ""))
        tests.write_text(written)
        (trust / "base").mkdir(parents=True)
        (trust / "base" / "author.pem").write_text(public_pem(signing.public_key()))
        state.mkdir()
        machine = CliRunner().invoke(
            app,
            [
                "policy",
                "key",
                "--new",
                "--key",
                str(state / "policy-signing.key"),
                "--out",
                str(trust / "base/own.pem"),
            ],
        )
        assert machine.exit_code == 0, machine.output
        with running(policies=policies, policy_trust_dir=trust, state=state) as plane:
            yield plane


@pytest.fixture(scope="module")
def admin(own: ControlPlane) -> Caller:
    return own.enrol("administrator")


@pytest.fixture(scope="module")
def author(own: ControlPlane) -> Caller:
    return own.enrol("author", segment="core")


@pytest.fixture(scope="module")
def denied(own: ControlPlane) -> str:
    """A decision that denied, beside three that allowed."""
    device = own.enrol("consumer")
    for _ in range(3):
        device.capability("inference", inference=SIZE).expect(201)
    own.run(own.services.registry.set_status(device.id, "quarantined"))  # type: ignore[attr-defined]
    return str(device.capability("inference", inference=SIZE).json["decision_id"])


def post(caller: Caller, path: str, **document: Any) -> Reply:
    return caller.post(f"{BENCH}/{path}", document, timeout=180.0)


def asked(path: str, **document: Any) -> dict[str, Any]:
    return {**({"decision": NOBODY} if path == "evaluate" else {}), **document}


def sources(caller: Caller) -> dict[str, str]:
    return {file["path"]: file["text"] for file in caller.get(f"{BENCH}/sources").expect(200)["files"]}


def command(own: ControlPlane, *arguments: str) -> Any:
    done = CliRunner().invoke(app, ["policy", *arguments, "--state-dir", str(own.state), "--json"])
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


def acts(own: ControlPlane, caller: Caller, action: str) -> list[str]:
    """Return how a caller's requests for an action were decided, as the log has it, newest first."""
    admin = own.enrol("operator")
    found = admin.get(f"/v1/decisions?action={action}&subject={caller.id}&limit=200").expect(200)
    return [one["outcome"] for one in found["decisions"]]


def test_what_is_edited_is_what_decides(own: ControlPlane, admin: Caller) -> None:
    found = admin.get(f"{BENCH}/sources").expect(200)
    assert found["revision"] == own.call("GET", "/readyz").json["policy_revision"]
    assert (found["layer"], found["origin"]) == ("base", "release")
    files = {file["path"]: file["text"] for file in found["files"]}
    assert "ztfm/admin/policy_test.rego" in files
    assert json.loads(files["data/roles/data.json"])["author"]["grants"].keys() >= {"policy:try"}
    assert admin.get(f"{BENCH}/sources?layer=site").expect(200)["origin"] == "none"


@pytest.mark.parametrize("query", ["layer=other", "layer=base&layer=site", "path=x"])
def test_a_query_that_does_not_fit_is_refused(admin: Caller, query: str) -> None:
    assert admin.get(f"{BENCH}/sources?{query}").kind == "invalid-request"


@pytest.mark.parametrize("path", TRIES)
@pytest.mark.parametrize("role", ["operator", "trainer", "gateway"])
def test_nobody_else_tries_policies(own: ControlPlane, role: str, path: str) -> None:
    caller = own.enrol(role)
    refused = post(caller, path, **asked(path))
    assert refused.kind == "denied"
    assert acts(own, caller, "policy:try") == ["deny"]


@pytest.mark.parametrize("path", [*TRIES, "releases", "shadow"])
def test_a_stranger_learns_nothing(own: ControlPlane, path: str) -> None:
    assert post(own.stranger(), path, **asked(path)).kind == "unauthenticated"


@pytest.mark.parametrize(
    ("path", "document"), [("evaluate", {"decision": NOBODY}), ("replay", {})], ids=["evaluate", "replay"]
)
def test_whoever_may_not_read_decisions_tries_none_of_others(author: Caller, path: str, document: Any) -> None:
    refused = post(author, path, **document)
    assert (refused.kind, [one["code"] for one in refused.json["reasons"]]) == ("denied", ["role_granted"])
    assert post(author, "check", checks=["compile"]).expect(200)["findings"] == []


def test_each_try_is_a_decision_on_record(own: ControlPlane) -> None:
    caller = own.enrol("administrator")
    post(caller, "check", checks=["compile"]).expect(200)
    post(caller, "check", checks=["unheard"]).expect(422)
    assert acts(own, caller, "policy:try") == ["allow", "allow"]


def test_opas_own_words_come_with_line_and_column(admin: Caller) -> None:
    text = sources(admin)[NOTE] + "\nspoilt if {\n\tinput.action.name == unheard_of\n}\n"
    [found] = post(admin, "check", files={NOTE: text}, checks=["compile"]).expect(200)["findings"]
    lines = text.splitlines()
    assert lines[found["line"] - 1][found["column"] - 1 :].startswith("input.action.name == unheard_of")
    assert (found["path"], found["severity"], found["message"]) == (NOTE, "error", "var unheard_of is unsafe")


@pytest.mark.parametrize(
    "path",
    [
        "../outside.rego",
        "/etc/passwd",
        "/tmp/policy.rego",
        "ztfm/../../outside.rego",
        "ztfm/./policy.rego",
        "ztfm//policy.rego",
        ".regal/config.yaml",
        "ztfm/.hidden.rego",
        ".manifest",
        "ztfm\\policy.rego",
        "ztfm/policy.rego\x00",
        "ztfm/policy.rego\n",
        "ztfm/policy.so",
        "ztfm/" + "a" * 200 + ".rego",
        "C:policy.rego",
        "",
    ],
)
def test_a_path_that_leads_elsewhere_is_refused(admin: Caller, path: str) -> None:
    for try_ in TRIES:
        refused = post(admin, try_, **asked(try_, files={path: "package x\n"}))
        assert refused.kind == "invalid-request"


def test_what_is_too_much_is_refused(admin: Caller) -> None:
    many = {f"ztfm/many/f{number}.rego": None for number in range(MAX_FILES + 1)}
    assert post(admin, "check", files=many).kind == "invalid-request"
    assert post(admin, "check", files={NOTE: "x" * (1024 * 1024 + 1)}).kind == "invalid-request"
    assert post(admin, "check", files={NOTE: "x" * (4 * 1024 * 1024)}).kind == "too-large"
    whole = {f"ztfm/many/f{number}.rego": "x" * (1000 * 1000) for number in range(4)}
    assert post(admin, "check", files=whole).json["detail"].startswith("too_large. ")


@pytest.mark.parametrize(
    "body",
    [
        b'{"files": {"ztfm/a.rego": "\xff\xfe"}}',
        b'{"files": {"ztfm/a.rego": "\\ud800"}}',
        b'{"files": {"ztfm/a.rego": 1}}',
        b'{"files": {"ztfm/a.rego": "a", "ztfm/a.rego": "b"}}',
        b'{"files": ["ztfm/a.rego"]}',
        b'{"folder": "/etc"}',
        b"package ztfm",
    ],
)
def test_what_is_no_draft_is_refused(admin: Caller, body: bytes) -> None:
    refused = admin.post(f"{BENCH}/check", body=body)
    assert (refused.status, refused.kind) == (400, "invalid-request")


def test_a_draft_of_what_has_changed_is_told_so(admin: Caller) -> None:
    refused = post(admin, "check", revision="nogit.0000000000000000")
    assert (refused.status, refused.kind) == (409, "conflict")


def test_rules_that_ask_the_network_are_not_run(admin: Caller) -> None:
    sending = 'package ztfm.admin\n\nspoilt := http.send({"method": "get", "url": "http://127.0.0.1:1/"})\n'
    for path in ("test", "bundle"):
        refused = post(admin, path, files={NOTE: sending})
        assert (refused.status, refused.kind) == (422, "policy-refused")
        assert refused.json["detail"].startswith("does_not_compile. ztfm/admin/seen.rego:3: The builtin http.send")


def test_a_recorded_request_is_decided_by_a_draft(own: ControlPlane, admin: Caller, denied: str) -> None:
    found = post(admin, "evaluate", decision=denied).expect(200)
    told = command(own, "explain", denied)
    assert found["recorded"] == admin.get(f"/v1/decisions/{denied}").expect(200)
    assert found["now"] == told["again"]
    assert found["masked_and_read"] == told["masked_and_read"] == []
    by_code = {one["code"]: one for one in told["requirements"]}
    assert {one["code"]: one for one in found["requirements"]} == by_code
    missing = [one for one in found["requirements"] if not one["held"]]
    assert [one["code"] for one in missing] == ["subject_active"]
    assert missing[0]["file"] in sources(admin)
    assert missing[0]["conditions"]
    assert post(admin, "evaluate", decision=NOBODY).kind == "not-found"


def stricter(caller: Caller) -> dict[str, str]:
    limits = json.loads(sources(caller)[LIMITS])
    limits["sensitivities"]["internal"]["trust_minimum"] = 0.65
    return {LIMITS: json.dumps(limits)}


def test_what_a_draft_would_have_decided_is_what_the_command_says(
    own: ControlPlane, admin: Caller, denied: str, tmp_path: Path
) -> None:
    files = stricter(admin)
    for path, text in {**sources(admin), **files}.items():
        (tmp_path / "policies" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "policies" / path).write_text(text)
    found = post(admin, "replay", files=files, since_seconds=3600).expect(200)
    told = command(own, "replay", "--candidate", str(tmp_path / "policies"), "--action", "inference")
    assert found["totals"]["newly_denied"] == told["changes"]["newly_denied"] == 3
    assert found["revision"] == told["candidate_revision"]
    groups = [one for one in found["changes"] if one["action"] == "inference"]
    assert [(one["change"], one["reason"], one["segment"], one["count"], one["subjects"]) for one in groups] == [
        (one["change"], one["reason"], one["segment"], one["count"], one["subjects"]) for one in told["groups"]
    ]
    assert [one["examples"] for one in groups] == [[one["id"] for one in group["samples"]] for group in told["groups"]]
    assert found["asked"] == found["decided"] + found["unsure"] + found["not_decided"]
    assert found["same"] == found["decided"] - sum(found["totals"].values())
    same = post(admin, "replay", since_seconds=3600, limit=4).expect(200)
    assert (same["asked"], same["changes"], same["totals"]) == (4, [], {})


def token(claims: str, key: EllipticCurvePrivateKey) -> str:
    """Sign as a browser does: the raw form of a signature that is another each time."""
    header = urlsafe_b64encode(json.dumps({"alg": "ES256", "kid": key_id(key.public_key())}).encode()).rstrip(b"=")
    signed = header.decode() + "." + claims
    pair = decode_dss_signature(key.sign(signed.encode(), ECDSA(SHA256())))
    raw = b"".join(part.to_bytes(32, "big") for part in pair)
    return f"{signed}.{urlsafe_b64encode(raw).rstrip(b'=').decode()}"


@pytest.mark.minutes
def test_a_signed_draft_is_released_and_nothing_else_is(
    own: ControlPlane, admin: Caller, author: Caller, signing: EllipticCurvePrivateKey
) -> None:
    files = {NOTE: sources(admin)[NOTE] + "\n# From the workbench.\n"}
    before = admin.get("/v1/policies/releases").expect(200)
    made = post(author, "bundle", files=files).expect(200)
    assert post(admin, "bundle", files=files).expect(200) == made
    assert key_id(signing.public_key()) in made["key_ids"]
    assert ".signatures.json" not in read_archive(b64decode(made["bundle"]))
    assert json.loads(urlsafe_b64decode(made["claims"] + "=="))["ztfm"]["revision"] == made["revision"]

    stranger = generate_private_key(SECP256R1())
    refusals = {
        "untrusted": {"files": files, "token": token(made["claims"], stranger)},
        "tampered": {"files": {}, "token": token(made["claims"], signing)},
        "malformed": {"files": files, "token": "no.token"},
    }
    for reason, document in refusals.items():
        refused = post(author, "releases", **document)
        assert (refused.status, refused.kind) == (422, "policy-refused")
        assert refused.json["detail"].startswith(f"{reason}. "), refused.json
    assert post(own.enrol("operator"), "releases", **refusals["untrusted"]).kind == "denied"
    assert admin.get("/v1/policies/releases").expect(200) == before

    release = post(author, "releases", files=files, token=token(made["claims"], signing)).expect(201)
    assert (release["revision"], release["published_by"]) == (made["revision"], author.id)
    assert (release["key_id"], release["origin"]) == (key_id(signing.public_key()), "published")
    wait_until(lambda: own.call("GET", "/readyz").json["policy_revision"] == made["revision"])
    assert sources(admin)[NOTE] == files[NOTE]
    assert acts(own, author, "policy:publish")[0] == "allow"


def test_a_signed_draft_is_put_into_the_shadow(
    own: ControlPlane, author: Caller, signing: EllipticCurvePrivateKey
) -> None:
    made = post(author, "bundle", files={}).expect(200)
    started = post(author, "shadow", files={}, token=token(made["claims"], signing)).expect(201)
    assert (started["shadow"]["revision"], started["shadow"]["started_by"]) == (made["revision"], author.id)
    own.call("DELETE", "/v1/policies/shadow", key=author.key).expect(200)
    refused = post(author, "shadow", files={}, token=token(made["claims"], signing), layer="site")
    assert refused.kind == "invalid-request"


def trying() -> list[psutil.Process]:
    found = []
    for one in psutil.Process().children():
        try:
            if "controlplane.history.workbench" in one.cmdline():
                found.append(one)
        except psutil.Error:
            continue
    return found


def test_a_try_ends_with_whoever_waits_for_it_and_holds_up_nobody(own: ControlPlane, admin: Caller) -> None:
    body = json.dumps({"files": {}}).encode()
    proof = own.proof(admin.key, "POST", f"{BENCH}/test")
    head = f"POST {BENCH}/test HTTP/1.1\r\nHost: x\r\nDPoP: {proof}\r\nContent-Type: application/json\r\n"
    address = own.url.removeprefix("http://").split(":")
    with socket.create_connection((address[0], int(address[1]))) as connection:
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        wait_until(lambda: bool(trying()), 30, "a try")
        begun = trying()
        assert own.enrol("operator").get(f"{BENCH}/sources").expect(200)
        assert all(one.is_running() for one in begun), "others were answered only when it was over"
    wait_until(lambda: not trying(), 30, "the end of the try")


def test_one_person_has_one_try_at_a_time(own: ControlPlane, admin: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    replies: list[Reply] = []
    first = threading.Thread(target=lambda: replies.append(post(admin, "check")))
    first.start()
    wait_until(lambda: bool(trying()), 60, "a try")
    monkeypatch.setattr(own.services.workbench._turns, "_seconds", 0.05)  # type: ignore[attr-defined]
    refused = post(admin, "check")
    assert (refused.status, refused.kind, refused.headers["Retry-After"]) == (429, "too-many-requests", "1")
    first.join()
    assert replies[0].expect(200)["findings"] == []


def test_where_there_is_no_opa_it_is_said_how_to_get_one(
    own: ControlPlane, admin: Caller, denied: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own.services.workbench._trials, "_opa", None)  # type: ignore[attr-defined]
    monkeypatch.setenv("OPA_BIN", "/nowhere/opa")
    for reply in (post(admin, "check"), admin.get(f"/v1/decisions/{denied}/explanation")):
        assert (reply.status, reply.kind) == (501, "no-policy-tools")
        assert "OPA_BIN" in reply.json["detail"]
    assert admin.get(f"{BENCH}/sources").status == 200


def test_a_process_that_ends_without_a_word_is_no_fault_of_the_edge(
    admin: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trials, "_MODULE", "controlplane.nothing")
    refused = post(admin, "check", checks=["compile"])
    assert (refused.status, refused.json["detail"]) == (422, "cannot_be_checked. it ended without an answer")
