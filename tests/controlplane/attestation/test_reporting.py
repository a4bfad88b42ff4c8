"""A binding has 32 bytes, and claims that do not fit are refused instead of cut."""

from typing import Any

import pytest

from controlplane.attestation.interface import EvidenceRefused
from controlplane.attestation.reporting import bound_of, stated

PARTS: dict[str, Any] = {
    "kind": "sgx",
    "anchor": "intel",
    "platform": "00ff",
    "bound": "00" * 32,
    "debug": False,
    "status": "up_to_date",
    "measurements": {"mrenclave": "11" * 32},
    "versions": {"isvsvn": 1},
    "attributes": {"fmspc": "00a067110000"},
    "advisories": [],
}


def test_only_zeros_may_follow_a_binding() -> None:
    assert bound_of(b"\1" * 32 + bytes(32)) == b"\1" * 32
    for place in range(32):
        more = bytes(place) + b"\1" + bytes(31 - place)
        assert bound_of(b"\1" * 32 + more) == b"\1" * 32 + more


@pytest.mark.parametrize(
    "change",
    [
        {"versions": {"isvsvn": 2**32}},
        {"platform": ""},
        {"attributes": {"driver": "5\n"}},
        {"advisories": ["INTEL-SA-00289"] * 65},
        {"measurements": {f"index{place}": "00" for place in range(65)}},
    ],
)
def test_what_claims_do_not_hold_is_refused(change: dict[str, Any]) -> None:
    assert stated(**PARTS).kind == "sgx"
    with pytest.raises(EvidenceRefused, match=f"more of its {next(iter(change))}") as refused:
        stated(**PARTS | change)
    assert refused.value.cause == "unsupported"
