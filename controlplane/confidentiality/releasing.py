"""A released secret: what it is bound to on its way, sealed here and opened there."""

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode

from controlplane.confidentiality.contexts import context
from controlplane.confidentiality.errors import SealRefused
from controlplane.confidentiality.hpke import PrivateReleaseKey, seal
from controlplane.contracts.attestation import EvidenceType, ReleaseKey
from controlplane.contracts.secrets import ReleasedSecret


def release_info(secret: str, device: str, decision_id: str, policy_revision: str) -> bytes:
    """Return what a released secret is bound to.

    Args:
        secret: its name.
        device: to whom it is released.
        decision_id: that released it.
        policy_revision: that decided.
    """
    return context("ztfm key release 1", secret, device, decision_id, policy_revision)


def seal_release(
    value: bytes,
    key: ReleaseKey,
    *,
    secret: str,
    device: str,
    kind: EvidenceType,
    decision_id: str,
    policy_revision: str,
    expires_at: float,
) -> ReleasedSecret:
    """Seal a secret to a release key.

    Args:
        value: the secret.
        key: that the device's evidence binds.
        secret: its name.
        device: to whom.
        kind: of the evidence.
        decision_id: that releases it.
        policy_revision: that decided.
        expires_at: until when it may be relied on, Unix seconds.

    Raises:
        SealRefused: the key is none.
    """
    enc, ciphertext = seal(key, value, release_info(secret, device, decision_id, policy_revision))
    return ReleasedSecret(
        secret=secret,
        device=device,
        kind=kind,
        suite=key.suite,
        enc=to_text(enc),
        ciphertext=to_text(ciphertext),
        decision_id=decision_id,
        policy_revision=policy_revision,
        expires_at=expires_at,
    )


def open_release(released: ReleasedSecret, key: PrivateReleaseKey, *, secret: str, device: str) -> bytes:
    """Return a secret that was released.

    Args:
        released: the answer.
        key: whose public half was attested.
        secret: that was asked for.
        device: that asked.

    Raises:
        SealRefused: it is another secret's or another device's, was sealed to another key, or changed on its way.
    """
    if (released.secret, released.device, released.suite) != (secret, device, key.suite):
        raise SealRefused("what was released is another secret's, another device's or of another suite")
    info = release_info(secret, device, released.decision_id, released.policy_revision)
    return key.open(from_text(released.enc), from_text(released.ciphertext), info)


def key_digest(key: ReleaseKey) -> str:
    """Return the digest of a release key, by which a capability names the one that an update is sealed to."""
    return f"sha256:{hashlib.sha256(context('ztfm release key 1', key.suite, key.key)).hexdigest()}"


def to_text(raw: bytes) -> str:
    """Return bytes in base64url without padding."""
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def from_text(text: str) -> bytes:
    """Return the bytes of a text in base64url without padding.

    Raises:
        SealRefused: it is none, or not written as `to_text` writes it.
    """
    try:
        raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        raise SealRefused("a text is no base64url") from None
    if to_text(raw) != text:
        raise SealRefused("a text in base64url ends in bits that say nothing")
    return raw
