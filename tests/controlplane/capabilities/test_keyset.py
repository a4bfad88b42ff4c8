from typing import Any

import pytest

from controlplane.capabilities.errors import KeySetError
from controlplane.capabilities.keyset import read_keys
from controlplane.jose.keys import SigningKey, jwks


def _entry(**changes: Any) -> dict[str, Any]:
    return {**jwks([SigningKey.generate()])["keys"][0], **changes}


def test_keys_for_other_uses_are_passed_over() -> None:
    good = _entry()
    others = [_entry(use="enc"), _entry(alg="ES384"), {"kty": "RSA", "n": "AQAB", "e": "AQAB"}, {"kty": "OKP"}, {}]
    assert list(read_keys({"keys": [*others, good]})) == [good["kid"]]


def test_an_empty_set_has_no_keys() -> None:
    assert read_keys({"keys": []}) == {}


@pytest.mark.parametrize(
    "entries",
    [
        None,
        {},
        "keys",
        [1],
        [None],
        [_entry(d="AAAA")],
        [{"kty": "oct", "k": "c2VjcmV0"}],
        [_entry(kid="a"), _entry(kid="a")],
        [_entry(kid="")],
        [_entry(kid=None)],
        [_entry(kid=1)],
        [_entry(x="A" * 43)],
        [_entry(x=None)],
        [_entry() for _ in range(33)],
    ],
)
def test_a_set_that_cannot_be_trusted_is_a_fault(entries: Any) -> None:
    with pytest.raises(KeySetError):
        read_keys({"keys": entries})
