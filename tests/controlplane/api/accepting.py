"""Policies that accept one issuer and one manufacturer, and nobody else."""

import json
import shutil
from pathlib import Path

from controlplane.sidecar.folders import product_folder
from examples.enrolment import issuer
from tests.controlplane.identity.credentials.factory import Authority, pem

_TERMS = {
    "age_seconds": 3600,
    "claims": {"model": ["hub-3"]},
    "roles": {"trainer": True, "consumer": True},
    "segments": {"homes": True},
}


def accepting(folder: Path, did: str) -> Path:
    """Return a folder of policies that accept the issuer of a DID, and the manufacturer ``example-maker``."""
    policies = folder / "policies"
    shutil.copytree(product_folder("policies"), policies)
    data = {
        "attestation": {"any": "none", "guests": "hardware"},
        "issuers": {did: {"description": "Ours.", "types": {issuer.VCT: _TERMS}}},
        "manufacturers": {
            "example-maker": {
                "description": "Ours.",
                "refused": {"0013": "Stolen from the shelf."},
                "roles": {"trainer": True, "consumer": True},
                "segments": {"homes": True, "guests": True},
            }
        },
    }
    (policies / "data/enrolment/data.json").write_text(json.dumps(data))
    return policies


def manufacturers(folder: Path, root: Authority) -> Path:
    """Return a folder with the root of ``example-maker``."""
    makers = folder / "makers"
    makers.mkdir()
    (makers / "example-maker.pem").write_text("".join(pem(root.certificate)))
    return makers
