"""Devices with an attestation that was appraised, without the evidence: for tests of what comes after it."""

from typing import Any

from controlplane.confidentiality.hpke import PrivateReleaseKey
from controlplane.contracts.attestation import ReleaseKey
from controlplane.contracts.attested import KeptResult
from tests.support import Caller


def attested(
    device: Caller, key: ReleaseKey | None = None, *, age_seconds: float = 1.0, **changes: Any
) -> PrivateReleaseKey | None:
    """Keep that a device's evidence was accepted, with a release key, or with a new one that is returned."""
    made = PrivateReleaseKey.generate() if key is None else None
    now = device.plane.clock()
    known = {
        "kind": "tpm",
        "level": "software",
        "reference": "software-tpm",
        "platform": "aa",
        "verified_at": now - age_seconds,
        "expires_at": now + 600.0,
        "release_key": made.public if made else key,
        "decision_id": "dec-0",
        "result": "signed",
        **changes,
    }
    kept = device.plane.store.attestations.keep(device.id, device.key.thumbprint, KeptResult(**known))
    assert device.plane.run(kept)
    return made


def proven(device: Caller, **changes: Any) -> PrivateReleaseKey:
    """Keep that a device's evidence was accepted; return the key to which secrets are sealed."""
    made = attested(device, **changes)
    assert made is not None
    return made
