"""Signing and verifying models for the command line: OpenSSF's library where it is asked for, our verifier always.

The library, and what reads tensors, are loaded by name when they are needed: the control plane needs neither.
"""

import importlib
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

from controlplane.transparency.modelfiles import read_signature, require_files, signature_of
from controlplane.transparency.modelsignatures import (
    SIGNATURE_FILE,
    TENSORS_FILE,
    Verified,
    stated_tensors,
    verify_bundle,
)
from controlplane.transparency.modelsigners import SignatureRefused, Signers

EXTRA = "OpenSSF model signing is not installed: pip install 'ztfm[integrity]'"


class LibraryMissing(Exception):  # noqa: N818 - a state, as callers see it
    """What signs is not installed. The message says what is missing and how to get it."""


class _Tensors(Protocol):
    """What is asked of the adapters (`adapters.models.tensors`)."""

    def state_tensors(self, model: Path) -> Path | None:
        """Write what is stated of a model's tensors into its folder."""
        ...


@dataclass(frozen=True)
class SigningKey:
    """With what a model is signed.

    Attributes:
        key: file with a private key on P-256, P-384 or P-521, PEM.
        certificate: file with its certificate; none signs with the key alone.
        chain: files with what leads from there to a root.
    """

    key: Path
    certificate: Path | None = None
    chain: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Signed:
    """A model whose signature holds.

    Attributes:
        verified: what was signed, and by whom.
        bundle: the text of the signature.
        tensors_text: the text of the file that states the digest of its tensors; none where there is no such file.
        tensors: that digest.
    """

    verified: Verified
    bundle: str
    tensors_text: str | None
    tensors: str | None


def sign_model(model: Path, key: SigningKey, *, states_tensors: bool) -> Path:
    """Sign a model, and return where the signature is.

    Args:
        model: its folder, called like the model; or the file that it is.
        key: with what.
        states_tensors: of a folder, also state the digest of its tensors, so that rounds may begin with it.

    Raises:
        LibraryMissing: what signs is not installed.
        ValueError: the key, the certificate or the files cannot be used; or tensors are stated that were not to be.
        OSError: something cannot be read or written.
    """
    hashing, signing = _library("hashing"), _library("signing")
    if states_tensors and model.is_dir():
        tensors = cast("_Tensors", importlib.import_module("adapters.models.tensors"))
        tensors.state_tensors(model)
    elif os.path.lexists(model / TENSORS_FILE):
        raise ValueError(
            f"{model / TENSORS_FILE} states tensors that nobody looked at: remove it, or let it be written"
        )
    signature = signature_of(model)
    ignored = [SIGNATURE_FILE] if model.is_dir() else []
    config = signing.Config().set_hashing_config(hashing.Config().set_ignored_paths(paths=ignored))
    if key.certificate is None:
        config.use_elliptic_key_signer(private_key=key.key)
    else:
        config.use_certificate_signer(
            private_key=key.key, signing_certificate=key.certificate, certificate_chain=key.chain
        )
    draft = signature.with_name(f".{signature.name}.draft")
    # One that was left behind would be signed as a file of the model.
    draft.unlink(missing_ok=True)
    try:
        # Beside the folder's files, never among them while these are hashed: the draft is written afterwards.
        config.sign(model, draft)
        draft.replace(signature)
    finally:
        draft.unlink(missing_ok=True)
    return signature


def read_signed(model: Path, signers: Signers, signature: Path | None = None) -> Signed:
    """Return a model whose signature holds, and whose files are as they were signed.

    Args:
        model: its folder, or the file that it is.
        signers: whose signatures count.
        signature: where the signature is; none for the usual place.

    Raises:
        SignatureRefused: it does not hold, or a file is another.
        OSError: something cannot be read.
    """
    # Read once: what is told to others is what was verified, whoever writes to the folder meanwhile.
    bundle = read_signature(model, signature)
    verified = verify_bundle(bundle, signers, time.time())
    require_files(model, verified.manifest, {signature_of(model, signature)})
    stated = model / TENSORS_FILE
    text = stated.read_text() if model.is_dir() and TENSORS_FILE in verified.manifest.files else None
    tensors = stated_tensors(text, verified.manifest) if text is not None else None
    return Signed(verified, bundle.decode(), text, tensors)


def judge(model: Path, public_key: Path, signature: Path | None = None) -> bool:
    """Have OpenSSF's own verifier look at a model as well; false where it is not installed.

    Raises:
        SignatureRefused: it does not agree.
    """
    try:
        verifying = _library("verifying")
    except LibraryMissing:
        return False
    try:
        verifying.Config().use_elliptic_key_verifier(public_key=public_key).verify(
            model, signature_of(model, signature)
        )
    except Exception as error:  # noqa: BLE001 - whatever it says against the model, the model is refused
        raise SignatureRefused("inconsistent", f"OpenSSF's verifier refuses it: {str(error)[:200]}") from None
    return True


def _library(name: str) -> Any:
    try:
        return importlib.import_module(f"model_signing.{name}")
    except ImportError as error:
        raise LibraryMissing(f"{EXTRA} ({error.name or error} is missing)") from None
