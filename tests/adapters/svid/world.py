"""A trust domain to verify in: an authority, a key of JWT-SVIDs, and what a thief would make."""

import datetime
import json
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from adapters.svid import SpiffeId, TrustBundle, TrustDomain
from controlplane.identity.authority import CertificateAuthority
from controlplane.jose.jws import encode_segment
from controlplane.jose.keys import SigningKey, to_public

NOW = 1_767_225_600.0
DOMAIN = TrustDomain("homes.example")
ONE = SpiffeId.of(DOMAIN, "device", "dev-1")
OTHER = SpiffeId.of(DOMAIN, "device", "dev-2")
BOTH = (ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH)


def usage(**changes: bool) -> x509.KeyUsage:
    bits = dict.fromkeys(
        (
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "key_cert_sign",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    return x509.KeyUsage(**{"digital_signature": True, **bits, **changes})


@dataclass
class World:
    """What there is in the trust domain."""

    authority: CertificateAuthority = field(default_factory=lambda: CertificateAuthority.create(DOMAIN, NOW))
    key: EllipticCurvePrivateKey = field(default_factory=lambda: generate_private_key(SECP256R1()))
    signing: SigningKey = field(default_factory=SigningKey.generate)

    def document(self, **changes: Any) -> dict[str, Any]:
        der = self.authority.certificate.public_bytes(Encoding.DER)
        own = self.authority.certificate.public_key()
        x509_entry = {**to_public(own).model_dump(), "use": "x509-svid", "x5c": [b64encode(der).decode()]}  # type: ignore[arg-type]
        jwt_entry = {**self.signing.public.model_dump(), "use": "jwt-svid", "kid": self.signing.kid}
        return {"spiffe_sequence": 7, "spiffe_refresh_hint": 60, "keys": [x509_entry, jwt_entry], **changes}

    @property
    def bundle(self) -> TrustBundle:
        return TrustBundle.parse(json.dumps(self.document()).encode(), DOMAIN)

    def svid(self, name: SpiffeId = ONE, lifetime: float = 3600.0) -> bytes:
        return self.authority.issue_svid(name, self.key.public_key(), NOW, lifetime).public_bytes(Encoding.DER)

    def odd(
        self,
        uris: Sequence[str] = (str(ONE),),
        *,
        ca: bool | None = False,
        key_usage: x509.KeyUsage | None = None,
        purposes: Sequence[x509.ObjectIdentifier] | None = BOTH,
        dns: Sequence[str] = (),
    ) -> bytes:
        """Return a certificate that our authority signed, and that is no X509-SVID unless nothing is changed."""
        when = datetime.datetime.fromtimestamp(NOW, datetime.UTC)
        own: Any = self.authority.certificate.public_key()
        names = [*map(x509.UniformResourceIdentifier, uris), *map(x509.DNSName, dns)]
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "odd")]))
            .issuer_name(self.authority.certificate.subject)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(when - datetime.timedelta(minutes=5))
            .not_valid_after(when + datetime.timedelta(hours=1))
            .add_extension(key_usage or usage(), critical=True)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(own), critical=False)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        if ca is not None:
            builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        if purposes is not None:
            builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        return builder.sign(self.authority._key, hashes.SHA256()).public_bytes(Encoding.DER)

    def token(self, *, header: dict[str, Any] | None = None, key: SigningKey | None = None, **claims: Any) -> str:
        """Return a JWT-SVID, or what looks like one; a claim or a name of the header that is none is left out."""
        stated = {"sub": str(ONE), "aud": ["reports"], "exp": int(NOW) + 300, "iat": int(NOW), **claims}
        named = {"alg": "ES256", "kid": self.signing.kid, "typ": "JWT", **(header or {})}
        payload = json.dumps({name: value for name, value in stated.items() if value is not None}).encode()
        kept = {name: value for name, value in named.items() if value is not None}
        return (key or self.signing).sign(encode_segment(json.dumps(kept).encode()), payload)
