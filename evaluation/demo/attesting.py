"""Homes that prove what they run on: each has a TPM in software of its own, and one was tampered with."""

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding

from adapters.attesting.software import SoftwareMaker, find_programs, running
from adapters.attesting.tpm import TpmAttester
from adapters.attesting.tss import library
from adapters.errors import Denied
from evaluation.demo.fleet import Fleet
from evaluation.demo.outcome import Attested

ANCHOR = "swtpm"
"""As policy knows the maker of TPMs in software (`policies/data/attestation`)."""

APPLICATION = 15
PCRS = (0, 1, 2, 3, 4, 5, 6, 7, APPLICATION)
AT_ONCE = 8


def require_tpms() -> None:
    """Make sure that TPMs in software can run here.

    Raises:
        CannotAttest: something is not installed; the message says what to do.
    """
    find_programs()
    library()


class Tpms:
    """TPMs of homes, made by a maker of the demo's own.

    Args:
        folder: an empty one.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._maker = SoftwareMaker(folder / "maker")
        self.roots = folder / "roots"
        """For the control plane: whose TPMs it believes."""
        place = self.roots / "tpm"
        place.mkdir(parents=True)
        (place / f"{ANCHOR}.pem").write_bytes(self._maker.root.public_bytes(Encoding.PEM))

    def attest(self, fleet: Fleet, homes: Sequence[str], tampered: str) -> list[Attested]:
        """Let homes attest, in a fresh TPM each, and return what came of it.

        Args:
            fleet: they are enrolled there.
            homes: their names.
            tampered: the one that started something else than it should have.

        Raises:
            CannotAttest: a TPM does not work.
            ControlPlaneError: any of `adapters.errors` but a denial.
        """
        with ThreadPoolExecutor(AT_ONCE, "tpm") as pool:
            return list(pool.map(lambda name: self._attested(fleet, name, name == tampered), homes))

    def _attested(self, fleet: Fleet, name: str, is_tampered: bool) -> Attested:
        with self._tpm(fleet, name) as attester, fleet.member(name) as member:
            if is_tampered:
                attester.extend(APPLICATION, hashlib.sha256(b"a program that nobody knows").digest())
            try:
                result = member.plane.attest(attester)
            except Denied as denied:
                wrong = [difference.claim for reason in denied.reasons for difference in reason.differences or ()]
                return Attested(name, "none", wrong=wrong or [reason.code for reason in denied.reasons])
            return Attested(name, result.level, result.reference)

    @contextmanager
    def _tpm(self, fleet: Fleet, name: str) -> Iterator[TpmAttester]:
        folder = self._folder / name
        self._maker.make(folder)
        with running(folder) as tpm:
            yield TpmAttester(fleet.folder / name, tpm.tcti, PCRS)
