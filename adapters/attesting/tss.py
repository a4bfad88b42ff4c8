"""A TPM 2.0 that is here, asked over the TSS: the only module that imports tpm2-pytss, which is the extra ``tpm``."""

import importlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from cryptography import x509

from adapters.attesting.interface import CannotAttest
from controlplane.attestation.interface import EvidenceRefused
from controlplane.attestation.tpm.publics import parse_public

CERTIFIED = ("EK-HIGH-ECC384", "EK-ECC256", "EK-HIGH-ECC256", "EK-RSA2048", "EK-HIGH-RSA2048", "EK-HIGH-RSA3072")
"""Endorsement keys for which there may be a certificate, those first that take the least time."""

_FIRST_INDEX = 0x01C00000
"""Of the part of a TPM's memory in which its maker puts certificates."""

_FIRST_KEPT = 0x81010000
"""Of the keys that a TPM keeps for the endorsement hierarchy."""

_HANDLES = 256


def library() -> Any:
    """Return tpm2-pytss.

    Raises:
        CannotAttest: it is not installed, or does not fit the TSS that is.
    """
    try:
        return importlib.import_module("tpm2_pytss")
    except ImportError as error:
        raise CannotAttest(
            f"tpm2-pytss cannot be used ({error}): apt-get install libtss2-dev gcc python3-dev pkg-config, then "
            "pip install 'ztfm[tpm]'"
        ) from None


@contextmanager
def opened(tcti: str) -> Iterator["Tpm"]:
    """Open a TPM for as long as the block lasts; keys that were made in it are gone afterwards.

    Args:
        tcti: how it is reached, as the TSS names it: ``device:/dev/tpmrm0``, ``swtpm:host=127.0.0.1,port=2321``.

    Raises:
        CannotAttest: it does not answer, or refuses something.
    """
    tss = library()
    try:
        with tss.ESAPI(tcti) as context:
            tpm = Tpm(tss, context)
            try:
                yield tpm
            finally:
                tpm.flush()
    except (tss.TSS2_Exception, RuntimeError, ValueError) as error:
        raise CannotAttest(
            f"the TPM at {tcti} cannot be used: {error}. See that it is there, and that this user may open it"
        ) from None


class Tpm:
    """An open TPM.

    Args:
        tss: the library.
        context: of the TSS.
    """

    def __init__(self, tss: Any, context: Any) -> None:
        self._tss = tss
        self._context = context
        self._made: list[Any] = []

    def endorsement_key(self, kinds: Sequence[str] = CERTIFIED) -> tuple[bytes, bytes, Any]:
        """Return the certificate of an endorsement key, its TPMT_PUBLIC, and itself.

        Args:
            kinds: of keys, by the names that the TSS has for their templates; the first that has a certificate is
                taken.

        Raises:
            CannotAttest: there is no certificate in this TPM.
        """
        utils = importlib.import_module("tpm2_pytss.utils")
        there, reads = self._handles(_FIRST_INDEX), utils.NVReadEK(self._context)

        def _read(index: int) -> bytes:
            if index not in there:
                raise utils.NoSuchIndex(index)
            return bytes(reads(index))

        for kind in kinds:
            try:
                certificate, template = utils.create_ek_template(kind, _read)
            except ValueError:
                continue
            if certificate is not None:
                public, key = self._kept(_trimmed(certificate)) or self._primary(template)
                return _trimmed(certificate), public, key
        raise CannotAttest(
            "the TPM holds no certificate of its endorsement key: have the operator list its attestation key instead"
        )

    def attestation_key(self, unique: bytes) -> tuple[bytes, Any]:
        """Return the TPMT_PUBLIC of an attestation key, and itself: the same for the same ``unique``, 64 bytes."""
        tss = self._tss
        attributes = tss.TPMA_OBJECT
        template = tss.TPM2B_PUBLIC(
            publicArea=tss.TPMT_PUBLIC(
                type=tss.TPM2_ALG.ECC,
                nameAlg=tss.TPM2_ALG.SHA256,
                objectAttributes=attributes.FIXEDTPM
                | attributes.FIXEDPARENT
                | attributes.SENSITIVEDATAORIGIN
                | attributes.USERWITHAUTH
                | attributes.NODA
                | attributes.RESTRICTED
                | attributes.SIGN_ENCRYPT,
                parameters=tss.TPMU_PUBLIC_PARMS(
                    eccDetail=tss.TPMS_ECC_PARMS(
                        symmetric=tss.TPMT_SYM_DEF_OBJECT(algorithm=tss.TPM2_ALG.NULL),
                        scheme=tss.TPMT_ECC_SCHEME(
                            scheme=tss.TPM2_ALG.ECDSA,
                            details=tss.TPMU_ASYM_SCHEME(ecdsa=tss.TPMS_SCHEME_HASH(hashAlg=tss.TPM2_ALG.SHA256)),
                        ),
                        curveID=tss.TPM2_ECC.NIST_P256,
                        kdf=tss.TPMT_KDF_SCHEME(scheme=tss.TPM2_ALG.NULL),
                    )
                ),
                unique=tss.TPMU_PUBLIC_ID(ecc=tss.TPMS_ECC_POINT(x=unique[:32], y=unique[32:])),
            )
        )
        return self._primary(template)

    def activate(self, endorsement_key: Any, attestation_key: Any, blob: bytes, secret: bytes) -> bytes:
        """Return what is in a credential that was made for both keys.

        Raises:
            CannotAttest: it was made for others.
        """
        tss = self._tss
        given = tss.TPM2B_ID_OBJECT(credential=blob), tss.TPM2B_ENCRYPTED_SECRET(secret=secret)
        public, _, _ = self._context.read_public(endorsement_key)
        by_password = public.publicArea.objectAttributes & tss.TPMA_OBJECT.USERWITHAUTH
        allowed = tss.ESYS_TR.PASSWORD if by_password else self._endorsing_session()
        try:
            opened_ = self._context.activate_credential(attestation_key, endorsement_key, *given, session2=allowed)
        except tss.TSS2_Exception as error:
            raise CannotAttest(
                f"the challenge's credential is not for this TPM and its attestation key ({error}): ask for another"
            ) from None
        return bytes(opened_)

    def quote(self, key: Any, bank: str, pcrs: Sequence[int], data: bytes) -> tuple[bytes, bytes]:
        """Return a TPMS_ATTEST over registers that carries ``data``, and its TPMT_SIGNATURE."""
        quoted, signature = self._context.quote(key, _selection(bank, pcrs), data)
        return bytes(quoted), bytes(signature.marshal())

    def read(self, bank: str, pcrs: Sequence[int]) -> dict[int, bytes]:
        """Return the values of registers.

        Raises:
            CannotAttest: the TPM has no such bank or no such register.
        """
        found: dict[int, bytes] = {}
        while left := [pcr for pcr in pcrs if pcr not in found]:
            # A TPM gives as many as fit its answer: the first ones.
            _, _, digests = self._context.pcr_read(_selection(bank, left))
            values = [bytes(digest) for digest in digests]
            if not values or len(values) > len(left):
                raise CannotAttest(f"the TPM has no register {left[0]} of {bank}: choose a bank that it has")
            found |= dict(zip(left, values, strict=False))
        return found

    def extend(self, pcr: int, bank: str, digest: bytes) -> None:
        """Extend a register by a digest."""
        tss = self._tss
        algorithm = tss.TPM2_ALG.SHA256 if bank == "sha256" else tss.TPM2_ALG.SHA384
        value = tss.TPMT_HA(hashAlg=algorithm, digest=tss.TPMU_HA(**{bank: digest}))
        self._context.pcr_extend(tss.ESYS_TR(pcr), tss.TPML_DIGEST_VALUES([value]))

    def flush(self) -> None:
        """Let go of the keys and sessions that were made."""
        while self._made:
            self._context.flush_context(self._made.pop())

    def _primary(self, template: Any) -> tuple[bytes, Any]:
        tss = self._tss
        key, public, _, _, _ = self._context.create_primary(
            tss.TPM2B_SENSITIVE_CREATE(), template, tss.ESYS_TR.ENDORSEMENT
        )
        self._made.append(key)
        return bytes(public.publicArea.marshal()), key

    def _kept(self, certificate: bytes) -> tuple[bytes, Any] | None:
        """The key of a certificate where the TPM keeps it: an RSA key takes seconds to make again."""
        certified = x509.load_der_x509_certificate(certificate).public_key()
        for handle in sorted(self._handles(_FIRST_KEPT)):
            key = self._context.tr_from_tpmpublic(handle)
            public = bytes(self._context.read_public(key)[0].publicArea.marshal())
            try:
                if parse_public(public, "a key of the TPM").key == certified:
                    return public, key
            except EvidenceRefused:
                continue
        return None

    def _handles(self, first: int) -> set[int]:
        """Where there is something, of the kind that a handle is of."""
        tss = self._tss
        _, found = self._context.get_capability(tss.TPM2_CAP.HANDLES, first, _HANDLES)
        return {int(handle) for handle in found.data.handles}

    def _endorsing_session(self) -> Any:
        tss = self._tss
        none = tss.ESYS_TR.NONE
        cipher = tss.TPMT_SYM_DEF(algorithm=tss.TPM2_ALG.NULL)
        session = self._context.start_auth_session(none, none, tss.TPM2_SE.POLICY, cipher, tss.TPM2_ALG.SHA256)
        self._made.append(session)
        self._context.policy_secret(tss.ESYS_TR.ENDORSEMENT, session)
        return session


def _selection(bank: str, pcrs: Sequence[int]) -> str:
    return f"{bank}:{','.join(map(str, pcrs))}"


def _trimmed(certificate: bytes) -> bytes:
    """A certificate without what fills the rest of the memory that it lies in."""
    if certificate[:2] != b"\x30\x82" or len(certificate) < 4:
        return certificate
    return certificate[: 4 + int.from_bytes(certificate[2:4], "big")]
