"""A confidential guest makes evidence that its verifier takes, and says what is missing where it cannot.

No kernel here makes such reports: a stand-in makes the folder's files instead, and a chip in small signs.
"""

import shutil
import struct
import uuid
from pathlib import Path

import pytest

from adapters.attesting.guest import Asked, GuestAttester, KernelReports, Kind, certificate_in
from adapters.attesting.interface import Attester, CannotAttest
from controlplane.attestation.verifiers.snp import SnpVerifier
from tests.controlplane.attestation.making_amd import Amd, Chip
from tests.controlplane.attestation.making_chains import AT, pem

BINDING = bytes(range(32))
AMD = Amd()
CHIP = Chip(AMD)
VCEK = uuid.UUID("63da758d-e664-4564-adc5-f4b93be8accd")
OTHER = uuid.UUID("c0b406a4-a803-4952-9743-3fb6014cd0ae")


def table(*entries: tuple[bytes, bytes]) -> bytes:
    """A host's table: names and certificates."""
    start = 24 * (len(entries) + 1)
    heads, bodies = b"", b""
    for name, certificate in entries:
        heads += name + struct.pack("<II", start + len(bodies), len(certificate))
        bodies += certificate
    return heads + bytes(24) + bodies


class Chips:
    """Whom a guest asks: a chip, and a host that hands out a table."""

    def __init__(self, handed: bytes = b"", provider: str = "sev_guest") -> None:
        self._handed, self._provider = handed, provider

    def ask(self, carries: bytes) -> Asked:
        return Asked(self._provider, CHIP.report(patch={0x50: carries}), self._handed)


class StandIn(KernelReports):
    """The kernel's folder, whose files are there as soon as it is made."""

    def __init__(self, folder: Path, files: dict[str, bytes]) -> None:
        super().__init__(folder)
        self._files = files
        self.seen = b""

    def _make(self, entry: Path) -> None:
        super()._make(entry)
        for name, data in self._files.items():
            (entry / name).write_bytes(data)

    def _remove(self, entry: Path) -> None:
        self.seen = (entry / "inblob").read_bytes()
        shutil.rmtree(entry)


def verifies(attester: Attester) -> None:
    evidence = attester.evidence(BINDING, None)
    assert SnpVerifier(AMD.anchors).verify(evidence, AT).bound == BINDING.hex()


@pytest.mark.parametrize("order", ["bytes", "bytes_le"])
def test_evidence_of_a_guest_verifies_with_the_certificate_that_the_host_hands_out(order: str) -> None:
    names = [getattr(one, order) for one in (OTHER, VCEK)]
    handed = table((names[0], b"another"), (names[1], CHIP.certificate()))
    attester = GuestAttester("snp", reports=Chips(handed))
    assert (attester.kind, attester.endorsement()) == ("snp", None)
    verifies(attester)


def test_the_certificate_may_lie_in_a_file_in_either_form(tmp_path: Path) -> None:
    made = AMD.chips.certify("SEV-VCEK", CHIP.key, CHIP.extensions())
    for data in (CHIP.certificate(), pem(made), pem(made, *AMD.held)):
        (tmp_path / "vcek").write_bytes(data)
        verifies(GuestAttester("snp", tmp_path / "vcek", Chips()))


def test_a_guest_of_intels_shows_its_quote() -> None:
    class Quotes:
        def ask(self, carries: bytes) -> Asked:
            return Asked("tdx_guest", b"quote of " + carries, b"")

    assert GuestAttester("tdx", reports=Quotes()).evidence(BINDING, None) == {
        "quote": b"quote of " + BINDING + bytes(32)
    }


def test_the_kernel_is_asked_in_a_folder_of_its_own_that_is_gone_afterwards(tmp_path: Path) -> None:
    files = {"provider": b"sev_guest\n", "outblob": b"report", "auxblob": b"table"}
    kernel = StandIn(tmp_path, files)
    assert kernel.ask(b"c" * 64) == Asked("sev_guest", b"report", b"table")
    assert kernel.seen == b"c" * 64
    assert list(tmp_path.iterdir()) == []
    assert StandIn(tmp_path, {**files, "provider": b"tdx_guest\n"}).ask(b"").table == b""
    del files["auxblob"]
    assert StandIn(tmp_path, files).ask(b"").table == b""
    with pytest.raises(OSError, match="outblob"):
        StandIn(tmp_path, {"provider": b"sev_guest\n"}).ask(b"")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("kind", "provider"), [("snp", "tdx_guest"), ("tdx", "sev_guest")])
def test_another_platform_than_the_one_that_was_named_does_not_attest(kind: Kind, provider: str) -> None:
    with pytest.raises(CannotAttest, match=f"of '{provider}', not of"):
        GuestAttester(kind, reports=Chips(provider=provider)).evidence(BINDING, None)


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(CannotAttest, match=r"No such file.*absent.*Linux 6\.7"):
        GuestAttester("snp", reports=KernelReports(tmp_path / "absent")).evidence(BINDING, None)
    for handed in (b"", table(), table((OTHER.bytes, b"another"))):
        with pytest.raises(CannotAttest, match="hands out no certificate: get it from AMD"):
            GuestAttester("snp", reports=Chips(handed)).evidence(BINDING, None)
    with pytest.raises(CannotAttest, match="cannot be read"):
        GuestAttester("snp", tmp_path / "absent", Chips()).evidence(BINDING, None)
    (tmp_path / "bad.pem").write_text("-----BEGIN CERTIFICATE-----\nx\n")
    with pytest.raises(CannotAttest, match="is not 1 to 8 certificates in PEM"):
        GuestAttester("snp", tmp_path / "bad.pem", Chips()).evidence(BINDING, None)
    with pytest.raises(CannotAttest, match="only a TPM can open"):
        GuestAttester("snp", reports=Chips()).evidence(BINDING, {"blob": b""})


def test_a_table_that_does_not_fit_has_no_certificate() -> None:
    good = table((VCEK.bytes, b"certificate"))
    assert certificate_in(good) == b"certificate"
    for bad in (good[:-1], good[:23], VCEK.bytes + struct.pack("<II", 0, 0), VCEK.bytes + b"\xff" * 8):
        assert certificate_in(bad) is None
