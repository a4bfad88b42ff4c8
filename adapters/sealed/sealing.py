"""Seal a safetensors file by its shards, chunk by chunk, from one memory map into another."""

from collections.abc import Mapping
from pathlib import Path

from adapters.sealed.errors import UnfitWeightsError
from adapters.sealed.mapping import each, mapped, mapped_draft
from adapters.sealed.opening import SealedWeights
from adapters.sealed.planning import Content, Groups, content_of, group, read_weights
from controlplane.confidentiality.chunks import CHUNK_BYTES, Chunks
from controlplane.confidentiality.shards import Preamble, new_preamble


def seal_weights(
    source: Path,
    out: Path,
    groups: Groups,
    secrets: Mapping[str, bytes],
    *,
    model: str,
    round_id: str,
    policy_revision: str,
    chunk_bytes: int = CHUNK_BYTES,
) -> Preamble:
    """Seal weights into a new file, whole or not at all, and return what comes before its shards.

    Args:
        source: safetensors file.
        out: the sealed file; what was there is replaced.
        groups: the shards, in their order, and what each holds.
        secrets: 32 bytes for each shard (`shard_secret`).
        model: whose weights.
        round_id: after which round, or a release's name.
        policy_revision: that is in force.
        chunk_bytes: of each chunk.

    Raises:
        UnfitWeightsError: the file is none, a tensor belongs to no shard, or a shard has no secret.
        ValueError: a name is none.
        OSError: a file cannot be read or written.
    """
    missing = sorted(groups.keys() - secrets.keys())
    if missing:
        raise UnfitWeightsError(f"there is no secret for the shard {', '.join(missing)}")
    with source.open("rb") as file:
        contents = {name: content_of(tensors) for name, tensors in group(read_weights(file), groups).items()}
        sizes = {name: content.size for name, content in contents.items()}
        preamble = new_preamble(model, round_id, policy_revision, sizes, chunk_bytes)
        with (
            mapped(file.fileno(), source.stat().st_size) as values,
            mapped_draft(out, preamble.total()) as sealed,
        ):
            sealed[: preamble.size] = preamble.to_bytes()
            for name, place in preamble.places().items():
                with sealed[place.start : place.start + place.size] as room:
                    _seal(preamble.chunks(name, secrets[name]), contents[name], values, room)
    return preamble


def select(source: Path, out: Path, shards: list[str]) -> Preamble:
    """Write a sealed file with some of the shards of another; nothing is opened for that.

    Raises:
        SealRefused: the file is none, or has no such shard.
        OSError: a file cannot be read or written.
    """
    with SealedWeights(source) as whole:
        chosen = whole.preamble.only(shards)
        places = whole.preamble.places()
        with mapped_draft(out, chosen.total()) as room:
            room[: chosen.size] = chosen.to_bytes()
            for name, place in chosen.places().items():
                start = places[name].start
                room[place.start : place.start + place.size] = whole.raw[start : start + place.size]
    return chosen


def _seal(chunks: Chunks, content: Content, values: memoryview, room: memoryview) -> None:
    def one(number: int) -> None:
        plain = chunks.plain(number)
        with room[chunks.sealed(number)] as target:
            chunks.seal_into(number, _taken(content, values, plain), target)

    each(one, chunks.count)


def _taken(content: Content, values: memoryview, plain: slice) -> bytes | memoryview:
    """Return a part of a content; only where it lies in several places is it copied."""
    parts: list[bytes | memoryview] = []
    if plain.start < len(content.head):
        parts.append(content.head[plain.start : plain.stop])
    for one in content.segments:
        start, stop = max(one.start, plain.start), min(one.stop, plain.stop)
        if start < stop:
            at = one.at + start - one.start
            parts.append(values[at : at + stop - start])
    return parts[0] if len(parts) == 1 else b"".join(parts)
