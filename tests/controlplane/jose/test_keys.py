import copy
import pickle

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from controlplane.contracts.identity import PublicKey
from controlplane.jose.keys import DeviceKey, SigningKey, jwks, load_public, thumbprint


def _pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def test_the_thumbprint_is_that_of_rfc_7638() -> None:
    key = DeviceKey.generate()
    oracle = jwt.PyJWK({**key.public.model_dump(), "alg": "ES256"})
    assert oracle.key.public_numbers() == load_public(key.public).public_numbers()
    assert thumbprint(key.public) == key.thumbprint
    assert len(key.thumbprint) == 43


def test_the_thumbprint_of_a_known_key_is_the_known_one() -> None:
    # The P-256 key of RFC 7517 appendix A.1; its thumbprint follows from RFC 7638 section 3.
    known = PublicKey(
        kty="EC",
        crv="P-256",
        x="MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
        y="4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
    )
    assert thumbprint(known) == "cn-I_WNMClehiVp51i_0VpOENW1upEerA8sEam5hn-s"


@pytest.mark.parametrize("password", [None, b"correct horse"])
def test_a_key_survives_its_pem(password: bytes | None) -> None:
    key = DeviceKey.generate()
    again = DeviceKey.from_pem(key.to_pem(password), password)
    assert again.public == key.public


@pytest.mark.parametrize(
    "pem",
    [
        b"",
        b"not a key",
        _pem(ec.generate_private_key(ec.SECP384R1())),
        _pem(ec.generate_private_key(ec.SECP256K1())),
        _pem(ed25519.Ed25519PrivateKey.generate()),
    ],
)
def test_another_kind_of_key_is_refused(pem: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        DeviceKey.from_pem(pem)


def test_a_missing_a_wrong_and_a_needless_password_are_refused() -> None:
    key = DeviceKey.generate()
    for pem, password in ((key.to_pem(b"one"), b"two"), (key.to_pem(b"one"), None), (key.to_pem(), b"one")):
        with pytest.raises(ValueError, match=r"."):
            DeviceKey.from_pem(pem, password)


@pytest.mark.parametrize("kind", [DeviceKey, SigningKey])
def test_no_text_form_shows_the_private_part(kind: type[DeviceKey]) -> None:
    key = kind.generate()
    private = serialization.load_pem_private_key(key.to_pem(), None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    secret = private.private_numbers().private_value
    shown = f"{key!r} {key!s} {[key]!r}"
    assert key.thumbprint in shown
    assert str(secret) not in shown
    assert f"{secret:x}" not in shown


def test_a_private_key_is_not_pickled_by_accident() -> None:
    key = DeviceKey.generate()
    with pytest.raises(TypeError):
        pickle.dumps(key)
    with pytest.raises(TypeError):
        copy.deepcopy(key)


def test_a_point_off_the_curve_and_a_second_spelling_are_refused() -> None:
    public = DeviceKey.generate().public
    last = "AEIMQUYcgkosw048"[("AEIMQUYcgkosw048".index(public.x[-1]) + 1) % 16]
    spare = chr(ord(public.x[-1]) + 1)
    for changed in ({"x": public.y, "y": public.x}, {"x": public.x[:-1] + last}, {"x": public.x[:-1] + spare}):
        with pytest.raises(ValueError, match=r"."):
            load_public(public.model_copy(update=changed))


def test_the_key_set_is_what_others_read() -> None:
    keys = [SigningKey.generate(), SigningKey.generate()]
    published = jwks(keys)
    assert [item.key_id for item in jwt.PyJWKSet.from_dict(published).keys] == [key.kid for key in keys]
    assert all(set(entry) == {"kty", "crv", "x", "y", "kid", "use", "alg"} for entry in published["keys"])
