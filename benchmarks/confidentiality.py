"""What confidentiality costs, in one answer: ``python -m benchmarks.confidentiality --json``.

- ``key_release_ms``: the whole exchange in which a key is released to a platform that just attested itself, and
  ``seal_bytes_per_second``: sealing weights at rest (`benchmarks.confidential_keys`);
- ``verify_ms``: one verification, by kind of evidence (`benchmarks.confidential_evidence`);
- ``secure_sum_seconds``: a secure sum of 100 clients of a million values, a fifth of whom drop out, at its server
  (`benchmarks.confidential_sums`).

Each part runs in a process of its own, several times where it does not take its own median; what it says beside its
figures is under ``parts``. A part that fails fails the run.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SECONDS = 1800.0


@dataclass(frozen=True)
class Part:
    """Something that measures itself, as a module that prints one JSON object.

    Attributes:
        module: its name.
        figures: members of what it prints that are handed on.
        arguments: beside ``--json``.
        times: how often it is run; the median of each number counts.
    """

    module: str
    figures: tuple[str, ...]
    arguments: tuple[str, ...] = ()
    times: int = 1


PARTS: Mapping[str, Part] = {
    "keys": Part("benchmarks.confidential_keys", ("key_release_ms", "seal_bytes_per_second")),
    "evidence": Part("benchmarks.confidential_evidence", ("verify_ms",)),
    "sums": Part("benchmarks.confidential_sums", ("secure_sum_seconds",), times=3),
}


class PartFailed(Exception):  # noqa: N818 - named for what happened
    """A part did not measure what it is for. The message says which, and its last words."""


def measure(parts: Mapping[str, Part], more: Sequence[str] = ()) -> dict[str, Any]:
    """Return the figures of some parts, what each part said, and the machine.

    Args:
        parts: by name.
        more: arguments for each of them.

    Raises:
        PartFailed: one of them did not measure what it is for.
    """
    figures: dict[str, Any] = {}
    said: dict[str, Any] = {}
    for name, part in parts.items():
        found = [ran(name, part, more) for _ in range(part.times)]
        figures |= {figure: median_of([one[figure] for one in found]) for figure in part.figures}
        said[name] = {key: value for key, value in found[-1].items() if key not in part.figures}
    return {**figures, "parts": said, "machine": machine()}


def ran(name: str, part: Part, more: Sequence[str] = ()) -> dict[str, Any]:
    """Return what a part prints.

    Raises:
        PartFailed: it ends with an error, prints no JSON object, or one without its figures.
    """
    command = [sys.executable, "-m", part.module, "--json", *part.arguments, *more]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
        if done.returncode != 0:
            raise PartFailed(f"{name}: {part.module} ended with {done.returncode}: {done.stderr.strip()[-500:]}")
        found = json.loads(done.stdout.strip().splitlines()[-1])
        missing = [figure for figure in part.figures if figure not in found]
    except (subprocess.TimeoutExpired, ValueError, IndexError, TypeError) as error:
        raise PartFailed(f"{name}: {part.module} printed no figures ({type(error).__name__})") from None
    if not isinstance(found, dict) or missing:
        raise PartFailed(f"{name}: {part.module} prints no {', '.join(missing)}")
    return found


def median_of(found: Sequence[Any]) -> Any:
    """Return the median of several figures, by kind where they are by kind."""
    if isinstance(found[0], Mapping):
        return {kind: median_of([one[kind] for one in found]) for kind in found[0]}
    return found[0] if len(found) == 1 else statistics.median(found)


def machine() -> dict[str, Any]:
    """Return what was measured on."""
    return {
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "machine": platform.machine(),
        "system": platform.system(),
        "python": platform.python_version(),
    }


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(
        description=f"{__doc__}\nExample: python -m benchmarks.confidentiality --part evidence --json",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--part", action="append", choices=PARTS, help="this one alone; may be given several times")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    given = parser.parse_args()
    chosen = {name: part for name, part in PARTS.items() if not given.part or name in given.part}
    try:
        found = measure(chosen)
    except PartFailed as failed:
        sys.exit(f"benchmarks.confidentiality: {failed}")
    if given.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        if name not in ("parts", "machine"):
            print(f"{name}: {value}")


if __name__ == "__main__":
    main()
