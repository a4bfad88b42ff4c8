"""SPIFFE's own Go library takes what the control plane issues, and refuses what ours refuses."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapters.svid import SpiffeId, SpiffeIdInvalid
from adapters.svid.identity import fresh_key, private_pem, request_for
from tests.support import ControlPlane, running

HERE = Path(__file__).parent / "gospiffe"
NAMES = (
    "spiffe://homes.example/device/dev-1",
    "spiffe://homes.example",
    "spiffe://a_b.c-1/A/b-_.9/...",
    "spiffe://10.0.0.1/a",
    "spiffe://homes.example/",
    "spiffe://homes.example//a",
    "spiffe://homes.example/a/",
    "spiffe://homes.example/./a",
    "spiffe://homes.example/../a",
    "spiffe://Homes.example/a",
    "spiffe://homes.example:443/a",
    "spiffe://u@homes.example/a",
    "spiffe://homes.example/a%20b",
    "spiffe://homes.example/a?b",
    "spiffe://homes.example/a#b",
    "spiffe:///a",
    "https://homes.example/a",
    "",
)

Verify = Callable[..., Any]


@pytest.fixture(scope="module")
def verify(tmp_path_factory: pytest.TempPathFactory) -> Verify:
    """Return what has go-spiffe verify something; it is built once, from the versions in ``go.sum``."""
    if not shutil.which("go"):
        pytest.skip("needs Go")
    program = tmp_path_factory.mktemp("go") / "verify"
    had = subprocess.run(["go", "mod", "download"], cwd=HERE, capture_output=True, text=True, timeout=120, check=False)
    if had.returncode != 0:
        pytest.skip(f"go-spiffe cannot be had here: {had.stderr[-300:]}")
    build = ["go", "build", "-mod=readonly", "-o", str(program), "."]
    built = subprocess.run(build, cwd=HERE, capture_output=True, text=True, timeout=300, check=False)
    assert built.returncode == 0, built.stderr[-2000:]

    def _verify(**asked: Any) -> Any:
        given = json.dumps({"trust_domain": "homes.example", **asked})
        done = subprocess.run([str(program)], input=given, capture_output=True, text=True, timeout=30, check=True)
        return json.loads(done.stdout)

    return _verify


@pytest.fixture(scope="module")
def documents(verify: Verify) -> dict[str, Any]:
    """Return what a real control plane issued, before and after a rotation of its authority."""
    with running(trust_domain="homes.example") as plane:
        trainer, key = plane.enrol("trainer"), fresh_key()
        return {
            "bundle": published(plane),
            "certificate": trainer.post("/v1/certificates", {"csr": request_for(key)}).expect(201)["certificate"],
            "key": private_pem(key).decode(),
            "token": trainer.post("/v1/svids/jwt", {"audience": ["aggregator-1"]}).expect(201)["svid"],
            "audience": "aggregator-1",
            "capability": capability(plane),
            "name": f"spiffe://homes.example/device/{trainer.id}",
            "rotated": rotated(plane),
        }


def published(plane: ControlPlane) -> str:
    return plane.call("GET", "/.well-known/spiffe-bundle").body.decode()


def capability(plane: ControlPlane) -> str:
    size = {"prompt_tokens": 1, "max_output_tokens": 1}
    granted = plane.enrol("consumer").capability("inference", audience="gateway-1", inference=size).expect(201)
    return str(granted["access_token"])


def rotated(plane: ControlPlane) -> str:
    plane.services.access.authorities.rotate(plane.clock())  # type: ignore[attr-defined]
    return published(plane)


def test_it_takes_the_bundle_and_both_documents(verify: Verify, documents: dict[str, Any]) -> None:
    found = verify(**documents)
    sequence = json.loads(documents["bundle"])["spiffe_sequence"]
    assert found["bundle"] == {"authorities": 1, "keys": 1, "sequence": sequence}
    assert (found["x509"], found["jwt"]) == (documents["name"], documents["name"])


def test_it_takes_them_by_the_bundle_of_a_rotation(verify: Verify, documents: dict[str, Any]) -> None:
    found = verify(**{**documents, "bundle": documents["rotated"]})
    assert found["bundle"]["authorities"] == 2
    assert (found["x509"], found["jwt"]) == (documents["name"], documents["name"])


def test_it_refuses_another_audience_another_trust_domain_and_another_authority(
    verify: Verify, documents: dict[str, Any]
) -> None:
    assert verify(**{**documents, "audience": "gateway-1"})["jwt"].startswith("error: ")
    elsewhere = verify(**{**documents, "trust_domain": "other.example"})
    assert elsewhere["x509"].startswith("error: ")
    assert elsewhere["jwt"].startswith("error: ")
    nobody = verify(**{**documents, "bundle": '{"keys": []}'})
    assert nobody["x509"].startswith("error: ")
    assert nobody["jwt"].startswith("error: ")


def test_it_takes_no_capability_for_a_token_that_says_who_somebody_is(
    verify: Verify, documents: dict[str, Any]
) -> None:
    found = verify(**{**documents, "token": documents["capability"], "audience": "gateway-1"})
    assert found["jwt"].startswith("error: ")


def test_both_read_the_same_names(verify: Verify) -> None:
    def ours(name: str) -> bool:
        try:
            SpiffeId.parse(name)
        except SpiffeIdInvalid:
            return False
        return True

    assert verify(names=NAMES)["names"] == [ours(name) for name in NAMES]
