"""What is claimed of a TPM: a key that somebody vouches for, the quote that it signed, and the log that leads to it."""

from collections.abc import Mapping
from dataclasses import dataclass

from controlplane.attestation.interface import EvidenceRefused
from controlplane.attestation.tpm import boot
from controlplane.attestation.tpm.eventlog import parse_event_log
from controlplane.attestation.tpm.publics import PublicKey
from controlplane.attestation.tpm.quote import Quote, check_pcrs, parse_quote, split_pcrs, verify_signature
from controlplane.contracts.attestation import Claims

_LARGEST_COUNT = 1_000_000_000


@dataclass(frozen=True)
class Vouched:
    """An attestation key, and who vouches for it.

    Attributes:
        anchor: who, by name.
        how: ``endorsement_key``, ``certificate`` or ``listed``.
        platform: what names the TPM.
        key: itself.
        truthful: names that the quote's signer has if the TPM tells it the truth of its firmware and its resets.
    """

    anchor: str
    how: str
    platform: bytes
    key: PublicKey
    truthful: frozenset[bytes] = frozenset()


def claims(evidence: Mapping[str, bytes], vouched: Vouched) -> Claims:
    """Return what evidence says.

    Args:
        evidence: ``quote``, ``signature`` and ``pcrs``, and an ``event_log`` where there is one.
        vouched: the key that has to have signed it.

    Raises:
        EvidenceRefused: the quote is not signed by the key, or what is shown with it is not what it is of.
    """
    quote = parse_quote(evidence["quote"])
    hashed_with = verify_signature(vouched.key, evidence["signature"], evidence["quote"])
    values = split_pcrs(quote, evidence["pcrs"])
    check_pcrs(quote, values, hashed_with)
    if not quote.extra_data:
        raise EvidenceRefused("unbound", "the quote answers no challenge: quote with the binding as qualifying data")
    measurements = {f"pcr{pcr}": value.hex() for pcr, value in values.items()}
    versions = _versions(quote) if quote.signer in vouched.truthful else {}
    attributes = {"bank": quote.bank, "vouched_by": vouched.how, "clock": "safe" if quote.is_safe else "unsafe"}
    if "event_log" in evidence:
        log = parse_event_log(evidence["event_log"], quote.bank).quoted(values)
        started = boot.started(log)
        measurements |= {f"started{at}": digest.hex() for at, digest in enumerate(started[: boot.MAX_STARTED])}
        # A version would be asked for as a least one, and what ran besides would pass.
        attributes |= {"started": str(len(started))} if boot.STARTED in values else {}
        if (mode := boot.secure_boot(log)) is not None:
            attributes["secure_boot"] = mode
    return Claims(
        kind="tpm",
        anchor=vouched.anchor,
        platform=vouched.platform.hex(),
        bound=quote.extra_data.hex(),
        debug=False,
        status="unstated",
        measurements=measurements,
        versions=versions,
        attributes=attributes,
        advisories=[],
    )


def _versions(quote: Quote) -> dict[str, int]:
    """The firmware's version in four parts of 16 bits, and how often the TPM was started, where that fits a count."""
    parts = [quote.firmware >> shift & 0xFFFF for shift in (48, 32, 16, 0)]
    counts = {"resets": quote.resets, "restarts": quote.restarts}
    return {
        **{f"firmware{at}": part for at, part in enumerate(parts)},
        **{name: count for name, count in counts.items() if count <= _LARGEST_COUNT},
    }
