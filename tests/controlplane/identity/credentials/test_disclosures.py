"""Disclosures stand where their digests do, each once, and in one reading only."""

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.identity.credentials.disclosures import MAX_DISCLOSURES, DisclosuresInvalid, disclose
from controlplane.jose.jws import encode_segment, is_signed_by, parse, parse_object
from controlplane.jose.keys import load_public
from tests.controlplane.identity.credentials import vectors


def disclosure(*parts: Any) -> str:
    return encode_segment(json.dumps(["salt", *parts]).encode()).decode()


def digest(text: str) -> str:
    return encode_segment(hashlib.sha256(text.encode()).digest()).decode()


NAME = disclosure("model", "hub-3")
ELEMENT = disclosure("DE")


def test_what_the_rfc_discloses_is_what_it_prints() -> None:
    token = parse(vectors.SECTION_5)
    assert token is not None
    assert is_signed_by(load_public(vectors.ISSUER), token)
    payload = parse_object(token.payload)
    found = disclose(payload, [vectors.FAMILY, vectors.GIVEN, vectors.EMAIL, vectors.US, vectors.DE])
    assert {name: found[name] for name in ("given_name", "family_name", "email", "nationalities", "sub")} == {
        "given_name": "John",
        "family_name": "Doe",
        "email": "johndoe@example.com",
        "nationalities": ["US", "DE"],
        "sub": "user_42",
    }
    assert disclose(payload, [vectors.DE])["nationalities"] == ["DE"]
    assert "_sd" not in str(found)


def test_what_is_not_disclosed_leaves_nothing_behind() -> None:
    assert disclose(
        {"_sd": [digest(NAME), digest("decoy")], "_sd_alg": "sha-256", "a": [{"...": digest("x")}]}, []
    ) == {"a": []}


def test_a_disclosure_may_hold_another() -> None:
    outer = disclosure("place", {"_sd": [digest(NAME)], "floor": 2})
    assert disclose({"_sd": [digest(outer)]}, [NAME, outer]) == {"place": {"floor": 2, "model": "hub-3"}}


@pytest.mark.parametrize(
    ("payload", "sent", "why"),
    [
        ({}, [NAME], "not referred to"),
        ({"_sd": [digest(NAME)]}, [NAME, NAME], "sent twice"),
        ({"_sd": [digest(NAME), digest(NAME)]}, [NAME], "stands twice"),
        ({"_sd": [digest(NAME)], "a": {"_sd": [digest(NAME)]}}, [NAME], "stands twice"),
        ({"_sd": [digest(NAME)], "a": {"_sd": [digest(NAME)]}}, [], "stands twice"),
        ({"_sd": [digest("d"), digest("d")]}, [], "stands twice"),
        ({"_sd": [digest(NAME)], "model": "hub-2"}, [NAME], "nothing new"),
        ({"_sd": [digest(ELEMENT)]}, [ELEMENT], "nothing new"),
        ({"a": [{"...": digest(NAME)}]}, [NAME], "has a name"),
        ({"a": [{"...": digest(ELEMENT), "b": 1}]}, [ELEMENT], "reserved"),
        ({"a": {"...": digest(ELEMENT)}}, [ELEMENT], "reserved"),
        ({"...": digest(ELEMENT)}, [], "reserved"),
        ({"a": {"_sd_alg": "sha-256"}}, [], "reserved"),
        ({"_sd": digest(NAME)}, [NAME], "no array"),
        ({"_sd": {digest(NAME): 1}}, [], "no array"),
        ({"_sd": [1]}, [], "no text"),
        ({"a": [{"...": None}]}, [], "no text"),
        ({"_sd_alg": "sha-512", "_sd": [digest(NAME)]}, [NAME], "SHA-256"),
        ({"_sd_alg": None}, [], "SHA-256"),
        ({"_sd": []}, [f"{index}" for index in range(MAX_DISCLOSURES + 1)], "more than"),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(payload: dict[str, Any], sent: list[str], why: str) -> None:
    with pytest.raises(DisclosuresInvalid, match=why):
        disclose(payload, sent)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b'["salt"]',
        b'["salt", "a", 1, 2]',
        b'[1, "a", 1]',
        b'["salt", 1, 1]',
        b'["salt", "_sd", []]',
        b'["salt", "...", 1]',
        b'["salt", "_sd_alg", "sha-256"]',
        b'{"0": "salt"}',
        b'["salt", "a", NaN]',
        b'["salt", "a", {"b": 1, "b": 2}]',
        b'["salt", "a", 1], "more": 1',
        b'["salt", "a", 1]}',
        b'["salt", "a", ' + b"[" * 5000 + b"]" * 5000 + b"]",
        b'["salt", "a", 1] x',
        b"\xff",
    ],
)
def test_a_disclosure_is_a_salt_a_name_and_a_value(raw: bytes) -> None:
    text = encode_segment(raw).decode()
    with pytest.raises(DisclosuresInvalid):
        disclose({"_sd": [digest(text)]}, [text])


def test_base64_has_one_spelling() -> None:
    text = NAME[:-1] + chr(ord(NAME[-1]) + 1)
    with pytest.raises(DisclosuresInvalid, match="base64url"):
        disclose({"_sd": [digest(text)]}, [text])


def test_nesting_has_an_end() -> None:
    deep: Any = {}
    for _ in range(18):
        deep = {"a": [deep]}
    with pytest.raises(DisclosuresInvalid, match="deeply"):
        disclose(deep, [])


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from("abcd"), _JSON, max_size=4), st.data())
def test_whatever_is_hidden_and_disclosed_is_what_it_was(claims: dict[str, Any], data: st.DataObject) -> None:
    hidden = data.draw(st.sets(st.sampled_from(sorted(claims)))) if claims else set()
    sent = {name: disclosure(name, claims[name]) for name in hidden}
    payload: dict[str, Any] = {name: value for name, value in claims.items() if name not in hidden}
    payload["_sd"] = [digest(text) for text in sent.values()]
    assert disclose(payload, list(sent.values())) == claims
    shown = data.draw(st.sets(st.sampled_from(sorted(hidden)))) if hidden else set()
    left = {name: value for name, value in claims.items() if name in shown or name not in hidden}
    assert disclose(payload, [sent[name] for name in shown]) == left
