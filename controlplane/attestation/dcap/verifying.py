"""A quote verified by `dcap-qvl`, under a root that is given and with collateral that is given."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import dcap_qvl  # type: ignore[import-untyped]
from cryptography import x509
from cryptography.exceptions import InvalidSignature

from controlplane.attestation.certificates import serial_of
from controlplane.attestation.chains import Anchors
from controlplane.attestation.dcap.collaterals import Collateral, read_collateral
from controlplane.attestation.dcap.quotes import Quote, der, read_quote
from controlplane.attestation.interface import EvidenceRefused
from controlplane.pki.faults import FAULTS

STATUSES = {
    "UpToDate": "up_to_date",
    "SWHardeningNeeded": "sw_hardening_needed",
    "ConfigurationNeeded": "configuration_needed",
    "ConfigurationAndSWHardeningNeeded": "configuration_and_sw_hardening_needed",
    "OutOfDate": "out_of_date",
    "OutOfDateConfigurationNeeded": "out_of_date_configuration_needed",
    "Revoked": "revoked",
}
"""What Intel says of a platform's firmware, and our word for it."""

MAX_ADVISORIES = 64

_T = TypeVar("_T")

FindCollateral = Callable[[str], bytes | None]
"""Collateral by name, such as ``sgx-00a067110000-processor``; none where there is none."""

_CAUSES = (
    ("tcb status is invalid", "revoked", "Intel revoked the level of its firmware: update it"),
    ("expired", "expired", "its collateral or a certificate has expired at this time: fetch the collateral again"),
    ("notvalidyet", "expired", "its collateral or a certificate is not valid yet at this time: look at the clock"),
    ("in the future", "expired", "its collateral is of a time that has not come: look at the clock"),
    ("no matching tcb level", "revoked", "its firmware is older than any that Intel still lists: update it"),
    ("below minimum", "revoked", "its TDX module is older than any that Intel still lists: update it"),
    ("debug", "unsupported", "it was made in debug mode, where its owner can look into it: start it without"),
    ("mismatch", "unbound", "its collateral is another platform's, or its parts do not belong together"),
    ("signature", "signature", "a signature in it or in its collateral does not hold"),
)
"""Part of what the library says, in lower case; the cause; and our words."""

_OTHERWISE = "the quote does not verify under its root with this collateral"


@dataclass(frozen=True, slots=True)
class Verified:
    """A quote that is verified.

    Attributes:
        quote: its parts.
        anchor: the root that vouches for it.
        status: of `STATUSES`.
        advisories: of Intel, that apply, sorted.
        platform: the platform's PPID, by which Intel knows its processor.
        versions: of what Intel versions, by our names.
        attributes: of the platform, by our names.
    """

    quote: Quote
    anchor: str
    status: str
    advisories: list[str]
    platform: bytes
    versions: dict[str, int]
    attributes: dict[str, str]


def verify_quote(
    evidence: Mapping[str, bytes], at: float, anchors: Anchors, tee: int, kind: str, find: FindCollateral
) -> Verified:
    """Return a quote whose every part holds.

    Collateral that the operator keeps counts before what the platform sends along: of two editions that are both valid,
    a platform would send the one that says kinder things of it.

    Args:
        evidence: ``quote``, and ``collateral`` where the platform sends it along.
        at: Unix seconds.
        anchors: roots of Intel's certificates for platforms, by name.
        tee: `SGX` or `TDX`.
        kind: the same in words: ``sgx`` or ``tdx``.
        find: collateral that the operator keeps.

    Raises:
        EvidenceRefused: it does not verify.
    """
    quote = read_quote(_member(evidence, "quote"))
    if quote.tee != tee:
        raise EvidenceRefused("unsupported", f"the quote is not of {kind.upper()}")
    sent, name = evidence.get("collateral"), collateral_name(quote, kind)
    kept = find(name)
    if kept is not None:
        try:
            return _with(quote, kept, anchors, at)
        except EvidenceRefused as refused:
            if refused.cause != "expired" or sent is None:
                raise
    if sent is None:
        raise EvidenceRefused(
            "expired", f"there is no collateral {name} here: send it along, or have the operator fetch it"
        )
    return _with(quote, sent, anchors, at)


def collateral_name(quote: Quote, kind: str) -> str:
    """Return the name that a quote's collateral has: its kind, the platform's FMSPC and its authority.

    Raises:
        EvidenceRefused: ``malformed``: its certificates do not say.
    """
    parsed = _guarded(lambda: dcap_qvl.parse_quote(quote.whole))
    fmspc, authority = _guarded(lambda: (parsed.fmspc().lower(), parsed.ca().lower()))
    return f"{kind}-{fmspc}-{authority}"


def _member(evidence: Mapping[str, bytes], name: str) -> bytes:
    if name not in evidence or not evidence.keys() <= {"quote", "collateral"}:
        raise EvidenceRefused("malformed", "the evidence is a quote, and collateral where it is sent along")
    return evidence[name]


def _with(quote: Quote, data: bytes, anchors: Anchors, at: float) -> Verified:
    collateral = read_collateral(data)
    anchor, root = _anchored(quote, collateral, anchors, at)
    return _verified(quote, anchor, collateral, _run(quote, collateral, root, at))


def _anchored(quote: Quote, collateral: Collateral, anchors: Anchors, at: float) -> tuple[str, x509.Certificate]:
    """The root by its name; every chain ends in it, and the one that the library does not look at is verified here."""
    root = quote.chain[-1]
    names = [name for name in anchors.names if root in anchors.roots(name)]
    if not names:
        raise EvidenceRefused("untrusted", "no known root vouches for the quote; have the operator add Intel's")
    if any(chain[-1] != root for chain in (collateral.lists, collateral.infos, collateral.identities)):
        raise EvidenceRefused("untrusted", "the collateral is under another root than the quote")
    issuer = collateral.lists[0]
    try:
        issuer.verify_directly_issued_by(root)
        is_valid = issuer.not_valid_before_utc.timestamp() <= at <= issuer.not_valid_after_utc.timestamp()
    except (InvalidSignature, *FAULTS):
        raise EvidenceRefused(
            "signature", "the root did not sign who issued the collateral's list of revoked platform keys"
        ) from None
    if not is_valid:
        raise EvidenceRefused("expired", "who issued the list of revoked platform keys is not valid at this time")
    return names[0], root


def _run(quote: Quote, collateral: Collateral, root: x509.Certificate, at: float) -> dict[str, Any]:
    now = int(at)

    def _verify() -> str:
        verifier = dcap_qvl.QuoteVerifier(der(root))
        parsed = dcap_qvl.QuoteCollateralV3.from_json(collateral.text)
        policy = dcap_qvl.QuotePolicy.claims_only(now)
        return str(verifier.verify_with_policy(quote.whole, parsed, now, policy).to_json())

    try:
        found: dict[str, Any] = json.loads(_guarded(_verify))
    except EvidenceRefused as refused:
        raise _named(refused, quote, collateral, at) from None
    return found


def _named(refused: EvidenceRefused, quote: Quote, collateral: Collateral, at: float) -> EvidenceRefused:
    """A refusal with a better cause, where the library gives none: it does not say what is wrong with a chain."""
    if refused.words != _OTHERWISE:
        return refused
    certificates = {*quote.chain, *collateral.infos, *collateral.identities}
    if any(
        not one.not_valid_before_utc.timestamp() <= at <= one.not_valid_after_utc.timestamp() for one in certificates
    ):
        return EvidenceRefused("expired", "a certificate of the quote or its collateral is not valid at this time")
    revoked = collateral.revoked()
    if any(serial_of(one) in revoked for one in certificates):
        return EvidenceRefused("revoked", "Intel revoked a certificate of the quote; the platform needs a new one")
    return refused


def _guarded(call: Callable[[], _T]) -> _T:
    """What the library returns; whatever it raises refuses the evidence, and so does a panic of its."""
    try:
        return call()
    except (ValueError, TypeError, OverflowError, RuntimeError) as error:
        said = str(error).lower()
    except BaseException as panic:
        if type(panic).__name__ != "PanicException":
            raise
        said = "panic"
    for part, cause, words in _CAUSES:
        if part in said:
            raise EvidenceRefused(cause, f"the quote does not verify: {words}")
    raise EvidenceRefused("untrusted", _OTHERWISE)


def _verified(quote: Quote, anchor: str, collateral: Collateral, found: dict[str, Any]) -> Verified:
    try:
        # The library compares the model of the processor, and not who certified its keys.
        if bytes(found["platform"]["pck"]["pce_id"]).hex() != collateral.authority:
            raise EvidenceRefused("unbound", "the collateral is of platforms that another enclave of Intel's certifies")
        tcb, pck, qe = found["tcb"], found["platform"]["pck"], found["qe"]
        status, advisories = STATUSES[tcb["status"]], sorted(set(tcb["advisory_ids"]))
        versions = {
            "pce_svn": pck["pce_svn"],
            "qe_svn": qe["report"]["isv_svn"],
            "tcb_evaluation": tcb["eval_data_number"],
            **{f"cpu_svn_{place}": svn for place, svn in enumerate(pck["cpu_svn"])},
        }
        attributes = {
            "fmspc": bytes(pck["fmspc"]).hex(),
            **{name: str(pck[name]).lower() for name in ("smt_enabled", "dynamic_platform", "cached_keys")},
        }
        platform = bytes(pck["ppid"])
    except (KeyError, TypeError, ValueError):
        raise EvidenceRefused("unsupported", "the quote's platform has properties that are not understood") from None
    if len(advisories) > MAX_ADVISORIES or not platform:
        raise EvidenceRefused("unsupported", "the quote's platform has no name, or more advisories than are kept")
    return Verified(quote, anchor, status, advisories, platform, versions, attributes)
