"""Seal weights, open them, and see what is in a sealed file: what ``ztfm models`` asks of the adapters."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from adapters.sealed.errors import UnfitWeightsError
from adapters.sealed.opening import SealedWeights, open_weights
from adapters.sealed.sealing import seal_weights
from adapters.sealed.sealing import select as select_shards
from controlplane.confidentiality.errors import SealRefused
from controlplane.confidentiality.shards import Preamble, shard_secret

FAULTS: tuple[type[Exception], ...] = (UnfitWeightsError, SealRefused, ValueError, OSError)
"""What these raise for what somebody can mend."""


def seal(
    weights: Path,
    out: Path,
    groups: Mapping[str, Sequence[str]],
    model_key: bytes,
    *,
    model: str,
    round_id: str,
    policy_revision: str,
) -> dict[str, Any]:
    """Seal weights under the keys that follow from a model's key, and return what the file says of itself.

    Args:
        weights: safetensors file.
        out: the sealed file.
        groups: shards, and what each holds.
        model_key: 32 bytes.
        model: whose weights.
        round_id: after which round.
        policy_revision: that is in force.

    Raises:
        Exception: one of `FAULTS`.
    """
    secrets = {shard: shard_secret(model_key, model, shard) for shard in groups}
    made = seal_weights(weights, out, groups, secrets, model=model, round_id=round_id, policy_revision=policy_revision)
    return _shown(made)


def unseal(
    sealed: Path, out: Path, model_key: bytes, *, model: str, shards: Sequence[str], round_id: str | None
) -> list[str]:
    """Open shards of a sealed file into a safetensors file, and return the names of its tensors.

    Args:
        sealed: the file.
        out: the safetensors file.
        model_key: 32 bytes.
        model: whose weights they have to be.
        shards: which ones; empty for all that are in the file.
        round_id: after which round they have to be; none for any.

    Raises:
        Exception: one of `FAULTS`.
    """
    with SealedWeights(sealed) as found:
        found.require(model, round_id=round_id)
        wanted = shards or sorted(found.preamble.present)
        return open_weights(found, {name: shard_secret(model_key, model, name) for name in wanted}, out)


def select(sealed: Path, out: Path, shards: Sequence[str]) -> dict[str, Any]:
    """Write a sealed file with some of the shards of another, and return what it says of itself; no key is needed.

    Raises:
        Exception: one of `FAULTS`.
    """
    return _shown(select_shards(sealed, out, list(shards)))


def show(sealed: Path) -> dict[str, Any]:
    """Return what a sealed file says of itself; nothing of it is proven without a key.

    Raises:
        Exception: one of `FAULTS`.
    """
    with SealedWeights(sealed) as found:
        return _shown(found.preamble)


def _shown(preamble: Preamble) -> dict[str, Any]:
    header, places = preamble.header, preamble.places()
    return {
        "model": header.model,
        "round_id": header.round_id,
        "policy_revision": header.policy_revision,
        "chunk_bytes": header.chunk_bytes,
        "size_bytes": preamble.total(),
        "shards": [
            {"name": shard.name, "size_bytes": shard.size_bytes, "present": shard.name in places}
            for shard in header.shards
        ],
    }
