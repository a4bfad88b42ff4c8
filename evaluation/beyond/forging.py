"""Evidence of a platform that is not what it says: made by nobody known, changed, old, or another device's."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding

from adapters.attesting.interface import Attester
from adapters.attesting.software import SoftwareMaker, find_programs, running
from adapters.attesting.tpm import TpmAttester
from adapters.attesting.tss import library
from adapters.errors import ControlPlaneError
from adapters.member import Member
from evaluation.beyond.asking import asked
from evaluation.beyond.attempt import Attempt, Tally
from evaluation.beyond.sizes import Sizes
from evaluation.beyond.world import GUARDED, Timed, World
from evaluation.demo.attesting import ANCHOR, APPLICATION, PCRS


class Makers:
    """A maker whose TPMs the control plane believes, and one that nobody knows.

    Args:
        folder: an empty one.

    Raises:
        CannotAttest: TPMs in software cannot run here; the message says what to install.
    """

    def __init__(self, folder: Path) -> None:
        find_programs()
        library()
        self.known, self.unknown = SoftwareMaker(folder / "known"), SoftwareMaker(folder / "unknown")
        self.roots = folder / "roots"
        """For the control plane."""
        (self.roots / "tpm").mkdir(parents=True)
        (self.roots / "tpm" / f"{ANCHOR}.pem").write_bytes(self.known.root.public_bytes(Encoding.PEM))


class _Shown:
    """Shows evidence that was made before, or changes what is made.

    Args:
        real: makes evidence.
        change: of what it made.
    """

    def __init__(self, real: Attester, change: Callable[[Mapping[str, bytes]], Mapping[str, bytes]]) -> None:
        self._real, self._change = real, change
        self.last: Mapping[str, bytes] = {}

    @property
    def kind(self) -> str:
        """As the real one's."""
        return self._real.kind

    def endorsement(self) -> Mapping[str, bytes] | None:
        """As the real one's."""
        return self._real.endorsement()

    def evidence(self, binding: bytes, credential: Mapping[str, bytes] | None) -> Mapping[str, bytes]:
        """What the real one makes, and what becomes of it."""
        self.last = self._change(self._real.evidence(binding, credential))
        return self.last


def forged_attestation(on: World, off: World, makers: Makers, sizes: Sizes) -> list[Attempt]:
    """Try forgeries in both worlds; an honest platform has to be let in, or nothing is said of forged ones."""
    honest, forger, other = (on.enrol(name, "consumer") for name in ("honest-platform", "forger", "unattested"))
    timed = Timed()
    with _tpm(on, makers.known, "honest-platform") as attester:
        recorder = _Shown(attester, dict)
        honest.plane.attest(recorder)
        if not asked(honest, GUARDED).allowed:
            raise PermissionError("an honest platform is not let in: correct the reference values of the policies")
        old = recorder.last
    won = tried = 0
    for _ in range(sizes.forgeries):
        with _tpm(on, makers.unknown, "forger") as theirs, _tpm(on, makers.known, "unattested") as own:
            for member, way in ((forger, theirs), *((other, way) for way in _ways(own, old))):
                tried += 1
                won += _is_let_in(member, way, timed)
            own.extend(APPLICATION, hashlib.sha256(b"a program that nobody knows").digest())
            tried += 1
            won += _is_let_in(other, own, timed)
    return [
        Attempt(
            attack="forged attestation",
            has="an enrolled device, a TPM of a maker that nobody knows, another device's evidence",
            tries="shows a TPM of his own making, old evidence of another device, a changed quote, a tampered platform",
            protection="attestation: makers' roots, challenges, bindings and reference values",
            on=Tally(tried, won),
            off=Tally(
                tried, sum(asked(off.enrol(f"forger-{number}", "consumer"), GUARDED).allowed for number in range(tried))
            ),
            without="in policy data: the model's sensitivity asks for no attestation",
            decision_ms=timed.milliseconds,
            noticed="each refusal is on record, with claims, values seen and values wanted",
        )
    ]


def _ways(real: Attester, old: Mapping[str, bytes]) -> Sequence[Attester]:
    return (_Shown(real, lambda _made: old), *(_Shown(real, _flipping(name)) for name in ("quote", "signature")))


def _flipping(name: str) -> Callable[[Mapping[str, bytes]], Mapping[str, bytes]]:
    def flipped(made: Mapping[str, bytes]) -> Mapping[str, bytes]:
        whole = bytearray(made[name])
        whole[len(whole) // 2] ^= 1
        return {**made, name: bytes(whole)}

    return flipped


def _is_let_in(member: Member, attester: Attester, timed: Timed) -> bool:
    with suppress(ControlPlaneError):
        timed(member.plane.attest, attester)
    return asked(member, GUARDED).allowed


@contextmanager
def _tpm(world: World, maker: SoftwareMaker, name: str) -> Iterator[TpmAttester]:
    folder = world.folder / "tpms" / name
    if not folder.exists():
        maker.make(folder)
    with running(folder) as tpm:
        yield TpmAttester(world.folder / "parties" / name, tpm.tcti, PCRS)
