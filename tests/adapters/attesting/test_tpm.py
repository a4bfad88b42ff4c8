"""A TPM in software, driven as a device drives its own, and what a verifier makes of what it shows."""

import hashlib
import secrets
import stat
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from adapters.attesting.interface import CannotAttest
from adapters.attesting.software import SoftwareMaker, SoftwareTpm
from adapters.attesting.tpm import TpmAttester
from adapters.attesting.tss import CERTIFIED, opened
from controlplane.attestation.interface import EvidenceRefused
from controlplane.attestation.tpm.credentials import make_credential
from controlplane.attestation.tpm.publics import parse_public
from controlplane.attestation.verifiers.tpm import TpmVerifier
from controlplane.contracts.attestation import Claims
from tests.controlplane.attestation.tpm.making import Logged, event_log, replayed
from tests.servers.swtpm import SwtpmMissing, software_tpm

PCRS = (0, 4, 7, 16)
RESETTABLE = 16


@pytest.fixture(scope="module")
def maker(tmp_path_factory: pytest.TempPathFactory) -> SoftwareMaker:
    return SoftwareMaker(tmp_path_factory.mktemp("maker"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tpm")


@pytest.fixture(scope="module")
def tpm(folder: Path, maker: SoftwareMaker) -> Iterator[SoftwareTpm]:
    try:
        with software_tpm(folder, maker) as found:
            yield found
    except SwtpmMissing as missing:
        pytest.skip(str(missing))


@pytest.fixture
def attester(tpm: SoftwareTpm, folder: Path) -> TpmAttester:
    return TpmAttester(folder / "device", tpm.tcti, PCRS)


@pytest.fixture
def verifier(maker: SoftwareMaker) -> TpmVerifier:
    return TpmVerifier({"software": [maker.root]})


def appraised(verifier: TpmVerifier, attester: TpmAttester, binding: bytes) -> tuple[Claims, Mapping[str, bytes]]:
    """What is claimed of a TPM that takes the whole way, and what it showed."""
    endorsement = attester.endorsement()
    assert endorsement is not None
    made = verifier.endorse(endorsement, time.time())
    evidence = attester.evidence(binding, made.members)
    return verifier.verify_endorsed(evidence, made.kept, time.time()), evidence


def test_a_tpm_takes_the_whole_way(verifier: TpmVerifier, attester: TpmAttester) -> None:
    binding = secrets.token_bytes(32)
    claims, _ = appraised(verifier, attester, binding)
    assert (claims.anchor, claims.bound) == ("software", binding.hex())
    assert claims.measurements == {f"pcr{pcr}": value.hex() for pcr, value in attester.values().items()}
    assert claims.attributes["vouched_by"] == "endorsement_key"
    assert claims.versions["firmware0"] > 0, "the key is outside the endorsement hierarchy, or we name it wrongly"


def test_registers_of_sha384_are_quoted_as_well(verifier: TpmVerifier, folder: Path, tpm: SoftwareTpm) -> None:
    attester = TpmAttester(folder / "device", tpm.tcti, (0, RESETTABLE), "sha384")
    attester.extend(RESETTABLE, bytes(48))
    claims, _ = appraised(verifier, attester, bytes(32))
    assert claims.attributes["bank"] == "sha384"
    assert claims.measurements["pcr16"] == hashlib.sha384(bytes(96)).hexdigest()


def test_an_extended_register_shows(verifier: TpmVerifier, attester: TpmAttester) -> None:
    before, _ = appraised(verifier, attester, secrets.token_bytes(32))
    attester.extend(4, hashlib.sha256(b"something that should not run").digest())
    after, evidence = appraised(verifier, attester, secrets.token_bytes(32))
    assert {name for name in PCR_NAMES if before.measurements[name] != after.measurements[name]} == {"pcr4"}
    hidden = bytearray(evidence["pcrs"])
    hidden[32:64] = bytes.fromhex(before.measurements["pcr4"])
    listed = TpmVerifier({}, {"shelf": [attester.name()]})
    plain = attester.evidence(secrets.token_bytes(32), None)
    assert listed.verify(plain, time.time()).anchor == "shelf"
    with pytest.raises(EvidenceRefused, match="unbound: the quote is of other register values"):
        listed.verify({**plain, "pcrs": bytes(hidden)}, time.time())


def test_an_event_log_leads_to_the_registers_of_a_real_tpm(
    verifier: TpmVerifier, maker: SoftwareMaker, tmp_path: Path, tpm: SoftwareTpm
) -> None:
    events = [Logged(RESETTABLE, 13, b"kernel"), Logged(RESETTABLE, 13, b"initial disk")]
    (tmp_path / "log").write_bytes(event_log(events, ["sha256"]))
    attester = TpmAttester(tmp_path / "device", tpm.tcti, [RESETTABLE], event_log=tmp_path / "log")
    with pytest.raises(EvidenceRefused, match="register 16"):
        appraised(verifier, attester, bytes(32))
    for event in events:
        attester.extend(RESETTABLE, event.digest("sha256"))
    claims, _ = appraised(verifier, attester, bytes(32))
    expected = replayed([Logged(0, 13, event.data) for event in events])[0]
    assert claims.measurements == {"pcr16": expected.hex()}


@pytest.mark.parametrize("kind", ["EK-RSA2048", "EK-HIGH-ECC384"])
def test_a_credential_made_in_python_opens_in_the_tpm_that_has_both_keys_alone(tpm: SoftwareTpm, kind: str) -> None:
    assert kind in CERTIFIED
    with opened(tpm.tcti) as found:
        _, public, endorsement_key = found.endorsement_key([kind])
        name = parse_public(found.attestation_key(bytes(64))[0], "the key").name
        _, right = found.attestation_key(bytes(64))
        made = make_credential(parse_public(public, "the key"), name, b"s" * 32)
        assert found.activate(endorsement_key, right, made.blob, made.secret) == b"s" * 32
    with opened(tpm.tcti) as found:
        _, _, endorsement_key = found.endorsement_key([kind])
        _, wrong = found.attestation_key(b"\1" * 64)
        with pytest.raises(CannotAttest, match="not for this TPM"):
            found.activate(endorsement_key, wrong, made.blob, made.secret)


def test_a_healthy_tpm_cannot_answer_for_another(
    verifier: TpmVerifier, attester: TpmAttester, maker: SoftwareMaker, tmp_path: Path
) -> None:
    """The machine that should be attested is not as it should be, and asks a neighbour that is."""
    endorsement = attester.endorsement()
    assert endorsement is not None
    made = verifier.endorse(endorsement, time.time())
    own = attester.evidence(bytes(32), made.members)
    with software_tpm(tmp_path / "neighbour", maker) as healthy:
        neighbour = TpmAttester(tmp_path / "device", healthy.tcti, PCRS)
        with pytest.raises(CannotAttest, match="not for this TPM"):
            neighbour.evidence(bytes(32), made.members)
        lent = neighbour.evidence(bytes(32), None)
    with pytest.raises(EvidenceRefused, match="unbound: the attestation key is not the one"):
        verifier.verify_endorsed({**lent, "activation": own["activation"]}, made.kept, time.time())
    with pytest.raises(EvidenceRefused, match="signature: the quote was not signed by the attestation key"):
        verifier.verify_endorsed({**lent, "ak": own["ak"], "activation": own["activation"]}, made.kept, time.time())


def test_the_key_survives_the_attester_and_is_another_in_another_folder(
    attester: TpmAttester, folder: Path, tpm: SoftwareTpm, tmp_path: Path
) -> None:
    assert TpmAttester(folder / "device", tpm.tcti).name() == attester.name()
    assert TpmAttester(tmp_path, tpm.tcti).name() != attester.name()
    assert stat.S_IMODE((tmp_path / "tpm-attestation-key").stat().st_mode) == 0o600
    (tmp_path / "tpm-attestation-key").write_bytes(b"short")
    with pytest.raises(CannotAttest, match="64 bytes"):
        TpmAttester(tmp_path, tpm.tcti).name()


def test_an_endorsement_key_that_the_tpm_does_not_keep_is_made_again(
    verifier: TpmVerifier, attester: TpmAttester, tpm: SoftwareTpm
) -> None:
    kept, _ = appraised(verifier, attester, bytes(32))
    with opened(tpm.tcti) as found:
        tss, context = found._tss, found._context
        handles = found._handles(0x81010000)
        assert handles, "nothing was kept, so that the test shows nothing"
        for handle in handles:
            context.evict_control(tss.ESYS_TR.OWNER, context.tr_from_tpmpublic(handle), handle)
        assert not found._handles(0x81010000)
    made, _ = appraised(verifier, attester, bytes(32))
    assert made.platform == kept.platform


def test_what_is_not_there_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attester: TpmAttester, tpm: SoftwareTpm
) -> None:
    with pytest.raises(CannotAttest, match="cannot be used"):
        TpmAttester(tmp_path, "device:/dev/none").name()
    with pytest.raises(CannotAttest, match=r"event log .* cannot be read"):
        TpmAttester(tmp_path, tpm.tcti, event_log=tmp_path / "none").evidence(bytes(32), None)
    with pytest.raises(CannotAttest, match="lacks 'secret'"):
        attester.evidence(bytes(32), {"blob": b""})
    with pytest.raises(ValueError, match="ascending"):
        TpmAttester(tmp_path, tpm.tcti, (7, 0))
    monkeypatch.setitem(sys.modules, "tpm2_pytss", None)
    with pytest.raises(CannotAttest, match=r"pip install 'ztfm\[tpm\]'"):
        attester.endorsement()


PCR_NAMES = [f"pcr{pcr}" for pcr in PCRS]
