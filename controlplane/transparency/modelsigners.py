"""Whose signatures under models count: public keys and roots of certificates, each under a name that policy uses."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    SECP384R1,
    SECP521R1,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from cryptography.x509.oid import ExtendedKeyUsageOID

from controlplane.contracts.models import SignatureCause
from controlplane.pki.faults import FAULTS
from controlplane.pki.paths import Fault, LeafRules, NamedRoots, PathRefused

SETTING = "ZTFM_MODEL_SIGNERS_DIR"
MAX_SIGNERS = 256
MAX_CHAIN = 8

_CURVES = (SECP256R1, SECP384R1, SECP521R1)
_MAX_SUBJECT = 256
_NAME = re.compile(r"[a-z][a-z0-9_:.-]{0,63}")
_OF_SIGNERS = LeafRules(purpose=ExtendedKeyUsageOID.CODE_SIGNING, states_usage=True)
_WORDS: Mapping[Fault, str] = {
    "malformed": "one of its certificates is none",
    "untrusted": "its certificates lead to no trusted root, or are not for this",
    "expired": "the signer's certificate has expired: sign with a new one",
    "not_yet_valid": "the signer's certificate is not valid yet; compare the clocks",
}


class SignersInvalid(Exception):  # noqa: N818 - a state, as callers see it
    """The folder of signers cannot be used. The message names the file and the remedy."""


class SignatureRefused(Exception):  # noqa: N818 - named for what happened
    """A signature under a model does not count.

    Attributes:
        cause: one word of a closed set.
        words: what does not hold, for whoever showed it.
    """

    def __init__(self, cause: SignatureCause, words: str) -> None:
        super().__init__(f"{cause}: {words}")
        self.cause: SignatureCause = cause
        self.words = words


@dataclass(frozen=True)
class Known:
    """A key whose signatures count, for now.

    Attributes:
        signer: the name of the key, or of the root that its certificate leads to.
        key: it.
        signed_as: subject of its certificate; empty where it is known by itself.
    """

    signer: str
    key: EllipticCurvePublicKey
    signed_as: str = ""


class Signers:
    """Whose signatures count.

    Args:
        keys: public keys by name.
        roots: roots of certificates by name.
    """

    def __init__(
        self,
        keys: Mapping[str, EllipticCurvePublicKey] | None = None,
        roots: Mapping[str, Sequence[x509.Certificate]] | None = None,
    ) -> None:
        self._keys = {hint_of(key): Known(name, key) for name, key in (keys or {}).items()}
        self._roots = NamedRoots(roots or {}, _OF_SIGNERS, MAX_CHAIN)

    def __len__(self) -> int:
        return len({known.signer for known in self._keys.values()} | self._roots.names)

    def by_hint(self, hint: str) -> Known:
        """Return the key that a signature names by the SHA-256 of its PEM, in hexadecimal.

        Raises:
            SignatureRefused: nobody's key here has it.
        """
        known = self._keys.get(hint)
        if known is None:
            raise SignatureRefused("untrusted", "no trusted key has the hash that the signature names")
        return known

    def by_chain(self, chain: Sequence[bytes], at: float) -> Known:
        """Return the key of a chain of certificates (DER, the signer's own first) that a known root vouches for.

        Args:
            chain: as the signature brought it.
            at: Unix seconds; all of it has to be valid then. A signature has no date that anybody could prove.

        Raises:
            SignatureRefused: no such root does.
        """
        if not 1 <= len(chain) <= MAX_CHAIN:
            raise SignatureRefused("malformed", f"a chain has 1 to {MAX_CHAIN} certificates")
        if not self._roots:
            raise SignatureRefused("untrusted", "no root of signers' certificates is trusted here")
        try:
            leaf, *above = [x509.load_der_x509_certificate(one) for one in chain]
            found = self._roots.path(leaf, above, at)
            key, subject = leaf.public_key(), leaf.subject.rfc4514_string()
        except PathRefused as refused:
            raise SignatureRefused(refused.fault, _WORDS[refused.fault]) from None
        except FAULTS:
            raise SignatureRefused("malformed", _WORDS["malformed"]) from None
        if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, _CURVES):
            raise SignatureRefused("unsupported", "signers have keys on P-256, P-384 or P-521")
        if len(subject) > _MAX_SUBJECT or not subject.isprintable():
            raise SignatureRefused("malformed", "the subject of the signer's certificate is too long, or not printable")
        return Known(found.anchor, key, subject)


def hint_of(key: EllipticCurvePublicKey) -> str:
    """Return by what a signature names a key: the SHA-256 of its PEM, in hexadecimal."""
    return hashlib.sha256(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def load_signers(folder: Path | None) -> Signers:
    """Return the signers whose keys or roots lie in a folder: ``NAME.pem``, one public key or some certificates each.

    Args:
        folder: theirs; none for nobody.

    Raises:
        SignersInvalid: it cannot be read, or a file is no such thing.
    """
    if folder is None:
        return Signers()
    keys: dict[str, EllipticCurvePublicKey] = {}
    roots: dict[str, list[x509.Certificate]] = {}
    try:
        files = sorted(path for path in folder.iterdir() if path.suffix == ".pem")
        if len(files) > MAX_SIGNERS:
            raise SignersInvalid(f"{SETTING}: {folder} has more than {MAX_SIGNERS} files")
        for path in files:
            found = _read(path)
            if isinstance(found, EllipticCurvePublicKey):
                keys[path.stem] = found
            else:
                roots[path.stem] = found
    except OSError as error:
        raise SignersInvalid(f"{SETTING}: {error.filename} cannot be read: {error.strerror}") from None
    held = [*map(hint_of, keys.values()), *(root for some in roots.values() for root in set(some))]
    if len(held) != len(set(held)):
        raise SignersInvalid(f"{SETTING}: two files of {folder} hold one key or root: keep it in one")
    return Signers(keys, roots)


def _read(path: Path) -> EllipticCurvePublicKey | list[x509.Certificate]:
    what = f"{SETTING}: {path}"
    if not _NAME.fullmatch(path.stem):
        raise SignersInvalid(f"{what}: a signer's name is a-z, then at most 63 of a-z, 0-9 and _:.-")
    pem = path.read_bytes()
    try:
        if b"-----BEGIN CERTIFICATE-----" in pem:
            return x509.load_pem_x509_certificates(pem)
        key = load_pem_public_key(pem)
    except FAULTS:
        raise SignersInvalid(f"{what} holds neither a public key nor certificates in PEM") from None
    if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, _CURVES):
        raise SignersInvalid(f"{what}: a signer's key is on P-256, P-384 or P-521")
    return key
