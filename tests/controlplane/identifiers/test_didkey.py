"""``did:key``: the published vectors, one spelling for each key, and what is refused."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.contracts.identity import PublicKey
from controlplane.identifiers.didkey import did_key, key_document, parse_did_key, read_multikey
from controlplane.identifiers.dids import DidInvalid
from controlplane.identifiers.documents import Ed25519Key, Secp256k1Key
from controlplane.identifiers.multibase import encode_key
from controlplane.jose.jws import decode_segment, encode_segment
from controlplane.jose.keys import DeviceKey

# Identifiers and keys are those of the specification's own vectors: w3c-ccg/did-method-key, `test-vectors`:
# nist-curves.json, ed25519-x25519.json and secp256k1.json.
P256 = {
    "did:key:zDnaerx9CtbPJ1q36T5Ln5wYt3MQYeGRG5ehnPAmxcf5mDZpv": (
        "igrFmi0whuihKnj9R3Om1SoMph72wUGeFaBbzG2vzns",
        "efsX5b10x8yjyrj4ny3pGfLcY7Xby1KzgqOdqnsrJIM",
    ),
    "did:key:zDnaerDaTF5BXEavCrfRZEk316dpbLsfPDZ3WJ5hRTPFU2169": (
        "fyNYMN0976ci7xqiSdag3buk-ZCwgXU4kz9XNkBlNUI",
        "hW2ojTNfH7Jbi8--CJUo3OCbH3y5n91g-IMA9MLMbTU",
    ),
}
ED25519 = {
    "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp": "4zvwRjXUKGfvwnParsHAS3HuSVzV5cA4McphgmoCtajS",
    "did:key:z6MkjchhfUsD6mmvni8mCdXHw216Xrm9bQe2mBH1P5RDjVJG": "6ASf5EcmmEHTgDJ4X4ZT5vT6iHVJBXPg5AN5YoTCpGWt",
    "did:key:z6MkwW6aqMnjgrhJXFUko3NnZPGzVpkNzhYK7yEhnsibmLwL": "J3qYF7YJMKCqQke47UQwiHizgFUXapHxRxKmxbkar89x",
}
SECP256K1 = {
    "did:key:zQ3shokFTS3brHcDQrn82RUDfCZESWL1ZdCEJwekUDPQiYBme": "23o6Sau8NxxzXcgSc3PLcNxrzrZpbLeBn1izfv3jbKhuv",
    "did:key:zQ3shtxV1FrJfhqE1dvxYRcCknWNjHc3c5X1y3ZSoPDi2aur2": "291KzQhqCPC18PqH83XKhxv1HdqrdnxyS7dh15t2uNRzJ",
    "did:key:zQ3shadCps5JLAHcZiuX5YUtWHHL8ysBJqFLWvjZDKAWUBGzy": "pg3p1vprqePgUoqfAQ1TTgxhL6zLYhHyzooR1pqLxo9F",
}
# Keys on P-384 and P-521 of the same vectors, which are not read.
OTHERS = [
    "did:key:z82Lm1MpAkeJcix9K8TMiLd5NMAhnwkjjCBeWHXyu3U4oT2MVJJKXkcVBgjGhnLBn2Kaau9",
    "did:key:z2J9gaYxrKVpdoG9A4gRnmpnRCcxU6agDtFVVBVdn1JedouoZN7SzcyREXXzWgt3gGiwpoHq7K68X4m32D8HgzG8wv3sY5j7",
]
KNOWN = next(iter(P256))
PRIME = 2**256 - 2**224 + 2**192 + 2**96 - 1


@pytest.mark.parametrize("did", P256)
def test_a_p256_key_is_that_of_the_vectors(did: str) -> None:
    x, y = P256[did]
    key = PublicKey(kty="EC", crv="P-256", x=x, y=y)
    assert parse_did_key(did) == key
    assert did_key(key) == did


@pytest.mark.parametrize("did", ED25519)
def test_an_ed25519_key_is_that_of_the_vectors(did: str) -> None:
    key = parse_did_key(did)
    assert isinstance(key, Ed25519Key)
    assert _base58(decode_segment(key.x.encode())) == ED25519[did]


@pytest.mark.parametrize("did", SECP256K1)
def test_a_secp256k1_key_is_that_of_the_vectors(did: str) -> None:
    key = parse_did_key(did)
    assert isinstance(key, Secp256k1Key)
    x, y = (decode_segment(part.encode()) for part in (key.x, key.y))
    assert _base58(bytes([2 + y[-1] % 2]) + x) == SECP256K1[did]


@pytest.mark.parametrize("did", [*P256, *ED25519, *SECP256K1])
def test_the_document_has_the_key_for_everything_but_encryption(did: str) -> None:
    written = key_document(did).model_dump(mode="json", exclude_none=True)
    name = f"{did}#{did.removeprefix('did:key:')}"
    assert written["id"] == did
    (method,) = written["verificationMethod"]
    assert (method["id"], method["controller"], method["type"]) == (name, did, "JsonWebKey")
    for purpose in ("authentication", "assertionMethod", "capabilityInvocation", "capabilityDelegation"):
        assert written[purpose] == [name]
    assert "keyAgreement" not in written


def test_only_a_p256_key_is_one_to_verify_with() -> None:
    counted = {did: list(key_document(did).keys_for("assertionMethod").values()) for did in [*P256, *ED25519]}
    assert [did for did, keys in counted.items() if keys] == list(P256)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 2**255))
def test_any_device_key_comes_back_from_its_did(secret: int) -> None:
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, derive_private_key

    key = DeviceKey(derive_private_key(secret, SECP256R1())).public
    assert parse_did_key(did_key(key)) == key
    assert len(did_key(key)) == len(KNOWN)


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from([*P256, *ED25519, *SECP256K1]),
    st.integers(8, 56),
    st.characters(min_codepoint=33, max_codepoint=126),
)
def test_a_did_with_another_character_is_refused_or_another_key(did: str, place: int, letter: str) -> None:
    place = min(place, len(did) - 1)
    changed = did[:place] + letter + did[place + 1 :]
    try:
        key = parse_did_key(changed)
    except DidInvalid:
        assert changed != did
        return
    assert (key == parse_did_key(did)) == (changed == did)


@settings(max_examples=100, deadline=None)
@given(st.integers(8, 57), st.sampled_from(["1", "z", "11"]))
def test_a_did_with_a_character_more_is_refused(place: int, added: str) -> None:
    with pytest.raises(DidInvalid):
        parse_did_key(KNOWN[:place] + added + KNOWN[place:])


@settings(max_examples=50, deadline=None)
@given(st.integers(0, len(KNOWN) - 1))
def test_a_did_that_was_cut_off_is_refused(length: int) -> None:
    with pytest.raises(DidInvalid):
        parse_did_key(KNOWN[:length])


@pytest.mark.parametrize(
    "did",
    [
        *OTHERS,
        KNOWN.upper(),
        KNOWN.replace("did:", "DID:"),
        KNOWN.replace("did:key:", "did:web:"),
        KNOWN.replace(":z", ":z1"),
        KNOWN + "#" + KNOWN.removeprefix("did:key:"),
        KNOWN + "?versionId=1",
        KNOWN + "/path",
        KNOWN + " ",
        KNOWN + "\n",
        KNOWN.replace(":z", ":%7A"),
        "did:key:1.1:" + KNOWN.removeprefix("did:key:"),
        "did:key:",
        "did:key:z",
        "did:key:" + "z" * 200,
    ],
)
def test_another_spelling_or_kind_is_refused(did: str) -> None:
    with pytest.raises(DidInvalid):
        parse_did_key(did)


@pytest.mark.parametrize("first", [0, 1, 4, 5, 6, 7, 255])
def test_a_point_is_written_compressed(first: int) -> None:
    with pytest.raises(DidInvalid):
        read_multikey(encode_key("P-256", bytes([first]) + b"\5" * 32))


@pytest.mark.parametrize("x", [PRIME, PRIME + 5, 2**256 - 1])
def test_a_coordinate_beyond_the_field_is_refused(x: int) -> None:
    with pytest.raises(DidInvalid):
        read_multikey(encode_key("P-256", b"\2" + x.to_bytes(32, "big")))


def test_half_of_all_coordinates_are_of_no_point() -> None:
    refused = 0
    for x in range(1, 61):
        try:
            read_multikey(encode_key("P-256", b"\2" + x.to_bytes(32, "big")))
        except DidInvalid:
            refused += 1
    assert 15 < refused < 45


@pytest.mark.parametrize("y", [2**255 - 19, 2**255 - 18, 2**255 - 1, 2, 1 + 2**255])
def test_bytes_that_are_no_ed25519_point_are_refused(y: int) -> None:
    with pytest.raises(DidInvalid):
        read_multikey(encode_key("Ed25519", y.to_bytes(32, "little")))


def test_a_key_that_is_no_point_has_no_did() -> None:
    off = PublicKey(kty="EC", crv="P-256", x=encode_segment(b"\1" * 32).decode(), y=encode_segment(b"\1" * 32).decode())
    with pytest.raises(ValueError, match=r".+"):
        did_key(off)


def _base58(raw: bytes) -> str:
    from controlplane.identifiers.multibase import encode_base58

    return encode_base58(raw)
