"""What the aggregator refuses, and that the job goes on after it."""

import hashlib
import http.client
import json
import socket
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from safetensors.torch import save
from torch import Tensor

from adapters.credentials import SUBMIT, Credentials, RoundTerms, target
from adapters.guard import Guard, Member
from adapters.http import signing
from adapters.http.client import HttpClient
from adapters.http.signing import RequestSigner, write_content_digest
from adapters.jobs.tensorfile import file_digest, read_stored
from controlplane.capabilities.proof import make_proof
from controlplane.jose.keys import DeviceKey
from tests.adapters.conftest import update_of
from tests.adapters.http.jobs import QUICK, Enrol, RunningJob, open_round, running_job
from tests.support import ControlPlane, wait_until


@dataclass(frozen=True)
class Reply:
    """An answer."""

    status: int
    headers: Any
    body: bytes

    @property
    def kind(self) -> str:
        """The last part of a problem's type."""
        assert self.headers["Content-Type"] == "application/problem+json", self.body
        return str(json.loads(self.body)["type"]).removeprefix("urn:ztfm:problem:")

    @property
    def detail(self) -> str:
        """What a problem says is to be done."""
        return str(json.loads(self.body)["detail"])


@dataclass
class Sender:
    """A member in an open round, which makes its requests itself."""

    job: RunningJob
    member: Member
    terms: RoundTerms
    folder: Path
    update: bytes

    def digest(self, content: bytes | None = None) -> str:
        path = self.folder / "sent.safetensors"
        path.write_bytes(self.update if content is None else content)
        return file_digest(path, read_stored(path))

    def credentials(self) -> Credentials:
        return self.member.submit(self.terms, self.digest())

    def request(
        self,
        body: bytes | None = None,
        *,
        shown: Credentials | None = None,
        round_id: str | None = None,
        key: DeviceKey | None = None,
        public_url: str | None = None,
        query: str = "?examples=10",
        **changes: str | None,
    ) -> tuple[str, dict[str, str], bytes]:
        """Return path, headers and body of a submission; ``changes`` are headers, before they are signed."""
        body = self.update if body is None else body
        shown = shown or self.credentials()
        path = f"/v1/rounds/{round_id or self.terms.round_id}/updates{query}"
        headers: dict[str, str | None] = {
            "Authorization": f"DPoP {shown.capability}",
            "DPoP": shown.proof,
            "Content-Type": "application/vnd.safetensors",
            "Content-Length": str(len(body)),
            "Content-Digest": write_content_digest(hashlib.sha256(body).digest()),
            **changes,
        }
        kept = {name: value for name, value in headers.items() if value is not None}
        signer = RequestSigner(key or self.member.key, time.time)
        if kept.keys() >= {"Authorization", "Content-Type", "Content-Digest"}:
            kept = signer.sign("POST", (public_url or self.job.url) + path, kept)
        return path, kept, body

    def send(self, path: str, headers: dict[str, str], body: bytes | None, method: str = "POST") -> Reply:
        parts = urlsplit(self.job.url)
        connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=10)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return Reply(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def still_works(self) -> None:
        """The job goes on: this member's honest update is taken in, and nothing else is kept."""
        assert self.send(*self.request()).status == 202
        assert len(stored(self)) == 1


@pytest.fixture
def sender(
    plane: ControlPlane, guard: Guard, enrol: Enrol, state: dict[str, Tensor], tmp_path: Path
) -> Iterator[Sender]:
    member, other = enrol("trainer"), enrol("trainer")
    bounds = replace(QUICK, transfer_seconds=2.0)
    with running_job(plane, guard, tmp_path / "a", state, members=[member.id, other.id], bounds=bounds) as job:
        with HttpClient(member, job.url) as client:
            terms = open_round(client).terms
        assert terms is not None
        update = save({name: tensor.contiguous() for name, tensor in update_of(state, 1).items()})
        yield Sender(job, member, terms, tmp_path, update)


def stored(sender: Sender) -> list[Path]:
    return list((sender.folder / "a" / "job" / "updates").iterdir())


def test_without_a_capability_or_a_proof_nothing_is_taken(sender: Sender) -> None:
    none = sender.send(*sender.request(Authorization=None))
    assert (none.status, none.kind) == (401, "unauthenticated")
    assert none.headers["WWW-Authenticate"] == 'DPoP algs="ES256"'
    assert sender.send(*sender.request(DPoP=None)).status == 401
    forged = sender.credentials().capability[:-8] + "AAAAAAAA"
    path, headers, body = sender.request(Authorization=f"DPoP {forged}")
    assert sender.send(path, headers, body).status == 401
    assert not stored(sender)
    sender.still_works()


def test_without_a_signature_nothing_is_taken(sender: Sender) -> None:
    path, headers, body = sender.request()
    del headers["Signature"]
    assert (sender.send(path, headers, body).kind, sender.send(path, headers, body).status) == ("unauthenticated", 401)
    sender.still_works()


def test_a_signature_for_something_else_is_refused(sender: Sender, enrol: Enrol) -> None:
    assert sender.send(*sender.request(public_url="http://127.0.0.1:1")).status == 401
    assert sender.send(*sender.request(key=DeviceKey.generate())).status == 401
    path, headers, body = sender.request()
    assert sender.send(path.replace("examples=10", "examples=1000000"), headers, body).status == 401
    shown = sender.credentials()
    path, headers, body = sender.request(shown=shown)
    other = sender.credentials().capability
    assert sender.send(path, {**headers, "Authorization": f"DPoP {other}"}, body).status == 401
    assert not stored(sender)
    sender.still_works()


def test_a_signature_that_covers_too_little_is_refused(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    for left_out in ("@method", "@target-uri", "authorization", "content-digest", "content-type"):
        with monkeypatch.context() as patched:
            patched.setattr(signing, "COVERED", tuple(name for name in signing.COVERED if name != left_out))
            path, headers, body = sender.request()
        refused = sender.send(path, headers, body)
        assert refused.status == 401, left_out
        assert left_out in refused.detail
    sender.still_works()


def test_a_request_that_was_overheard_does_not_work_again(sender: Sender) -> None:
    path, headers, body = sender.request(Expect=None)
    broken = body[:-1] + b"\x00"
    assert sender.send(path, headers, broken).status == 422
    again = sender.send(path, headers, body)
    assert (again.status, "used before" in again.detail) == (401, True)
    sender.still_works()


def test_an_old_signature_is_refused(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    with monkeypatch.context() as patched:
        patched.setattr(time, "time", lambda: now - 120.0)
        path, headers, body = sender.request(shown=None)
    refused = sender.send(path, headers, body)
    assert (refused.status, "too old" in refused.detail) == (401, True)
    sender.still_works()


def test_a_body_that_was_changed_is_refused(sender: Sender) -> None:
    path, headers, body = sender.request()
    refused = sender.send(path, headers, body[:-1] + bytes([body[-1] ^ 1]))
    assert (refused.status, refused.kind) == (422, "unfit-update")
    assert not stored(sender)
    sender.still_works()


def test_the_proof_of_another_update_is_refused_and_says_which_digest_it_needs(sender: Sender) -> None:
    other = bytearray(sender.update)
    other[-1] ^= 1
    shown = sender.member.submit(sender.terms, sender.digest(bytes(other)))
    refused = sender.send(*sender.request(shown=shown))
    assert refused.status == 422
    assert sender.digest() in refused.detail
    sender.still_works()


def test_another_round_is_refused(sender: Sender) -> None:
    assert sender.send(*sender.request(round_id="run-1")).status == 409
    elsewhere = replace(sender.terms, round_id=sender.terms.round_id + "x")
    proof = make_proof(
        sender.member.key,
        method=SUBMIT,
        url=target(elsewhere.audience, elsewhere.round_id),
        now=time.time(),
        access_token=sender.credentials().capability,
    )
    shown = replace(sender.credentials(), proof=proof)
    assert sender.send(*sender.request(shown=shown)).status == 401
    sender.still_works()


def test_a_capability_for_something_else_is_refused(sender: Sender) -> None:
    pull = sender.member.pull(sender.terms).capability
    proof = make_proof(
        sender.member.key,
        method=SUBMIT,
        url=target(sender.terms.audience, sender.terms.round_id),
        now=time.time(),
        access_token=pull,
    )
    refused = sender.send(*sender.request(shown=Credentials(sender.member.id, pull, proof)))
    assert (refused.status, refused.kind) == (403, "denied")
    assert not stored(sender)
    sender.still_works()


def test_the_capability_of_another_device_is_refused(sender: Sender, enrol: Enrol) -> None:
    thief = enrol("trainer")
    stolen = sender.credentials()
    assert sender.send(*sender.request(shown=stolen, key=thief.key)).status == 401
    own = replace(sender, member=thief)
    proof = make_proof(
        thief.key,
        method=SUBMIT,
        url=target(sender.terms.audience, sender.terms.round_id),
        now=time.time(),
        access_token=stolen.capability,
    )
    refused = own.send(*own.request(shown=Credentials(thief.id, stolen.capability, proof)))
    assert (refused.status, "no member" in refused.detail) == (403, True)
    sender.still_works()


def test_a_second_update_is_refused(sender: Sender) -> None:
    sender.still_works()
    again = sender.send(*sender.request())
    assert (again.status, again.kind) == (409, "conflict")
    assert len(stored(sender)) == 1


def test_a_late_update_is_refused(
    plane: ControlPlane, guard: Guard, enrol: Enrol, state: dict[str, Tensor], tmp_path: Path
) -> None:
    member = enrol("trainer")
    bounds = replace(QUICK, round_seconds=0.7, linger_seconds=1.0)
    with running_job(plane, guard, tmp_path / "a", state, members=[member.id], bounds=bounds) as job:
        with HttpClient(member, job.url) as client:
            terms = open_round(client).terms
            assert terms is not None
            late = Sender(job, member, terms, tmp_path, save(update_of(state, 1)))
            ready = late.request()
            wait_until(lambda: client.current().state == "ended", 10)
        assert late.send(*ready).status == 409
        assert job.result().rounds[0].submitted == 0


@pytest.mark.parametrize("change", ["names", "shapes", "types", "garbage", "gap", "empty"])
def test_a_file_that_does_not_fit_the_round_is_refused(sender: Sender, state: dict[str, Tensor], change: str) -> None:
    update = update_of(state, 1)
    files = {
        "names": lambda: save({**update, "more": update["bias"].clone()}),
        "shapes": lambda: save({**update, "bias": update["bias"][:3].clone()}),
        "types": lambda: save({**update, "bias": update["bias"].double()}),
        "garbage": lambda: b"\x00" * 64,
        "gap": lambda: sender.update + b"\x00",
        "empty": lambda: b"",
    }
    refused = sender.send(*sender.request(files[change]()))
    assert (refused.status, refused.kind) == (422, "unfit-update")
    sender.still_works()


def test_a_body_is_bounded_and_says_how_long_it_is(sender: Sender) -> None:
    large = sender.send(*sender.request(b"\x00" * 200_000))
    assert (large.status, large.kind) == (413, "too-large")
    path, headers, body = sender.request()
    del headers["Content-Length"]
    parts = urlsplit(sender.job.url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=10)
    connection.request("POST", path, iter([body]), headers, encode_chunked=True)
    assert connection.getresponse().status == 411
    connection.close()
    sender.still_works()


def test_another_media_type_or_no_digest_or_no_examples_is_refused(sender: Sender) -> None:
    assert sender.send(*sender.request(**{"Content-Type": "application/json"})).status == 415
    assert sender.send(*sender.request(**{"Content-Encoding": "gzip"})).status == 415
    assert (
        sender.send(*sender.request(**{"Content-Digest": f"sha-512=:{b64encode(bytes(64)).decode()}:"})).status == 400
    )
    assert sender.send(*sender.request(query="")).status == 400
    assert sender.send(*sender.request(query="?examples=-1")).status == 400
    sender.still_works()


def test_a_slow_body_is_given_up_and_holds_nobody_up(sender: Sender, enrol: Enrol) -> None:
    path, headers, body = sender.request()
    parts = urlsplit(sender.job.url)
    with socket.create_connection((str(parts.hostname), parts.port or 0), timeout=10) as slow:
        lines = [
            f"POST {path} HTTP/1.1",
            f"Host: {parts.netloc}",
            *(f"{name}: {text}" for name, text in headers.items()),
        ]
        slow.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body[:10])
        wait_until(lambda: len(stored(sender)) == 1, 5)
        second = sender.send(*sender.request())
        assert (second.status, second.kind) == (409, "conflict")
        assert b" 408 " in slow.recv(65_536).partition(b"\r\n")[0]
    wait_until(lambda: not stored(sender), 5)
    sender.still_works()


def test_a_member_that_tries_without_end_is_not_listened_to(sender: Sender) -> None:
    for _ in range(QUICK.tries):
        assert sender.send(*sender.request(b"\x00" * 64)).status == 422
    assert sender.send(*sender.request()).status == 429


def test_weights_are_for_members_with_a_capability_alone(sender: Sender, enrol: Enrol) -> None:
    path = f"/v1/models/{sender.terms.model}"
    assert sender.send(path, {}, None, "GET").status == 401
    shown = sender.member.pull(sender.terms)
    headers = {"Authorization": f"DPoP {shown.capability}", "DPoP": shown.proof}
    found = sender.send(path, headers, None, "GET")
    assert found.status == 200
    assert found.headers["ETag"] == f'"{sender.terms.model_digest}"'
    assert found.headers["Content-Digest"] == write_content_digest(hashlib.sha256(found.body).digest())
    assert sender.send(path, headers, None, "GET").status == 401
    shown = sender.member.pull(sender.terms)
    headers = {"Authorization": f"DPoP {shown.capability}", "DPoP": shown.proof, "If-None-Match": found.headers["ETag"]}
    assert sender.send(path, headers, None, "GET").status == 304
    shown = sender.credentials()
    headers = {"Authorization": f"DPoP {shown.capability}", "DPoP": shown.proof}
    assert sender.send(path, headers, None, "GET").status == 401
    assert sender.send("/v1/models/another", headers, None, "GET").status == 404


def test_weights_that_were_altered_on_the_disk_are_sent_to_nobody(sender: Sender) -> None:
    path = f"/v1/models/{sender.terms.model}"
    [served] = sender.folder.rglob("served.safetensors")
    kept = served.read_bytes()
    for at in (0, len(kept) // 2, len(kept) - 1):
        flipped = bytearray(kept)
        flipped[at] ^= 1
        served.write_bytes(flipped)
        shown = sender.member.pull(sender.terms)
        found = sender.send(path, {"Authorization": f"DPoP {shown.capability}", "DPoP": shown.proof}, None, "GET")
        assert (found.status, found.kind) == (500, "internal")
        assert "altered" in found.detail
    served.write_bytes(kept)
    shown = sender.member.pull(sender.terms)
    assert (
        sender.send(path, {"Authorization": f"DPoP {shown.capability}", "DPoP": shown.proof}, None, "GET").body == kept
    )


def test_only_a_proven_name_is_announced_and_only_one_of_the_list(sender: Sender, enrol: Enrol) -> None:
    headers = {"Content-Type": "application/json"}
    shown = sender.member.introduce(sender.terms.audience).to_dict()
    assert sender.send("/v1/members", headers, json.dumps({**shown, "subject": "dev-x"}).encode()).status == 401
    again = sender.send("/v1/members", headers, json.dumps(shown).encode())
    assert again.status == 401
    shown = sender.member.introduce(sender.terms.audience).to_dict()
    assert sender.send("/v1/members", headers, json.dumps(shown).encode()).status == 202
    stranger = enrol("trainer").introduce(sender.terms.audience).to_dict()
    assert sender.send("/v1/members", headers, json.dumps(stranger).encode()).status == 403
    assert sender.send("/v1/members", headers, b"[]").status == 400
    assert sender.send("/v1/members", headers, b"[" * 20_000).status in (400, 413)


def test_what_no_route_is_for_is_a_problem(sender: Sender) -> None:
    assert sender.send("/nowhere", {}, None, "GET").kind == "not-found"
    assert sender.send("/v1//rounds", {}, None, "GET").status == 400
    wrong = sender.send("/v1/members", {}, None, "GET")
    assert (wrong.status, wrong.headers["Allow"]) == (405, "POST")


def test_whoever_waits_for_news_gets_them_at_once_or_what_is_there(sender: Sender) -> None:
    with HttpClient(sender.member, sender.job.url) as client:
        now = client.current()
        began = time.monotonic()
        assert client.current(now.version).version == now.version
        assert time.monotonic() - began > 2.0
        later = threading.Timer(0.3, sender.job.stop)
        later.start()
        began = time.monotonic()
        assert client.current(now.version).state == "stopped"
        assert time.monotonic() - began < 2.5
        later.join()


def test_what_a_member_was_refused_for_is_reported_when_it_sends_nothing_better(
    plane: ControlPlane, guard: Guard, enrol: Enrol, state: dict[str, Tensor], tmp_path: Path
) -> None:
    member, victim = enrol("trainer"), enrol("trainer")
    bounds = replace(QUICK, round_seconds=4.0)
    with running_job(plane, guard, tmp_path / "a", state, members=[member.id, victim.id], bounds=bounds) as job:
        with HttpClient(member, job.url) as client:
            client.announce("aggregator-1")
            terms = open_round(client).terms
        assert terms is not None
        sender = Sender(job, member, terms, tmp_path, save(update_of(state, 1)))
        borrowed = victim.submit(terms, sender.digest())
        refused = sender.send(*sender.request(shown=borrowed))
        assert (refused.status, refused.kind) == (403, "denied")
        report = job.result().rounds[0]
    assert {(drop.subject, drop.cause) for drop in report.drops} == {
        (member.id, "wrong_subject"),
        (victim.id, "absent"),
    }
    assert not report.verdicts[member.id].decision
