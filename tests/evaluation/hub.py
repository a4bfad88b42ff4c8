"""A hub cache that somebody filled before: the packaged encoder, under another name."""

import json
from pathlib import Path
from typing import Any

from evaluation.smart_home.pretrained import packaged_minilm

NAME = "example/minilm"
REVISION = "0" * 40
FILES = ("config.json", "model.safetensors", "tokenizer.json")


def fill(cache: Path, name: str = NAME, *, without: str = "", **config: Any) -> Path:
    """Put the packaged encoder into a cache folder and return where; ``config`` changes its configuration."""
    folder = cache / f"models--{name.replace('/', '--')}"
    snapshot = folder / "snapshots" / REVISION
    snapshot.mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(REVISION)
    packaged = packaged_minilm().directory
    for file in FILES:
        if file == without:
            continue
        if file == "config.json":
            changed = {**json.loads((packaged / file).read_text()), **config}
            (snapshot / file).write_text(json.dumps(changed))
        else:
            (snapshot / file).symlink_to((packaged / file).resolve())
    return snapshot
