"""What a result depends on, as one digest: results of other code or policies are not taken for today's."""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]

TRAINING = ("evaluation/smart_home", "evaluation/federation", "evaluation/trust/scenarios.py")
JUDGING = (
    "adapters/aggregation",
    "adapters/guard",
    "adapters/pytorch.py",
    "adapters/rollback",
    "adapters/screening",
    "controlplane/api/judging.py",
    "controlplane/behavior",
    "evaluation/trust/guarded.py",
    "policies/data",
    "policies/ztfm/behaviour",
    "policies/ztfm/gradient_submission",
    "policies/ztfm/lib",
    "policies/ztfm/response",
)
SUFFIXES = frozenset({".json", ".py", ".rego"})


def revision(parts: Iterable[str], also: object = "", root: Path = ROOT) -> str:
    """SHA-256 over the names and contents of code, policies and data, the first 16 hexadecimal digits.

    Args:
        parts: files and folders below ``root``; one that is not there adds nothing.
        also: what else a result depends on, as its representation says it.
        root: of the repository.
    """
    digest = hashlib.sha256(repr(also).encode())
    for file in sorted(set(_files(parts, root))):
        content = file.read_bytes()
        digest.update(f"{file.relative_to(root)} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()[:16]


def _files(parts: Iterable[str], root: Path) -> Iterator[Path]:
    for part in parts:
        found = root / part
        for file in [found] if found.is_file() else found.rglob("*"):
            if file.suffix in SUFFIXES and file.is_file() and not file.stem.endswith("_test"):
                yield file
