"""Bundles as somebody would slip them in: changed on the way, unsigned, by a stranger, untested, another layer's."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from controlplane.bundles import BundleSigner, read_archive, write_archive
from controlplane.bundles.archive import read_tar, write_tar
from controlplane.bundles.layout import DATA, MANIFEST, SIGNATURES, SOURCE

BROKEN = b"package ztfm.broken\n\nallow if {\n"


def flipped(body: bytes) -> bytes:
    """One bit of the packed file is another one."""
    middle = len(body) // 2
    return body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :]


def loosened(body: bytes) -> bytes:
    """Rules that allow more, under the signature of those that do not."""
    files = dict(read_archive(body))
    data = json.loads(files[DATA])
    data["data"]["limits"]["trust"]["quarantine_below"] = 0
    return write_archive({**files, DATA: json.dumps(data).encode()})


def unsigned(body: bytes) -> bytes:
    """Without a signature."""
    return write_archive({name: content for name, content in read_archive(body).items() if name != SIGNATURES})


def by_a_stranger(body: bytes) -> bytes:
    """Signed by a key that nobody trusts."""
    return _signed(BundleSigner.generate(), read_archive(body))


def uncompilable(signer: BundleSigner, body: bytes) -> bytes:
    """Truly signed, with a rule that does not compile."""
    files = dict(read_archive(body))
    source = {**read_tar(files[SOURCE]), "ztfm/broken.rego": BROKEN}
    return _signed(signer, {**files, "ztfm/broken.rego": BROKEN, SOURCE: write_tar(source)})


def claiming(signer: BundleSigner, body: bytes, *roots: str) -> bytes:
    """Truly signed as what it is, but it claims other parts of OPA's data."""
    files = dict(read_archive(body))
    manifest = json.loads(files[MANIFEST])
    return _signed(signer, {**files, MANIFEST: json.dumps({**manifest, "roots": list(roots)}).encode()})


def _signed(signer: BundleSigner, files: Mapping[str, bytes]) -> bytes:
    manifest = json.loads(files[MANIFEST])
    return signer.sign({**files}, manifest["metadata"]["layer"], manifest["revision"])


def with_a_failing_test(folder: Path, to: Path) -> Path:
    """Return a copy of a site's policies of which one test does not hold."""
    shutil.copytree(folder, to)
    tests = next(to.glob("site/rules/*_test.rego"))
    tests.write_text(tests.read_text() + "\ntest_what_never_holds if false\n")
    return to
