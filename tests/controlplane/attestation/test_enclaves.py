"""At a real control plane: guests, enclaves, GPUs and tokens prove a level, and a denial says what differs."""

import json
import shutil
import time
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from controlplane.attestation.binding import binding
from controlplane.jose.keys import to_public
from controlplane.sidecar.folders import product_folder
from tests.clocks import EarlyClock
from tests.controlplane.attestation.making_chains import AT, pem
from tests.controlplane.attestation.making_eat import CLAIMS, cwt_of, ec_key
from tests.controlplane.attestation.making_intel import FMSPC, Intel
from tests.controlplane.attestation.making_nvidia import Gpu
from tests.support import Caller, ControlPlane, Reply, running

INTEL, GPU, BOARD = Intel(), Gpu(), ec_key()
KINDS = ("sgx", "tdx", "nvidia", "eat")
MEASURED = {
    "sgx": {"mrenclave": "11" * 32},
    "tdx": {"mrtd": "40" * 48, "rtmr1": "45" * 48},
    "nvidia": {"index2": "02" * 48},
    "eat": {"boot": "aa" * 32},
}


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    folder = tmp_path_factory.mktemp("enclaves")
    clock = EarlyClock(AT - time.time())
    with running(policies=demanding(folder), attestation_roots=roots(folder / "roots"), clock=clock) as found:
        yield found


def roots(folder: Path) -> Path:
    """Roots of each kind; of SGX the collateral too, and of EAT a listed key."""
    held = {"sgx": INTEL.root.certificate, "tdx": INTEL.root.certificate, "nvidia": GPU.root.certificate}
    for kind, certificate in held.items():
        (folder / kind).mkdir(parents=True)
        (folder / kind / "maker.pem").write_bytes(pem(certificate))
    (folder / "sgx" / "collateral").mkdir()
    (folder / "sgx" / "collateral" / f"sgx-{FMSPC}-processor.json").write_bytes(INTEL.collateral())
    (folder / "eat").mkdir()
    (folder / "eat" / "maker.jwk").write_text(to_public(BOARD.public_key()).model_dump_json())
    return folder


def demanding(folder: Path) -> Path:
    """Policies with reference values of each kind."""
    policies = folder / "policies"
    shutil.copytree(product_folder("policies"), policies)
    path = policies / "data/attestation/data.json"
    data = json.loads(path.read_text())
    for kind in KINDS:
        data["anchors"][kind] = {"maker": "hardware"}
        data["references"][kind] = {
            "description": "What runs there.",
            "kind": kind,
            "anchors": {"maker": True},
            "measurements": {name: {digest: "July"} for name, digest in MEASURED[kind].items()},
            "versions": {},
            "attributes": {},
            "statuses": {"up_to_date": True, "unstated": True},
            "advisories": {},
            "platform_others": 1000,
            "vector": {"instance_identity": "affirming", "executables": "affirming"},
        }
    path.write_text(json.dumps(data))
    return policies


def evidence(kind: str, bound: bytes, **change: Any) -> dict[str, bytes]:
    if kind == "sgx":
        return {"quote": INTEL.quote("sgx", bound + bytes(32))} | change
    if kind == "tdx":
        return {"quote": INTEL.quote("tdx", bound + bytes(32)), "collateral": INTEL.collateral("tdx")} | change
    if kind == "nvidia":
        return GPU.evidence(bound) | change
    return {"token": cwt_of(BOARD, {**CLAIMS, "eat_nonce": bound} | change)}


def shown(device: Caller, kind: str, bound: bytes | None = None, **change: Any) -> Reply:
    made = device.post("/v1/attestations/challenges", {"kind": kind}).expect(201)
    parts = evidence(kind, bound or binding(made["nonce"], device.key.thumbprint), **change)
    encoded = {name: b64encode(part).decode() for name, part in parts.items()}
    return device.post("/v1/attestations", {"challenge": made["id"], "kind": kind, "evidence": encoded})


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_proves_a_level(plane: ControlPlane, kind: str) -> None:
    device = plane.enrol("trainer")
    answer = shown(device, kind).expect(201)
    assert (answer["level"], answer["reference"], answer["kind"]) == ("hardware", kind, kind)


@pytest.mark.parametrize("kind", KINDS)
def test_evidence_of_another_challenge_proves_nothing(plane: ControlPlane, kind: str) -> None:
    denied = shown(plane.enrol("trainer"), kind, bytes(32)).expect(403)
    assert "evidence_bound" in {reason["code"] for reason in denied["reasons"]}


def test_a_platform_that_fell_behind_is_denied_in_words(plane: ControlPlane) -> None:
    stale = INTEL.collateral("tdx", status="OutOfDate", advisories=("INTEL-SA-00615",))
    denied = json.dumps(shown(plane.enrol("trainer"), "tdx", collateral=stale).expect(403))
    assert "out_of_date" in denied and "up_to_date" in denied and "INTEL-SA-00615" in denied


def test_a_token_of_other_software_is_denied_with_what_was_seen(plane: ControlPlane) -> None:
    other = {"boot": b"\xcc" * 32}
    denied = json.dumps(shown(plane.enrol("trainer"), "eat", ztfm_measurements=other).expect(403))
    assert "measurements.boot" in denied and "cc" * 32 in denied and "aa" * 32 in denied


def test_a_changed_quote_is_denied_with_its_cause(plane: ControlPlane) -> None:
    device = plane.enrol("trainer")
    denied = json.dumps(shown(device, "sgx", quote=INTEL.quote("sgx")[:-1] + b"\1").expect(403))
    assert "malformed" in denied
