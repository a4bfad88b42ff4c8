"""What a TPM and its maker make, made in Python: keys, certificates, quotes, opened credentials, event logs."""

import hashlib
import hmac
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding

from controlplane.attestation.tpm.credentials import cfb, derive, derive_shared

NOW = 1_790_000_000.0
TPM_EK = x509.ObjectIdentifier("2.23.133.8.1")
TPM_AK = x509.ObjectIdentifier("2.23.133.8.3")
AK_ATTRIBUTES = 0x00050072
EK_ATTRIBUTES = 0x000300B2

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
_HASHES: dict[str, tuple[int, hashes.HashAlgorithm]] = {
    "sha1": (0x0004, hashes.SHA1()),
    "sha256": (0x000B, hashes.SHA256()),
    "sha384": (0x000C, hashes.SHA384()),
}


def sized(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data


def number_of(algorithm: str) -> bytes:
    return _HASHES[algorithm][0].to_bytes(2, "big")


def public(key: PrivateKey, attributes: int, *, protects: bool, named: str = "sha256", scheme: int = 0) -> bytes:
    """A TPMT_PUBLIC: of a key that protects by AES-128, or one that signs."""
    symmetric = bytes.fromhex("000600800043" if protects else "0010")
    is_rsa = isinstance(key, rsa.RSAPrivateKey)
    signs = scheme or (0x0014 if is_rsa else 0x0018)
    scheme_part = b"\x00\x10" if protects else signs.to_bytes(2, "big") + number_of("sha256")
    head = bytes.fromhex("0001" if is_rsa else "0023") + number_of(named) + attributes.to_bytes(4, "big") + sized(b"")
    if isinstance(key, rsa.RSAPrivateKey):
        modulus = key.public_key().public_numbers().n.to_bytes(key.key_size // 8, "big")
        return head + symmetric + scheme_part + key.key_size.to_bytes(2, "big") + bytes(4) + sized(modulus)
    curve = bytes.fromhex("0003" if key.curve.key_size == 256 else "0004")
    numbers, width = key.public_key().public_numbers(), key.curve.key_size // 8
    point = sized(numbers.x.to_bytes(width, "big")) + sized(numbers.y.to_bytes(width, "big"))
    return head + symmetric + scheme_part + curve + b"\x00\x10" + point


def attest(
    binding: bytes,
    values: Mapping[int, bytes],
    *,
    bank: str = "sha256",
    hashed: str = "sha256",
    signer: bytes = b"\0\x0bQ",
) -> bytes:
    """A TPMS_ATTEST of register values."""
    bitmap = sum(1 << pcr for pcr in values).to_bytes(3, "little")
    digest = hashlib.new(hashed, b"".join(values[pcr] for pcr in sorted(values))).digest()
    clock = struct.pack(">QIIBQ", 123_456, 7, 1, 1, 0x0001_0002_0003_0004)
    return (
        bytes.fromhex("ff5443478018")
        + sized(signer)
        + sized(binding)
        + clock
        + b"\0\0\0\1"
        + number_of(bank)
        + bytes([len(bitmap)])
        + bitmap
        + sized(digest)
    )


def sign(key: PrivateKey, message: bytes, *, hashed: str = "sha256", pss: bool = False) -> bytes:
    """A TPMT_SIGNATURE."""
    number, algorithm = number_of(hashed), _HASHES[hashed][1]
    if isinstance(key, rsa.RSAPrivateKey):
        how = padding.PSS(padding.MGF1(algorithm), algorithm.digest_size) if pss else padding.PKCS1v15()
        return bytes.fromhex("0016" if pss else "0014") + number + sized(key.sign(message, how, algorithm))
    r, s = decode_dss_signature(key.sign(message, ec.ECDSA(algorithm)))
    width = key.curve.key_size // 8
    return bytes.fromhex("0018") + number + sized(r.to_bytes(width, "big")) + sized(s.to_bytes(width, "big"))


def registers(count: int = 8, bank: str = "sha256") -> dict[int, bytes]:
    return {pcr: hashlib.new(bank, bytes([pcr])).digest() for pcr in range(count)}


@dataclass
class Maker:
    """A maker of TPMs: a root, and an authority below it."""

    key: PrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    below: PrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def __post_init__(self) -> None:
        self.root = self._certificate("Root", self.key, self.key, "Root", authority=1)
        self.authority = self._certificate("TPMs", self.below, self.key, "Root", authority=0)

    def certify(self, key: PrivateKey, purpose: x509.ObjectIdentifier = TPM_EK, until: float = NOW + 86_400) -> bytes:
        """A certificate as makers make them: no subject, critical names that only TPMs have; then the authority's."""
        made = self._certificate(None, key, self.below, "TPMs", purpose=purpose, until=until)
        return made.public_bytes(_DER) + self.authority.public_bytes(_DER)

    def _certificate(
        self,
        name: str | None,
        key: PrivateKey,
        signer: PrivateKey,
        issuer: str,
        *,
        authority: int | None = None,
        purpose: x509.ObjectIdentifier | None = None,
        until: float = NOW + 86_400,
    ) -> x509.Certificate:
        def named(text: str | None) -> x509.Name:
            return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)] if text else [])

        builder = (
            x509.CertificateBuilder()
            .subject_name(named(name))
            .issuer_name(named(issuer))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(datetime.fromtimestamp(NOW - 86_400, UTC))
            .not_valid_after(datetime.fromtimestamp(until, UTC))
            .add_extension(x509.BasicConstraints(ca=authority is not None, path_length=authority), critical=True)
        )
        wanted = {"digital_signature", "key_encipherment"} if authority is None else {"key_cert_sign"}
        usage = x509.KeyUsage(**{word: word in wanted for word in _USAGES})
        builder = builder.add_extension(usage, critical=True)
        if purpose is not None:
            model = x509.Name([x509.NameAttribute(x509.ObjectIdentifier("2.23.133.2.2"), "model")])
            builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DirectoryName(model)]), critical=True)
            specification = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.9"), b"\x30\x00")
            builder = builder.add_extension(specification, critical=True)
        return builder.sign(signer, hashes.SHA256())


class Emulated:
    """A TPM: two keys, registers, and what it does with them."""

    def __init__(self, ek: PrivateKey, ak: PrivateKey, named: str = "sha256") -> None:
        self.ek, self.ak, self.named = ek, ak, named
        self.ek_public = public(ek, EK_ATTRIBUTES, protects=True, named=named)
        self.ak_public = public(ak, AK_ATTRIBUTES, protects=False)
        self.ak_name = number_of("sha256") + hashlib.sha256(self.ak_public).digest()
        self.values = registers()

    def evidence(self, binding: bytes, **more: bytes) -> dict[str, bytes]:
        hierarchy = bytes.fromhex("4000000b")
        signer = number_of("sha256") + hashlib.sha256(hierarchy + self.ak_name).digest()
        message = attest(binding, self.values, signer=signer)
        shown = {"quote": message, "signature": sign(self.ak, message), "ak": self.ak_public}
        return shown | {"pcrs": b"".join(self.values[pcr] for pcr in sorted(self.values))} | more

    def activate(self, blob: bytes, secret: bytes) -> bytes:
        """What TPM2_ActivateCredential does (part 3, section 12.5)."""
        size = hashlib.new(self.named).digest_size
        if isinstance(self.ek, rsa.RSAPrivateKey):
            algorithm = _HASHES[self.named][1]
            seed = self.ek.decrypt(secret, padding.OAEP(padding.MGF1(algorithm), algorithm, b"IDENTITY\0"))
        else:
            width = self.ek.curve.key_size // 8
            x, y = secret[2 : 2 + width], secret[4 + width :]
            theirs = ec.EllipticCurvePublicNumbers(int.from_bytes(x, "big"), int.from_bytes(y, "big"), self.ek.curve)
            shared = self.ek.exchange(ec.ECDH(), theirs.public_key())
            own = self.ek.public_key().public_numbers().x.to_bytes(width, "big")
            seed = derive_shared(self.named, shared, b"IDENTITY\0", x + own, size * 8)
        integrity, identity = blob[2 : 2 + size], blob[2 + size :]
        key = derive(self.named, seed, b"INTEGRITY", b"", size * 8)
        if not hmac.compare_digest(integrity, hmac.digest(key, identity + self.ak_name, self.named)):
            raise ValueError("the credential is for another key")
        # CFB's first block is the key stream over zeros; secrets here are of three blocks at most.
        opened = _uncfb(derive(self.named, seed, b"STORAGE", self.ak_name, 128), identity)
        return opened[2 : 2 + int.from_bytes(opened[:2], "big")]


def _uncfb(key: bytes, sealed: bytes) -> bytes:
    opened = b""
    for at in range(0, len(sealed), 16):
        # Sealing what is open so far and zeros after it gives the next block of the key stream.
        stream = cfb(key, opened + bytes(16))[at : at + 16]
        opened += bytes(a ^ b for a, b in zip(sealed[at : at + 16], stream, strict=False))
    return opened


_DER = Encoding.DER
_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)

NO_ACTION = 3
SEPARATOR = 4
ACTION = 0x80000007
VARIABLE = 0x80000001
APPLICATION = 0x80000003


@dataclass(frozen=True)
class Logged:
    """An event of a log; its digests are over ``data`` unless ``image`` says of what."""

    pcr: int
    kind: int
    data: bytes
    image: bytes | None = None

    def digest(self, bank: str) -> bytes:
        return hashlib.new(bank, self.data if self.image is None else self.image).digest()


def secure_boot(value: bytes, name: str = "SecureBoot") -> Logged:
    guid = UUID("8be4df61-93ca-11d2-aa0d-00e098032b8c").bytes_le
    data = guid + struct.pack("<QQ", len(name), len(value)) + name.encode("utf-16-le") + value
    return Logged(7, VARIABLE, data)


def usual_boot(secure: bytes = b"\x01") -> list[Logged]:
    """What a firmware logs that starts a boot loader and a kernel."""
    return [
        Logged(0, 8, b"version 1"),
        secure_boot(secure),
        Logged(7, SEPARATOR, bytes(4)),
        Logged(4, ACTION, b"Calling EFI Application from Boot Option"),
        Logged(4, SEPARATOR, bytes(4)),
        Logged(4, APPLICATION, b"path of a loader", b"loader"),
        Logged(4, APPLICATION, b"path of a kernel", b"kernel"),
    ]


def event_log(
    events: Sequence[Logged], banks: Sequence[str] = ("sha1", "sha256"), locality: int | None = None
) -> bytes:
    """The bytes of a crypto-agile log."""
    algorithms = b"".join(struct.pack("<HH", _HASHES[bank][0], hashlib.new(bank).digest_size) for bank in banks)
    header = b"Spec ID Event03\0" + struct.pack("<IBBBBI", 0, 0, 2, 0, 2, len(banks)) + algorithms + b"\0"
    log = struct.pack("<II20sI", 0, NO_ACTION, bytes(20), len(header)) + header
    if locality is not None:
        log += _event(Logged(0, NO_ACTION, b"StartupLocality\0" + bytes([locality])), banks)
    return log + b"".join(_event(event, banks) for event in events)


def replayed(events: Sequence[Logged], bank: str = "sha256", locality: int = 0) -> dict[int, bytes]:
    """The values that registers have afterwards."""
    size = hashlib.new(bank).digest_size
    values: dict[int, bytes] = {pcr: bytes(size) for pcr in range(8)} | {0: locality.to_bytes(size, "big")}
    for event in events:
        values[event.pcr] = hashlib.new(bank, values[event.pcr] + event.digest(bank)).digest()
    return values


def _event(event: Logged, banks: Sequence[str]) -> bytes:
    digests = b"".join(struct.pack("<H", _HASHES[bank][0]) + event.digest(bank) for bank in banks)
    head = struct.pack("<III", event.pcr, event.kind, len(banks))
    return head + digests + struct.pack("<I", len(event.data)) + event.data


def elliptic(curve: ec.EllipticCurve | None = None) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(curve or ec.SECP256R1())
