"""The helpers that hold verifiers to account find what they are for."""

import hashlib
from collections.abc import Mapping

import pytest

from controlplane.attestation.interface import EvidenceRefused
from tests.controlplane.attestation.flipping import any_bytes_are_refused, every_cut_is_refused, every_flip_is_refused

EVIDENCE = {"body": b"body" * 3, "digest": hashlib.sha256(b"body" * 3).digest()}


def _strict(evidence: Mapping[str, bytes]) -> None:
    if set(evidence) != {"body", "digest"} or hashlib.sha256(evidence["body"]).digest() != evidence["digest"]:
        raise EvidenceRefused("signature", "the digest is another body's")


def _lenient(evidence: Mapping[str, bytes]) -> None:
    _strict({**evidence, "body": evidence["body"].lower()})


def test_a_verifier_that_looks_at_every_bit_passes() -> None:
    assert every_flip_is_refused(_strict, EVIDENCE) == 8 * (12 + 32)
    assert every_flip_is_refused(_strict, EVIDENCE, members=["digest"], sample=5, edge=1) >= 16
    every_cut_is_refused(_strict, EVIDENCE)
    any_bytes_are_refused(_strict, EVIDENCE)


def test_bits_that_are_not_looked_at_are_named() -> None:
    with pytest.raises(AssertionError, match=r"12 of 352 flips survived: body\[0\] bit 5: verified; body\[1\] bit 5"):
        every_flip_is_refused(_lenient, EVIDENCE)


def test_another_exception_is_a_survivor() -> None:
    def _raises(evidence: Mapping[str, bytes]) -> None:
        if evidence != EVIDENCE:
            raise IndexError("past the end")

    with pytest.raises(AssertionError, match="raised IndexError: past the end"):
        every_flip_is_refused(_raises, EVIDENCE)
    with pytest.raises(AssertionError, match="raised IndexError"):
        any_bytes_are_refused(_raises, EVIDENCE)


def test_an_unknown_cause_is_a_survivor() -> None:
    def _odd(evidence: Mapping[str, bytes]) -> None:
        if evidence != EVIDENCE:
            raise EvidenceRefused("strange", "why")

    with pytest.raises(AssertionError, match="the cause 'strange'"):
        every_flip_is_refused(_odd, EVIDENCE)


def test_evidence_that_never_verified_proves_nothing() -> None:
    with pytest.raises(EvidenceRefused):
        every_flip_is_refused(_strict, {**EVIDENCE, "body": b"other"})
