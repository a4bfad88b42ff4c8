"""Attesting from a shell, at a real control plane, by a TPM in software."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from adapters.attesting.software import SoftwareMaker, SoftwareTpm
from adapters.attesting.tpm import TpmAttester
from adapters.member import Member
from controlplane.cli.attest import EvidenceFile
from tests.servers.swtpm import FOLDER, SwtpmMissing, software_tpm
from tests.support import ControlPlane, running


class Here(NamedTuple):
    plane: ControlPlane
    tpm: SoftwareTpm
    roots: Path
    device: Path


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Here]:
    folder = tmp_path_factory.mktemp("attest")
    maker, roots = SoftwareMaker(folder / "maker"), folder / "roots" / "tpm"
    roots.mkdir(parents=True)
    (roots / "swtpm.pem").write_bytes(maker.root.public_bytes(Encoding.PEM))
    try:
        with software_tpm(folder / "tpm", maker) as tpm, running(attestation_roots=folder / "roots") as plane:
            Member.enrol(folder / "device", plane.url, plane.token(["trainer"], "homes")).close()
            yield Here(plane, tpm, roots, folder / "device")
    except SwtpmMissing as missing:
        pytest.skip(str(missing))


def attest(here: Here, *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "adapters.attest", str(here.device), "--tcti", here.tpm.tcti, *more]
    environment = {"PYTHONPATH": str(FOLDER), "PATH": "/usr/bin:/bin"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_a_device_attests_and_is_told_what_that_proves(here: Here) -> None:
    done = attest(here, "--pcrs", "15,0", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["level"], found["reference"]) == ("software", "software-tpm")


def test_a_refusal_names_the_register_its_value_and_the_wanted(here: Here) -> None:
    done = attest(here)
    assert done.returncode == 1
    assert "measurements.pcr15: nothing, wanted " + "0" * 64 in done.stderr
    attester = TpmAttester(here.device, here.tpm.tcti, [15])
    attester.extend(15, hashlib.sha256(b"a program that nobody knows").digest())
    seen = attester.values()[15].hex()
    assert f"measurements.pcr15: {seen}, wanted {'0' * 64}" in attest(here, "--pcrs", "15").stderr


def test_what_is_shown_to_the_operator_verifies_once_the_key_is_listed(here: Here, tmp_path: Path) -> None:
    done = attest(here, "--show", "--json")
    assert done.returncode == 0, done.stderr
    shown = EvidenceFile.model_validate_json(done.stdout)
    assert shown.kind == "tpm"
    (tmp_path / "evidence.json").write_text(done.stdout)
    folder = tmp_path / "roots" / "tpm"
    folder.mkdir(parents=True)
    (folder / "shelf.keys").write_text(json.loads(done.stdout)["attestation_key"])
    command = [sys.executable, "-m", "controlplane.cli", "attest", "verify", str(tmp_path / "evidence.json"), "--json"]
    verified = subprocess.run(
        [*command, "--roots", str(tmp_path / "roots")], capture_output=True, text=True, timeout=60, check=False
    )
    assert verified.returncode == 0, verified.stderr
    claims = json.loads(verified.stdout)["claims"]
    assert (claims["anchor"], claims["attributes"]["vouched_by"]) == ("shelf", "listed")


def test_without_a_tpm_it_says_so(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "adapters.attest", str(tmp_path), "--tcti", "device:/dev/none", "--show"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("adapters.attest: ")
