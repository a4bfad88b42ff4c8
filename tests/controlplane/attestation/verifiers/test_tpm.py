"""Evidence of TPMs: who has to vouch for the key that signed it, and what may be changed in it: nothing."""

import base64
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from controlplane.attestation.certificates import RootsInvalid
from controlplane.attestation.interface import MAX_KEPT, Endorsing, EvidenceRefused
from controlplane.attestation.verifiers.tpm import TpmVerifier, open_verifier
from controlplane.contracts.attestation import Claims
from tests.controlplane.attestation.flipping import (
    any_bytes_are_refused,
    every_cut_is_refused,
    every_flip_is_refused,
)
from tests.controlplane.attestation.tpm.making import (
    AK_ATTRIBUTES,
    NOW,
    TPM_AK,
    TPM_EK,
    Emulated,
    Maker,
    elliptic,
    event_log,
    public,
    replayed,
    sign,
    usual_boot,
)

VECTOR = Path(__file__).parents[5] / "shared" / "vectors" / "tpm" / "tpm_evidence.json"
BINDING = hashlib.sha256(b"a challenge").digest()
MAKER = Maker()
TPM = Emulated(rsa.generate_private_key(65537, 2048), elliptic())
VERIFIER = TpmVerifier({"maker": [MAKER.root]})

recorded = pytest.mark.skipif(not VECTOR.exists(), reason="the recorded evidence is not beside this project")


def endorsement(tpm: Emulated = TPM) -> dict[str, bytes]:
    return {"ek_certificate": MAKER.certify(tpm.ek), "ek": tpm.ek_public, "ak": tpm.ak_public}


def spki(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def endorsed(tpm: Emulated = TPM, **more: bytes) -> tuple[dict[str, bytes], bytes]:
    """Evidence that answers a challenge with a credential, and what was kept of that."""
    made = VERIFIER.endorse(endorsement(tpm), NOW)
    assert len(made.kept) <= MAX_KEPT
    opened = tpm.activate(made.members["blob"], made.members["secret"])
    return tpm.evidence(BINDING, activation=opened, **more), made.kept


def listed(tpm: Emulated = TPM) -> TpmVerifier:
    return TpmVerifier({"maker": [MAKER.root]}, {"inventory": [tpm.ak_name.hex()]})


def refused(cause: str, words: str = "") -> "pytest.RaisesExc[EvidenceRefused]":
    return pytest.raises(EvidenceRefused, match=f"^{cause}: .*{words}")


def test_it_is_one_that_endorses() -> None:
    assert isinstance(VERIFIER, Endorsing)
    assert VERIFIER.kind == "tpm"


def test_a_tpm_that_opened_the_credential_is_believed() -> None:
    evidence, kept = endorsed()
    claims = VERIFIER.verify_endorsed(evidence, kept, NOW)
    assert (claims.kind, claims.anchor, claims.bound) == ("tpm", "maker", BINDING.hex())
    assert claims.platform == hashlib.sha256(spki(TPM.ek)).hexdigest()
    assert claims.measurements == {f"pcr{pcr}": value.hex() for pcr, value in TPM.values.items()}
    assert claims.attributes == {"bank": "sha256", "clock": "safe", "vouched_by": "endorsement_key"}
    assert claims.versions == {
        "firmware0": 1,
        "firmware1": 2,
        "firmware2": 3,
        "firmware3": 4,
        "resets": 7,
        "restarts": 1,
    }


def test_firmware_is_not_told_by_a_key_outside_the_endorsement_hierarchy() -> None:
    evidence, kept = endorsed()
    message = evidence["quote"].replace(evidence["quote"][8:42], b"\0\x0b" + bytes(32))
    blurred = evidence | {"quote": message, "signature": sign(TPM.ak, message)}
    assert VERIFIER.verify_endorsed(blurred, kept, NOW).versions == {}


def test_a_quote_of_another_tpm_than_the_endorsed_is_refused() -> None:
    """A machine that is as it should be signs for one that is not: the credential is open, the quote is another's."""
    evidence, kept = endorsed()
    healthy = Emulated(TPM.ek, elliptic())
    with refused("unbound", "not the one that the challenge was asked for with"):
        VERIFIER.verify_endorsed(healthy.evidence(BINDING, activation=evidence["activation"]), kept, NOW)
    with refused("signature"):
        relayed = healthy.evidence(BINDING, activation=evidence["activation"], ak=TPM.ak_public)
        VERIFIER.verify_endorsed(relayed, kept, NOW)
    with refused("untrusted", "was not opened"):
        VERIFIER.verify_endorsed(evidence | {"activation": bytes(32)}, kept, NOW)
    _, another = endorsed()
    with refused("untrusted", "was not opened"):
        VERIFIER.verify_endorsed(evidence, another, NOW)


def test_a_key_that_nobody_vouches_for_is_untrusted() -> None:
    with refused("untrusted", "nobody vouches"):
        VERIFIER.verify(TPM.evidence(BINDING), NOW)
    with refused("untrusted", "nobody vouches"):
        listed().verify(Emulated(TPM.ek, elliptic()).evidence(BINDING), NOW)
    evidence, _ = endorsed()
    with refused("unbound", "its challenge has none"):
        listed().verify(evidence, NOW)


def test_an_endorsement_that_no_root_vouches_for_gets_no_credential() -> None:
    stranger, good = Maker(), endorsement()
    with refused("untrusted", "no known root"):
        VERIFIER.endorse(good | {"ek_certificate": stranger.certify(TPM.ek)}, NOW)
    with refused("unbound", "of another key"):
        VERIFIER.endorse(good | {"ek_certificate": MAKER.certify(elliptic())}, NOW)
    with refused("untrusted", "not for the purpose"):
        VERIFIER.endorse(good | {"ek_certificate": MAKER.certify(TPM.ek, TPM_AK)}, NOW)
    with refused("expired"):
        VERIFIER.endorse(good, NOW + 90_000)
    with refused("expired"):
        VERIFIER.endorse(good, NOW - 90_000)
    with refused("untrusted", "not restricted"):
        VERIFIER.endorse(good | {"ak": public(TPM.ak, AK_ATTRIBUTES & ~(1 << 16), protects=False)}, NOW)
    with refused("untrusted", "not decrypt"):
        VERIFIER.endorse(good | {"ek": public(TPM.ek, AK_ATTRIBUTES, protects=False)}, NOW)
    with refused("malformed", "lacks ek_certificate"):
        VERIFIER.endorse({"ek": good["ek"], "ak": good["ak"]}, NOW)


def test_a_certificate_for_attestation_keys_vouches_for_one() -> None:
    evidence = TPM.evidence(BINDING, ak_certificate=MAKER.certify(TPM.ak, TPM_AK))
    claims = VERIFIER.verify(evidence, NOW)
    assert (claims.anchor, claims.attributes["vouched_by"]) == ("maker", "certificate")
    assert claims.platform == hashlib.sha256(spki(TPM.ak)).hexdigest()
    assert claims.versions["firmware0"] == 1
    without = {name: value for name, value in evidence.items() if name != "ak"}
    assert VERIFIER.verify(without, NOW).platform == claims.platform
    for wrong in (MAKER.certify(TPM.ak, TPM_EK), Maker().certify(TPM.ak, TPM_AK)):
        with refused("untrusted"):
            VERIFIER.verify(evidence | {"ak_certificate": wrong}, NOW)
    with refused("unbound"):
        VERIFIER.verify(evidence | {"ak_certificate": MAKER.certify(elliptic(), TPM_AK)}, NOW)
    with refused("signature"):
        VERIFIER.verify(without | {"ak_certificate": MAKER.certify(elliptic(), TPM_AK)}, NOW)
    with refused("expired"):
        VERIFIER.verify(evidence, NOW + 90_000)


@recorded
def test_recorded_evidence_verifies_once_its_key_is_listed() -> None:
    evidence = vector()
    name = hashlib.sha256(evidence["ak_key"]).hexdigest()
    claims = TpmVerifier({}, {"recorded": [name]}).verify(evidence, NOW)
    assert (claims.anchor, claims.platform, claims.versions) == ("recorded", name, {})
    assert len(claims.measurements) == 24
    with refused("untrusted"):
        TpmVerifier({}).verify(evidence, NOW)


@recorded
def test_no_bit_of_recorded_evidence_may_change() -> None:
    evidence = vector()
    verifier = TpmVerifier({}, {"recorded": [hashlib.sha256(evidence["ak_key"]).hexdigest()]})
    assert every_flip_is_refused(lambda shown: verifier.verify(shown, NOW), evidence, sample=300) >= 900
    every_cut_is_refused(lambda shown: verifier.verify(shown, NOW), evidence)


def test_no_bit_of_endorsed_evidence_may_change() -> None:
    evidence, kept = endorsed()
    verify = lambda shown: VERIFIER.verify_endorsed(shown, kept, NOW)  # noqa: E731
    assert every_flip_is_refused(verify, evidence, sample=200) >= 900
    every_cut_is_refused(verify, evidence)
    any_bytes_are_refused(verify, evidence)


def test_no_bit_of_an_endorsement_may_change() -> None:
    """Or it changes nothing: a TPM opens its credential however the endorsement key's use is described."""
    good, expected = endorsement(), VERIFIER.verify_endorsed(*endorsed(), NOW)

    def opened(shown: Mapping[str, bytes]) -> None:
        made = VERIFIER.endorse(shown, NOW)
        try:
            activation = TPM.activate(made.members["blob"], made.members["secret"])
        except (ValueError, IndexError):
            raise EvidenceRefused("unbound", "it cannot be opened") from None
        found = VERIFIER.verify_endorsed(TPM.evidence(BINDING, activation=activation), made.kept, NOW)
        if shown["ek"] != good["ek"] and found == expected:
            raise EvidenceRefused("unbound", "it says the same")

    assert every_flip_is_refused(opened, good, sample=200) >= 600
    every_cut_is_refused(opened, good, ["ek_certificate", "ak", "ek"])


def test_no_bit_of_a_certificate_may_change() -> None:
    shown = TPM.evidence(BINDING, ak_certificate=MAKER.certify(TPM.ak, TPM_AK))
    del shown["ak"]
    assert every_flip_is_refused(lambda one: VERIFIER.verify(one, NOW), shown, ["ak_certificate"], sample=300) >= 300
    any_bytes_are_refused(lambda one: VERIFIER.verify(one, NOW), shown)


def test_a_changed_log_is_refused_or_says_the_same() -> None:
    """What a log says of an event that no digest covers is not looked at."""
    tpm = Emulated(TPM.ek, TPM.ak)
    tpm.values = replayed(usual_boot())
    log = event_log(usual_boot())
    evidence, kept = endorsed(tpm, event_log=log)
    claims = VERIFIER.verify_endorsed(evidence, kept, NOW)
    assert claims.attributes["secure_boot"] == "enabled"
    # Policy asks for a version at least, and for an attribute exactly: what ran besides has to show.
    assert claims.attributes["started"] == "2" and "started" not in claims.versions
    assert claims.measurements["started0"] == hashlib.sha256(b"loader").hexdigest()
    assert claims.measurements["started1"] == hashlib.sha256(b"kernel").hexdigest()

    def verify(shown: Mapping[str, bytes]) -> Claims:
        found = VERIFIER.verify_endorsed(shown, kept, NOW)
        if found == claims and shown["event_log"] != log:
            raise EvidenceRefused("unbound", "it says the same")
        return found

    assert every_flip_is_refused(verify, evidence, ["event_log"], sample=500) >= 500
    with refused("unbound", "register 4"):
        tpm.values[4] = bytes(32)
        VERIFIER.verify_endorsed(tpm.evidence(BINDING, activation=evidence["activation"], event_log=log), kept, NOW)


def test_members_are_bounded_and_no_others_are_taken() -> None:
    good = TPM.evidence(BINDING)
    for bad in (good | {"extra": b""}, good | {"pcrs": bytes(4000)}, {"ak": b""}, {}):
        with refused("malformed"):
            listed().verify(bad, NOW)
    with refused("malformed", "ak_key is for"):
        listed().verify(good | {"ak_key": spki(TPM.ak)}, NOW)
    with refused("unbound", "answers no challenge"):
        listed().verify(TPM.evidence(b""), NOW)


def test_a_folder_says_who_is_trusted(tmp_path: Path) -> None:
    (tmp_path / "maker.pem").write_bytes(MAKER.root.public_bytes(Encoding.PEM))
    (tmp_path / "inventory.keys").write_text(f"# shelf 3\n{TPM.ak_name.hex().upper()}  # the left one\n\n")
    opened = open_verifier(tmp_path)
    assert opened.verify(TPM.evidence(BINDING), NOW).anchor == "inventory"
    assert opened.endorse(endorsement(), NOW).kept
    (tmp_path / "inventory.keys").write_text("not a key\n")
    with pytest.raises(RootsInvalid, match=r"inventory: 'not a key' .* neither"):
        open_verifier(tmp_path)
    assert open_verifier(tmp_path / "nothing").members
    (tmp_path / "inventory.keys").rename(tmp_path / "Shelf 3.keys")
    with pytest.raises(RootsInvalid, match="'Shelf 3' is no name of an anchor"):
        open_verifier(tmp_path)
    for roots, listed in (({"Maker": [MAKER.root]}, {}), ({}, {"a": ["0" * 64], "b": ["0" * 64]})):
        with pytest.raises(RootsInvalid):
            TpmVerifier(roots, listed)


def vector() -> dict[str, bytes]:
    recorded_ = json.loads(VECTOR.read_text())
    quote = recorded_["tpm_quote"]
    return {
        "quote": base64.b64decode(quote["message"]),
        "signature": base64.b64decode(quote["signature"]),
        "pcrs": bytes.fromhex("".join(quote["pcrs"])),
        "ak_key": base64.b64decode(recorded_["ak_public"]),
    }
