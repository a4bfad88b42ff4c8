"""An attestation key is vouched for by its TPM: who can open a credential holds both it and the endorsement key.

A maker's certificate says that the endorsement key is of a real TPM; that TPM opens the credential only if it holds the
attestation key that is named in it (TPM 2.0 part 1, section 24). A quote that another TPM made is worth nothing then.
"""

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from controlplane.attestation.chains import Anchors
from controlplane.attestation.interface import Endorsement, EvidenceRefused
from controlplane.attestation.tpm.certificates import ENDORSEMENT, MAX_CHAIN, vouched
from controlplane.attestation.tpm.credentials import SECRET_BYTES, Random, make_credential
from controlplane.attestation.tpm.publics import MAX_PUBLIC, key_digest, parse_public
from controlplane.attestation.tpm.reading import Reader

MEMBERS = {"ek_certificate": MAX_CHAIN, "ek": MAX_PUBLIC, "ak": MAX_PUBLIC}
"""Of an endorsement: the certificate and those above it in DER, one after another; TPMT_PUBLIC or TPM2B_PUBLIC of both
keys."""

_DIGEST = 32
_NAME = 50
_ANCHOR = 64


@dataclass(frozen=True)
class Endorsed:
    """For whom a credential was made.

    Attributes:
        anchor: name of the root that vouches for the TPM.
        platform: digest of the endorsement key that is certified. Its name would not do: whoever asks describes the
            key, and some of what makes its name changes nothing of how credentials are opened.
        endorsement_key: its name, as it was described.
        attestation_key: its name.
        secret_digest: SHA-256 of what is in the credential.
    """

    anchor: str
    platform: bytes
    endorsement_key: bytes
    attestation_key: bytes
    secret_digest: bytes

    def kept(self) -> bytes:
        """Return it as bytes."""
        parts = (self.anchor.encode(), self.platform, self.endorsement_key, self.attestation_key, self.secret_digest)
        return b"".join(len(part).to_bytes(2, "big") + part for part in parts)

    @classmethod
    def of(cls, kept: bytes) -> "Endorsed":
        """Return it from bytes that `kept` made.

        Raises:
            EvidenceRefused: they are none such.
        """
        reader = Reader(kept, "what was kept of the challenge")
        anchor = reader.sized(_ANCHOR, "the anchor").decode("ascii", "replace")
        platform = reader.sized(_DIGEST, "the platform")
        keys = reader.sized(_NAME, "the endorsement key"), reader.sized(_NAME, "the attestation key")
        digest = reader.sized(_DIGEST, "the secret's digest")
        reader.end()
        return cls(anchor, platform, *keys, digest)


def endorse(
    endorsement: Mapping[str, bytes], anchors: Anchors, at: float, random: Random = secrets.token_bytes
) -> Endorsement:
    """Return what only a TPM that holds both keys can open, and what to remember of it.

    Args:
        endorsement: `MEMBERS`, all of them.
        anchors: the roots of TPM makers.
        at: Unix seconds.
        random: where secrets come from.

    Raises:
        EvidenceRefused: no root vouches for the endorsement key, or one of the keys is not what it has to be.
    """
    if missing := sorted(MEMBERS.keys() - endorsement.keys()):
        raise EvidenceRefused("malformed", f"the endorsement lacks {', '.join(missing)}")
    endorsement_key = parse_public(endorsement["ek"], "the endorsement key")
    endorsement_key.check_endorses()
    attestation_key = parse_public(endorsement["ak"], "the attestation key")
    attestation_key.check_attests()
    what = "the endorsement key's certificate"
    anchor, certified = vouched(endorsement["ek_certificate"], anchors, ENDORSEMENT, what, at)
    if certified != endorsement_key.key:
        raise EvidenceRefused("unbound", f"{what} is of another key than the endorsement key")
    secret = random(SECRET_BYTES)
    credential = make_credential(endorsement_key, attestation_key.name, secret, random)
    digest = hashlib.sha256(secret).digest()
    endorsed = Endorsed(anchor, key_digest(certified), endorsement_key.name, attestation_key.name, digest)
    return Endorsement({"blob": credential.blob, "secret": credential.secret}, endorsed.kept())


def opened(activation: bytes, kept: bytes) -> Endorsed:
    """Return for whom a credential was made, once what was in it is shown.

    Args:
        activation: what was in it.
        kept: what was remembered of it.

    Raises:
        EvidenceRefused: ``untrusted``: it is something else.
    """
    endorsed = Endorsed.of(kept)
    if not hmac.compare_digest(hashlib.sha256(activation).digest(), endorsed.secret_digest):
        raise EvidenceRefused(
            "untrusted",
            "the challenge's credential was not opened: activate it in the TPM that the challenge was asked for",
        )
    return endorsed
