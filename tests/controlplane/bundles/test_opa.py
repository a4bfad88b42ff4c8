"""A real OPA judges the same bundles as we do: what it must take it takes, what it must not, neither does."""

import hashlib
import hmac
import json
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, derive_private_key
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controlplane.bundles import BundleRefused, BundleSigner, Trust, read_archive, verify, write_archive
from controlplane.bundles.hashing import opa_hashes
from controlplane.bundles.layout import DATA, MANIFEST, SIGNATURES, SOURCE, WASM
from controlplane.jose.jws import encode_segment
from controlplane.sidecar import OpaBinary, locate_opa
from tests.controlplane.bundles.samples import (
    BATCH,
    REVISION,
    files,
    manifest,
    segments,
    signed_anyway,
    unpacked_token,
    with_token,
)

SIGNER = BundleSigner(derive_private_key(2, SECP256R1()))
OTHER = BundleSigner(derive_private_key(3, SECP256R1()))
BODY = SIGNER.sign(files(), "base", REVISION)


@pytest.fixture(scope="module")
def opa() -> OpaBinary:
    return locate_opa({"PATH": ""})


def takes(opa: OpaBinary, folder: Path, body: bytes, scope: str = "base") -> str:
    """What OPA has against a bundle; nothing when it takes it."""
    (folder / "key.pem").write_text(SIGNER.public_pem)
    (folder / "offered.tar.gz").write_bytes(body)
    key = ["--verification-key", "key.pem", "--verification-key-id", SIGNER.key_id, "--signing-alg", "ES256"]
    command = [opa.path, "build", "--bundle", "offered.tar.gz", *key, "--scope", scope, "--output", "out.tar.gz"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=30, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr or "refused"


def both_refuse(opa: OpaBinary, folder: Path, body: bytes) -> tuple[str, str]:
    """The word and what OPA says."""
    with pytest.raises(BundleRefused) as caught:
        verify(body, Trust.of_key(SIGNER.public_key), "base")
    said = takes(opa, folder, body)
    assert said, "OPA takes it"
    return caught.value.reason, said


def test_opa_takes_what_is_signed_and_only_for_its_layer(opa: OpaBinary, tmp_path: Path) -> None:
    assert takes(opa, tmp_path, BODY) == ""
    assert "scope mismatch" in takes(opa, tmp_path, BODY, scope="site")
    assert takes(opa, tmp_path, SIGNER.sign(files("site"), "site", REVISION), scope="site") == ""


@pytest.mark.parametrize("name", sorted(files()))
def test_a_file_that_is_changed_or_gone_is_refused_by_both(opa: OpaBinary, tmp_path: Path, name: str) -> None:
    signed = read_archive(BODY)
    content = signed[name]
    # A space more in a document would be the same document to OPA, so a value changes.
    other = content.replace(b"1.5", b"2.5") if name == DATA else content + b"\n# more"
    other = manifest(revision="0123456789ab.ffffffffffffffff") if name == MANIFEST else other
    assert both_refuse(opa, tmp_path, write_archive({**signed, name: other}))[0] == "tampered"
    less = write_archive({key: value for key, value in signed.items() if key != name})
    assert both_refuse(opa, tmp_path, less)[0] == "tampered"


def test_a_file_more_or_of_another_name_is_refused_by_both(opa: OpaBinary, tmp_path: Path) -> None:
    signed = read_archive(BODY)
    more = {**signed, "ztfm/batch/more.rego": BATCH}
    assert both_refuse(opa, tmp_path, write_archive(more))[0] == "tampered"
    rule = signed.pop("ztfm/batch/batch.rego")
    assert both_refuse(opa, tmp_path, write_archive({**signed, "ztfm/batch/other.rego": rule}))[0] == "tampered"


def _forged() -> dict[str, tuple[bytes, str]]:
    header, claims, kept = unpacked_token(BODY)
    hs = segments({"alg": "HS256", "kid": SIGNER.key_id}, claims)
    code = hmac.new(SIGNER.public_pem.encode(), hs, hashlib.sha256).digest()
    none = segments({**header, "alg": "none"}, claims).decode()
    stripped = {name: content for name, content in read_archive(BODY).items() if name != SIGNATURES}
    site = {**claims, "scope": "site", "ztfm": {**claims["ztfm"], "layer": "site"}}
    return {
        "stripped": (write_archive(stripped), "unsigned"),
        "none": (with_token(BODY, none + "."), "unsigned"),
        "none with a signature": (with_token(BODY, f"{none}.{kept}"), "unsigned"),
        "public key as secret": (with_token(BODY, (hs + b"." + encode_segment(code)).decode()), "untrusted"),
        "another key": (OTHER.sign(files(), "base", REVISION), "untrusted"),
        "another key under our name": (signed_anyway(OTHER, BODY, header, claims), "tampered"),
        "our signature under another name": (
            with_token(BODY, f"{segments({**header, 'kid': OTHER.key_id}, claims).decode()}.{kept}"),
            "untrusted",
        ),
        "scope swapped": (with_token(BODY, f"{segments(header, site).decode()}.{kept}"), "tampered"),
        "signed for another layer": (SIGNER.sign(files("site"), "site", REVISION), "conflicting"),
    }


@pytest.mark.parametrize("how", sorted(_forged()))
def test_a_forged_signature_is_refused_by_both(opa: OpaBinary, tmp_path: Path, how: str) -> None:
    body, reason = _forged()[how]
    assert both_refuse(opa, tmp_path, body)[0] == reason


def test_opa_ignores_the_passengers_and_counts_them_in_the_signature(opa: OpaBinary, tmp_path: Path) -> None:
    assert takes(opa, tmp_path, BODY) == ""
    command = [opa.path, "inspect", "--format", "json", "offered.tar.gz"]
    seen = json.loads(subprocess.run(command, cwd=tmp_path, capture_output=True, check=True, timeout=30).stdout)
    assert set(seen["namespaces"]) == {"data", "data.ztfm.batch"}
    for name in (SOURCE, WASM):
        assert name not in json.dumps(seen["namespaces"])
        changed = write_archive({**read_archive(BODY), name: b"other"})
        assert both_refuse(opa, tmp_path, changed)[0] == "tampered"


TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
NUMBERS = "0, -0, 1.50, 1e3, 1E+3, -1.0e-7, 123456789012345678901234567890, 0.1000000000000000055511151231257827"
MARKS = "\\u2028\\u2029\\u007f\\u0000\\b\\f\\n\\r\\t\\/<>&\\ud83d\\ude00"


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(TEXTS, VALUES, max_size=5))
def test_documents_have_the_hashes_that_opa_gives_them(opa: OpaBinary, tmp_path: Path, value: dict[str, Any]) -> None:
    data = f'{{"data": 1, "ztfm": [{json.dumps(value)}, [{NUMBERS}], "{MARKS}"], "data": {{"twice": 1}}}}'
    content = {MANIFEST: manifest(), DATA: data.encode(), "ztfm/batch/batch.rego": BATCH, SOURCE: b"s", WASM: b"w"}
    folder = tmp_path / hashlib.sha256(data.encode()).hexdigest()[:16]
    for name, body in content.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(body)
    options = ["--signing-alg", "HS256", "--signing-key", "secret", "--bundle", "."]
    subprocess.run([opa.path, "sign", *options], cwd=folder, check=True, capture_output=True, timeout=30)
    token = json.loads((folder / SIGNATURES).read_text())["signatures"][0]
    claims = unpacked_token(with_token(BODY, token))[1]
    assert sorted(claims["files"], key=lambda item: item["name"]) == opa_hashes(content)


class Served:
    """Serves whatever body it holds, as a publisher of bundles does."""

    def __init__(self) -> None:
        self.body = BODY
        served = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                etag = f'"{hashlib.sha256(served.body).hexdigest()}"'
                is_known = self.headers.get("If-None-Match") == etag
                self.send_response(304 if is_known else 200)
                self.send_header("ETag", etag)
                self.send_header("Content-Length", "0" if is_known else str(len(served.body)))
                self.end_headers()
                if not is_known:
                    self.wfile.write(served.body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()


@pytest.fixture
def served() -> Iterator[Served]:
    found = Served()
    yield found
    found.server.shutdown()
    found.server.server_close()


def test_an_opa_that_runs_activates_what_is_signed_and_nothing_else(
    opa: OpaBinary, tmp_path: Path, served: Served
) -> None:
    config = {
        "services": {"publisher": {"url": f"http://127.0.0.1:{served.server.server_port}"}},
        "keys": {SIGNER.key_id: {"algorithm": "ES256", "key": SIGNER.public_pem}},
        "bundles": {
            "base": {
                "service": "publisher",
                "resource": "base.tar.gz",
                "polling": {"min_delay_seconds": 1, "max_delay_seconds": 1},
                "signing": {"scope": "base"},
            }
        },
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    options = ["--server", "--addr", f"unix://{tmp_path}/opa.sock", "--config-file", "config.json"]
    command = [opa.path, "run", *options, "--log-format", "json"]
    pipe, silent = subprocess.PIPE, subprocess.DEVNULL
    with subprocess.Popen(command, cwd=tmp_path, stderr=pipe, stdout=silent, text=True) as process:
        # What is waited for comes within seconds; a process that says nothing is ended, which ends its lines.
        ending = threading.Timer(60, process.kill)
        ending.start()

        def told(word: str) -> str:
            return next(line for line in process.stderr or () if word in line)

        try:
            assert told("Bundle loaded and activated successfully")
            served.body = write_archive({**read_archive(BODY), "ztfm/batch/batch.rego": BATCH + b"more := 1\n"})
            assert "Bundle load failed" in told("digest mismatch")
            served.body = OTHER.sign(files(), "base", REVISION)
            assert "Bundle load failed" in told(OTHER.key_id)
            served.body = SIGNER.sign(files("site"), "site", REVISION)
            assert "Bundle load failed" in told("scope mismatch")
            another = {**files(), "ztfm/more.rego": b"package ztfm.more\n\nit := 1\n"}
            served.body = SIGNER.sign(another, "base", REVISION)
            assert told("Bundle loaded and activated successfully")
        finally:
            ending.cancel()
            process.kill()
