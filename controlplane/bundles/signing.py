"""Sign bundles: in OPA's form, so that OPA verifies them too, and the same way each time."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from controlplane.bundles.archive import write_archive
from controlplane.bundles.errors import PolicyKeyError
from controlplane.bundles.hashing import opa_hashes, raw_hashes
from controlplane.bundles.keys import key_id, public_pem
from controlplane.bundles.layout import SIGNATURES
from controlplane.capabilities.errors import KeyFileError
from controlplane.capabilities.keyfiles import create_private, read_private
from controlplane.contracts.policies import PolicyLayer
from controlplane.jose.jws import encode_segment


class BundleSigner:
    """The P-256 key that signs policies. Its text form never shows the private part.

    Attributes:
        key_id: RFC 7638 thumbprint.
    """

    __slots__ = ("_private", "key_id")

    key_id: str

    def __init__(self, private: EllipticCurvePrivateKey) -> None:
        if not isinstance(private.curve, SECP256R1):
            raise PolicyKeyError(f"policies are signed with a key on P-256, this one is on {private.curve.name}")
        self._private = private
        self.key_id = key_id(private.public_key())

    @classmethod
    def generate(cls) -> "BundleSigner":
        """Return a new key from the operating system's randomness."""
        return cls(generate_private_key(SECP256R1()))

    @classmethod
    def load(cls, path: Path, passphrase: str | None = None) -> "BundleSigner | None":
        """Return the key of a private PEM file, or none when there is no such file.

        Raises:
            PolicyKeyError: others can read the file, it holds no P-256 key, or the passphrase does not fit.
        """
        try:
            pem = read_private(path)
        except KeyFileError as error:
            raise PolicyKeyError(str(error)) from None
        except OSError as error:
            raise PolicyKeyError(f"{path} cannot be read: {error.strerror}") from None
        return None if pem is None else cls._of_pem(pem, path, passphrase)

    @classmethod
    def load_or_create(cls, path: Path, passphrase: str | None = None) -> "BundleSigner":
        """Return the key of a private PEM file, which is made when there is none, without a passphrase.

        Raises:
            PolicyKeyError: it can be neither read nor made.
        """
        found = cls.load(path, passphrase)
        if found is not None:
            return found
        try:
            return cls._of_pem(create_private(path, cls.generate()._pem()), path, None)
        except KeyFileError as error:
            raise PolicyKeyError(str(error)) from None
        except OSError as error:
            raise PolicyKeyError(f"{path} cannot be made: {error.strerror}") from None

    @classmethod
    def _of_pem(cls, pem: bytes, path: Path, passphrase: str | None) -> "BundleSigner":
        try:
            key = serialization.load_pem_private_key(pem, passphrase.encode() if passphrase else None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            # The library's own words may quote the file.
            raise PolicyKeyError(
                f"{path} is no private key in PEM form, or its passphrase is another; restore it"
            ) from None
        if not isinstance(key, EllipticCurvePrivateKey):
            raise PolicyKeyError(f"{path} is another kind of key; policies are signed with a key on P-256")
        return cls(key)

    def _pem(self) -> bytes:
        return self._private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    @property
    def public_key(self) -> EllipticCurvePublicKey:
        """The public part."""
        return self._private.public_key()

    @property
    def public_pem(self) -> str:
        """The public part as PEM."""
        return public_pem(self.public_key)

    def sign(self, files: Mapping[str, bytes], layer: PolicyLayer, revision: str) -> bytes:
        """Return the signed bundle of these files; a signature that is among them is replaced.

        The signature is deterministic (RFC 6979), so the same files signed with the same key are the same bytes.

        Args:
            files: content by name, ``.manifest`` among them.
            layer: that the files are policies of; OPA knows it as the scope.
            revision: as in the manifest.

        Raises:
            BundleRefused: a name cannot be in a bundle, there is too much, or a document is no JSON.
        """
        token = self._token(_json({"alg": "ES256", "kid": self.key_id}), claims_of(files, layer, revision))
        return with_signature(files, token)

    def _token(self, header: bytes, payload: bytes) -> str:
        signing_input = encode_segment(header) + b"." + encode_segment(payload)
        der = self._private.sign(signing_input, ECDSA(hashes.SHA256(), deterministic_signing=True))
        signature = b"".join(part.to_bytes(32, "big") for part in decode_dss_signature(der))
        return (signing_input + b"." + encode_segment(signature)).decode("ascii")

    def __reduce__(self) -> NoReturn:
        raise TypeError("a private key is neither copied nor pickled")

    def __repr__(self) -> str:
        return f"{type(self).__name__}(key_id={self.key_id!r})"


def claims_of(files: Mapping[str, bytes], layer: PolicyLayer, revision: str) -> bytes:
    """Return what a bundle's signature is over: the payload of its token; a signature among the files is left out.

    Raises:
        BundleRefused: a document is no JSON.
    """
    signed = {name: content for name, content in files.items() if name != SIGNATURES}
    return _json(
        {
            "files": opa_hashes(signed),
            "scope": layer,
            "ztfm": {"layer": layer, "revision": revision, "files": raw_hashes(signed)},
        }
    )


def with_signature(files: Mapping[str, bytes], token: str) -> bytes:
    """Return the bundle of these files with a token in the place of the signature that is among them, if one is.

    Raises:
        BundleRefused: a name cannot be in a bundle, or there is too much.
    """
    return write_archive({**files, SIGNATURES: _json({"signatures": [token]})})


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
