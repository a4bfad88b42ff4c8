"""Policies are packed into the same bytes wherever and whenever that is done."""

import os
import shutil
import time
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, derive_private_key

from controlplane.bundles import BundleSigner
from controlplane.releases.building import build
from controlplane.sidecar import locate_opa
from tests.policies.support import POLICIES

YEAR = 365 * 86_400.0


def packed(folder: Path, age: float) -> bytes:
    """Return the signed bundle of a copy of the policies, of which all files are so old."""
    shutil.copytree(POLICIES, folder)
    for path in sorted(folder.rglob("*"), reverse=age > 0):
        os.utime(path, (time.time() - age, time.time() - age))
    return signed(folder)


def signed(folder: Path) -> bytes:
    """Return the bundle of a folder, signed with a key that is always the same."""
    made = build(locate_opa(os.environ), folder, wasm=False)
    return BundleSigner(derive_private_key(2, SECP256R1())).sign(made.files, made.layer, made.revision)


def test_the_same_policies_in_another_folder_at_another_time_are_the_same_bytes(tmp_path: Path) -> None:
    first = packed(tmp_path / "a", 0.0)
    assert packed(tmp_path / "somewhere" / "else", YEAR) == first
    changed = tmp_path / "a" / "data" / "limits" / "data.json"
    changed.write_text(changed.read_text().replace('"admin_ttl_seconds": 30', '"admin_ttl_seconds": 31'))
    assert signed(tmp_path / "a") != first
