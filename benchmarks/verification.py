"""How long an enforcement point needs to verify a DPoP-bound capability offline: ``python -m benchmarks.verification``.

Every sample is the whole of it: a one-time capability that was not seen before, with a proof of its key that
was not seen before. Prints one JSON object; times are microseconds.
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

from controlplane.capabilities.keys import DeviceKey, SigningKey, jwks
from controlplane.capabilities.minting import Minter
from controlplane.capabilities.proof import make_proof
from controlplane.capabilities.verification import CapabilityVerifier
from controlplane.contracts.capability import AuthorizationDetail, CapabilityClaims, Constraints

BAR_MICROSECONDS = 250.0

_ISSUER = "https://control.example"
_AUDIENCE = "aggregator-1"
_TARGET = "urn:ztfm:aggregator-1:r1"
_DIGEST = f"sha256:{'5' * 64}"
_DETAIL = AuthorizationDetail(
    type="ztfm",
    action="gradient_submission",
    resource_type="model",
    resource_id="smart-home-intents",
    constraints=Constraints(round_id="r1", one_time=True),
)

Presented = tuple[str, str]


def present(count: int, devices: int, signing: SigningKey, clock: Callable[[], float]) -> list[Presented]:
    """Return ``count`` capabilities of ``devices`` devices, each with its proof."""
    minter = Minter(signing, _ISSUER, clock)
    keys = [DeviceKey.generate() for _ in range(devices)]
    presented = []
    for number in range(count):
        key = keys[number % devices]
        token, _ = minter.mint(
            f"dev-{key.thumbprint}", key.thumbprint, _AUDIENCE, _DETAIL, f"dec-{number}", "revision", 300.0
        )
        proof = make_proof(key, method="SUBMIT", url=_TARGET, now=clock(), access_token=token, digest=_DIGEST)
        presented.append((token, proof))
    return presented


def measure(presented: Sequence[Presented], verifier: CapabilityVerifier) -> list[float]:
    """Return the microseconds of each verification.

    Raises:
        RuntimeError: a capability does not hold, so there is nothing to measure.
    """
    taken = []
    for token, proof in presented:
        begun = time.perf_counter_ns()
        claims = verifier.verify(
            token,
            proof=proof,
            method="SUBMIT",
            url=_TARGET,
            action="gradient_submission",
            resource_id="smart-home-intents",
            round_id="r1",
            digest=_DIGEST,
        )
        taken.append((time.perf_counter_ns() - begun) / 1000)
        if not isinstance(claims, CapabilityClaims):
            raise RuntimeError(f"the capability does not hold: {claims.detail}")
    return taken


def run(count: int, devices: int) -> dict[str, Any]:
    """Measure ``count`` verifications, after a tenth as many that are not counted."""
    now = time.time()
    signing = SigningKey.generate()
    verifier = CapabilityVerifier(jwks([signing]), _ISSUER, _AUDIENCE, lambda: now)
    presented = present(count + count // 10, devices, signing, lambda: now)
    taken = measure(presented, verifier)[count // 10 :]
    median = statistics.median(taken)
    return {
        "median_microseconds": round(median, 1),
        "p99_microseconds": round(statistics.quantiles(taken, n=100)[98], 1),
        "bar_microseconds": BAR_MICROSECONDS,
        "within_bar": median <= BAR_MICROSECONDS,
        "verifications": count,
        "devices": devices,
        "python": platform.python_version(),
        "machine": platform.machine(),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=5000, help="verifications that are measured")
    parser.add_argument("--devices", type=int, default=100, help="devices that they come from")
    parser.add_argument("--json", action="store_true", help="accepted for uniformity; the output is always JSON")
    arguments = parser.parse_args()
    print(json.dumps(run(arguments.count, arguments.devices)))


if __name__ == "__main__":
    main()
