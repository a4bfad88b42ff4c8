"""Evidence of a TPM 2.0 of this machine: a quote by an attestation key that never leaves it."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from adapters.attesting.interface import CannotAttest
from adapters.attesting.tss import Tpm, opened
from controlplane.attestation.interface import EvidenceRefused
from controlplane.attestation.tpm.publics import parse_public
from controlplane.attestation.tpm.quote import check_pcrs, parse_quote
from controlplane.capabilities.keyfiles import create_private, read_private

SYSTEM_TPM = "device:/dev/tpmrm0"
SYSTEM_EVENT_LOG = Path("/sys/kernel/security/tpm0/binary_bios_measurements")
"""Linux shows it to root alone."""

USUAL_PCRS = (0, 1, 2, 3, 4, 5, 6, 7)
"""What firmware measures: itself, its configuration, what it started, and Secure Boot."""

_UNIQUE = "tpm-attestation-key"
_UNIQUE_BYTES = 64
_TRIES = 4


class TpmAttester:
    """Makes evidence of a TPM.

    The attestation key is made of the TPM's own seed and 64 public bytes in ``folder``: with them the TPM makes the
    same key again after a restart, and without the TPM they are worth nothing.

    Args:
        folder: of the device; made where it is missing.
        tcti: how the TPM is reached.
        pcrs: registers that are quoted, ascending.
        bank: ``sha256`` or ``sha384``.
        event_log: file with the firmware's log, shown with the quote; none for none.
        with_endorsement: challenges are asked for with the TPM's endorsement; else the operator lists the attestation
            key.
    """

    kind = "tpm"

    def __init__(
        self,
        folder: Path,
        tcti: str = SYSTEM_TPM,
        pcrs: Sequence[int] = USUAL_PCRS,
        bank: str = "sha256",
        event_log: Path | None = None,
        *,
        with_endorsement: bool = True,
    ) -> None:
        if not pcrs or list(pcrs) != sorted(set(pcrs)) or not 0 <= pcrs[0] <= pcrs[-1] < 24:
            raise ValueError("registers are named ascending, once each, from 0 to 23")
        self._folder, self._tcti = folder, tcti
        self._pcrs, self._bank = tuple(pcrs), bank
        self._event_log = event_log
        self._with_endorsement = with_endorsement

    def endorsement(self) -> Mapping[str, bytes] | None:
        """Return what a challenge for this TPM is made of: ``ek_certificate``, ``ek`` and ``ak``; none where it is not.

        Raises:
            CannotAttest: the TPM does not answer, or has no certificate of its endorsement key.
        """
        if not self._with_endorsement:
            return None
        with opened(self._tcti) as tpm:
            certificate, endorsement_key, _ = tpm.endorsement_key()
            tpm.flush()
            attestation_key, _ = tpm.attestation_key(self._unique())
        return {"ek_certificate": certificate, "ek": endorsement_key, "ak": attestation_key}

    def evidence(self, binding: bytes, credential: Mapping[str, bytes] | None) -> Mapping[str, bytes]:
        """Return a quote that carries ``binding``, with what it is of, and what was in a credential.

        Args:
            binding: 32 bytes.
            credential: ``blob`` and ``secret`` of a challenge that was asked for with `endorsement`; none where the
                operator lists the attestation key.

        Raises:
            CannotAttest: the TPM does not answer, or the credential is not for it.
        """
        with opened(self._tcti) as tpm:
            public, key = tpm.attestation_key(self._unique())
            shown = {"ak": public, **self._quoted(tpm, key, binding)}
            if credential is not None:
                _, _, endorsement_key = tpm.endorsement_key()
                try:
                    blob, secret = credential["blob"], credential["secret"]
                except KeyError as missing:
                    raise CannotAttest(f"the challenge's credential lacks {missing}") from None
                shown["activation"] = tpm.activate(endorsement_key, key, blob, secret)
        if self._event_log is not None:
            shown["event_log"] = self._log(self._event_log)
        return shown

    def name(self) -> str:
        """Return the attestation key's name, as an operator lists it, in hexadecimal.

        Raises:
            CannotAttest: the TPM does not answer.
        """
        with opened(self._tcti) as tpm:
            public, _ = tpm.attestation_key(self._unique())
        return parse_public(public, "the attestation key").name.hex()

    def extend(self, pcr: int, digest: bytes) -> None:
        """Extend a register by a digest: what ran is on record, and cannot be taken back before the next start.

        Raises:
            CannotAttest: the TPM does not answer, or the register is not for this user.
        """
        with opened(self._tcti) as tpm:
            tpm.extend(pcr, self._bank, digest)

    def values(self) -> dict[int, bytes]:
        """Return the values of the registers that are quoted.

        Raises:
            CannotAttest: the TPM does not answer, or lacks one.
        """
        with opened(self._tcti) as tpm:
            return tpm.read(self._bank, self._pcrs)

    def _quoted(self, tpm: Tpm, key: object, binding: bytes) -> dict[str, bytes]:
        """A quote with the values that it is of: something may extend a register between one and the other."""
        for _ in range(_TRIES):
            values = tpm.read(self._bank, self._pcrs)
            message, signature = tpm.quote(key, self._bank, self._pcrs, binding)
            try:
                check_pcrs(parse_quote(message), values, "sha256")
            except EvidenceRefused:
                continue
            joined = b"".join(values[pcr] for pcr in self._pcrs)
            return {"quote": message, "signature": signature, "pcrs": joined}
        raise CannotAttest("registers change all the time: quote those alone that the system leaves as they are")

    def _unique(self) -> bytes:
        path = self._folder / _UNIQUE
        found = read_private(path)
        if found is None:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            found = create_private(path, os.urandom(_UNIQUE_BYTES))
        if len(found) != _UNIQUE_BYTES:
            raise CannotAttest(f"{path} does not have {_UNIQUE_BYTES} bytes: delete it, and attest anew")
        return found

    @staticmethod
    def _log(path: Path) -> bytes:
        try:
            return path.read_bytes()
        except OSError as error:
            raise CannotAttest(f"the event log {path} cannot be read: {error.strerror}; root may") from None
