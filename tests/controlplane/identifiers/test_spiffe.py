"""SPIFFE IDs are read strictly: one spelling, and what the specification forbids is none."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.identifiers.spiffe import (
    MAX_DOMAIN_CHARS,
    MAX_ID_CHARS,
    SpiffeId,
    SpiffeIdInvalid,
    TrustDomain,
    device_spiffe_id,
    domain_of_federation,
)

DOMAIN = TrustDomain("example.org")
DEVICE = "dev-0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"

segments = st.from_regex(r"[A-Za-z0-9._-]{1,20}", fullmatch=True).filter(lambda text: text not in {".", ".."})
domains = st.from_regex(r"[a-z0-9._-]{1,40}", fullmatch=True)


@given(domains, st.lists(segments, max_size=6))
def test_a_name_that_was_made_is_read_as_itself(domain: str, path: list[str]) -> None:
    made = SpiffeId.of(TrustDomain(domain), *path)
    assert SpiffeId.parse(str(made)) == made
    assert str(made) == "/".join([f"spiffe://{domain}", *path])


@given(st.text(max_size=60) | st.text(max_size=60).map(lambda text: "spiffe://" + text))
def test_whatever_is_read_is_spelt_back_and_has_no_other_characters(text: str) -> None:
    try:
        read = SpiffeId.parse(text)
    except SpiffeIdInvalid:
        return
    assert str(read) == text
    assert re.fullmatch(r"spiffe://[a-z0-9._-]+(/[A-Za-z0-9._-]+)*", text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "spiffe:/example.org/a",
        "SPIFFE://example.org/a",
        "https://example.org/a",
        " spiffe://example.org/a",
        "spiffe://example.org/a\n",
        "spiffe://",
        "spiffe:///a",
        "spiffe://Example.org/a",
        "spiffe://example.org:443/a",
        "spiffe://user@example.org/a",
        "spiffe://[::1]/a",
        "spiffe://ex%61mple.org/a",
        "spiffe://exämple.org/a",
        "spiffe://example.org/",
        "spiffe://example.org/a/",
        "spiffe://example.org//a",
        "spiffe://example.org/a//b",
        "spiffe://example.org/./a",
        "spiffe://example.org/a/..",
        "spiffe://example.org/a%2Fb",
        "spiffe://example.org/a?b",
        "spiffe://example.org/a#b",
        "spiffe://example.org?b",
        "spiffe://example.org/a b",
        "spiffe://example.org/ä",
        "spiffe://example.org/a\x00",
    ],
)
def test_what_the_specification_forbids_is_no_name(text: str) -> None:
    with pytest.raises(SpiffeIdInvalid):
        SpiffeId.parse(text)


@pytest.mark.parametrize(
    "text", ["spiffe://example.org", "spiffe://10.0.0.1/a", "spiffe://a_b-c.d/...", "spiffe://1/A/b-_.9"]
)
def test_what_it_allows_is_one(text: str) -> None:
    assert str(SpiffeId.parse(text)) == text


def test_names_are_as_long_as_the_specification_lets_them_be() -> None:
    assert len(str(SpiffeId.of(DOMAIN, "a" * (MAX_ID_CHARS - len("spiffe://example.org/"))))) == MAX_ID_CHARS
    with pytest.raises(SpiffeIdInvalid):
        SpiffeId.of(DOMAIN, "a" * (MAX_ID_CHARS - len("spiffe://example.org/") + 1))
    assert TrustDomain("a" * MAX_DOMAIN_CHARS)
    with pytest.raises(SpiffeIdInvalid):
        TrustDomain("a" * (MAX_DOMAIN_CHARS + 1))


def test_a_refusal_does_not_repeat_what_it_refuses() -> None:
    with pytest.raises(SpiffeIdInvalid) as refused:
        SpiffeId.parse("spiffe://example.org/se cret")
    assert "cret" not in str(refused.value)


def test_a_device_is_named_by_what_it_is_registered_as() -> None:
    assert str(device_spiffe_id(DOMAIN, DEVICE)) == f"spiffe://example.org/device/{DEVICE}"
    for odd in ("did:key:z6Mk", "a/b", "a@b", "..", ""):
        with pytest.raises(SpiffeIdInvalid):
            device_spiffe_id(DOMAIN, odd)


def test_every_federation_has_a_trust_domain() -> None:
    assert domain_of_federation("Homes_1.West-2") == TrustDomain("homes_1.west-2")
