"""A chain leads to a named root, exactly, at its time, through authorities that may, or it is refused."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier

from controlplane.attestation.certificates import RootsInvalid, read_certificate, read_pem
from controlplane.attestation.chains import Anchors, Chain, Purpose, load_anchors
from controlplane.attestation.interface import EvidenceRefused
from tests.controlplane.attestation.flipping import any_bytes_are_refused, every_cut_is_refused, every_flip_is_refused
from tests.controlplane.attestation.making_chains import (
    AT,
    BEGINS,
    ENDS,
    Authority,
    authority,
    der,
    ec_key,
    own,
    pem,
    resigned,
    rsa_key,
    usage,
)

SIGNS = Purpose(usage="digital_signature")
SIGNER = [(usage("digital_signature"), True)]
ROOT = Authority("root")
MIDDLE = Authority("middle", ROOT, extensions=authority(1))
LOWER = Authority("lower", MIDDLE, extensions=authority(0))
OTHER = Authority("other", key=rsa_key(0))
LEAF = LOWER.certify("leaf", ec_key(), SIGNER)
ABOVE = [LOWER.certificate, MIDDLE.certificate]
ANCHORS = Anchors({"maker": [ROOT.certificate], "other": [OTHER.certificate]})


def verified(*chain: x509.Certificate, at: float = AT, purpose: Purpose = SIGNS, anchors: Anchors = ANCHORS) -> Chain:
    return anchors.verify(chain, at, "the leaf", purpose)


def cause(*chain: x509.Certificate, **options: Any) -> str:
    with pytest.raises(EvidenceRefused) as refused:
        verified(*chain, **options)
    return refused.value.cause


def below(above: Authority, extensions: Any = SIGNER, **change: Any) -> x509.Certificate:
    return above.certify("leaf", ec_key(), extensions, **change)


def test_a_chain_leads_to_its_root_whether_the_root_is_sent_along_or_not() -> None:
    whole = (LEAF, *ABOVE, ROOT.certificate)
    assert verified(LEAF, *ABOVE) == verified(*whole) == Chain("maker", whole)
    assert verified(below(OTHER)).anchor == "other"


def test_an_authority_that_the_operator_holds_need_not_be_sent() -> None:
    anchors = Anchors({"maker": [MIDDLE.certificate, ROOT.certificate]})
    assert verified(LEAF, LOWER.certificate, anchors=anchors).certificates == (LEAF, *ABOVE, ROOT.certificate)
    assert anchors.names == {"maker"}
    assert anchors.roots("maker") == [ROOT.certificate]


def test_a_chain_that_leads_elsewhere_or_nowhere_is_untrusted() -> None:
    stranger = Authority("root")
    assert cause(below(stranger)) == cause(below(stranger), stranger.certificate) == "untrusted"
    assert cause(LEAF) == cause(LEAF, LOWER.certificate) == "untrusted"
    assert cause(ROOT.certificate) == "untrusted"
    assert Anchors({}).names == frozenset()
    assert cause(LEAF, *ABOVE, anchors=Anchors({})) == "untrusted"


def test_a_chain_is_in_order_and_has_nothing_else() -> None:
    assert cause(LEAF, MIDDLE.certificate, LOWER.certificate) == "untrusted"
    assert cause(*ABOVE, LEAF) == "untrusted"
    assert cause(LEAF, *ABOVE, OTHER.certificate) == "untrusted"
    assert cause(LEAF, LOWER.certificate, below(OTHER)) == "untrusted"
    assert cause(*[LEAF] * 9) == cause() == "malformed"


def test_a_key_that_a_forged_authority_vouches_for_is_not_used() -> None:
    forged = Authority("middle")
    lower = Authority("lower", forged)
    assert cause(below(lower), lower.certificate, MIDDLE.certificate) == "signature"


@pytest.mark.parametrize(
    "extensions",
    [
        [],
        [(x509.BasicConstraints(ca=True, path_length=None), True)],
        [(x509.BasicConstraints(ca=False, path_length=None), True), (usage("key_cert_sign"), True)],
        [(usage("key_cert_sign"), True)],
        authority(None, "digital_signature"),
    ],
)
def test_who_is_no_authority_vouches_for_nobody(extensions: Any) -> None:
    middle = Authority("middle", ROOT, extensions=extensions or SIGNER)
    assert cause(below(middle), middle.certificate) == "untrusted"


def test_an_authority_has_no_more_below_it_than_it_may() -> None:
    short = Authority("short", ROOT, extensions=authority(0))
    under = Authority("under", short)
    assert verified(below(short), short.certificate).anchor == "maker"
    assert cause(below(under), under.certificate, short.certificate) == "untrusted"


def test_what_insists_on_something_unknown_is_refused() -> None:
    strange = x509.UnrecognizedExtension(ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    within = x509.NameConstraints([x509.DNSName("example.org")], None)
    assert cause(below(ROOT, [*SIGNER, (strange, True)])) == "unsupported"
    assert verified(below(ROOT, [*SIGNER, own("1.2.3.4", b"\x05\x00")])).anchor == "maker"
    known = Purpose("digital_signature", known=frozenset({ObjectIdentifier("1.2.3.4")}))
    assert verified(below(ROOT, [*SIGNER, (strange, True)]), purpose=known).anchor == "maker"
    for extension, insists in ((strange, True), (within, True), (within, False)):
        middle = Authority("middle", ROOT, extensions=[*authority(), (extension, insists)])
        assert cause(below(middle), middle.certificate, purpose=known) == "unsupported"


def test_a_leaf_is_for_what_it_is_used_for() -> None:
    assert cause(below(ROOT, [])) == cause(below(ROOT, [(usage("key_agreement"), True)])) == "untrusted"
    assert verified(below(ROOT, []), purpose=Purpose()).anchor == "maker"
    none = (x509.BasicConstraints(ca=False, path_length=None), True)
    assert verified(below(ROOT, [*SIGNER, none])).anchor == "maker"
    assert cause(LOWER.certificate, MIDDLE.certificate, purpose=Purpose()) == "untrusted"
    client = Purpose(extended=ExtendedKeyUsageOID.CLIENT_AUTH)
    assert cause(LEAF, *ABOVE, purpose=client) == "untrusted"
    says = [(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), True)]
    assert verified(below(ROOT, says), purpose=client).anchor == "maker"
    assert (
        cause(below(ROOT, [(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), True)]), purpose=client)
        == "untrusted"
    )


def test_each_certificate_is_valid_at_the_time_and_no_other() -> None:
    first, last = BEGINS.timestamp(), ENDS.timestamp()
    for at in (first, last):
        assert verified(LEAF, *ABOVE, at=at).anchor == "maker"
    for at in (first - 1, last + 1, float("nan")):
        assert cause(LEAF, *ABOVE, at=at) == "expired"
    past = Authority("past", ROOT, ends=BEGINS + timedelta(days=1))
    assert cause(below(past), past.certificate) == "expired"
    old = Authority("old", ends=BEGINS + timedelta(days=1))
    assert cause(below(old), anchors=Anchors({"old": [old.certificate]})) == "expired"


def test_weak_hashes_are_not_signed() -> None:
    def weak(parts: list[bytes]) -> list[bytes]:
        return [*parts[:2], sha224, *parts[3:]]

    sha224 = bytes.fromhex("300a06082a8648ce3d040301")
    leaf = read_certificate(resigned(LEAF.tbs_certificate_bytes, LOWER.key, weak, sha224), "the leaf")
    assert cause(leaf, *ABOVE) == "unsupported"


def test_weak_keys_sign_nothing() -> None:
    for key in (rsa.generate_private_key(65537, 1024), ec.generate_private_key(ec.SECP256K1())):
        weak = Authority("weak", ROOT, key=key)
        assert cause(below(weak), weak.certificate) == "unsupported"


def test_roots_sign_themselves_and_each_has_one_name() -> None:
    with pytest.raises(RootsInvalid, match=r"^maker: 'CN=middle' is no root.*Put the root there too$"):
        Anchors({"maker": [MIDDLE.certificate]})
    with pytest.raises(RootsInvalid, match="two anchors hold one root"):
        Anchors({"one": [ROOT.certificate], "two": [ROOT.certificate]})
    assert Anchors({"one": [ROOT.certificate, ROOT.certificate]}).roots("one") == [ROOT.certificate]
    with pytest.raises(RootsInvalid, match="'CN=lower' is no root"):
        Anchors({"maker": [ROOT.certificate, LOWER.certificate]})


def test_a_folder_of_roots_names_its_anchors(tmp_path: Path) -> None:
    (tmp_path / "maker.pem").write_bytes(pem(MIDDLE.certificate, ROOT.certificate))
    (tmp_path / "readme.txt").write_text("nothing of ours")
    assert load_anchors(tmp_path).names == {"maker"}
    assert load_anchors(tmp_path / "absent").names == frozenset()


def _from_bytes(evidence: Mapping[str, bytes]) -> object:
    """What is sent and what the operator holds, all as bytes."""
    try:
        anchors = Anchors({"maker": read_pem(evidence["roots"], "the roots", 8)})
    except RootsInvalid as invalid:
        raise EvidenceRefused("untrusted", str(invalid)) from None
    chain = [read_certificate(evidence[name], name) for name in ("leaf", "lower")]
    return anchors.verify(chain, AT, "the leaf", SIGNS)


def test_no_bit_of_a_chain_or_of_its_roots_may_change() -> None:
    evidence = {
        "leaf": der(LEAF),
        "lower": der(LOWER.certificate),
        "roots": pem(MIDDLE.certificate, ROOT.certificate),
    }
    chain = ["leaf", "lower"]
    assert every_flip_is_refused(_from_bytes, evidence, chain, sample=250) > 500
    assert every_flip_is_refused(_from_bytes, evidence, ["roots"], sample=150) > 150
    every_cut_is_refused(lambda some: _from_bytes({name: some.get(name, b"") for name in evidence}), evidence, chain)
    any_bytes_are_refused(_from_bytes, evidence, chain)
