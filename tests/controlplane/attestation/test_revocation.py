"""A root's list of revoked certificates counts while it is valid, and only where the root signed it."""

from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from controlplane.attestation.certificates import RootsInvalid
from controlplane.attestation.chains import Anchors, Purpose
from controlplane.attestation.interface import EvidenceRefused
from controlplane.attestation.revocation import RevocationLists, load_lists
from tests.controlplane.attestation.making_chains import AT, BEGINS, ENDS, Authority, authority, ec_key, pem, resigned

ROOT = Authority("root")
MIDDLE = Authority("middle", ROOT, serial=77)
ANCHORS = Anchors({"maker": [ROOT.certificate], "other": [Authority("other").certificate]})
CHAIN = ANCHORS.verify([MIDDLE.certify("leaf", ec_key()), MIDDLE.certificate], AT, "the leaf", Purpose())


def check(*lists: bytes, at: float = AT) -> bool:
    return RevocationLists(ANCHORS, {f"list {number}": der for number, der in enumerate(lists)}).check(CHAIN, at)


def cause(*lists: bytes, at: float = AT) -> str:
    with pytest.raises(EvidenceRefused) as refused:
        check(*lists, at=at)
    return refused.value.cause


def invalid(der: bytes) -> str:
    with pytest.raises(RootsInvalid) as found:
        check(der)
    return str(found.value)


def test_a_list_without_the_chains_certificates_lets_it_pass_and_is_said_to_be_there() -> None:
    assert check(ROOT.revoke([]), ROOT.revoke([1, 2, 3]))
    assert not check()
    with pytest.raises(EvidenceRefused, match=r"^revoked: maker revoked"):
        check(ROOT.revoke([1]), ROOT.revoke([77]))


def test_a_list_counts_for_a_root_that_was_renewed_with_the_same_key_too() -> None:
    renewed = Authority("root", key=ROOT.key, ends=ENDS + timedelta(days=1))
    anchors = Anchors({"maker": [ROOT.certificate], "renewed": [renewed.certificate]})
    lists = RevocationLists(anchors, {"list": ROOT.revoke([77])})
    for root in (ROOT, renewed):
        sent = [CHAIN.certificates[0], MIDDLE.certificate, root.certificate]
        with pytest.raises(EvidenceRefused, match=r"^revoked"):
            lists.check(anchors.verify(sent, AT, "the leaf", Purpose()), AT)


def test_a_list_says_nothing_of_what_others_signed() -> None:
    assert check(ROOT.revoke([CHAIN.certificates[0].serial_number]))


def test_a_list_without_an_end_is_none() -> None:
    signed = x509.load_der_x509_crl(ROOT.revoke([])).tbs_certlist_bytes
    assert check(resigned(signed, ROOT.key, list))
    assert "has no end" in invalid(resigned(signed, ROOT.key, lambda found: [*found[:4], *found[5:]]))


def test_a_list_that_is_not_valid_now_refuses_even_what_it_does_not_name() -> None:
    listed = ROOT.revoke([])
    for at in (BEGINS.timestamp() - 1, ENDS.timestamp() + 1, float("nan")):
        assert cause(listed, at=at) == "expired"
    for at in (BEGINS.timestamp(), ENDS.timestamp()):
        assert check(listed, at=at)


def test_only_a_known_root_that_may_says_what_it_revoked() -> None:
    assert (
        invalid(Authority("root").revoke([]))
        == "list 0 was signed by no root here: keep it beside the roots that it is of"
    )
    assert "signed by no root" in invalid(MIDDLE.revoke([77]))
    silent = Authority("silent", extensions=authority(None, "key_cert_sign"))
    with pytest.raises(RootsInvalid, match="signed by no root"):
        RevocationLists(Anchors({"silent": [silent.certificate]}), {"list": silent.revoke([])})


def test_a_part_of_a_list_is_none() -> None:
    part = x509.IssuingDistributionPoint(None, None, True, False, None, False, False)
    assert "of some certificates only" in invalid(ROOT.revoke([], extensions=[(part, True)]))
    assert "of some certificates only" in invalid(ROOT.revoke([], extensions=[(x509.DeltaCRLIndicator(1), True)]))


def test_no_bit_of_a_list_may_change(tmp_path: Path) -> None:
    listed = ROOT.revoke([1, 2], extensions=[(x509.CRLNumber(3), False)])
    assert check(listed)
    for position in range(0, len(listed) * 8, 3):
        changed = bytearray(listed)
        changed[position // 8] ^= 1 << position % 8
        assert invalid(bytes(changed)).startswith("list 0 ")
    for bad in (listed + b"\0", listed[:-1], b"", b"-----BEGIN X509 CRL-----"):
        assert invalid(bad).startswith("list 0 ")


def test_lists_lie_beside_the_roots(tmp_path: Path) -> None:
    (tmp_path / "maker.pem").write_bytes(pem(ROOT.certificate))
    assert not load_lists(tmp_path, ANCHORS).check(CHAIN, AT)
    (tmp_path / "any.crl").write_bytes(ROOT.revoke([77], ends=ENDS + timedelta(days=1)))
    with pytest.raises(EvidenceRefused, match="revoked"):
        load_lists(tmp_path, ANCHORS).check(CHAIN, AT)
