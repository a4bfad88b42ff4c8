"""``python -m adapters.svid``: files that stay fresh, for a server that knows nothing of this."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from adapters.enrolment import load_key
from adapters.member import Member
from adapters.svid import SpiffeId, TrustBundle, verify_peer
from controlplane.jose.keys import to_public
from tests.support import ControlPlane, wait_until


@pytest.fixture
def folder(plane: ControlPlane, tmp_path: Path) -> Path:
    token = plane.token(["gateway"], "core")
    Member.enrol(tmp_path / "gateway", plane.url, token, roles=["gateway"], segment="core").close()
    return tmp_path / "gateway"


def command(folder: Path, out: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "adapters.svid", str(folder), "--out", str(out), *more]


def ran(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)


def test_once_it_writes_a_set_that_holds_and_runs_what_is_to_be_told(
    plane: ControlPlane, folder: Path, tmp_path: Path
) -> None:
    out, told = tmp_path / "out", tmp_path / "told"
    done = ran(*command(folder, out, "--once", "--json", "--on-change", f"touch '{told}'"))
    assert done.returncode == 0, done.stderr
    said: Any = json.loads(done.stdout)
    certificate = x509.load_pem_x509_certificate((out / "svid.pem").read_bytes())
    name = SpiffeId.parse(said["spiffe_id"])
    bundle = TrustBundle.parse(plane.call("GET", "/.well-known/spiffe-bundle").body, name.domain)
    assert verify_peer([certificate.public_bytes(Encoding.DER)], bundle, {name}, time.time()) == name
    assert certificate.not_valid_after_utc.timestamp() == said["expires_at"]
    assert (out / "bundle.pem").read_text() == bundle.pem
    assert told.exists()
    key: Any = certificate.public_key()
    assert to_public(key) != load_key(folder).public, "the enrolled key stays where it is"


def test_it_goes_on_until_it_is_told_to_end(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with subprocess.Popen(command(folder, out), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        wait_until(lambda: (out / "svid.pem").exists(), 30)
        assert process.poll() is None
        os.kill(process.pid, signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, "")


def test_a_failure_says_why(plane: ControlPlane, folder: Path, tmp_path: Path) -> None:
    nobody = ran(*command(tmp_path / "nobody", tmp_path / "out", "--once"))
    assert (nobody.returncode, nobody.stdout) == (1, "")
    assert nobody.stderr.startswith("adapters.svid: ")
    assert "enrol the device first" in nobody.stderr
    boss = plane.enrol("administrator")
    identifier = json.loads((folder / "identity.json").read_text())["id"]
    boss.post(f"/v1/devices/{identifier}/status", {"status": "quarantined", "reason": "a test"}).expect(200)
    denied = ran(*command(folder, tmp_path / "out", "--once"))
    assert denied.returncode == 1
    assert "subject_active" in denied.stderr
    assert not (tmp_path / "out").exists()
    assert ran(*command(folder, tmp_path / "out", "--seconds", "1")).returncode == 2


def test_help_has_an_example() -> None:
    shown = ran(sys.executable, "-m", "adapters.svid", "--help").stdout
    assert "Example: python -m adapters.svid" in shown
    assert "--json" in shown
