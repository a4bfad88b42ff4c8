"""Platforms that prove what they are, and secrets that are released to them."""

from dataclasses import dataclass

from controlplane.confidentiality.keeping import SecretBook
from controlplane.decisions.attesting import AttestationDesk
from controlplane.decisions.key_release import KeyRelease


@dataclass(frozen=True)
class ConfidentialityParts:
    """What examines platforms, and releases secrets.

    Attributes:
        attestation: has evidence of platforms verified, and policy asked about it.
        secrets: that are released to attested platforms, as they are kept.
        key_release: has policy asked about them, and seals them.
    """

    attestation: AttestationDesk
    secrets: SecretBook
    key_release: KeyRelease
