"""A kind of evidence that tests make: a statement that a key signed, for which the key of a lab vouches.

`LabVerifier` is a whole verifier behind the interface, which a package brings by its entry point; `Lab` is the platform
that the evidence is of.
"""

import json
import shutil
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from controlplane.attestation.binding import binding
from controlplane.attestation.interface import EvidenceRefused
from controlplane.contracts.attestation import Claims, ReleaseKey
from controlplane.sidecar.folders import product_folder
from tests.support import Caller, ControlPlane, Reply, running

KIND = "lab"
RUNS = "ab" * 32
"""What the lab's platforms run, as its reference values have it."""

REFERENCE: dict[str, Any] = {
    "description": "A platform of the lab.",
    "kind": KIND,
    "anchors": {"bench": True},
    "measurements": {"program": {RUNS: "the trainer of July"}},
    "versions": {"firmware": 7},
    "attributes": {"mode": {"production": True}},
    "statuses": {"up_to_date": True},
    "advisories": {},
    "platform_others": 1000,
    "vector": {"instance_identity": "affirming", "executables": "affirming", "hardware": "affirming"},
}


class LabVerifier:
    """Verifies statements that a key of a folder (``NAME.key``, 32 bytes) signed."""

    kind = KIND
    members: Mapping[str, int] = {"statement": 4096, "signature": 64}

    def __init__(self, folder: Path) -> None:
        self._roots = {
            path.stem: Ed25519PublicKey.from_public_bytes(path.read_bytes()) for path in sorted(folder.glob("*.key"))
        }
        if not self._roots:
            raise ValueError("there is no key in it")

    def verify(self, evidence: Mapping[str, bytes], at: float) -> Claims:
        """See `controlplane.attestation.interface.Verifier.verify`."""
        if evidence.keys() != self.members.keys():
            raise EvidenceRefused("malformed", "it needs a statement and its signature")
        if evidence["statement"] == b'{"fault": true}':
            raise RuntimeError("the verifier has a bug")
        for name, root in self._roots.items():
            try:
                root.verify(evidence["signature"], evidence["statement"])
            except InvalidSignature:
                continue
            return Claims.model_validate({**json.loads(evidence["statement"]), "anchor": name})
        raise EvidenceRefused("untrusted", "no key of the lab signed it")


@dataclass
class Lab:
    """A lab with a platform."""

    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    def roots(self, folder: Path) -> Path:
        """Return a folder of roots in which the lab's key is."""
        (folder / KIND).mkdir(parents=True, exist_ok=True)
        (folder / KIND / "bench.key").write_bytes(self.key.public_key().public_bytes_raw())
        return folder

    def evidence(self, bound: bytes, **changes: Any) -> dict[str, str]:
        """Return what the platform shows, encoded, with other claims."""
        claims = {
            "kind": KIND,
            "platform": "00c0ffee",
            "bound": bound.hex(),
            "debug": False,
            "status": "up_to_date",
            "measurements": {"program": RUNS},
            "versions": {"firmware": 8},
            "attributes": {"mode": "production"},
            "advisories": [],
            **changes,
        }
        return self.signed(json.dumps(claims).encode())

    def signed(self, statement: bytes) -> dict[str, str]:
        """Return a statement as evidence."""
        parts = {"statement": statement, "signature": self.key.sign(statement)}
        return {name: b64encode(part).decode() for name, part in parts.items()}

    def show(self, device: Caller, challenge: Any, *, release_key: ReleaseKey | None = None, **changes: Any) -> Reply:
        """Answer a challenge as a device."""
        bound = binding(challenge["nonce"], device.key.thumbprint, release_key)
        return show(device, challenge["id"], self.evidence(bound, **changes), release_key=release_key)


def show(device: Caller, challenge: str, evidence: Mapping[str, str], **more: Any) -> Reply:
    """Send evidence as a device."""
    document = {"challenge": challenge, "kind": KIND, "evidence": dict(evidence)}
    for name, value in more.items():
        if value is not None:
            document[name] = value.model_dump() if isinstance(value, ReleaseKey) else value
    return device.post("/v1/attestations", document)


def challenged(device: Caller, kind: str = KIND) -> Any:
    """Return a challenge for a device."""
    return device.post("/v1/attestations/challenges", {"kind": kind}).expect(201)


def lab_policies(folder: Path, **changes: Any) -> Path:
    """Return a folder of policies in which the lab's reference values are, with other parts."""
    policies = folder / "policies"
    shutil.copytree(product_folder("policies"), policies)
    path = policies / "data/attestation/data.json"
    data = json.loads(path.read_text())
    data["anchors"][KIND] = {"bench": "hardware"}
    data["references"]["bench"] = {**REFERENCE, **changes}
    alone = {name: value for name, value in REFERENCE.items() if name != "platform_others"}
    data["references"]["single"] = {**alone, "attributes": {"mode": {"single": True}}}
    path.write_text(json.dumps(data))
    return policies


@contextmanager
def running_lab(lab: Lab, folder: Path, **settings: Any) -> Iterator[ControlPlane]:
    """Run a control plane that takes the lab's evidence."""
    packages = folder / "packages"
    packages.mkdir()
    install(packages)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(packages)
        known = {"policies": lab_policies(folder), "attestation_roots": lab.roots(folder / "roots"), **settings}
        with running(**known) as plane:
            yield plane


def install(packages: Path) -> None:
    """Install a package that brings the verifier, as an installer would leave it."""
    about = packages / "ztfm_lab-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: ztfm-lab\nVersion: 1.0\n")
    named = f"{__name__}:LabVerifier"
    (about / "entry_points.txt").write_text(f"[ztfm.verifiers]\n{KIND} = {named}\n")
