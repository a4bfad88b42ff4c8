"""Parsers of evidence, with evidence that they accept to begin from."""

import hashlib
import json
from collections.abc import Callable

from controlplane.attestation.interface import EvidenceRefused
from tests.fuzzing.aiming import Target


def _tpm_quote() -> Target:
    from controlplane.attestation.tpm.quote import parse_quote
    from tests.controlplane.attestation.tpm.making import attest, registers

    return Target(parse_quote, [attest(bytes(32), registers()), attest(bytes(32), registers(24))])


def _tpm_event_log() -> Target:
    from controlplane.attestation.tpm.eventlog import parse_event_log
    from tests.controlplane.attestation.tpm.making import event_log, usual_boot

    return Target(lambda data: parse_event_log(data, "sha256").replayed(), [event_log(usual_boot())])


def _tpm_public() -> Target:
    from controlplane.attestation.tpm.publics import parse_public
    from tests.controlplane.attestation.tpm.making import AK_ATTRIBUTES, elliptic, public

    return Target(lambda data: parse_public(data, "it"), [public(elliptic(), AK_ATTRIBUTES, protects=False)])


def _snp_report() -> Target:
    from controlplane.attestation.snp.report import parse_report
    from tests.controlplane.attestation.making_amd import Amd, Chip

    chip = Chip(Amd())
    return Target(parse_report, [chip.report(), chip.report(3)])


def _azure_report() -> Target:
    """As if the chip had vouched for its runtime data, whatever they are."""
    from controlplane.attestation.hcl import check_runtime, parse_hcl
    from tests.controlplane.attestation.making_amd import Amd, Chip
    from tests.controlplane.attestation.making_azure import Machine

    def _take(data: bytes) -> object:
        found = parse_hcl(data)
        return check_runtime(found, hashlib.sha256(found.runtime).digest() + bytes(32))

    return Target(_take, [Machine(Chip(Amd())).report()])


def _nitro_document() -> Target:
    from controlplane.attestation.nitro import parse_document
    from tests.controlplane.attestation.making_nitro import Cloud

    return Target(parse_document, [Cloud().document()])


def _dcap_quote() -> Target:
    from controlplane.attestation.dcap.quotes import read_quote
    from tests.controlplane.attestation.making_intel import Intel

    intel = Intel()
    return Target(read_quote, [intel.quote("sgx"), intel.quote("tdx") + bytes(16)])


def _dcap_collateral() -> Target:
    from controlplane.attestation.dcap.collaterals import read_collateral
    from tests.controlplane.attestation.making_intel import Intel

    return Target(read_collateral, [Intel().collateral("sgx"), Intel().collateral("tdx")])


def _sgx() -> Target:
    """With the library that verifies quotes, which has a parser of its own."""
    from controlplane.attestation.verifiers.sgx import SgxVerifier
    from tests.controlplane.attestation.making_intel import AT, Intel

    intel = Intel()
    verifier, collateral = SgxVerifier(intel.anchors), intel.collateral()
    return Target(lambda data: verifier.verify({"quote": data, "collateral": collateral}, AT), [intel.quote()])


def _tdx_collateral() -> Target:
    from controlplane.attestation.verifiers.tdx import TdxVerifier
    from tests.controlplane.attestation.making_intel import AT, Intel

    intel = Intel()
    verifier, quote = TdxVerifier(intel.anchors), intel.quote("tdx")
    return Target(lambda data: verifier.verify({"quote": quote, "collateral": data}, AT), [intel.collateral("tdx")])


def _nvidia_report() -> Target:
    from controlplane.attestation.nvidia.spdm import read_report
    from tests.controlplane.attestation.making_nvidia import Gpu

    gpu = Gpu()
    return Target(read_report, [gpu.report(), gpu.report(after=bytes(8))])


def _certificates() -> Target:
    from controlplane.attestation.certificates import read_pem
    from tests.controlplane.attestation.making_nvidia import Gpu

    return Target(lambda data: read_pem(data, "it", 6), [Gpu().chain()])


def _certificate() -> Target:
    from controlplane.attestation.certificates import read_certificate
    from tests.controlplane.attestation.making_amd import Amd, Chip
    from tests.controlplane.attestation.making_chains import der
    from tests.controlplane.attestation.making_nvidia import Gpu

    return Target(lambda data: read_certificate(data, "it"), [der(Gpu().leaf), Chip(Amd()).certificate()])


def _cbor() -> Target:
    from controlplane.attestation.cbor import read_cbor
    from tests.controlplane.attestation.making_eat import cwt_of, ec_key, public_cose

    return Target(lambda data: read_cbor(data, "it"), [cwt_of(ec_key()), public_cose(ec_key())])


def _eat_token() -> Target:
    from controlplane.attestation.eat.tokens import read_token
    from tests.controlplane.attestation.making_eat import cwt_of, ec_key, jwt

    key = ec_key()

    def _take(data: bytes) -> object:
        return read_token(data).open(key.public_key())

    return Target(_take, [cwt_of(key), cwt_of(key, tagged=True), jwt(key)])


def _eat_claims() -> Target:
    """What only a platform's own key could make a verifier read: as if it had signed these bytes."""
    from controlplane.attestation.cbor import read_cbor
    from controlplane.attestation.eat.claims import claims_of
    from controlplane.attestation.eat.tokens import named_claims
    from tests.controlplane.attestation.making_chains import AT
    from tests.controlplane.attestation.making_eat import cwt_of, ec_key

    message = read_cbor(cwt_of(ec_key()), "it")
    return Target(lambda data: claims_of(named_claims(data), AT), [message.value[2]])


def _eat_json() -> Target:
    from controlplane.attestation.eat.claims import claims_of
    from controlplane.attestation.eat.tokens import read_token
    from controlplane.jose.jws import encode_segment, sign
    from tests.controlplane.attestation.making_chains import AT
    from tests.controlplane.attestation.making_eat import CLAIMS, as_json, ec_key

    key = ec_key()
    header = encode_segment(b'{"alg":"ES256","typ":"eat+jwt"}')

    def _take(data: bytes) -> object:
        return claims_of(read_token(sign(key, header, data).encode()).open(key.public_key()), AT)

    return Target(_take, [json.dumps(as_json(CLAIMS)).encode()])


def _sealed_weights() -> Target:
    from controlplane.confidentiality.shards import new_preamble, read_preamble

    names = {"model": "m", "round_id": "round-1", "policy_revision": "rev-1"}
    whole = new_preamble(**names, sizes={"adapter": 10, "head": 0}, chunk_bytes=4096)
    return Target(_as_evidence(read_preamble), [whole.to_bytes(), whole.only(["head"]).to_bytes()])


def _sealed_update() -> Target:
    from adapters.sealed.updates import MAGIC, UpdateHeader, read_header

    header = UpdateHeader(
        version=1, suite="x25519", enc="A" * 43, key="A" * 64, size_bytes=10, chunk_bytes=4096
    ).model_dump_json()
    whole = MAGIC + len(header).to_bytes(4, "big") + header.encode()
    return Target(_as_evidence(lambda data: read_header(memoryview(data))), [whole, whole + bytes(26)])


def _as_evidence(take: Callable[[bytes], object]) -> Callable[[bytes], object]:
    """Return a parser of sealed bytes that refuses as those of evidence do."""
    from controlplane.confidentiality.errors import SealRefused

    def _take(data: bytes) -> object:
        try:
            return take(data)
        except SealRefused as refused:
            raise EvidenceRefused("malformed", str(refused)) from None

    return _take


MADE: dict[str, Callable[[], Target]] = {
    "azure_report": _azure_report,
    "cbor": _cbor,
    "certificate": _certificate,
    "certificates": _certificates,
    "dcap_collateral": _dcap_collateral,
    "dcap_quote": _dcap_quote,
    "eat_claims": _eat_claims,
    "eat_json": _eat_json,
    "eat_token": _eat_token,
    "nitro_document": _nitro_document,
    "nvidia_report": _nvidia_report,
    "sgx": _sgx,
    "snp_report": _snp_report,
    "tdx_collateral": _tdx_collateral,
    "tpm_event_log": _tpm_event_log,
    "tpm_public": _tpm_public,
    "tpm_quote": _tpm_quote,
    "sealed_update": _sealed_update,
    "sealed_weights": _sealed_weights,
}
"""By name."""
