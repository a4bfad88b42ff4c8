"""A small certificate authority: X509-SVIDs for enrolled workloads, and a server's certificate for labs (RFC 5280).

It holds its key in memory and knows no file; whoever keeps its PEM keeps it private. The certificates of workloads
follow SPIFFE's X509-SVID: one URI, which is the workload's SPIFFE ID, and a key that signs handshakes on either side.
"""

import datetime
import ipaddress
from collections.abc import Sequence
from typing import NoReturn, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from controlplane.identifiers.spiffe import SpiffeId, TrustDomain

DAY_SECONDS = 86_400.0

SVID_SECONDS = 86_400.0
"""The longest life of a workload's certificate: there is no list of revoked ones."""

SERVER_DAYS = 397
AUTHORITY_DAYS = 3_650
BACKDATED = datetime.timedelta(minutes=5)
"""Clocks differ: a certificate is valid from a little before it was made."""

_EITHER_SIDE = (ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH)
_MAX_NAME = 64
"""As long as a common name may be (RFC 5280, appendix A)."""


class CertificateAuthority:
    """Signs certificates. Its text form never shows the key, and it is neither copied nor pickled.

    Args:
        key: P-256.
        certificate: its own.
    """

    __slots__ = ("_key", "certificate")

    def __init__(self, key: EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
        if key.public_key() != certificate.public_key():
            raise ValueError("the authority's key is not that of its certificate")
        self._key = key
        self.certificate = certificate

    @classmethod
    def create(cls, domain: TrustDomain, now: float) -> Self:
        """Return a new authority of a trust domain, whose own name is that domain's, for ten years from ``now``.

        Args:
            domain: that it vouches in.
            now: Unix seconds.
        """
        key = generate_private_key(SECP256R1())
        subject = _named(f"ZTFM {domain.name}")
        builder = _builder(subject, subject, key.public_key(), now, AUTHORITY_DAYS * DAY_SECONDS)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(_usage(signs_certificates=True), critical=True)
        builder = builder.add_extension(_uri(SpiffeId(domain)), critical=False)
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        return cls(key, builder.sign(key, hashes.SHA256()))

    @classmethod
    def from_pem(cls, pem: bytes) -> Self:
        """Return the authority of a PEM text that holds its key and its certificate.

        Raises:
            ValueError: one of them is missing, they do not belong together, or the key is not on P-256.
        """
        try:
            key = serialization.load_pem_private_key(pem, None)
        except TypeError as error:
            raise ValueError(str(error)) from None
        if not isinstance(key, EllipticCurvePrivateKey) or not isinstance(key.curve, SECP256R1):
            raise ValueError("an authority's key is on P-256")
        return cls(key, x509.load_pem_x509_certificate(pem))

    def to_pem(self) -> bytes:
        """Return key and certificate as PEM; keep it private."""
        key = self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return key + self.certificate_pem.encode()

    @property
    def certificate_pem(self) -> str:
        """The authority's own certificate, for those who verify."""
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    def issue_svid(
        self, subject: SpiffeId, key: EllipticCurvePublicKey, now: float, lifetime_seconds: float = SVID_SECONDS
    ) -> x509.Certificate:
        """Return an X509-SVID: a certificate of a workload, for both sides of a TLS connection.

        Its common name is the last part of the path, for brokers that know no URIs; who verifies as SPIFFE says reads
        the URI alone.

        Args:
            subject: the workload's name, with a path.
            key: its P-256 key.
            now: Unix seconds.
            lifetime_seconds: at most a day; cut off where the authority itself expires.

        Raises:
            ValueError: the name is an authority's, the lifetime is out of bounds, or the authority has expired.
        """
        if not subject.path:
            raise ValueError("a workload's name has a path; without one it is an authority's")
        if not 0 < lifetime_seconds <= SVID_SECONDS:
            raise ValueError(f"a workload's certificate lives for up to {SVID_SECONDS:g} s")
        name = _named(subject.path.rpartition("/")[2])
        return self._sign(name, key, now, lifetime_seconds, _uri(subject), _EITHER_SIDE)

    def issue_server(self, hosts: Sequence[str], key: EllipticCurvePublicKey, now: float) -> x509.Certificate:
        """Return a certificate for a TLS server at ``hosts``: names and addresses, the first one its own.

        Raises:
            ValueError: there is no host, or one is neither a name nor an address.
        """
        if not hosts:
            raise ValueError("a server certificate needs a host")
        names = x509.SubjectAlternativeName([_host(host) for host in hosts])
        lifetime = SERVER_DAYS * DAY_SECONDS
        return self._sign(_named(hosts[0]), key, now, lifetime, names, (ExtendedKeyUsageOID.SERVER_AUTH,))

    def _sign(
        self,
        subject: x509.Name,
        key: EllipticCurvePublicKey,
        now: float,
        lifetime: float,
        names: x509.SubjectAlternativeName,
        purposes: Sequence[x509.ObjectIdentifier],
    ) -> x509.Certificate:
        left = self.certificate.not_valid_after_utc.timestamp() - now
        if left <= 0:
            raise ValueError("the authority has expired")
        own = self.certificate.public_key()
        if not isinstance(own, EllipticCurvePublicKey):
            raise ValueError("an authority's key is on P-256")
        builder = _builder(subject, self.certificate.subject, key, now, min(lifetime, left))
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_usage(signs_certificates=False), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        builder = builder.add_extension(names, critical=False)
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(own), critical=False)
        return builder.sign(self._key, hashes.SHA256())

    def __reduce__(self) -> NoReturn:
        raise TypeError("an authority is neither copied nor pickled; `to_pem` writes it where that is meant")

    def __repr__(self) -> str:
        return f"CertificateAuthority(subject={self.certificate.subject.rfc4514_string()!r})"


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:_MAX_NAME])])


def _uri(name: SpiffeId) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([x509.UniformResourceIdentifier(str(name))])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: EllipticCurvePublicKey, now: float, lifetime: float
) -> x509.CertificateBuilder:
    begin = datetime.datetime.fromtimestamp(int(now), datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin - BACKDATED)
        .not_valid_after(begin + datetime.timedelta(seconds=int(lifetime)))
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
