"""The files of a signed model, compared with its manifest: all that was signed is there, as it was, and no more."""

import hashlib
import os
from pathlib import Path

from controlplane.contracts.models import MAX_BUNDLE_CHARS, MAX_FILE_CHARS, MAX_FILES
from controlplane.transparency.modelsignatures import SIGNATURE_FILE, Manifest, Verified, verify_bundle
from controlplane.transparency.modelsigners import SignatureRefused, Signers
from controlplane.transparency.plainfiles import open_plain

IGNORED = frozenset({".git", ".gitattributes", ".github", ".gitignore"})
"""What OpenSSF model signing leaves out of a folder by itself."""


def signature_of(model: Path, signature: Path | None = None) -> Path:
    """Return where a model's signature is: ``model.sig`` in its folder, or beside the file that it is."""
    if signature is not None:
        return signature
    return model / SIGNATURE_FILE if model.is_dir() else model.with_name(model.name + ".sig")


def read_signature(model: Path, signature: Path | None = None) -> bytes:
    """Return a model's signature, or the beginning of what is too large to be one.

    Args:
        model: its folder, or the file that it is.
        signature: where the signature is; none for `signature_of`.

    Raises:
        SignatureRefused: there is none.
        OSError: it cannot be read.
    """
    path = signature_of(model, signature)
    try:
        with open_plain(path) as file:
            return file.read(MAX_BUNDLE_CHARS + 1)
    except FileNotFoundError:
        raise SignatureRefused("unsigned", f"there is no signature {path}: sign with `ztfm models sign`") from None


def verify_model(model: Path, signers: Signers, at: float, signature: Path | None = None) -> Verified:
    """Return what a model's signature says, where a trusted signer made it and every file is as it was signed.

    Args:
        model: its folder, or the file that it is.
        signers: whose signatures count.
        at: Unix seconds; a signer's certificate has to be valid then.
        signature: where the signature is; none for `signature_of`.

    Raises:
        SignatureRefused: the signature does not hold, or the files are others; the words name the first of them.
        OSError: something cannot be read.
    """
    verified = verify_bundle(read_signature(model, signature), signers, at)
    require_files(model, verified.manifest, {signature_of(model, signature)})
    return verified


def require_files(model: Path, manifest: Manifest, beside: set[Path]) -> None:
    """Raise unless a model's files are exactly those of a manifest.

    Args:
        model: its folder, or the file that it is.
        manifest: what was signed.
        beside: files in the folder that are no part of it, such as the signature.

    Raises:
        SignatureRefused: a file was changed, is missing, was added, or is a link.
        OSError: a file or a folder cannot be read, or is no plain file.
    """
    found = {"."} if model.is_file() else _names(model, beside)
    for name in sorted(found ^ manifest.files.keys()):
        what = "was signed and is missing" if name in manifest.files else "is there and was not signed"
        raise SignatureRefused("inconsistent", f"{_shown(name)} {what}")
    for name, digest in manifest.files.items():
        if _digest(model if name == "." else model / name) != digest:
            raise SignatureRefused("inconsistent", f"{_shown(name)} was changed after it was signed")


def _names(model: Path, beside: set[Path]) -> set[str]:
    found: set[str] = set()
    for folder, folders, files in os.walk(model, onerror=_raised):
        at = Path(folder)
        if len(at.relative_to(model).as_posix()) > MAX_FILE_CHARS:
            raise SignatureRefused("inconsistent", "the folder is nested deeper than a signed name can be long")
        if at == model:
            folders[:] = [name for name in folders if name not in IGNORED]
            files = [name for name in files if name not in IGNORED]
        for path in [*(at / name for name in folders), *(at / name for name in files)]:
            name = path.relative_to(model).as_posix()
            if path not in beside and path.is_symlink():
                raise SignatureRefused("inconsistent", f"{_shown(name)} is a link: a model's files lie in its folder")
        found |= {(at / name).relative_to(model).as_posix() for name in files if at / name not in beside}
        if len(found) > MAX_FILES:
            raise SignatureRefused("inconsistent", f"the folder has more than {MAX_FILES} files")
    return found


def _raised(error: OSError) -> None:
    # What is in a folder that cannot be read was perhaps not signed.
    raise error


def _shown(name: str) -> str:
    return name[:128] if name.isprintable() else ascii(name[:128])


def _digest(path: Path) -> str:
    with open_plain(path) as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
