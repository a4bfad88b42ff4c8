"""What capabilities cost: to verify offline, to mint, and to follow the keys: ``python -m benchmarks.capabilities``.

``verify_us`` is the whole of a first presentation, as an enforcement point meets it: a one-time capability that was
not seen before, with a proof of its key that was not seen before; two ES256 verifications. The others present one
capability again, each time with a proof of its own, with the bounded memory of verified signatures and without.
Times are microseconds: the median within a run, then over the runs.
"""

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from controlplane.capabilities.keyring import KeyRing
from controlplane.capabilities.minting import Minter
from controlplane.capabilities.proof import make_proof
from controlplane.capabilities.verification import REMEMBERED, CapabilityVerifier
from controlplane.contracts.capability import AuthorizationDetail, CapabilityClaims, Constraints
from controlplane.contracts.keys import KeptKey
from controlplane.jose.keys import DeviceKey, SigningKey, jwks

BAR_US = 250.0

_ISSUER = "https://control.example"
_AUDIENCE = "aggregator-1"
_TARGET = "urn:ztfm:aggregator-1:r1"
_MODEL = "smart-home-intents"
_DIGEST = f"sha256:{'5' * 64}"
_PUBLISHED = 4

Presented = tuple[str, str]
Given = TypeVar("Given")


@dataclass(frozen=True)
class Size:
    """How much is measured: presentations in each run, and the devices that they come from."""

    count: int
    devices: int


class Bench:
    """One issuer with its keys, and devices that hold capabilities of it.

    Args:
        size: how much is measured.
        now: Unix seconds; time stands still.
    """

    def __init__(self, size: Size, now: float) -> None:
        self._size = size
        self._now = now
        self._signing = SigningKey.generate()
        self._minter = Minter(lambda: self._signing, _ISSUER, lambda: now)
        self._devices = [DeviceKey.generate() for _ in range(size.devices)]

    def first(self) -> list[float]:
        """Verify one-time capabilities, each presented once."""
        pairs = [self._present(self._device(number), self._mint(number, one_time=True)) for number in self._numbers()]
        return _timed(pairs, self._verify(REMEMBERED))

    def again(self, remembered: int) -> list[float]:
        """Verify one capability of each device again and again, with a new proof each time."""
        held = [self._mint(number, one_time=False) for number in range(self._size.devices)]
        pairs = [self._present(self._device(n), held[n % self._size.devices]) for n in self._numbers()]
        return _timed(pairs, self._verify(remembered))[self._size.devices :]

    def mint(self) -> list[float]:
        """Mint a capability for each."""
        return _timed(self._numbers(), lambda number: self._mint(number, one_time=True))

    def proof(self) -> list[float]:
        """Make the proof that goes with a capability, as a device does."""
        token = self._mint(0, one_time=False)
        return _timed(self._numbers(), lambda number: self._present(self._device(number), token))

    def publish(self) -> list[float]:
        """Write the key set as it is served, with keys that overlap."""
        keys = [SigningKey.generate() for _ in range(_PUBLISHED)]
        return _timed(range(200), lambda _: json.dumps(jwks(keys)))

    def follow(self) -> list[float]:
        """Take over a key set at an enforcement point, after a rotation."""
        verifier = CapabilityVerifier(jwks([self._signing]), _ISSUER, _AUDIENCE, lambda: self._now)
        keys = [SigningKey.generate() for _ in range(_PUBLISHED + 1)]
        sets = [jwks(keys[:_PUBLISHED]), jwks(keys[1:])]
        return _timed(range(200), lambda number: verifier.update_keys(sets[number % 2]))

    def rotate(self) -> list[float]:
        """Work out at the issuer who signs and who verifies, after a rotation."""
        keys = [SigningKey.generate() for _ in range(_PUBLISHED)]
        kept = [
            KeptKey(key.kid, key.public.x, key.public.y, b"sealed", self._now + at, self._now + at)
            for at, key in enumerate(keys)
        ]
        ring = KeyRing(lambda: self._now + _PUBLISHED)
        return _timed(range(200), lambda _: ring.load(kept, {key.kid: key for key in keys}))

    def _numbers(self) -> range:
        return range(self._size.count)

    def _device(self, number: int) -> DeviceKey:
        return self._devices[number % self._size.devices]

    def _mint(self, number: int, *, one_time: bool) -> str:
        key = self._device(number)
        detail = AuthorizationDetail(
            type="ztfm",
            action="gradient_submission",
            resource_type="model",
            resource_id=_MODEL,
            constraints=Constraints(round_id="r1", segment="homes", one_time=one_time),
        )
        subject = f"dev-{key.thumbprint}"
        return self._minter.mint(subject, key.thumbprint, _AUDIENCE, detail, f"dec-{number}", "revision", 300.0)[0]

    def _present(self, key: DeviceKey, token: str) -> Presented:
        proof = make_proof(key, method="SUBMIT", url=_TARGET, now=self._now, access_token=token, digest=_DIGEST)
        return token, proof

    def _verify(self, remembered: int) -> Callable[[Presented], None]:
        verifier = CapabilityVerifier(
            jwks([self._signing]), _ISSUER, _AUDIENCE, lambda: self._now, remembered=remembered
        )

        def verify(presented: Presented) -> None:
            token, proof = presented
            claims = verifier.verify(
                token,
                proof=proof,
                method="SUBMIT",
                url=_TARGET,
                action="gradient_submission",
                resource_id=_MODEL,
                round_id="r1",
                digest=_DIGEST,
            )
            if not isinstance(claims, CapabilityClaims):
                raise RuntimeError(f"the capability does not hold: {claims.detail}")

        return verify


def _timed(given: Iterable[Given], work: Callable[[Given], object]) -> list[float]:
    """Return the microseconds that ``work`` took for each of ``given``."""
    taken = []
    for one in given:
        begun = time.perf_counter_ns()
        work(one)
        taken.append((time.perf_counter_ns() - begun) / 1000)
    return taken


def measure(size: Size, now: float) -> dict[str, list[float]]:
    """Measure everything once."""
    bench = Bench(size, now)
    return {
        "verify_us": bench.first(),
        "verify_again_us": bench.again(REMEMBERED),
        "verify_again_unremembered_us": bench.again(0),
        "mint_us": bench.mint(),
        "proof_us": bench.proof(),
        "jwks_us": bench.publish(),
        "follow_rotation_us": bench.follow(),
        "rotate_us": bench.rotate(),
    }


def summary(runs: Sequence[dict[str, list[float]]]) -> dict[str, Any]:
    """Return the medians over all runs, and the bar."""
    found: dict[str, Any] = {
        name: round(statistics.median(statistics.median(run[name]) for run in runs), 1) for name in runs[0]
    }
    tails = [statistics.quantiles(run["verify_us"], n=100)[98] for run in runs]
    found["verify_p99_us"] = round(statistics.median(tails), 1)
    found["bar_us"] = BAR_US
    found["within_bar"] = found["verify_us"] <= BAR_US
    found["runs"] = len(runs)
    found["machine"] = {"cpus": os.cpu_count(), "system": platform.platform(), "python": platform.python_version()}
    return found


def main() -> None:
    """Measure from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--runs", type=int, default=5, help="runs; their medians are quoted")
    parser.add_argument("--count", type=int, default=2000, help="presentations in each run")
    parser.add_argument("--devices", type=int, default=100, help="devices that they come from")
    given = parser.parse_args()
    size = Size(given.count, min(given.devices, given.count // 2))
    measure(Size(200, 10), time.time())
    found = summary([measure(size, time.time()) for _ in range(given.runs)])
    if given.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:30} {value}")


if __name__ == "__main__":
    main()
