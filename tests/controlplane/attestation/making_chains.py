"""Authorities that certify keys as makers of chips and clouds do: by RSA-PSS or ECDSA, with extensions of their own."""

import warnings
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import NameOID, ObjectIdentifier

from controlplane.attestation.certificates import body_of, skip

NOW = datetime(2026, 1, 1, tzinfo=UTC)
AT = NOW.timestamp()
BEGINS, ENDS = NOW - timedelta(days=30), NOW + timedelta(days=30)

Extensions = Sequence[tuple[x509.ExtensionType, bool]]
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@cache
def rsa_key(_number: int) -> rsa.RSAPrivateKey:
    """One of several keys, made once."""
    return rsa.generate_private_key(65537, 2048)


def ec_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP384R1())


def usage(*names: str) -> x509.KeyUsage:
    every = (
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
    return x509.KeyUsage(**{name: name in names for name in every})


def own(oid: str, value: bytes) -> tuple[x509.ExtensionType, bool]:
    """An extension that only its maker knows."""
    return x509.UnrecognizedExtension(ObjectIdentifier(oid), value), False


def authority(length: int | None = None, *names: str) -> Extensions:
    return [
        (x509.BasicConstraints(ca=True, path_length=length), True),
        (usage(*(names or ("key_cert_sign", "crl_sign"))), True),
    ]


class Authority:
    """Signs certificates; a root signs its own."""

    def __init__(
        self,
        name: str,
        above: "Authority | None" = None,
        *,
        key: Key | None = None,
        extensions: Extensions = (),
        **change: Any,
    ) -> None:
        self.key = key or ec_key()
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = (above or self).certify(name, self.key, extensions or authority(), **change)

    def certify(
        self,
        name: str,
        key: Key,
        extensions: Extensions = (),
        *,
        begins: datetime = BEGINS,
        ends: datetime = ENDS,
        serial: int | None = None,
    ) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(serial or x509.random_serial_number())
            .not_valid_before(begins)
            .not_valid_after(ends)
        )
        if serial == 0:
            builder._serial_number = 0  # the builder lets nobody say so; AMD does
        for extension, is_critical in extensions:
            builder = builder.add_extension(extension, critical=is_critical)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CryptographyDeprecationWarning)
            return builder.sign(self.key, self._hash(), rsa_padding=self._padding())

    def revoke(
        self, serials: Iterable[int], *, begins: datetime = BEGINS, ends: datetime = ENDS, **change: Any
    ) -> bytes:
        """A list of revoked certificates, in DER."""
        builder = x509.CertificateRevocationListBuilder().issuer_name(self.name).last_update(begins).next_update(ends)
        for serial in serials:
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(begins).build()
            builder = builder.add_revoked_certificate(entry)
        for extension, is_critical in change.pop("extensions", ()):
            builder = builder.add_extension(extension, critical=is_critical)
        return builder.sign(self.key, self._hash(), rsa_padding=self._padding()).public_bytes(Encoding.DER)

    def _hash(self) -> hashes.HashAlgorithm:
        return hashes.SHA384()

    def _padding(self) -> padding.PSS | None:
        is_rsa = isinstance(self.key, rsa.RSAPrivateKey)
        return padding.PSS(padding.MGF1(hashes.SHA384()), 48) if is_rsa else None


def resigned(
    signed: bytes,
    key: ec.EllipticCurvePrivateKey,
    change: Callable[[list[bytes]], list[bytes]],
    algorithm: bytes = bytes.fromhex("300a06082a8648ce3d040303"),
) -> bytes:
    """A certificate or a list with other parts within what is signed, signed anew: what no builder makes."""
    parts = []
    at = body_of(signed, 0)
    while at < len(signed):
        end = skip(signed, at)
        parts.append(signed[at:end])
        at = end
    made = value(0x30, b"".join(change(parts)))
    return value(0x30, made + algorithm + value(0x03, b"\0" + key.sign(made, ec.ECDSA(hashes.SHA384()))))


def value(tag: int, content: bytes) -> bytes:
    """A value in DER."""
    length = len(content)
    size = b"" if length < 128 else length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(size) if size else length]) + size + content


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


def pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(one.public_bytes(Encoding.PEM) for one in certificates)
