"""A manufacturer: a root, an authority below it, and devices that leave the factory."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from controlplane.jose.keys import DeviceKey, load_public

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FOREVER = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
"""What IEEE 802.1AR writes for a certificate that never ends."""


class Authority:
    """Signs certificates; a root signs its own."""

    def __init__(self, name: str, above: "Authority | None" = None, *, length: int | None = None, **change: Any):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        signer = self if above is None else above
        extensions = change.pop("extensions", None) or [
            (x509.BasicConstraints(ca=True, path_length=length), True),
            (usage(key_cert_sign=True, crl_sign=True), True),
        ]
        self.certificate = signer.sign(self.name, self.key.public_key(), extensions, **change)

    def sign(
        self,
        subject: x509.Name,
        key: Any,
        extensions: Sequence[tuple[x509.ExtensionType, bool]],
        *,
        begins: datetime = NOW - timedelta(days=365),
        ends: datetime = NOW + timedelta(days=3650),
        serial: int | None = None,
    ) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key)
            .serial_number(x509.random_serial_number() if serial is None else serial)
            .not_valid_before(begins)
            .not_valid_after(ends)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        )
        for extension, is_critical in extensions:
            builder = builder.add_extension(extension, critical=is_critical)
        return builder.sign(self.key, hashes.SHA256())

    def device(
        self,
        key: DeviceKey,
        *,
        serial: int = 42,
        number: str = "0042",
        name: str = "hub-3",
        extensions: Sequence[tuple[x509.ExtensionType, bool]] | None = None,
        ends: datetime = FOREVER,
        **change: Any,
    ) -> x509.Certificate:
        """Return the identity with which a device leaves the factory (IDevID): no name in it, and no end."""
        names = [x509.NameAttribute(NameOID.COMMON_NAME, name), x509.NameAttribute(NameOID.SERIAL_NUMBER, number)]
        kept = [(usage(digital_signature=True), True)] if extensions is None else extensions
        return self.sign(
            x509.Name(names if number else names[:1]), load_public(key.public), kept, serial=serial, ends=ends, **change
        )


def usage(**given: bool) -> x509.KeyUsage:
    names = (
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
    return x509.KeyUsage(**{name: given.get(name, False) for name in names})


def pem(*certificates: x509.Certificate) -> list[str]:
    return [certificate.public_bytes(Encoding.PEM).decode() for certificate in certificates]
