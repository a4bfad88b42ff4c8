"""Quotes of SGX and TDX with their collateral, as a platform and its maker would make them, under a root of our own."""

import hashlib
import json
import struct
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from controlplane.attestation.chains import Anchors
from controlplane.attestation.dcap.collaterals import CollateralDocument, write_collateral
from controlplane.attestation.dcap.quotes import SGX, TDX
from tests.controlplane.attestation.making_chains import authority, usage

NOW = datetime(2026, 1, 1, tzinfo=UTC)
AT = NOW.timestamp()
BEGINS, ENDS = NOW - timedelta(days=10), NOW + timedelta(days=20)

FMSPC = "00a067110000"
PPID = bytes(range(16))
CPU_SVN = bytes([5] * 16)
PCE_SVN = 13
MRSIGNER_OF_QE = bytes.fromhex("8c" * 32)
_LISTED_AT = x509.UniformResourceIdentifier("https://example.com/crl")
_VENDOR = bytes.fromhex("939a7233f79c4ca9940a0db3957f0607")
_INTEL = (1, 2, 840, 113741, 1, 13, 1)


def _der(tag: int, body: bytes) -> bytes:
    length = len(body)
    head = (
        bytes([length])
        if length < 0x80
        else bytes([0x82]) + struct.pack(">H", length)
        if length > 255
        else bytes([0x81, length])
    )
    return bytes([tag]) + head + body


def _oid(*arcs: int) -> bytes:
    body = bytes([40 * arcs[0] + arcs[1]])
    for arc in arcs[2:]:
        parts = [arc & 0x7F]
        while arc := arc >> 7:
            parts.append(arc & 0x7F | 0x80)
        body += bytes(reversed(parts))
    return _der(6, body)


def _number(value: int) -> bytes:
    return _der(2, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def _entry(arcs: tuple[int, ...], value: bytes) -> bytes:
    return _der(0x30, _oid(*_INTEL, *arcs) + value)


def platform_extension() -> x509.UnrecognizedExtension:
    """What Intel's authority says of a platform in its certificate."""
    levels = b"".join(_entry((2, place), _number(svn)) for place, svn in enumerate(CPU_SVN, 1))
    levels += _entry((2, 17), _number(PCE_SVN)) + _entry((2, 18), _der(4, CPU_SVN))
    body = _entry((1,), _der(4, PPID)) + _entry((2,), _der(0x30, levels)) + _entry((3,), _der(4, bytes(2)))
    body += _entry((4,), _der(4, bytes.fromhex(FMSPC))) + _entry((5,), _der(10, b"\0"))
    return x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.840.113741.1.13.1"), _der(0x30, body))


def raw_signature(key: ec.EllipticCurvePrivateKey, data: bytes) -> bytes:
    """A signature with ECDSA P-256, r then s."""
    r, s = decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


@dataclass
class Signer:
    """A key of Intel's, and its certificate."""

    name: str
    above: "Signer | None" = None
    extensions: list[tuple[x509.ExtensionType, bool]] = field(default_factory=lambda: list(authority()))
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def __post_init__(self) -> None:
        issuer = self.above or self
        builder = (
            x509.CertificateBuilder()
            .subject_name(self.subject)
            .issuer_name(issuer.subject)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(BEGINS)
            .not_valid_after(ENDS + timedelta(days=365))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()), critical=False)
            .add_extension(
                x509.CRLDistributionPoints(
                    [
                        x509.DistributionPoint(
                            [x509.UniformResourceIdentifier("https://example.com/crl")], None, None, None
                        )
                    ]
                ),
                critical=False,
            )
        )
        for extension, is_critical in self.extensions:
            builder = builder.add_extension(extension, critical=is_critical)
        self.certificate = builder.sign(issuer.key, hashes.SHA256())

    @property
    def subject(self) -> x509.Name:
        return x509.Name(
            [
                x509.NameAttribute(NameOID.COMMON_NAME, self.name),
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Intel Corporation"),
            ]
        )

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()

    def revoke(self, *certificates: x509.Certificate, ends: datetime = ENDS) -> bytes:
        """A list of revoked certificates, in DER."""
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.subject)
            .last_update(BEGINS)
            .next_update(ends)
            .add_extension(x509.CRLNumber(1), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )
        for one in certificates:
            entry = x509.RevokedCertificateBuilder().serial_number(one.serial_number).revocation_date(BEGINS).build()
            builder = builder.add_revoked_certificate(entry)
        return builder.sign(self.key, hashes.SHA256()).public_bytes(Encoding.DER)


def _leaf(*extra: tuple[x509.ExtensionType, bool]) -> list[tuple[x509.ExtensionType, bool]]:
    return [
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (usage("digital_signature", "content_commitment"), True),
        *extra,
    ]


class Intel:
    """A maker with a root, who certifies one platform and says what its firmware is worth."""

    def __init__(self) -> None:
        self.root = Signer("Intel SGX Root CA")
        self.authority = Signer("Intel SGX PCK Processor CA", self.root)
        self.signing = Signer("Intel SGX TCB Signing", self.root, _leaf())
        self.platform = Signer("Intel SGX PCK Certificate", self.authority, _leaf((platform_extension(), False)))
        self.attestation = ec.generate_private_key(ec.SECP256R1())

    @property
    def anchors(self) -> Anchors:
        return Anchors({"intel": [self.root.certificate]})

    def quote(self, kind: str = "sgx", data: bytes = bytes(64), *, debug: bool = False, **change: Any) -> bytes:
        """A quote of an enclave or a guest that carries 64 bytes of its own."""
        body = enclave(data, debug=debug) if kind == "sgx" else guest(data, debug=debug)
        version, tee = (3, SGX) if kind == "sgx" else (4, TDX)
        signed = struct.pack("<HHIHH", version, 2, tee, 0, 0) + _VENDOR + bytes(20) + body
        return signed + self._vouched(signed, version, **change)

    def _vouched(self, signed: bytes, version: int, *, wrap: int = 6, chain: bytes | None = None) -> bytes:
        numbers = self.attestation.public_key().public_numbers()
        key = numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")
        authentication = bytes(range(32))
        digest = hashlib.sha256(key + authentication).digest() + bytes(32)
        report = enclave(digest, signer=MRSIGNER_OF_QE, product=1 if version == 3 else 2, svn=8)
        sent = chain if chain is not None else (self.platform.pem + self.authority.pem + self.root.pem).encode() + b"\0"
        inner = report + raw_signature(self.platform.key, report)
        inner += struct.pack("<H", 32) + authentication + struct.pack("<HI", 5, len(sent)) + sent
        if version != 3:
            inner = struct.pack("<HI", wrap, len(inner)) + inner
        whole = raw_signature(self.attestation, signed) + key + inner
        return struct.pack("<I", len(whole)) + whole

    def collateral(self, kind: str = "sgx", *, status: str = "UpToDate", **change: Any) -> bytes:
        """What it says of the platform, as one document."""
        return write_collateral(self.document(kind, status=status, **change))

    def document(
        self,
        kind: str = "sgx",
        *,
        status: str = "UpToDate",
        advisories: tuple[str, ...] = (),
        revoked: tuple[x509.Certificate, ...] = (),
        fmspc: str = FMSPC,
        svn: int = 5,
        **change: Any,
    ) -> CollateralDocument:
        tcb_info = self._tcb_info(kind, status, advisories, fmspc, svn, **change)
        identity = self._identity(kind)
        signing = self.signing.pem + self.root.pem
        return CollateralDocument(
            pck_crl_issuer_chain=self.authority.pem + self.root.pem,
            root_ca_crl=self.root.revoke(*revoked).hex(),
            pck_crl=self.authority.revoke(*revoked).hex(),
            tcb_info_issuer_chain=signing,
            tcb_info=tcb_info,
            tcb_info_signature=raw_signature(self.signing.key, tcb_info.encode()).hex(),
            qe_identity_issuer_chain=signing,
            qe_identity=identity,
            qe_identity_signature=raw_signature(self.signing.key, identity.encode()).hex(),
        )

    def _tcb_info(
        self, kind: str, status: str, advisories: tuple[str, ...], fmspc: str, svn: int, **change: Any
    ) -> str:
        tcb: dict[str, Any] = {"sgxtcbcomponents": [{"svn": svn}] * 16, "pcesvn": PCE_SVN}
        module = {"mrsigner": "00" * 48, "attributes": "00" * 8, "attributesMask": "FF" * 8}
        more: dict[str, Any] = {}
        if kind == "tdx":
            tcb["tdxtcbcomponents"] = [{"svn": svn}] * 16
            more = {"tdxModule": module, "tdxModuleIdentities": [{"id": "TDX_05", **module, "tcbLevels": [_level(1)]}]}
        level = {"tcb": tcb, "tcbDate": "2025-01-01T00:00:00Z", "tcbStatus": status, "advisoryIDs": list(advisories)}
        return _compact(
            {
                "id": kind.upper(),
                "version": 3,
                **_DATES,
                "fmspc": fmspc.upper(),
                "pceId": "0000",
                "tcbType": 0,
                "tcbEvaluationDataNumber": 17,
                **more,
                "tcbLevels": [level],
                **change,
            }
        )

    def _identity(self, kind: str) -> str:
        return _compact(
            {
                "id": "QE" if kind == "sgx" else "TD_QE",
                "version": 2,
                **_DATES,
                "tcbEvaluationDataNumber": 17,
                "miscselect": "00000000",
                "miscselectMask": "FFFFFFFF",
                "attributes": "05000000000000000000000000000000",
                "attributesMask": "FBFFFFFFFFFFFFFF0000000000000000",
                "mrsigner": MRSIGNER_OF_QE.hex().upper(),
                "isvprodid": 1 if kind == "sgx" else 2,
                "tcbLevels": [_level(8)],
            }
        )


_DATES = {"issueDate": BEGINS.strftime("%Y-%m-%dT%H:%M:%SZ"), "nextUpdate": ENDS.strftime("%Y-%m-%dT%H:%M:%SZ")}


def _level(svn: int) -> dict[str, Any]:
    return {"tcb": {"isvsvn": svn}, "tcbDate": "2025-01-01T00:00:00Z", "tcbStatus": "UpToDate"}


def _compact(found: object) -> str:
    return json.dumps(found, separators=(",", ":"))


def enclave(data: bytes, *, debug: bool = False, signer: bytes = b"\x22" * 32, product: int = 7, svn: int = 9) -> bytes:
    """The report of an enclave, 384 bytes."""
    attributes = bytes([0x05 | (0x02 if debug else 0)]) + bytes(7) + b"\xe7" + bytes(7)
    body = CPU_SVN + bytes(4) + bytes(28) + attributes + b"\x11" * 32 + bytes(32) + signer + bytes(96)
    return body + struct.pack("<HH", product, svn) + bytes(60) + data


def guest(data: bytes, *, debug: bool = False) -> bytes:
    """The report of a guest, 584 bytes."""
    attributes = bytes([0x01 if debug else 0, 0, 0, 0x10]) + bytes(4)
    body = bytes([5] * 16) + b"\x33" * 48 + bytes(48) + bytes(8) + attributes + b"\xe7" + bytes(7)
    body += b"".join(bytes([0x40 + place]) * 48 for place in range(8))
    return body + data
