"""Small safetensors files, written by hand."""

import json
import random
from collections.abc import Mapping
from pathlib import Path

from controlplane.confidentiality.shards import shard_secret

GROUPS = {"adapter": ["*lora*"], "head": ["head.*"], "encoder": ["*"]}
MODEL_KEY = bytes(range(32))
WIDTHS = {"F64": 8, "F32": 4, "F16": 2, "I8": 1}
SHAPES: Mapping[str, tuple[str, list[int]]] = {
    "encoder.0.weight": ("F32", [60, 50]),
    "encoder.0.lora.a": ("F32", [50, 2]),
    "encoder.1.weight": ("F16", [61, 33]),
    "encoder.step": ("F64", [1]),
    "head.bias": ("F32", [3]),
    "head.weight": ("I8", [3, 7]),
    "encoder.1.lora.a": ("F16", [33, 3]),
    "encoder.empty": ("F32", [0]),
}


def write_weights(path: Path, seed: int = 0) -> dict[str, bytes]:
    """Write a file and return the values of its tensors."""
    source, header, at = random.Random(seed), {}, 0
    values = {}
    for name, (dtype, shape) in SHAPES.items():
        size = WIDTHS[dtype]
        for dimension in shape:
            size *= dimension
        values[name] = source.randbytes(size)
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(values.values()))
    return values


def secrets_of(model: str = "m", key: bytes = MODEL_KEY) -> dict[str, bytes]:
    return {shard: shard_secret(key, model, shard) for shard in GROUPS}
