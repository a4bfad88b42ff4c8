"""What key release and sealed weights cost: ``python -m benchmarks.confidential_keys --json``.

``key_release_ms`` is one whole exchange over HTTP with a control plane and its OPA: a fresh release key, a challenge,
evidence that answers it and binds the key, a capability to pull the model, the release of the key of its weights, and
opening that. The device keeps its connection. Its platform is one of a lab, whose evidence verifies in a tenth of a
millisecond; what other kinds take is added from `benchmarks.confidential_evidence`. ``seal_bytes_per_second`` is for
weights at rest, from a memory-mapped file into another on the same file system, beside a plain copy there. All are
medians.
"""

import argparse
import importlib
import json
import random
import shutil
import statistics
import tempfile
import time
from base64 import b64decode
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from adapters.client import SyncControlPlane
from adapters.sealed.opening import SealedWeights, open_weights
from adapters.sealed.sealing import seal_weights
from controlplane.api.services import EdgeLimits
from controlplane.confidentiality.hpke import PrivateReleaseKey
from controlplane.confidentiality.releasing import open_release, to_text
from controlplane.confidentiality.shards import shard_secret
from controlplane.contracts.access import Resource, ResourceProperties
from controlplane.contracts.attestation import SealingSuite
from controlplane.contracts.capability import CapabilityContext

LAB = "tests.controlplane.attestation.lab"

DIGEST = "sha256:" + "d" * 64
MODEL = "smart-home-intents"
SECRET = f"{MODEL}/weights"
RESOURCE = Resource(type="model", id=MODEL, properties=ResourceProperties(digest=DIGEST))
UNLIMITED = EdgeLimits(
    **dict.fromkeys(("rate", "burst", "challenge_rate", "challenge_burst", "release_rate", "release_burst"), 1000000.0)
)
GROUPS = {"adapter": ["*lora*"], "head": ["head.*"], "encoder": ["*"]}


def key_release_ms(runs: int = 30, suite: SealingSuite = "mlkem768-x25519") -> dict[str, Any]:
    """Return what the exchange takes, whole and by its steps, in milliseconds.

    Args:
        runs: exchanges, after three that do not count.
        suite: of the release key.

    Raises:
        AssertionError: something was refused, or another secret came out than was kept.
    """
    lab, value = importlib.import_module(LAB), bytes(range(32))
    folder = Path(tempfile.mkdtemp(prefix="ztfm-keys-"))
    platform = lab.Lab()
    taken: dict[str, list[float]] = {}
    try:
        with lab.running_lab(platform, folder, limits=UNLIMITED) as plane:
            keeper, device = plane.enrol("administrator"), plane.enrol("consumer")
            keeper.post("/v1/secrets", {"id": SECRET, "secret": to_text(value)}).expect(201)
            with SyncControlPlane(plane.url, device.key) as face:
                for _ in range(runs + 3):
                    steps = _exchange(face, _Attester(platform), device.id, suite, value)
                    for name, seconds in steps.items():
                        taken.setdefault(name, []).append(seconds * 1e3)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    medians = {name: round(statistics.median(found[3:]), 3) for name, found in taken.items()}
    return {"key_release_ms": medians.pop("whole"), "steps_ms": medians, "suite": suite, "runs": runs}


class _Attester:
    """The platform of a lab, as the SDK asks it."""

    kind = "lab"

    def __init__(self, platform: Any) -> None:
        self._platform = platform

    def endorsement(self) -> None:
        """It needs none."""

    def evidence(self, bound: bytes, _credential: object) -> Mapping[str, bytes]:
        """Return what it shows."""
        return {name: b64decode(part) for name, part in self._platform.evidence(bound).items()}


def _exchange(
    plane: SyncControlPlane, attester: _Attester, device: str, suite: SealingSuite, value: bytes
) -> dict[str, float]:
    steps, began = {}, time.perf_counter()

    def step(name: str, work: Callable[[], Any]) -> Any:
        at = time.perf_counter()
        found = work()
        steps[name] = time.perf_counter() - at
        return found

    key = step("release_key", lambda: PrivateReleaseKey.generate(suite))
    step("attest", lambda: plane.attest(attester, key.public))
    asked = (RESOURCE, "gateway-1", CapabilityContext(purpose="serving"))
    token = step("capability", lambda: plane.capability("model_access", *asked).require()).access_token
    released = step("release", lambda: plane.release_secret(SECRET, "serving", token))
    opened = step("open", lambda: open_release(released, key, secret=SECRET, device=device))
    steps["whole"] = time.perf_counter() - began
    if opened != value:
        raise AssertionError("another secret came out than was kept")
    return steps


def seal_bytes_per_second(megabytes: int = 256, runs: int = 5) -> dict[str, Any]:
    """Return how fast weights are sealed and opened, in bytes a second, and a plain copy of them.

    Args:
        megabytes: of the weights.
        runs: of each.
    """
    folder = Path(tempfile.mkdtemp(prefix="ztfm-seal-"))
    try:
        plain, sealed, opened = (folder / name for name in ("plain.safetensors", "sealed", "opened.safetensors"))
        size = _write(plain, megabytes)
        secrets = {name: shard_secret(bytes(32), MODEL, name) for name in GROUPS}

        def seal() -> None:
            seal_weights(plain, sealed, GROUPS, secrets, model=MODEL, round_id="round-1", policy_revision="benchmark")

        def unseal() -> None:
            with SealedWeights(sealed) as found:
                open_weights(found, secrets, opened)

        def copy() -> None:
            # Through memory, as whoever reads and writes does; a file system that shares blocks would copy nothing.
            with plain.open("rb") as source, (folder / "copy").open("wb") as target:
                while chunk := source.read(1024 * 1024):
                    target.write(chunk)

        speeds = {
            name: round(size / _median(work, runs)) for name, work in (("seal", seal), ("open", unseal), ("copy", copy))
        }
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return {
        "seal_bytes_per_second": speeds["seal"],
        "open_bytes_per_second": speeds["open"],
        "copy_bytes_per_second": speeds["copy"],
        "weights_bytes": size,
    }


def _write(path: Path, megabytes: int) -> int:
    """Write a file of weights, and return its size in bytes."""
    source, header, at = random.Random(0), {}, 0
    block = source.randbytes(1024 * 1024)
    names = [f"encoder.{number}.weight" for number in range(megabytes - 2)] + ["head.weight", "encoder.0.lora"]
    for name in names:
        header[name] = {"dtype": "F32", "shape": [512, 512], "data_offsets": [at, at + len(block)]}
        at += len(block)
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for _ in names:
            file.write(block)
    return path.stat().st_size


def _median(work: Callable[[], None], runs: int) -> float:
    taken = []
    for _ in range(runs + 1):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken[1:])


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(
        description=f"{__doc__}\nExample: python -m benchmarks.confidential_keys --runs 10 --megabytes 64 --json",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--runs", type=int, default=30, help="exchanges")
    parser.add_argument("--megabytes", type=int, default=256, help="of weights")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    given = parser.parse_args()
    found = {**key_release_ms(given.runs), **seal_bytes_per_second(given.megabytes)}
    if given.json:
        print(json.dumps(found))
        return
    print(f"key release: {found['key_release_ms']:.1f} ms, of which {found['steps_ms']}")
    for name in ("seal", "open", "copy"):
        print(f"{name}: {found[f'{name}_bytes_per_second'] / 1e6:.0f} MB/s")


if __name__ == "__main__":
    main()
