"""AWS in small: a root, authorities below it as many as it has, and a hypervisor that signs documents of enclaves."""

from collections.abc import Mapping
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509 import BasicConstraints

from tests.controlplane.attestation.making_chains import AT, Authority, Extensions, authority, der, ec_key, usage

BINDING = bytes(range(64, 96))
PCRS = {pcr: bytes([pcr + 1]) * 48 if pcr < 5 else bytes(48) for pcr in range(16)}
SIGNER: Extensions = [(BasicConstraints(ca=False, path_length=None), True), (usage("digital_signature"), True)]
PROTECTED = cbor2.dumps({1: -35})


class Cloud:
    """A root, two authorities below it, and the key of a hypervisor."""

    def __init__(self) -> None:
        self.root = Authority(
            "aws.nitro-enclaves", extensions=authority(None, "digital_signature", "key_cert_sign", "crl_sign")
        )
        self.zone = Authority("zone", self.root, extensions=authority(1))
        self.machine = Authority("machine", self.zone, extensions=authority(0))
        self.key = ec_key()
        self.leaf = self.machine.certify("i-0123-enc4567", self.key, SIGNER)

    @property
    def bundle(self) -> list[bytes]:
        return [der(one.certificate) for one in (self.root, self.zone, self.machine)]

    def fields(self, **change: Any) -> dict[str, Any]:
        """What a document holds; what is changed to ... is left out."""
        made = {
            "module_id": "i-0123-enc4567",
            "digest": "SHA384",
            "timestamp": int(AT * 1000),
            "pcrs": PCRS,
            "certificate": der(self.leaf),
            "cabundle": self.bundle,
            "public_key": None,
            "user_data": None,
            "nonce": BINDING,
        } | change
        return {name: value for name, value in made.items() if value is not ...}

    def document(self, **change: Any) -> bytes:
        return self.signed(cbor2.dumps(self.fields(**change)))

    def signed(
        self, payload: bytes, protected: bytes = PROTECTED, unprotected: Mapping[Any, Any] | None = None
    ) -> bytes:
        return cbor2.dumps([protected, dict(unprotected or {}), payload, self.sign(payload, protected)])

    def sign(self, payload: bytes, protected: bytes = PROTECTED) -> bytes:
        over = cbor2.dumps(["Signature1", protected, b"", payload])
        return b"".join(
            number.to_bytes(48, "big")
            for number in decode_dss_signature(self.key.sign(over, ec.ECDSA(hashes.SHA384())))
        )
