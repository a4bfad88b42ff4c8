"""A path holds when it leads to a root by name, now, and its leaf is for what it is used for."""

from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID as Purposes

from controlplane.jose.keys import DeviceKey
from controlplane.pki.paths import LeafRules, NamedRoots, PathRefused
from tests.controlplane.identity.credentials.factory import NOW, Authority, usage

AT = NOW.timestamp()
ROOT = Authority("root")
LINE = Authority("line", ROOT, length=0)
OTHER = Authority("other root")
EITHER, STATED = (LeafRules(Purposes.CODE_SIGNING, states_usage=states) for states in (False, True))
SIGNS = (usage(digital_signature=True), True)


def leaf(*extensions: tuple[x509.ExtensionType, bool], **change: Any) -> x509.Certificate:
    return LINE.device(DeviceKey.generate(), extensions=extensions, **change)


def fault(one: x509.Certificate, rules: LeafRules = EITHER, above: Authority = LINE, at: float = AT) -> str:
    roots = NamedRoots({"makers": [ROOT.certificate], "others": [OTHER.certificate]}, rules, deepest=3)
    try:
        found = roots.path(one, [above.certificate], at)
    except PathRefused as refused:
        return refused.fault
    assert (found.anchor, found.certificates) == ("makers", (one, LINE.certificate, ROOT.certificate))
    return ""


def test_what_a_key_is_for_has_to_be_said_where_the_rules_want_it() -> None:
    assert fault(leaf()) == ""
    assert fault(leaf(), STATED) == "untrusted"
    assert fault(leaf(SIGNS), STATED) == ""
    assert fault(leaf((usage(key_agreement=True), True))) == "untrusted"


@pytest.mark.parametrize(
    ("purpose", "expected"),
    [(Purposes.CODE_SIGNING, ""), (Purposes.ANY_EXTENDED_KEY_USAGE, ""), (Purposes.CLIENT_AUTH, "untrusted")],
)
def test_a_leaf_that_states_purposes_states_the_one_that_is_asked_for(purpose: Any, expected: str) -> None:
    assert fault(leaf(SIGNS, (x509.ExtendedKeyUsage([purpose]), False))) == expected


def test_an_authority_is_no_leaf_and_nobody_unknown_vouches() -> None:
    assert fault(leaf(SIGNS, (x509.BasicConstraints(ca=True, path_length=None), True))) == "untrusted"
    assert fault(leaf(SIGNS), above=OTHER) == "untrusted"


def test_a_leaf_is_refused_before_and_after_its_time() -> None:
    one = leaf(SIGNS, ends=NOW + timedelta(days=1))
    assert [fault(one, at=AT + days * 86_400) for days in (-366, 0, 2)] == ["not_yet_valid", "", "expired"]


def test_without_roots_nothing_is_trusted() -> None:
    none = NamedRoots({}, EITHER, deepest=3)
    assert not none
    with pytest.raises(PathRefused, match="untrusted"):
        none.path(leaf(SIGNS), [LINE.certificate], AT)
