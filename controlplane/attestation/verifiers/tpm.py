"""Evidence of a TPM 2.0: a quote of registers by an attestation key that somebody trusted vouches for.

Who may vouch for the key: the TPM, whose maker's root vouches for its endorsement key, by opening a challenge's
credential; an authority, by a certificate for attestation keys; or the operator, who lists it. Nobody else's word
counts.
"""

import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from cryptography import x509

from controlplane.attestation.certificates import RootsInvalid, files_of, load_folder, read_file
from controlplane.attestation.chains import MAX_CERTIFICATES as MAX_ROOTS
from controlplane.attestation.chains import Anchors
from controlplane.attestation.interface import Endorsement, EvidenceRefused
from controlplane.attestation.tpm import endorsing
from controlplane.attestation.tpm.certificates import ATTESTATION, MAX_CHAIN, plain_key, vouched
from controlplane.attestation.tpm.claims import Vouched, claims
from controlplane.attestation.tpm.credentials import SECRET_BYTES
from controlplane.attestation.tpm.eventlog import MAX_LOG
from controlplane.attestation.tpm.publics import MAX_PUBLIC, Public, key_digest, parse_public
from controlplane.attestation.tpm.quote import MAX_MESSAGE
from controlplane.attestation.tpm.signatures import MAX_SIGNATURE
from controlplane.contracts.attestation import Claims

MEMBERS = {
    "quote": MAX_MESSAGE,
    "signature": MAX_SIGNATURE,
    "pcrs": 32 * 48,
    "event_log": MAX_LOG,
    "ak": MAX_PUBLIC,
    "ak_key": MAX_PUBLIC,
    "ak_certificate": MAX_CHAIN,
    "activation": SECRET_BYTES,
}
"""What evidence may have (docs/attestation-tpm.md): the first three always, and what says which key signed."""

_NEEDED = ("quote", "signature", "pcrs")
_ANCHOR = re.compile(r"[a-z][a-z0-9_:.-]{0,63}")
_HEX = frozenset("0123456789abcdef")
_LISTED_CHARS = (64, 68, 100)
"""The SHA-256 of a key, or a TPM's name for it with SHA-256 or SHA-384."""


class TpmVerifier:
    """Verifies quotes of TPMs under roots that are given to it.

    Args:
        roots: certificates by the name of the anchor: of TPM makers, which vouch for endorsement keys, and of
            authorities that certify attestation keys.
        listed: by the name of an anchor, the attestation keys that the operator vouches for, in lower-case hexadecimal:
            a key's TPM name, or the SHA-256 of its SubjectPublicKeyInfo in DER.

    Raises:
        RootsInvalid: the roots are none, an anchor's name is no word, or a key is listed twice or is neither.
    """

    kind = "tpm"
    members: Mapping[str, int] = MEMBERS
    endorsement_members: Mapping[str, int] = endorsing.MEMBERS

    def __init__(
        self, roots: Mapping[str, Sequence[x509.Certificate]], listed: Mapping[str, Collection[str]] | None = None
    ) -> None:
        self._anchors = Anchors(roots)
        self._listed: dict[str, str] = {}
        if wrong := [name for name in (*roots, *(listed or {})) if not _ANCHOR.fullmatch(name)]:
            raise RootsInvalid(f"{wrong[0]!r} is no name of an anchor: use lower case, digits and -, a letter first")
        for anchor, keys in (listed or {}).items():
            for key in keys:
                if key in self._listed or len(key) not in _LISTED_CHARS or set(key) - _HEX:
                    raise RootsInvalid(
                        f"{anchor}: {key!r} is listed twice, or is neither a TPM's name of a key nor the SHA-256 of one"
                    )
                self._listed[key] = anchor

    def endorse(self, endorsement: Mapping[str, bytes], at: float) -> Endorsement:
        """Return a credential that the endorsed TPM alone can open, as `Endorsing.endorse`."""
        _check_bounds(endorsement, self.endorsement_members)
        return endorsing.endorse(endorsement, self._anchors, at)

    def verify(self, evidence: Mapping[str, bytes], at: float) -> Claims:
        """Return what a quote says whose key has a certificate or is listed, as `Verifier.verify`."""
        _check_bounds(evidence, self.members, _NEEDED)
        if "activation" in evidence:
            raise EvidenceRefused(
                "unbound",
                "the evidence opens a credential, but its challenge has none: ask for one with an endorsement",
            )
        if len(evidence.keys() & {"ak", "ak_key"}) == 2 or {"ak_key", "ak_certificate"} <= evidence.keys():
            raise EvidenceRefused(
                "malformed", "ak_key is for a listed key of which nothing else is known: leave it out"
            )
        if "ak_certificate" in evidence:
            return claims(evidence, self._certified(evidence, at))
        return claims(evidence, self._known(evidence))

    def verify_endorsed(self, evidence: Mapping[str, bytes], kept: bytes, at: float) -> Claims:
        """Return what a quote says whose key is in the TPM that a challenge was made for, as `Endorsing` has it."""
        _check_bounds(evidence, self.members, (*_NEEDED, "ak", "activation"))
        if {"ak_key", "ak_certificate"} & evidence.keys():
            raise EvidenceRefused(
                "malformed", "the challenge is for an endorsed key: leave out its certificate and ak_key"
            )
        endorsed = endorsing.opened(evidence["activation"], kept)
        public = _attestation_key(evidence)
        if public.name != endorsed.attestation_key:
            raise EvidenceRefused("unbound", "the attestation key is not the one that the challenge was asked for with")
        truthful = public.endorsed_names(endorsed.endorsement_key)
        return claims(evidence, Vouched(endorsed.anchor, "endorsement_key", endorsed.platform, public.key, truthful))

    def _certified(self, evidence: Mapping[str, bytes], at: float) -> Vouched:
        what = "the attestation key's certificate"
        anchor, key = vouched(evidence["ak_certificate"], self._anchors, ATTESTATION, what, at)
        if "ak" not in evidence:
            return Vouched(anchor, "certificate", key_digest(key), key)
        public = _attestation_key(evidence)
        if public.key != key:
            raise EvidenceRefused("unbound", f"{what} is of another key than the evidence shows")
        return Vouched(anchor, "certificate", key_digest(key), key, public.endorsed_names(None))

    def _known(self, evidence: Mapping[str, bytes]) -> Vouched:
        if "ak" in evidence:
            public = _attestation_key(evidence)
            name, key, truthful = public.name, public.key, public.endorsed_names(None)
        elif "ak_key" in evidence:
            key = plain_key(evidence["ak_key"], "the attestation key")
            name, truthful = hashlib.sha256(evidence["ak_key"]).digest(), frozenset()
        else:
            raise EvidenceRefused(
                "malformed", "the evidence says nothing of its key: show ak, ak_key or ak_certificate"
            )
        anchor = self._listed.get(name.hex())
        if anchor is None:
            raise EvidenceRefused(
                "untrusted",
                "nobody vouches for the attestation key: ask for a challenge with the TPM's endorsement, show a "
                "certificate of the key, or have the operator list it",
            )
        return Vouched(anchor, "listed", name, key, truthful)


def _attestation_key(evidence: Mapping[str, bytes]) -> Public:
    public = parse_public(evidence["ak"], "the attestation key")
    public.check_attests()
    return public


def _check_bounds(shown: Mapping[str, bytes], members: Mapping[str, int], needed: Collection[str] = ()) -> None:
    for name, value in shown.items():
        if name not in members:
            raise EvidenceRefused("malformed", f"there is no member {name!r}; there are {', '.join(members)}")
        if len(value) > members[name]:
            raise EvidenceRefused("malformed", f"{name} has {len(value)} bytes, more than {members[name]}")
    if missing := [name for name in needed if name not in shown]:
        raise EvidenceRefused("malformed", f"the evidence lacks {', '.join(missing)}")


def open_verifier(folder: Path) -> TpmVerifier:
    """Return a verifier for the roots of a folder.

    Args:
        folder: ``NAME.pem`` has the certificates of the anchor of that name; ``NAME.keys``, or none, the attestation
            keys that the operator vouches for under that name, one a line, in hexadecimal; ``#`` begins a remark.

    Raises:
        RootsInvalid: it cannot be read, or a file is no such thing.
    """
    listed: dict[str, list[str]] = {}
    for path in files_of(folder, ".keys"):
        lines = read_file(path).decode("utf-8", "replace").splitlines()
        listed[path.stem] = [key for line in lines if (key := line.partition("#")[0].strip().lower())]
    return TpmVerifier(load_folder(folder, MAX_ROOTS), listed)
