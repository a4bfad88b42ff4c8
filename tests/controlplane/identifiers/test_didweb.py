"""``did:web``: where a document lies, and what of a published one counts."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.contracts.identity import PublicKey
from controlplane.identifiers.didkey import multikey
from controlplane.identifiers.dids import DidInvalid
from controlplane.identifiers.didweb import DocumentInvalid, place_of, read_document
from controlplane.identifiers.documents import MOST_METHODS, organisation_document
from controlplane.jose.keys import DeviceKey

DID = "did:web:example.com"
KEY = DeviceKey.generate().public
OTHER = DeviceKey.generate().public

# Of the specification's own examples (w3c-ccg/did-method-web, "Read (Resolve)").
KNOWN = {
    "did:web:w3c-ccg.github.io": "https://w3c-ccg.github.io/.well-known/did.json",
    "did:web:w3c-ccg.github.io:user:alice": "https://w3c-ccg.github.io/user/alice/did.json",
    "did:web:example.com%3A3000:user:alice": "https://example.com:3000/user/alice/did.json",
}


@pytest.mark.parametrize("did", KNOWN)
def test_a_document_lies_where_the_specification_says(did: str) -> None:
    assert place_of(did).url() == KNOWN[did]


@pytest.mark.parametrize(
    "specific",
    [
        *("com", "Example.com", "example..com", "-a.example.com", "a-.example.com", "a" * 64 + ".com", "a_b.com"),
        *("127.0.0.1", "1.1", "2130706433", "0x7f.1", "a.0x7f000001", "a.1", "example.com.", ".example.com"),
        *("example.com%3a80", "example.com%3A", "example.com%3A0", "example.com%3A080", "example.com%3A65536"),
        *("example.com%3A80%3A80", "example.com%2F", "example.com%40evil.com", "user%40example.com"),
        *("example.com::a", "example.com:..", "example.com:.well-known", "example.com:a%2Fb", "example.com:%2e%2e"),
        *("xn--é.com", "localhost.", "LOCALHOST", "example.com%3A80a", "%5B%3A%3A1%5D"),
    ],
)
def test_what_leads_to_an_address_or_elsewhere_is_refused(specific: str) -> None:
    with pytest.raises(DidInvalid):
        place_of(f"did:web:{specific}")


@given(st.from_regex(r"[a-z0-9.%A-F:-]{1,60}", fullmatch=True))
def test_whatever_is_a_place_has_one_spelling(specific: str) -> None:
    did = f"did:web:{specific}"
    try:
        place = place_of(did)
    except DidInvalid:
        return
    path = [] if place.path == "/.well-known/did.json" else place.path.split("/")[1:-1]
    domain = place.host if place.port is None else f"{place.host}%3A{place.port}"
    assert ":".join(["did", "web", domain, *path]) == did


def written(**changes: Any) -> dict[str, Any]:
    """Return the document of `DID` with `KEY` for both, and changes."""
    document = organisation_document(DID, KEY).model_dump(mode="json", exclude_none=True)
    return {**document, **changes}


def method(name: str = "#k", key: PublicKey = KEY, **changes: Any) -> dict[str, Any]:
    stated = {"id": DID + name, "type": "JsonWebKey2020", "controller": DID, "publicKeyJwk": key.model_dump()}
    return {name: value for name, value in {**stated, **changes}.items() if value is not None}


def read(document: Any) -> dict[str, dict[str, PublicKey]]:
    """Return what counts, by what it is for."""
    found = read_document(DID, json.dumps(document).encode())
    return {"authentication": found.keys_for("authentication"), "assertionMethod": found.keys_for("assertionMethod")}


def test_what_is_written_here_is_read_as_it_was_written() -> None:
    raw = json.dumps(written()).encode()
    assert read_document(DID, raw) == organisation_document(DID, KEY)


def test_keys_count_for_what_they_are_named_for_alone() -> None:
    document = written(
        verificationMethod=[method("#a"), method("#b", OTHER)], authentication=[f"{DID}#a"], assertionMethod=["#b"]
    )
    assert read(document) == {"authentication": {f"{DID}#a": KEY}, "assertionMethod": {f"{DID}#b": OTHER}}


def test_a_key_that_is_written_where_it_is_used_counts_there_alone() -> None:
    document = written(authentication=[method("#inner", OTHER, id="#inner")], assertionMethod=[])
    assert read(document) == {"authentication": {f"{DID}#inner": OTHER}, "assertionMethod": {}}


@pytest.mark.parametrize("change", [{"use": "sig"}, {"alg": "ES256"}, {"kid": "x"}, {"key_ops": ["verify"]}])
def test_what_a_key_says_of_itself_beside_does_no_harm(change: dict[str, Any]) -> None:
    document = written(verificationMethod=[method(publicKeyJwk={**KEY.model_dump(), **change})], assertionMethod=["#k"])
    assert read(document)["assertionMethod"] == {f"{DID}#k": KEY}


def test_a_multikey_counts() -> None:
    document = written(
        verificationMethod=[method(publicKeyJwk=None, publicKeyMultibase=multikey(KEY))], assertionMethod=["#k"]
    )
    assert read(document)["assertionMethod"] == {f"{DID}#k": KEY}


@pytest.mark.parametrize(
    "changes",
    [
        {"controller": "did:web:evil.example"},
        {"controller": None},
        {"controller": [DID]},
        {"id": "did:web:evil.example#k"},
        {"id": DID},
        {"id": 7},
        {"id": None},
        {"publicKeyJwk": None},
        {"publicKeyJwk": "x"},
        {"publicKeyJwk": {**KEY.model_dump(), "y": KEY.x}},
        {"publicKeyJwk": {**KEY.model_dump(), "crv": "P-384"}},
        {"publicKeyJwk": {**KEY.model_dump(), "use": "enc"}},
        {"publicKeyJwk": {**KEY.model_dump(), "alg": "ES384"}},
        {"publicKeyJwk": {"kty": "OKP", "crv": "Ed25519", "x": "O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik"}},
        {"publicKeyJwk": None, "publicKeyMultibase": "z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp"},
        {"publicKeyMultibase": "garbage"},
        {"publicKeyMultibase": 7},
    ],
)
def test_a_method_of_another_kind_or_of_somebody_else_does_not_count(changes: dict[str, Any]) -> None:
    document = written(
        verificationMethod=[method("#k", **changes), method("#good", OTHER)], assertionMethod=["#k", "#good"]
    )
    assert read(document)["assertionMethod"] == {f"{DID}#good": OTHER}


@pytest.mark.parametrize(
    "change",
    [
        {"id": "did:web:evil.example"},
        {"id": DID + "#k"},
        {"id": None},
        {"verificationMethod": []},
        {"verificationMethod": None},
        {"verificationMethod": "x"},
        {"verificationMethod": ["x"]},
        {"verificationMethod": [method("#k"), method("#k", OTHER)]},
        {"verificationMethod": [method("#k"), method(id="#k")]},
        {"verificationMethod": [method("#a b")]},
        {"verificationMethod": [method("#" + "k" * 600)]},
        {"verificationMethod": [method("#k"), method(publicKeyJwk={**KEY.model_dump(), "d": KEY.x})]},
        {"verificationMethod": [method("#k", publicKeyMultibase=multikey(OTHER))]},
        {"verificationMethod": [method(f"#k{n}") for n in range(MOST_METHODS + 1)]},
        {"verificationMethod": [method("#k", controller="x")] * 100},
        {"authentication": "x"},
        {"authentication": [f"{DID}#k"] * 100},
        {"authentication": [method("#k"), method("#k")]},
    ],
)
def test_a_document_that_cannot_be_relied_on_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(DocumentInvalid):
        read({**written(), **change})


@pytest.mark.parametrize("raw", [b"", b"null", b"[]", b"\xff", b"{", b'{"id":NaN}', b"[" * 100_000])
def test_what_is_no_json_object_is_refused(raw: bytes) -> None:
    with pytest.raises(DocumentInvalid):
        read_document(DID, raw)


def test_a_name_that_is_repeated_has_no_reading() -> None:
    raw = json.dumps(written()).replace('"id"', '"id": "did:web:evil.example", "id"', 1).encode()
    with pytest.raises(DocumentInvalid):
        read_document(DID, raw)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.sampled_from([DID, "#k", method()]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from([*method(), "d"]), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from([*written()]), json_values))
def test_whatever_is_published_is_read_or_refused_and_only_own_keys_count(changes: dict[str, Any]) -> None:
    try:
        found = read_document(DID, json.dumps({**written(), **changes}).encode())
    except DocumentInvalid:
        return
    assert found.id == DID
    assert {one.controller for one in found.verification_method} == {DID}
    assert found.verification_method
    assert {one.public_key_jwk for one in found.verification_method} == {KEY}


def test_an_organisation_without_a_did_has_no_document() -> None:
    with pytest.raises(DidInvalid):
        organisation_document("https://example.com", KEY)


def test_a_document_is_not_read_deeper_than_any_needs_to_be() -> None:
    for raw in (b"[" * 100_000, b'{"a":' * 10_000, b"[" * 501 + b"{" * 500):
        with pytest.raises(DocumentInvalid, match="no JSON object"):
            read_document(DID, raw)
