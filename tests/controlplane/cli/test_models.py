"""``ztfm models``: signed with OpenSSF's library, verified by it and by us, registered, listed and withdrawn."""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from typer.testing import CliRunner

from adapters.guard import Member
from controlplane.cli.commands import app
from controlplane.transparency.modelsignatures import TENSORS_FILE
from tests import modelsigning
from tests.controlplane.api.test_models import asking_for_signatures
from tests.modelsigning import KEY, STRANGER, digest_of, public_pem, trusting, written
from tests.support import MODEL, ControlPlane, running

FILES = {"config.json": b"{}", "weights.bin": b"weights"}


def run(*words: object) -> Result:
    return CliRunner().invoke(app, ["models", *map(str, words)])


def document(done: Result) -> Any:
    assert done.exit_code == 0, done.output
    return json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{")))


@pytest.fixture(scope="module")
def signers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trusting(tmp_path_factory.mktemp("trusted") / "signers", example_lab=public_pem())


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return written(tmp_path / MODEL, FILES)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, signers: Path) -> Iterator[ControlPlane]:
    folder = tmp_path_factory.mktemp("served")
    with running(policies=asking_for_signatures(folder), model_signers_dir=signers) as plane:
        yield plane


def private_pem(folder: Path, key: ec.EllipticCurvePrivateKey = KEY) -> Path:
    path = folder / "release.key"
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return path


def test_what_openssfs_library_signs_holds_here_and_what_was_altered_does_nowhere(
    tmp_path: Path, signers: Path
) -> None:
    pytest.importorskip("model_signing.signing", exc_type=ImportError, reason="the extra integrity is not installed")
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file

    model = tmp_path / "tiny"
    model.mkdir()
    save_file({"w": torch.arange(6.0)}, model / "model.safetensors")
    (model / "config.json").write_text("{}")
    signed = run("sign", model, "--key", private_pem(tmp_path), "--json")
    assert document(signed) == {"signature": str(model / "model.sig")}
    found = document(run("verify", model, "--signers", signers, "--json"))
    assert (found["model"], found["signer"], found["openssf_agrees"]) == ("tiny", "example-lab", True)
    assert set(found["files"]) == {"model.safetensors", "config.json", TENSORS_FILE}
    assert found["tensors"].startswith("sha256:")
    document(run("sign", model, "--key", private_pem(tmp_path), "--json"))
    weights = model / "model.safetensors"
    kept = weights.read_bytes()
    weights.write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))
    done = run("verify", model, "--signers", signers)
    assert (done.exit_code, "model.safetensors was changed" in done.stderr) == (1, True)


def test_what_somebody_else_stated_of_tensors_is_not_signed_unseen(tmp_path: Path, signers: Path) -> None:
    pytest.importorskip("model_signing.signing", exc_type=ImportError, reason="the extra integrity is not installed")
    model = tmp_path / "tiny"
    model.mkdir()
    (model / "weights.bin").write_bytes(b"weights")
    stated = model / TENSORS_FILE
    stated.write_text(json.dumps({"digest": digest_of(b"poisoned"), "files": ["weights.bin"]}))
    done = run("sign", model, "--key", private_pem(tmp_path), "--no-tensors")
    assert (done.exit_code, TENSORS_FILE in done.stderr, (model / "model.sig").exists()) == (2, True, False)
    document(run("sign", model, "--key", private_pem(tmp_path), "--json"))
    assert not stated.exists()
    assert document(run("verify", model, "--signers", signers, "--json"))["tensors"] is None


def test_a_draft_that_was_left_behind_is_not_signed(tmp_path: Path, signers: Path) -> None:
    pytest.importorskip("model_signing.signing", exc_type=ImportError, reason="the extra integrity is not installed")
    model = tmp_path / "tiny"
    model.mkdir()
    (model / "weights.bin").write_bytes(b"weights")
    (model / ".model.sig.draft").write_bytes(b"")
    document(run("sign", model, "--key", private_pem(tmp_path), "--json"))
    assert set(document(run("verify", model, "--signers", signers, "--json"))["files"]) == {"weights.bin"}


def test_what_openssfs_library_signs_by_a_certificate_holds_too(tmp_path: Path) -> None:
    pytest.importorskip("model_signing.signing", exc_type=ImportError, reason="the extra integrity is not installed")
    model = tmp_path / "tiny"
    model.mkdir()
    (model / "weights.bin").write_bytes(b"weights")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(modelsigning, "AT", time.time())
        leaf, root = modelsigning.certified(STRANGER)
    for name, one in (("leaf", leaf), ("root", root)):
        (tmp_path / f"{name}.pem").write_bytes(one.public_bytes(Encoding.PEM))
    by = ("--certificate", tmp_path / "leaf.pem", "--chain", tmp_path / "root.pem")
    document(run("sign", model, "--key", private_pem(tmp_path), *by, "--json"))
    trusted = trusting(tmp_path / "trusted", example_maker=root.public_bytes(Encoding.PEM))
    found = document(run("verify", model, "--signers", trusted, "--json"))
    assert (found["signer"], found["signed_as"]) == ("example-maker", "CN=release@example.org")


def test_a_signature_of_ours_is_one_to_openssfs_verifier(model: Path, signers: Path) -> None:
    why = "the extra integrity is not installed"
    hashing: Any = pytest.importorskip("model_signing.hashing", exc_type=ImportError, reason=why)
    verifying: Any = pytest.importorskip("model_signing.verifying", exc_type=ImportError, reason=why)
    ignoring = hashing.Config().set_ignored_paths(paths=["model.sig"])
    config = verifying.Config().set_hashing_config(ignoring)
    config.use_elliptic_key_verifier(public_key=signers / "example-lab.pem").verify(model, model / "model.sig")


def test_without_the_library_signing_says_what_to_install(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "model_signing", None)
    monkeypatch.delitem(sys.modules, "model_signing.hashing", raising=False)
    done = run("sign", model, "--key", private_pem(tmp_path))
    assert (done.exit_code, "ztfm[integrity]" in done.stderr) == (2, True)


def test_a_version_goes_from_the_folder_to_the_list_and_out_of_it(
    served: ControlPlane, model: Path, signers: Path
) -> None:
    state = ("--state-dir", served.state, "--json")
    kept = document(run("register", model, "--signers", signers, *state))
    assert (kept["model"], kept["signer"], kept["state"]) == (MODEL, "example-lab", "registered")
    consumer = served.enrol("consumer")
    asked = consumer.capability("model_access", digest=digest_of(FILES["weights.bin"]), purpose="serving")
    assert asked.status == 201
    listed = document(run("list", "--model", MODEL, *state))["versions"]
    assert [one["id"] for one in listed] == [kept["id"]]
    assert document(run("show", MODEL, kept["id"], *state)) == kept
    assert "weights.bin" in run("show", MODEL, kept["id"], "--state-dir", served.state).stdout
    assert run("withdraw", MODEL, kept["id"], "--reason", " ", *state).exit_code == 2
    ended = document(run("withdraw", MODEL, kept["id"], "--reason", "Wrong data.", *state))
    assert (ended["state"], ended["withdrawn_why"]) == ("withdrawn", "Wrong data.")
    again = run("register", model, "--signers", signers, *state)
    assert (again.exit_code, "cannot come back" in again.stderr) == (1, True)
    for command in (("show",), ("withdraw", "--reason", "Wrong data.")):
        name, *more = command
        assert run(name, MODEL, "sha256:" + "0" * 64, *more, *state).exit_code == 1


def test_an_administrator_registers_over_the_api_and_policy_is_asked(
    served: ControlPlane, signers: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "administrator"
    token = served.token(["administrator"], "core")
    Member.enrol(folder, served.url, token, roles=["administrator"], segment="core").close()
    model = written(tmp_path / MODEL, {"other.bin": b"other"})
    kept = document(run("register", model, "--signers", signers, "--as", folder, "--json"))
    assert kept["decision_id"].startswith("dec-")
    named_otherwise = written(tmp_path / "sentence-encoder", FILES)
    done = run("register", named_otherwise, "--signers", signers, "--as", folder)
    assert (done.exit_code, "signer" in done.stderr) == (1, True)
    nobody = run("register", model, "--signers", signers, "--as", tmp_path / "nobody")
    assert nobody.exit_code == 1


def test_what_is_called_like_no_model_is_not_registered(served: ControlPlane, tmp_path: Path, signers: Path) -> None:
    model = written(tmp_path / "a model", FILES)
    done = run("register", model, "--signers", signers, "--state-dir", served.state)
    assert (done.exit_code, "no identifier of a model" in done.stderr) == (1, True)


def test_a_key_under_another_name_is_not_taken_for_the_one_that_it_was_registered_by(
    served: ControlPlane, tmp_path: Path, signers: Path
) -> None:
    model = written(tmp_path / MODEL, {"named.bin": b"named"})
    document(run("register", model, "--signers", signers, "--state-dir", served.state, "--json"))
    others = trusting(tmp_path / "others", another_lab=public_pem())
    done = run("register", model, "--signers", others, "--state-dir", served.state)
    assert (done.exit_code, "signed by example-lab" in done.stderr) == (1, True)


def test_a_strangers_signature_is_refused_before_anybody_is_told(tmp_path: Path, signers: Path) -> None:
    model = written(tmp_path / MODEL, FILES, STRANGER)
    for command in ("verify", "register"):
        done = run(command, model, "--signers", signers)
        assert (done.exit_code, "untrusted" in done.stderr) == (1, True)
    assert run("verify", model).exit_code == 2
    assert run("verify", model, "--signers", tmp_path / "none").exit_code == 2
