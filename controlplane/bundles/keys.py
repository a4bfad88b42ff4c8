"""The public keys that policies may be signed by, layer by layer."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey

from controlplane.bundles.errors import PolicyKeyError
from controlplane.contracts.policies import LAYERS, PolicyLayer
from controlplane.jose.keys import thumbprint, to_public

MAX_KEYS = 64
"""Keys that a layer may trust."""

_MAX_PEM_BYTES = 65_536


def key_id(key: EllipticCurvePublicKey) -> str:
    """Return the RFC 7638 thumbprint of a P-256 key."""
    return thumbprint(to_public(key))


def public_pem(key: EllipticCurvePublicKey) -> str:
    """Return a public key as PEM, as a trust folder and OPA's configuration hold it."""
    info = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_bytes(serialization.Encoding.PEM, info).decode("ascii")


def read_public(path: Path) -> EllipticCurvePublicKey:
    """Return the public key of a PEM file.

    Raises:
        PolicyKeyError: it cannot be read, or is not a public P-256 key alone.
    """
    try:
        with path.open("rb") as file:
            pem = file.read(_MAX_PEM_BYTES)
        key = serialization.load_pem_public_key(pem)
    except OSError as error:
        raise PolicyKeyError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, TypeError):
        raise PolicyKeyError(f"{path} is no PEM file with a public key: `ztfm policy key` writes one") from None
    if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
        raise PolicyKeyError(f"{path} is another kind of key; policies are signed with ES256, a key on P-256")
    return key


@dataclass(frozen=True, slots=True)
class Trust:
    """Who may sign policies. Nobody is trusted for a layer that has no keys."""

    _keys: Mapping[PolicyLayer, Mapping[str, EllipticCurvePublicKey]]

    @classmethod
    def of_key(cls, key: EllipticCurvePublicKey) -> "Trust":
        """Trust one key for every layer."""
        return cls({layer: MappingProxyType({key_id(key): key}) for layer in LAYERS})

    @classmethod
    def of_folder(cls, folder: Path) -> "Trust":
        """Trust, for each layer, the keys in ``<folder>/<layer>/*.pem``.

        Raises:
            PolicyKeyError: a key cannot be used, there are too many for a layer, or there is none at all.
        """
        found = {layer: _keys_of(folder / layer) for layer in LAYERS}
        if not any(found.values()):
            raise PolicyKeyError(
                f"{folder} holds no keys: put the public key of whoever signs policies into {folder}/base/NAME.pem"
            )
        return cls(found)

    def keys(self, layer: PolicyLayer) -> Mapping[str, EllipticCurvePublicKey]:
        """Return the keys that are trusted for a layer, by key id."""
        return self._keys.get(layer, MappingProxyType({}))


def _keys_of(folder: Path) -> Mapping[str, EllipticCurvePublicKey]:
    paths = sorted(folder.glob("*.pem"))
    if len(paths) > MAX_KEYS:
        raise PolicyKeyError(f"{folder} holds {len(paths)} keys; at most {MAX_KEYS} are taken")
    return MappingProxyType({key_id(key): key for key in map(read_public, paths)})
