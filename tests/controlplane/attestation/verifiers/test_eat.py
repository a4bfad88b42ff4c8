"""A token of our profile verifies under a listed key or a certified one, as CWT and as JWT alike, or it is refused."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cbor2
import pytest
from cryptography import x509

from controlplane.attestation.certificates import RootsInvalid
from controlplane.attestation.chains import Anchors
from controlplane.attestation.eat.keys import listed
from controlplane.attestation.interface import EvidenceRefused
from controlplane.attestation.verifiers.eat import EatVerifier, open_verifier
from controlplane.contracts.attestation import Claims
from controlplane.jose.keys import to_public
from tests.controlplane.attestation.flipping import any_bytes_are_refused, every_cut_is_refused, every_flip_is_refused
from tests.controlplane.attestation.making_chains import AT, ENDS, Authority, pem, usage
from tests.controlplane.attestation.making_eat import CLAIMS, cwt_of, ec_key, jwt, public_cose, without

KEY, CERTIFIED, STRANGER = ec_key(), ec_key(), ec_key()
ROOT = Authority("maker of boards")
LEAF = ROOT.certify("platform", CERTIFIED, [(usage("digital_signature"), True)])
VERIFIER = EatVerifier(Anchors({"boards": [ROOT.certificate]}), listed({"bench": to_public(KEY.public_key())}))
FORMS: dict[str, Any] = {"jwt": jwt, "cwt": cwt_of}


def verified(token: bytes, chain: bytes | None = None, at: float = AT) -> Claims:
    return VERIFIER.verify({"token": token} if chain is None else {"token": token, "chain": chain}, at)


def cause(token: bytes, chain: bytes | None = None, at: float = AT) -> str:
    with pytest.raises(EvidenceRefused) as refused:
        verified(token, chain, at)
    return refused.value.cause


def test_a_jwt_and_a_cwt_say_the_same() -> None:
    claims = verified(jwt(KEY))
    assert claims == verified(cwt_of(KEY)) == verified(cwt_of(KEY, tagged=True))
    assert (claims.kind, claims.anchor, claims.status) == ("eat", "bench", "unstated")
    assert claims.bound == bytes(range(32)).hex() and claims.made_at == AT and not claims.debug
    assert claims.measurements == {"boot": "aa" * 32, "root": "bb" * 48}
    assert claims.attributes == {
        "ueid": (b"\x01" + bytes(range(16))).hex(),
        "oemid": bytes(range(16)).hex(),
        "hwmodel": b"board 7".hex(),
        "secure_boot": "true",
        "debug_status": "disabled-permanently",
        "swname": "trainer",
        "swversion": "2.1.0",
        "revocation": "unchecked",
    }


@pytest.mark.parametrize("form", FORMS)
def test_the_platform_is_the_key_that_signs_and_not_what_it_calls_itself(form: str) -> None:
    renamed = FORMS[form](KEY, {**CLAIMS, "ueid": b"\x01" + bytes(16)})
    assert verified(renamed).platform == verified(FORMS[form](KEY)).platform
    assert verified(FORMS[form](CERTIFIED), pem(LEAF)).platform != verified(renamed).platform


@pytest.mark.parametrize("form", FORMS)
def test_a_certified_key_counts_under_its_root(form: str) -> None:
    token = FORMS[form](CERTIFIED)
    assert verified(token, pem(LEAF)).anchor == "boards"
    assert verified(FORMS[form](CERTIFIED, kid=None), pem(LEAF, ROOT.certificate)).anchor == "boards"
    assert cause(token) == "untrusted"
    assert cause(FORMS[form](STRANGER), pem(LEAF)) == "unbound"
    assert cause(FORMS[form](STRANGER, kid=None), pem(LEAF)) == "signature"
    other = Authority("maker of boards").certify("platform", CERTIFIED, [(usage("digital_signature"), True)])
    assert cause(token, pem(other)) == "untrusted"
    assert cause(FORMS[form](KEY, kid=None)) == "untrusted"
    late = {**CLAIMS, "iat": int(ENDS.timestamp()), "exp": int(ENDS.timestamp()) + 300}
    assert cause(FORMS[form](CERTIFIED, late), pem(LEAF), ENDS.timestamp() + 1) == "expired"


def test_a_key_that_is_certified_for_something_else_attests_nothing() -> None:
    """A maker's root may vouch for the keys of its servers, and of its people, too."""

    def _leaf(*purposes: str) -> bytes:
        uses = x509.ExtendedKeyUsage([x509.ObjectIdentifier(purpose) for purpose in purposes])
        return pem(ROOT.certify("platform", CERTIFIED, [(usage("digital_signature"), True), (uses, False)]))

    for purpose in ("1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2", "2.5.29.37.0", "2.23.133.8.1", "2.23.133.5.4.100.6"):
        assert cause(jwt(CERTIFIED), _leaf(purpose)) == "untrusted"
    for purpose in ("2.23.133.8.3", "2.23.133.5.4.100.8", "2.23.133.5.4.100.9"):
        assert verified(jwt(CERTIFIED), _leaf("1.3.6.1.5.5.7.3.2", purpose)).anchor == "boards"


@pytest.mark.parametrize("form", FORMS)
def test_every_claim_is_needed_and_no_other_is_taken(form: str) -> None:
    for name in CLAIMS:
        assert cause(FORMS[form](KEY, without(name))) in ("malformed", "unsupported"), name
        assert cause(FORMS[form](KEY, {**CLAIMS, name: None})) in ("malformed", "unsupported"), name
        assert cause(FORMS[form](KEY, {**CLAIMS, name: [1.5]})) in ("malformed", "unsupported"), name
    assert cause(FORMS[form](KEY, {**CLAIMS, "submods": {}})) == "malformed"


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "change",
    [
        {"eat_nonce": bytes(7)},
        {"eat_nonce": bytes(65)},
        {"eat_nonce": [bytes(32), bytes(32)]},
        {"ueid": bytes(6)},
        {"hwmodel": b""},
        {"oemboot": 1},
        {"dbgstat": "off"},
        {"swname": "a\nb"},
        {"swversion": []},
        {"swversion": [2, 1]},
        {"ztfm_measurements": {}},
        {"ztfm_measurements": {"boot": b"\xaa" * 20}},
        {"ztfm_measurements": {"Boot": b"\xaa" * 32}},
        {"exp": int(AT) + 10_000},
        {"iat": float(AT) + 0.5},
        {"iat": True},
    ],
)
def test_claims_out_of_their_bounds_are_refused(form: str, change: dict[str, Any]) -> None:
    assert cause(FORMS[form](KEY, {**CLAIMS, **change})) == "malformed"


@pytest.mark.parametrize("form", FORMS)
def test_a_token_counts_from_when_it_was_made_until_it_expires(form: str) -> None:
    token = FORMS[form](KEY)
    verified(token, at=AT + 299)
    assert [cause(token, at=at) for at in (AT - 6, AT + 300, -1.0, 1e30)] == ["expired"] * 4


def test_debugging_shows() -> None:
    assert verified(cwt_of(KEY, {**CLAIMS, "dbgstat": "enabled"})).debug
    assert verified(jwt(KEY, {**CLAIMS, "dbgstat": "enabled"})).debug


def test_other_headers_are_refused() -> None:
    for change in ({"alg": "none"}, {"alg": "ES384"}, {"typ": "JWT"}, {"typ": None}, {"crit": ["a"]}, {"kid": 7}):
        assert cause(jwt(KEY, **change)) == "unsupported", change
    for other in ({"typ": "application/cwt"}, {"other": 1}, {"kid": "text"}, {"kid": b"\xff"}):
        assert cause(cwt_of(KEY, **other)) == "unsupported", other


def test_nothing_in_a_cwt_is_unsigned_or_detached() -> None:
    assert cause(cwt_of(KEY, unprotected={99: b"other"})) == "malformed"
    parts = cbor2.loads(cwt_of(KEY))
    parts.value[2] = None
    assert cause(cbor2.dumps(parts)) == "unsupported"
    mac = cbor2.CBORTag(17, parts.value)
    assert cause(cbor2.dumps(mac)) == "malformed"
    assert cause(cwt_of(KEY, payload=b"\xa2\x01\x00\x01\x00")) == "malformed"
    assert cause(cwt_of(KEY, payload=b"\x80")) == "malformed"


@pytest.mark.parametrize("form", FORMS)
def test_no_bit_of_a_token_or_its_chain_may_change(form: str) -> None:
    evidence = {"token": FORMS[form](CERTIFIED), "chain": pem(LEAF, ROOT.certificate)}

    def _verify(changed: Mapping[str, bytes]) -> object:
        return VERIFIER.verify(changed, AT)

    every_flip_is_refused(_verify, evidence, sample=400)
    every_cut_is_refused(_verify, evidence, ["token"])
    any_bytes_are_refused(_verify, evidence, padded=True)


def test_listed_keys_are_read_from_a_folder(tmp_path: Path) -> None:
    (tmp_path / "bench.cose").write_bytes(public_cose(KEY))
    (tmp_path / "field.jwk").write_text(json.dumps(to_public(STRANGER.public_key()).model_dump() | {"use": "sig"}))
    (tmp_path / "boards.pem").write_bytes(pem(ROOT.certificate))
    verifier = open_verifier(tmp_path)
    assert verifier.verify({"token": jwt(KEY)}, AT).anchor == "bench"
    assert verifier.verify({"token": jwt(STRANGER)}, AT).anchor == "field"
    assert verifier.verify({"token": jwt(CERTIFIED), "chain": pem(LEAF)}, AT).anchor == "boards"
    (tmp_path / "worth-more.cose").write_bytes(public_cose(KEY))
    with pytest.raises(RootsInvalid, match=r"worth-more\.cose holds the key of bench as well"):
        open_verifier(tmp_path)


@pytest.mark.parametrize("content", ["[]", "{}", '{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}', '{"d":"secret"}', "["])
def test_a_file_that_is_no_public_key_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "bench.jwk").write_text(content)
    with pytest.raises(RootsInvalid, match=r"bench\.jwk"):
        open_verifier(tmp_path)
    (tmp_path / "bench.jwk").unlink()
    (tmp_path / "bench.cose").write_bytes(content.encode())
    with pytest.raises(RootsInvalid, match=r"bench\.cose"):
        open_verifier(tmp_path)
