"""An issuer in a process of its own gives a device a credential, and with that it joins; a factory does the same."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from adapters.enrolment import make_key
from adapters.errors import ControlPlaneError, Forbidden
from adapters.member import Member
from adapters.presenting import Credential
from controlplane.identifiers.documents import organisation_document
from controlplane.jose.keys import DeviceKey, load_public
from examples.enrolment import issuer
from tests.controlplane.api.accepting import accepting, manufacturers
from tests.controlplane.identity.credentials.factory import Authority, pem
from tests.support import ControlPlane, running

ROOT = Path(__file__).resolve().parents[2]
FACTORY = Authority("Example Devices root")


def run(*command: str, status: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == status, done.stderr
    return done.stderr if status else done.stdout


@pytest.fixture(scope="module")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("issuer") / "issuer.pem"


@pytest.fixture(scope="module")
def here(key_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    folder = tmp_path_factory.mktemp("here")
    did = json.loads(run("examples.enrolment.issuer", str(key_file), "--json", "did"))["did"]
    with running(policies=accepting(folder, did), manufacturers_dir=manufacturers(folder, FACTORY)) as plane:
        yield plane


def public_key(device: Path) -> Path:
    """Write the device's public key where its issuer finds it, as a device's owner would."""
    made, path = make_key(device), device / "public.pem"
    path.write_bytes(load_public(made.public).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return path


def issue(key_file: Path, device: Path, *more: str) -> Path:
    public = public_key(device)
    credential = run("examples.enrolment.issuer", str(key_file), "issue", str(public), *more)
    path = device / "credential.txt"
    path.write_text(credential)
    return path


def enrol(plane: ControlPlane, device: Path, *more: str, status: int = 0) -> str:
    place = ("--role", "trainer", "--segment", "homes")
    return run("adapters.enrol", str(device), plane.url, *place, *more, status=status)


def test_a_device_joins_with_what_a_real_issuer_gave_it(here: ControlPlane, key_file: Path, tmp_path: Path) -> None:
    path = issue(key_file, tmp_path, "--claim", "model=hub-3", "--disclosable", "serial=0042")
    found = json.loads(enrol(here, tmp_path, "--credential", str(path), "--json"))
    with Member.open(tmp_path) as member:
        assert found == {"id": member.id, "folder": str(tmp_path)}
        assert member.introduce("aggregator-1").subject == member.id


def test_a_credential_that_does_not_suffice_says_so_and_shows_nothing(
    here: ControlPlane, key_file: Path, tmp_path: Path
) -> None:
    path = issue(key_file, tmp_path, "--claim", "model=hub-2")
    said = enrol(here, tmp_path, "--credential", str(path), status=1)
    assert "credential_claims" in said or "does not say what is asked" in said
    assert path.read_text().partition(".")[0] not in said
    assert "Traceback" not in said


def test_a_strangers_credential_lets_nobody_in(here: ControlPlane, tmp_path: Path) -> None:
    path = issue(tmp_path / "stranger.pem", tmp_path / "device", "--claim", "model=hub-3")
    assert "policy accepts nothing from its issuer" in enrol(
        here, tmp_path / "device", "--credential", str(path), status=1
    )


def test_a_credential_of_another_device_lets_nobody_in(here: ControlPlane, key_file: Path, tmp_path: Path) -> None:
    path = issue(key_file, tmp_path / "one", "--claim", "model=hub-3")
    with pytest.raises(Forbidden, match="another key"):
        Member.enrol(tmp_path / "two", here.url, Credential.of_file(path))


def test_a_device_joins_with_what_its_factory_gave_it(here: ControlPlane, tmp_path: Path) -> None:
    path = tmp_path / "chain.pem"
    path.write_text("".join(pem(FACTORY.device(make_key(tmp_path)))))
    enrol(here, tmp_path, "--certificates", str(path))
    with Member.open(tmp_path) as member:
        assert member.introduce("aggregator-1").subject == member.id


def test_a_control_plane_that_always_wants_a_nonce_takes_a_credential_too(tmp_path: Path) -> None:
    made = issuer.open_key(tmp_path / "issuer.pem")
    policies = accepting(tmp_path, issuer.did_of(made.public_key()))
    key = make_key(tmp_path / "device")
    credential = Credential(issuer.issue(made, load_public(key.public), {"model": "hub-3"}))
    with running(policies=policies, dpop_nonce="always") as plane:
        with Member.enrol(tmp_path / "device", plane.url, credential) as member:
            assert member.id.endswith(key.thumbprint)
        with pytest.raises(ControlPlaneError):
            Member.enrol(tmp_path / "device", plane.url, credential)


@contextmanager
def document_of(key: DeviceKey) -> Iterator[tuple[str, list[str]]]:
    """Serve the document of an organisation; give its DID, and what is asked for."""
    asked: list[str] = []

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            found = organisation_document(did, key.public).model_dump_json(exclude_none=True).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/did+json")
            self.send_header("Content-Length", str(len(found)))
            self.end_headers()
            self.wfile.write(found)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    did = f"did:web:localhost%3A{server.server_port}"
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield did, asked
    finally:
        server.shutdown()
        server.server_close()


def test_an_issuer_may_be_an_organisation_on_the_web(tmp_path: Path) -> None:
    made = issuer.open_key(tmp_path / "issuer.pem")
    with document_of(DeviceKey(made)) as (did, asked), document_of(DeviceKey.generate()) as (other, never):
        web = {"did_web_organisations": f"{did},{other}", "did_web_reach": "lab"}
        with running(policies=accepting(tmp_path, did), **web) as plane:
            for name, said, expected in [("one", did, ""), ("two", did, ""), ("three", other, "accepts nothing")]:
                device = make_key(tmp_path / name)
                text = issuer.issue(made, load_public(device.public), {"model": "hub-3"}, issuer=said)
                if not expected:
                    Member.enrol(tmp_path / name, plane.url, Credential(text)).close()
                    continue
                with pytest.raises(Forbidden, match=expected):
                    Member.enrol(tmp_path / name, plane.url, Credential(text))
    assert (asked, never) == (["/.well-known/did.json"], [])


def test_one_shows_a_credential_or_certificates(here: ControlPlane, tmp_path: Path) -> None:
    assert "not allowed with" in enrol(here, tmp_path, "--credential", "a", "--certificates", "b", status=2)
    assert "adapters.enrol: " in enrol(here, tmp_path, "--credential", str(tmp_path / "missing"), status=1)


def test_the_issuer_knows_none_of_our_code() -> None:
    source = (ROOT / "examples" / "enrolment" / "issuer.py").read_text()
    assert "import controlplane" not in source
    assert "from controlplane" not in source
    assert "adapters" not in source
